//! For tests: the upstream's rules counted the naive way, over all windows of a history, knowing nothing of budgets.
//!
//! The upstream sees a call at some moment between its start and its end. Every window is judged by the worst choice:
//! a call counts if it could have been seen in it, an upload only if it must have been.

use proptest::test_runner::RngSeed;

/// A seeded source of choices; one seed, one history.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(seed ^ 0x9E37_79B9_7F4A_7C15)
    }

    /// A number below `sides`.
    pub const fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.roll(100) < percent
    }

    /// A place in a list of `length`.
    pub fn place(&mut self, length: usize) -> usize {
        usize::try_from(self.roll(length as u64)).expect("below a usize")
    }
}

/// Eight histories for each model, the same in every run.
pub fn config() -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        cases: 8,
        rng_seed: RngSeed::Fixed(2_016),
        failure_persistence: None,
        ..proptest::test_runner::Config::default()
    }
}

/// One call, or one answer: where in the history it began and ended, and when.
#[derive(Clone, Debug)]
pub struct Span {
    pub sent: usize,
    pub sent_ms: u64,
    pub ended: usize,
    pub ended_ms: u64,
    pub units: u64,
    /// An accepted upload, which earns; else something that the rule forbids in numbers.
    pub earns: bool,
}

impl Span {
    /// Begun now, and not ended yet.
    pub const fn begun(step: usize, now_ms: u64, units: u64) -> Self {
        Self { sent: step, sent_ms: now_ms, ended: usize::MAX, ended_ms: u64::MAX, units, earns: false }
    }
}

/// The most units in any stretch of `window_ms`.
pub fn most_in_window(spans: &[Span], window_ms: u64) -> u64 {
    let mut by_end: Vec<&Span> = spans.iter().collect();
    by_end.sort_by_key(|span| span.ended_ms);
    let mut starts: Vec<u64> = by_end.iter().map(|span| span.ended_ms).collect();
    starts.dedup();
    starts
        .iter()
        .map(|start| {
            by_end
                .iter()
                .filter(|span| span.ended_ms >= *start && span.sent_ms <= start.saturating_add(window_ms))
                .map(|span| span.units)
                .sum()
        })
        .max()
        .unwrap_or(0)
}

/// The first stretch up to `span_ms` in which `is_broken(forbidden units, accepted uploads)`.
pub fn broken_stretch(spans: &[Span], span_ms: u64, is_broken: impl Fn(u64, u64) -> bool) -> Option<String> {
    // (step, whether it is an end, time, span): starts before ends within a step
    let mut events: Vec<(usize, bool, u64, &Span)> = spans
        .iter()
        .flat_map(|span| [(span.sent, false, span.sent_ms, span), (span.ended, true, span.ended_ms, span)])
        .filter(|(step, ..)| *step != usize::MAX)
        .collect();
    events.sort_by_key(|(step, is_end, ..)| (*step, *is_end));
    let mut under_way = 0;
    for (from, (first, first_is_end, first_ms, span)) in events.iter().enumerate() {
        let (mut calls, mut accepted) = (under_way, 0);
        for (step, is_end, ms, span) in &events[from..] {
            if ms.saturating_sub(*first_ms) > span_ms {
                break;
            }
            if span.earns {
                accepted += u64::from(*is_end && span.sent >= *first);
            } else if !is_end {
                calls += span.units;
                if is_broken(calls, accepted) {
                    return Some(format!("{calls} against {accepted} from step {first} to {step}"));
                }
            }
        }
        match (span.earns, first_is_end) {
            (true, _) => (),
            (false, false) => under_way += span.units,
            (false, true) => under_way -= span.units,
        }
    }
    None
}
