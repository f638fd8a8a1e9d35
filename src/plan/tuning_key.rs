//! What a choice among variants is known by.

use crate::graph::{Fact, Key, Node, Part};
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
        let key = Key::of(node.op.base().unwrap_or(&*node.op));
        let mut hash = key.parts().iter().fold(Fingerprint::default(), rounded);
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

/// The fingerprint with a part of an operator's key, integers rounded.
fn rounded(hash: Fingerprint, part: &Part) -> Fingerprint {
    match part {
        Part::Name(name) => hash.and(name.as_bytes()).and(b":"),
        Part::Text(text) => hash.and(text.as_bytes()).and(b";"),
        Part::Integer(number) => {
            let magnitude = bucket(u64::try_from(number.unsigned_abs()).unwrap_or(u64::MAX));
            hash.and(&[u8::from(*number < 0)]).and(&magnitude.to_le_bytes())
        }
        Part::Float(bits) => hash.and(&bits.to_le_bytes()),
        Part::Length(length) => hash.and(&(*length as u64).to_le_bytes()),
        Part::Tensor(tensor) => hash.and(tensor.ty().to_string().as_bytes()).and(tensor.bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::{bucket, rounded};
    use crate::graph::Part;
    use crate::kernel::Fingerprint;

    #[test]
    fn buckets_are_powers_of_two_and_the_middles_between_them() {
        let buckets: Vec<u64> = (0..=13).map(bucket).collect();
        assert_eq!(buckets, [0, 1, 2, 3, 4, 6, 6, 8, 8, 12, 12, 12, 12, 16]);
        assert_eq!((bucket(1023), bucket(1025), bucket(u64::MAX)), (1024, 1536, u64::MAX));
        let of = |number: i128| rounded(Fingerprint::default(), &Part::Integer(number));
        assert_eq!((of(5), of(-5)), (of(6), of(-6)));
        assert_ne!(of(5), of(-5));
    }
}
