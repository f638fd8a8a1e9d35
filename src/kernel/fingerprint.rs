//! Short numbers that stand for texts, the same on every machine.

use super::Kernel;

/// The 64-bit FNV-1a hash (Fowler, Noll and Vo): it tells texts apart and finds damage, and withstands no malice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    pub(crate) fn of(bytes: &[u8]) -> u64 {
        Self::default().and(bytes).number()
    }

    /// Adds more bytes at the end.
    pub(crate) fn and(self, bytes: &[u8]) -> Self {
        Fingerprint(bytes.iter().fold(self.0, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)))
    }

    pub(crate) fn number(self) -> u64 {
        self.0
    }
}

impl Default for Fingerprint {
    fn default() -> Self {
        Fingerprint(0xcbf2_9ce4_8422_2325)
    }
}

impl Kernel {
    /// Stands for the hand-written text: equal for kernels that differ only in constants, overrides and what is generated.
    pub(crate) fn fingerprint(&self) -> u64 {
        let texts = self.preludes.iter().map(|p| p.source).chain([self.shader.source]);
        texts.fold(Fingerprint::default(), |hash, text| hash.and(text.as_bytes())).number()
    }
}
