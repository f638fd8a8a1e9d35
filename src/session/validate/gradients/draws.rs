//! Numbers from a seed, the same on every machine.

/// A seeded generator: SplitMix64 (Steele et al. 2014).
#[derive(Clone, Debug)]
pub(super) struct Draws(pub(super) u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in -1..1, of 24 bits, so that an f32 holds it exactly.
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 40) as f64 / f64::from(1u32 << 23) - 1.0
    }

    /// A number of either sign that is at least a half and at most one and a half, which every float dtype holds exactly.
    pub(super) fn weight(&mut self) -> f64 {
        let unit = (self.unit() * 64.0).round() / 64.0;
        unit + if unit < 0.0 { -0.5 } else { 0.5 }
    }
}
