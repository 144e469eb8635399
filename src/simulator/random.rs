//! The simulator's own seeded generator (SplitMix64): a few lines, so that a seed means the same in every version.

/// A stream of numbers that its seed and purpose decide.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Streams of one seed with different purposes do not move each other: a fault more leaves solve times alone.
    pub fn new(seed: u64, purpose: &str) -> Self {
        let mut random = Self(seed);
        for byte in purpose.bytes() {
            random.0 = random.number() ^ u64::from(byte);
        }
        random
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number under `limit`, which is above zero; the bias is far below what a simulation shows.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit.max(1)
    }

    /// From 0 up to, never quite, 1.
    pub fn fraction(&mut self) -> f64 {
        let [a, b, c, d, ..] = self.number().to_be_bytes();
        f64::from(u32::from_be_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0)
    }

    /// About normal, mean 0, deviation 1: twelve fractions summed, so never beyond 6.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.fraction()).sum::<f64>() - 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_and_a_purpose_decide_the_stream() {
        let first = |seed, purpose| Random::new(seed, purpose).number();
        assert_eq!(first(1, "faults"), first(1, "faults"));
        assert_ne!(first(1, "faults"), first(2, "faults"));
        assert_ne!(first(1, "faults"), first(1, "ids"));
    }

    #[test]
    fn fractions_stay_under_one_and_normals_lie_around_zero() {
        let mut random = Random::new(7, "test");
        assert!((0..10_000).all(|_| (0.0..1.0).contains(&random.fraction())));
        let mean = (0..10_000).map(|_| random.normal()).sum::<f64>() / 10_000.0;
        assert!(mean.abs() < 0.05, "{mean}");
    }
}
