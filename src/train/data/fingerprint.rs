//! Short texts that stand for data.

use crate::tensor::Tensor;

/// The odd constants of the rounds and of the end of XXH64 (Collet).
const PRIMES: [u64; 3] = [0x9E37_79B1_85EB_CA87, 0xC2B2_AE3D_27D4_EB4F, 0x1656_67B1_9E37_79F9];

/// A hash of words of eight bytes, by the round of XXH64 in one lane: as fast as memory is read. It tells data apart, and withstands no malice.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    /// Adds bytes and their number.
    pub(super) fn and(self, bytes: &[u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<8>();
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
        words.chain([bytes.len() as u64]).fold(self, |hash, word| {
            let sum = hash.0.wrapping_add(word.wrapping_mul(PRIMES[1]));
            Fingerprint(sum.rotate_left(31).wrapping_mul(PRIMES[0]))
        })
    }

    /// Adds names, types and bytes.
    pub(super) fn of<'a>(tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>) -> Self {
        let add = |hash: Self, (name, tensor): (&str, &Tensor)| {
            hash.and(name.as_bytes()).and(tensor.ty().to_string().as_bytes()).and(tensor.bytes())
        };
        tensors.into_iter().fold(Self::default(), add)
    }

    /// The hash in 16 digits.
    pub(super) fn text(self) -> String {
        let mut hash = self.0;
        hash = (hash ^ (hash >> 33)).wrapping_mul(PRIMES[1]);
        hash = (hash ^ (hash >> 29)).wrapping_mul(PRIMES[2]);
        format!("{:016x}", hash ^ (hash >> 32))
    }
}

/// The fingerprint of data made from others in a way that a text describes.
pub(super) fn derived(data: Option<String>, how: &str) -> Option<String> {
    data.map(|data| Fingerprint::default().and(data.as_bytes()).and(how.as_bytes()).text())
}
