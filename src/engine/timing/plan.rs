//! When to look at one captcha, so that its client waits as little as the looks are worth.
//!
//! The cost of a look's moment is what is to be expected from then on: the time that the answer lies there before a look
//! finds it, and a price for each look. It is computed once for every step of time, backwards, from the share that is
//! solved by then; after a look that found nothing, what was before it is known to be over.

use std::time::Duration;

use super::estimate::{Estimate, share};

/// Steps in an interval, at least as long as is needed for [`STEPS_MAX`].
const STEPS_PER_INTERVAL: f32 = 20.0;
const STEPS_MAX: usize = 250;
/// Where the table ends: so many are solved by then.
const TABLE_UNTIL: f32 = 0.995;
/// Of what is still open after the table's end nothing is known but that looks go on.
const LOOKS_AFTER_END: f32 = 2.0;
/// A captcha that took longer than this share of all is an exception that few observations tell of.
const KNOWN_UNTIL: f32 = 0.99;

/// The expectation of one kind of captcha.
#[derive(Clone, Debug)]
pub struct Plan {
    step: f32,
    /// Share that is solved by each step.
    solved: Vec<f32>,
    /// The same, summed up over time: seconds.
    lain: Vec<f32>,
    /// Cost of all that follows a look at each step, for a captcha among all.
    after: Vec<f32>,
}

impl Plan {
    /// `interval` lies between two looks at least; a look is worth `price` of a client's time.
    pub(super) fn new(estimate: &Estimate, interval: Duration, price: Duration) -> Self {
        let interval = interval.as_secs_f32();
        let end = estimate.quantile(TABLE_UNTIL).as_secs_f32() + 2.0 * interval;
        let step = (interval / STEPS_PER_INTERVAL).max(end / share(STEPS_MAX));
        let count = steps(end / step) + 2;
        Self::of(estimate.solved_by(step, count), step, interval, price.as_secs_f32())
    }

    /// The same for a distribution that is known: `solved` by each `step` seconds.
    pub(super) fn of(solved: Vec<f32>, step: f32, interval: f32, price: f32) -> Self {
        let count = solved.len();
        let mut lain = vec![0.0; count];
        for at in 1..count {
            lain[at] = lain[at - 1] + step * f32::midpoint(solved[at - 1], solved[at]);
        }
        let mut plan = Self { step, solved, lain, after: vec![0.0; count] };
        let gap = steps((interval / step - 0.001).ceil());
        for looked in (0..count).rev() {
            let open = 1.0 - plan.solved[looked];
            let without_end = open * (interval / 2.0 + LOOKS_AFTER_END * price);
            let best = (looked + gap..count)
                .map(|next| open * price + plan.lies(looked, next) + plan.after[next])
                .fold(f32::INFINITY, f32::min);
            plan.after[looked] = if looked + gap < count { best } else { without_end };
        }
        plan
    }

    /// Seconds for which an answer is expected to lie there between a look at step `looked` and the one at step `next`.
    fn lies(&self, looked: usize, next: usize) -> f32 {
        self.lain[next] - self.lain[looked] - self.solved[looked] * share(next - looked) * self.step
    }

    /// Whether anything can be said of a captcha that was not solved at `age`.
    #[must_use]
    pub fn knows(&self, age: Duration) -> bool {
        age.as_secs_f32() < self.end() && self.value(&self.solved, age.as_secs_f32()) < KNOWN_UNTIL
    }

    /// What a look at `next` costs, and all that follows, for a captcha that was not solved at `looked`: seconds.
    #[must_use]
    pub fn cost(&self, looked: Duration, next: Duration) -> f32 {
        let (looked, next) = (looked.as_secs_f32(), next.as_secs_f32());
        let solved = self.value(&self.solved, looked);
        let beyond = (next - self.end()).max(0.0);
        let lies =
            self.value(&self.lain, next) + beyond - self.value(&self.lain, looked) - solved * (next - looked);
        (lies + self.value(&self.after, next)) / (1.0 - solved).max(1.0 - KNOWN_UNTIL)
    }

    /// The best age for the next look at a captcha that was not solved at `looked`, from `earliest` on.
    #[must_use]
    pub fn next_look(&self, looked: Duration, earliest: Duration) -> Duration {
        let first = steps(earliest.as_secs_f32() / self.step) + 1;
        let later = (first..self.solved.len()).map(|step| Duration::from_secs_f32(share(step) * self.step));
        std::iter::once(earliest)
            .chain(later)
            .map(|next| (next, self.cost(looked, next)))
            .min_by(|(_, one), (_, other)| one.total_cmp(other))
            .map_or(earliest, |(next, _)| next)
    }

    fn end(&self) -> f32 {
        share(self.solved.len() - 1) * self.step
    }

    /// A table's value at `age`, between its steps.
    fn value(&self, table: &[f32], age: f32) -> f32 {
        let at = age / self.step;
        let step = steps(at);
        match (table.get(step), table.get(step + 1)) {
            (Some(this), Some(next)) => this + (next - this) * (at - share(step)),
            _ => table.last().copied().unwrap_or_default(),
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "steps of a small table, from zero on"
)]
const fn steps(count: f32) -> usize {
    count as usize
}
