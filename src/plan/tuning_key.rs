//! What a choice among variants is known by.

use crate::graph::{Fact, Node};
use crate::kernel::{Fingerprint, Kernel};
use std::fmt;

/// Identifies problems that share a measured choice: by the operator and its attributes, whether a program is fused into it, and
/// of each input the dtype, whether it is constant and its extents. Numbers are rounded up to the next of 1, 2, 3, 4, 6, 8, 12, 16,
/// ..., so that near shapes share a choice. The variants on offer and the text of their kernels count as well, so that a choice
/// is forgotten when either changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TuningKey(String);

impl TuningKey {
    /// A key as [`Display`](fmt::Display) wrote it.
    pub fn parse(text: &str) -> Self {
        TuningKey(text.to_string())
    }

    /// Of a node with its variants: the names and kernels of each.
    pub(super) fn new<'a>(
        node: &Node,
        inputs: &[Option<&Fact>],
        variants: impl Iterator<Item = (&'static str, Vec<&'a Kernel>)>,
    ) -> Self {
        let attributes = node.op.base().map_or_else(|| format!("{:?}", node.op), |base| format!("{base:?}"));
        let mut hash = Fingerprint::default().and(rounded(&attributes).as_bytes());
        for (variant, kernels) in variants {
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
        let own = inputs.get(..node.op.own_inputs(inputs.len())).unwrap_or(inputs);
        let inputs: String = own.iter().map(input).collect();
        TuningKey(format!("{}{inputs} #{:016x}", operator(node), hash.number()))
    }
}

impl fmt::Display for TuningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The node's operator, with a `+` when a program is fused into it.
pub(super) fn operator(node: &Node) -> String {
    format!("{}{}", node.op.name(), if node.op.base().is_some() { "+" } else { "" })
}

/// The least of 1, 2, 3, 4, 6, 8, 12, 16, ... that is not less.
fn bucket(number: u64) -> u64 {
    match number.checked_next_power_of_two() {
        Some(power) if power >= 4 && power / 4 * 3 >= number => power / 4 * 3,
        Some(power) if number > 0 => power,
        _ => number,
    }
}

/// A text with every number in it rounded up.
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
