//! How long solving took, in a form that stays small however many captchas there are.
//!
//! Each power of two of milliseconds is divided into 16 buckets, so a quantile is off by about 3 % at most.

use std::collections::BTreeMap;
use std::time::Duration;

/// Longer times count as this one.
pub const SOLVE_TIME_MAX: Duration = Duration::from_hours(24);
/// Binary digits of a time that are kept below its first one.
const DIGITS: u32 = 4;

/// Counts of solve times by bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SolveTimes {
    buckets: BTreeMap<u32, u64>,
}

impl SolveTimes {
    pub fn add(&mut self, took: Duration) {
        *self.buckets.entry(bucket(took)).or_default() += 1;
    }

    pub fn merge(&mut self, others: &Self) {
        for (bucket, count) in &others.buckets {
            let here = self.buckets.entry(*bucket).or_default();
            *here = here.saturating_add(*count);
        }
    }

    #[must_use]
    pub fn median(&self) -> Option<Duration> {
        self.quantile(500)
    }

    #[must_use]
    pub fn p95(&self) -> Option<Duration> {
        self.quantile(950)
    }

    /// The time that `per_mille` of all do not exceed; `None` when there are none.
    #[must_use]
    pub fn quantile(&self, per_mille: u64) -> Option<Duration> {
        let total: u128 = self.buckets.values().map(|count| u128::from(*count)).sum();
        let rank = (total * u128::from(per_mille)).div_ceil(1_000).max(1);
        let mut seen = 0;
        self.buckets.iter().find_map(|(bucket, count)| {
            seen += u128::from(*count);
            (seen >= rank).then(|| middle(*bucket))
        })
    }

    /// As a store keeps it: `bucket:count`, separated by blanks.
    #[must_use]
    pub fn to_stored(&self) -> String {
        let pairs: Vec<_> = self.buckets.iter().map(|(bucket, count)| format!("{bucket}:{count}")).collect();
        pairs.join(" ")
    }

    /// Reads what [`Self::to_stored`] wrote; a pair that is damaged is left out.
    #[must_use]
    pub fn from_stored(stored: &str) -> Self {
        let last = bucket(SOLVE_TIME_MAX);
        let pair = |text: &str| {
            let (bucket, count) = text.split_once(':')?;
            Some((bucket.parse().ok().filter(|bucket| *bucket <= last)?, count.parse().ok()?))
        };
        Self { buckets: stored.split_ascii_whitespace().filter_map(pair).collect() }
    }
}

fn bucket(took: Duration) -> u32 {
    let ms = u32::try_from(took.min(SOLVE_TIME_MAX).as_millis()).unwrap_or(u32::MAX);
    // The first buckets are one millisecond wide each.
    let shift = ms.checked_ilog2().unwrap_or(0).saturating_sub(DIGITS);
    (shift << DIGITS) + (ms >> shift)
}

/// The middle of what falls into `bucket`.
fn middle(bucket: u32) -> Duration {
    let shift = (bucket >> DIGITS).saturating_sub(1);
    let lowest = u64::from(bucket - (shift << DIGITS)) << shift;
    Duration::from_millis(lowest + (1 << shift) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(all: impl IntoIterator<Item = u64>) -> SolveTimes {
        let mut times = SolveTimes::default();
        all.into_iter().for_each(|ms| times.add(Duration::from_millis(ms)));
        times
    }

    #[test]
    fn a_time_comes_back_within_four_percent() {
        for ms in (0..100).chain((100..900_000).step_by(977)) {
            let back = times([ms]).median().unwrap();
            let off = back.as_millis().abs_diff(u128::from(ms));
            assert!(off * 100 <= u128::from(ms) * 4, "{ms} ms came back as {back:?}");
        }
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        let mut last = 0;
        for ms in 0..100_000 {
            let this = bucket(Duration::from_millis(ms));
            assert!(this == last || this == last + 1, "at {ms} ms");
            last = this;
        }
        assert_eq!(bucket(SOLVE_TIME_MAX), bucket(Duration::MAX));
    }

    #[test]
    fn quantiles_of_many_times_merged_from_two_halves() {
        let mut all = times((1..=1_000).filter(|ms| ms % 2 == 0));
        all.merge(&times((1..=1_000).filter(|ms| ms % 2 == 1)));
        let (median, p95) = (all.median().unwrap().as_millis(), all.p95().unwrap().as_millis());
        assert!((485..=515).contains(&median) && (920..=980).contains(&p95), "{median} {p95}");
        assert_eq!(SolveTimes::default().median(), None);
    }

    #[test]
    fn stored_times_come_back_and_damage_is_left_out() {
        let all = times([0, 5, 5, 12_000, 900_000]);
        assert_eq!(SolveTimes::from_stored(&all.to_stored()), all);
        assert_eq!(SolveTimes::from_stored("x 5: :3 4000000000:1 5:2"), times([5, 5]));
    }
}
