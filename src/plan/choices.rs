//! Which of its variants a node runs by: what was measured, and what the driver refused, as data that a plan is made from.

use super::Options;
use super::placement::{Placement, place};
use crate::error::Result;
use crate::graph::{Fact, Graph, Node, OpExt};
use crate::kernel::{Caps, Fingerprint, Kernel};
use crate::ops::fused::Fused;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What tells problems apart that may want different variants: the operator and its attributes, whether a program is fused into
/// it, and of each input the dtype, whether it is constant and its extents. Numbers are rounded up to the next of 1, 2, 3, 4, 6,
/// 8, 12, 16, ... so that near shapes share what was measured. The variants on offer and the text of their kernels count as
/// well: what was measured ends to hold with them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(String);

impl Signature {
    /// A signature as [`Display`](fmt::Display) wrote it.
    pub fn parse(text: &str) -> Self {
        Signature(text.to_string())
    }

    /// Of a node with its candidates: the names and kernels of each.
    pub(super) fn new<'a>(
        node: &Node,
        inputs: &[Option<&Fact>],
        candidates: impl Iterator<Item = (&'static str, Vec<&'a Kernel>)>,
    ) -> Self {
        let (own, attributes) = match node.op.downcast::<Fused>() {
            Some(fused) => (inputs.get(..fused.arity).unwrap_or(inputs), format!("{:?}", fused.base)),
            None => (inputs, format!("{:?}", node.op)),
        };
        let mut hash = Fingerprint::default().and(rounded(&attributes).as_bytes());
        for (variant, kernels) in candidates {
            hash = hash.and(b"|").and(variant.as_bytes());
            for kernel in kernels {
                hash = hash.and(&kernel.fingerprint().to_le_bytes());
            }
        }
        let input = |fact: &Option<&Fact>| match fact {
            Some(fact) => {
                let extents: Vec<String> = fact.shape().iter().map(|d| bucket(*d as u64).to_string()).collect();
                format!(" {}[{}]{}", fact.dtype(), extents.join("x"), if fact.value.is_some() { "*" } else { "" })
            }
            None => " -".into(),
        };
        let inputs: String = own.iter().map(input).collect();
        Signature(format!("{}{inputs} #{:016x}", operator(node), hash.number()))
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The node's operator, and whether a program is fused into it.
fn operator(node: &Node) -> String {
    format!("{}{}", node.op.name(), if node.op.own_inputs(node.inputs.len()) < node.inputs.len() { "+" } else { "" })
}

/// The least of 1, 2, 3, 4, 6, 8, 12, 16, ... that is not less.
fn bucket(number: u64) -> u64 {
    match number.checked_next_power_of_two() {
        Some(power) if power >= 4 && power / 4 * 3 >= number => power / 4 * 3,
        Some(power) if number > 0 => power,
        _ => number,
    }
}

/// A text with every number in it rounded.
fn rounded(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, digits) = rest.split_at(start);
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        result.push_str(before);
        match digits[..end].parse() {
            Ok(number) => result.push_str(&bucket(number).to_string()),
            Err(_) => result.push_str(&digits[..end]),
        }
        rest = &digits[end..];
    }
    result + rest
}

/// A variant that the driver refused to compile.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// The operator, with a `+` when a program is fused into it.
    pub operator: String,
    /// Name of the variant.
    pub variant: String,
    /// A hash of the text of the kernel at fault; another text is tried again.
    pub text: u64,
}

/// What a plan's choices are made from, beside the order of each operator's candidates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// The fastest variants by measurement; `None` to go by the order of candidates alone.
    pub measured: Option<BTreeMap<Signature, String>>,
    /// Variants that are not taken while there is another.
    pub refused: BTreeSet<Refusal>,
}

impl Choices {
    /// Whether a candidate of these kernels was refused.
    pub(super) fn refuses<'a>(&self, node: &Node, variant: &str, kernels: impl IntoIterator<Item = &'a Kernel>) -> bool {
        // Most sessions never see a refusal, and pay nothing for the hashes.
        !self.refused.is_empty() && kernels.into_iter().any(|kernel| self.refused.contains(&Refusal::new(node, variant, kernel)))
    }
}

impl Refusal {
    /// The refusal of a kernel that a node's variant is made of.
    pub(crate) fn new(node: &Node, variant: &str, kernel: &Kernel) -> Self {
        Refusal { operator: operator(node), variant: variant.to_string(), text: kernel.fingerprint() }
    }
}

/// Why a node runs by the variant it does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Chosen {
    /// It stands first among the candidates for the adapter's class.
    #[default]
    Table,
    /// It was measured to be the fastest.
    Measured,
    /// [`Options::variant`] names it.
    Named,
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Chosen::Table => "table",
            Chosen::Measured => "measured",
            Chosen::Named => "named",
        })
    }
}

/// A node that can run by several variants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measurable {
    /// Index into the graph's nodes.
    pub node: usize,
    /// What its choice is known by.
    pub signature: Signature,
    /// The variants, in order of preference; refused ones are left out.
    pub variants: Vec<&'static str>,
}

/// The nodes of a specialised graph that measurement may choose a variant for. There is none unless the options'
/// [`Choices::measured`] is given.
///
/// # Errors
/// As [`Plan::new`](super::Plan::new).
pub fn measurable(graph: &Graph, caps: &Caps, options: &Options) -> Result<Vec<Measurable>> {
    let placements = place(graph, caps, options)?.into_iter().enumerate();
    let offer = |(node, placement)| match placement {
        Placement::Gpu(work) if work.chosen != Chosen::Named && work.usable.len() > 1 => {
            Some(Measurable { node, signature: work.signature?, variants: work.usable })
        }
        _ => None,
    };
    Ok(placements.filter_map(offer).collect())
}

#[cfg(test)]
mod tests {
    use super::{bucket, rounded};

    #[test]
    fn buckets_are_powers_of_two_and_the_middles_between_them() {
        let buckets: Vec<u64> = (0..=13).map(bucket).collect();
        assert_eq!(buckets, [0, 1, 2, 3, 4, 6, 6, 8, 8, 12, 12, 12, 12, 16]);
        assert_eq!((bucket(1023), bucket(1025), bucket(u64::MAX)), (1024, 1536, u64::MAX));
        assert_eq!(
            rounded("Conv { pads: [1, 5], x: 99999999999999999999999 }"),
            "Conv { pads: [1, 6], x: 99999999999999999999999 }"
        );
    }
}
