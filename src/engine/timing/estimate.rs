//! How long captchas of one kind take, as far as looks can tell.
//!
//! A look shows that a captcha is solved, never since when: all that is known is that it was solved after the look
//! before and by this one. So an observation is a stretch of time. Its weight goes to the parts of the stretch by how
//! likely they are so far (one step of expectation and maximisation), and a little to all of them alike, or a part that
//! was never likely could never become so. Old observations fade: the estimate follows what changes.
//!
//! How far an observation spreads to the times beside it is a guess about what nobody sees. Two guesses are kept, a wide
//! one for times that vary and a narrow one for times that do not; the narrow one counts while it foresees what comes
//! clearly better.

use std::time::Duration;

/// Parts in a doubling of time: each is 6 % wide.
const PARTS_PER_DOUBLING: f32 = 12.0;
/// All that is shorter counts as this.
const SHORTEST_S: f32 = 0.02;
/// From [`SHORTEST_S`] to 15 minutes and a little more.
const PARTS: usize = 188;
/// Observations that count: of an older one a share remains that shrinks with each that follows.
pub(super) const MEMORY: f32 = 60.0;
/// Share of the whole weight that is spread over all parts alike when a new observation is placed.
const EVEN_SHARE: f32 = 0.1;
/// Parts to either side over which an observation spreads: the least that leaves no spikes, and half an octave.
const NARROW: u8 = 1;
const WIDE: u8 = 6;
/// A guess is clearly better when all that counts is so many times as likely by it, as a logarithm.
pub(super) const CLEARLY: f32 = 2.0;
/// Nothing is less likely than this.
const UNLIKELIEST: f32 = 0.005;

/// See the module.
#[derive(Clone, Debug)]
pub struct Estimate {
    narrow: Spread,
    wide: Spread,
    /// How much better the narrow one foresaw, as a logarithm.
    narrow_leads: f32,
}

impl Default for Estimate {
    fn default() -> Self {
        Self { narrow: Spread::over(NARROW), wide: Spread::over(WIDE), narrow_leads: 0.0 }
    }
}

impl Estimate {
    /// Observations so far.
    #[must_use]
    pub const fn seen(&self) -> u32 {
        self.wide.seen
    }

    /// A captcha was solved later than `after` and not later than `until` after its upload.
    pub fn observe(&mut self, after: Duration, until: Duration) {
        let [narrow, wide] = [&self.narrow, &self.wide].map(|spread| spread.likelihood(after, until));
        self.narrow_leads = led_by(self.narrow_leads, narrow, wide);
        self.narrow.observe(after, until);
        self.wide.observe(after, until);
    }

    /// How likely such an observation is.
    pub(super) fn likelihood(&self, after: Duration, until: Duration) -> f32 {
        self.best().likelihood(after, until)
    }

    /// The time within which the share `fraction` is solved; zero before the first observation.
    #[must_use]
    pub fn quantile(&self, fraction: f32) -> Duration {
        self.best().quantile(fraction)
    }

    /// The share that is solved by each multiple of `step`, from zero on, `count` of them.
    pub(super) fn solved_by(&self, step: f32, count: usize) -> Vec<f32> {
        self.best().solved_by(step, count)
    }

    fn best(&self) -> &Spread {
        if self.narrow_leads > CLEARLY { &self.narrow } else { &self.wide }
    }
}

/// By how much one who gave an observation the likelihood `own` leads another after it, as a logarithm; what is old fades.
pub(super) fn led_by(lead: f32, own: f32, others: f32) -> f32 {
    lead * (1.0 - 1.0 / MEMORY) + (own / others).ln()
}

/// One guess of how observations spread.
#[derive(Clone, Debug)]
struct Spread {
    over: u8,
    weights: Box<[f32; PARTS]>,
    total: f32,
    seen: u32,
}

impl Spread {
    fn over(over: u8) -> Self {
        Self { over, weights: Box::new([0.0; PARTS]), total: 0.0, seen: 0 }
    }

    fn observe(&mut self, after: Duration, until: Duration) {
        let (from, to) = stretch(after, until);
        let even = EVEN_SHARE * self.total.max(1.0) / share(PARTS);
        let parts = index(from)..index(to.ceil()).min(PARTS);
        let likely: Vec<f32> =
            parts.clone().map(|part| within(part, from, to) * (self.weights[part] + even)).collect();
        let whole: f32 = likely.iter().sum();
        let kept = if self.total + 1.0 > MEMORY { (MEMORY - 1.0) / self.total } else { 1.0 };
        self.weights.iter_mut().for_each(|weight| *weight *= kept);
        let over = usize::from(self.over);
        let whole = whole * share((over + 1) * (over + 1));
        for (part, likely) in parts.zip(likely) {
            // The nearest gets most, in even steps down to nothing.
            for beside in 0..=2 * over {
                let weight = likely / whole * share(over + 1 - beside.abs_diff(over));
                self.weights[(part + beside).saturating_sub(over).min(PARTS - 1)] += weight;
            }
        }
        self.total = self.total * kept + 1.0;
        self.seen = self.seen.saturating_add(1);
    }

    fn likelihood(&self, after: Duration, until: Duration) -> f32 {
        let (from, to) = stretch(after, until);
        let parts = index(from)..index(to.ceil()).min(PARTS);
        let weight: f32 = parts.map(|part| within(part, from, to) * self.weights[part]).sum();
        weight / self.total.max(1.0) + UNLIKELIEST
    }

    fn quantile(&self, fraction: f32) -> Duration {
        let wanted = fraction * self.total;
        let mut below = 0.0;
        for (part, weight) in self.weights.iter().enumerate() {
            if *weight > 0.0 && below + weight >= wanted {
                let (begin, end) = (edge(part), edge(part + 1));
                let at = begin + (end - begin) * ((wanted - below) / weight).clamp(0.0, 1.0);
                return Duration::from_secs_f32(at);
            }
            below += weight;
        }
        Duration::ZERO
    }

    fn solved_by(&self, step: f32, count: usize) -> Vec<f32> {
        let (mut part, mut below) = (0, 0.0);
        let solved = |number| {
            let at = share(number) * step;
            while part + 1 < PARTS && edge(part + 1) <= at {
                below += self.weights[part];
                part += 1;
            }
            let (begin, end) = (edge(part), edge(part + 1));
            let within = ((at - begin) / (end - begin)).clamp(0.0, 1.0);
            ((below + self.weights[part] * within) / self.total.max(f32::MIN_POSITIVE)).min(1.0)
        };
        (0..count).map(solved).collect()
    }
}

/// How much of `part` lies in a stretch on the scale of parts.
fn within(part: usize, from: f32, to: f32) -> f32 {
    (share(part) + 1.0).min(to) - share(part).max(from)
}

/// A stretch on the scale of parts, at least one part long.
fn stretch(after: Duration, until: Duration) -> (f32, f32) {
    let (from, to) = (place(after), place(until));
    if to - from >= 1.0 {
        return (from, to);
    }
    let from = (f32::midpoint(from, to) - 0.5).clamp(0.0, share(PARTS) - 1.0);
    (from, from + 1.0)
}

/// A time on the scale of parts.
fn place(time: Duration) -> f32 {
    let doublings = (time.as_secs_f32() / SHORTEST_S).max(1.0).log2();
    (doublings * PARTS_PER_DOUBLING).min(share(PARTS))
}

/// Where `part` begins, seconds.
fn edge(part: usize) -> f32 {
    if part == 0 { 0.0 } else { SHORTEST_S * (share(part) / PARTS_PER_DOUBLING).exp2() }
}

#[expect(clippy::cast_precision_loss, reason = "a few hundred parts and steps")]
pub(super) const fn share(count: usize) -> f32 {
    count as f32
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places on a scale of 188 parts, from zero on"
)]
const fn index(place: f32) -> usize {
    place as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: f32) -> Duration {
        Duration::from_secs_f32(count)
    }

    /// Each captcha is looked at every `gap` seconds, from `gap` on.
    fn looked_at_every(gap: f32, times: &[f32]) -> Estimate {
        let mut estimate = Estimate::default();
        for time in times {
            let looks = (time / gap).ceil();
            estimate.observe(seconds((looks - 1.0) * gap), seconds(looks * gap));
        }
        estimate
    }

    #[test]
    fn a_stretch_counts_where_it_lies_and_nowhere_else() {
        let mut estimate = Estimate::default();
        for _ in 0..100 {
            estimate.observe(seconds(10.0), seconds(20.0));
        }
        let (low, high) = (estimate.quantile(0.01), estimate.quantile(0.99));
        assert!(low > seconds(7.0) && high < seconds(28.0), "{low:?} {high:?}");
    }

    #[test]
    fn shares_and_quantiles_agree() {
        let estimate = looked_at_every(1.0, &[3.5, 7.5, 8.5, 12.5]);
        let solved = estimate.solved_by(0.01, 2_000);
        for tenth in 1..10_u8 {
            let wanted = f32::from(tenth) / 10.0;
            let at = estimate.quantile(wanted).as_secs_f32();
            let found = solved[index(at * 100.0)];
            assert!((found - wanted).abs() < 0.02, "{wanted} by {at} s, but {found}");
        }
    }

    #[test]
    fn what_is_old_fades() {
        let mut estimate = looked_at_every(1.0, &[5.5; 200]);
        assert!(estimate.quantile(0.9) < seconds(8.0));
        for _ in 0..100 {
            estimate.observe(seconds(29.0), seconds(30.0));
        }
        assert!(estimate.quantile(0.25) > seconds(25.0), "{:?}", estimate.quantile(0.25));
    }

    #[test]
    fn times_that_do_not_vary_are_known_more_narrowly_than_times_that_do() {
        let width =
            |estimate: &Estimate| estimate.quantile(0.9).as_secs_f32() / estimate.quantile(0.1).as_secs_f32();
        let same = looked_at_every(0.25, &[8.1; 100]);
        assert!(width(&same) < 1.15, "{}", width(&same));
        let varied: Vec<f32> =
            (0..100_u8).map(|number| 5.0 + f32::from(number.wrapping_mul(37) % 100) / 10.0).collect();
        let varied = looked_at_every(5.0, &varied);
        assert!(width(&varied) > 1.8, "{}", width(&varied));
    }

    #[test]
    fn times_beyond_both_ends_count_at_the_ends() {
        let mut estimate = Estimate::default();
        assert_eq!(estimate.quantile(0.5), Duration::ZERO);
        estimate.observe(Duration::ZERO, Duration::ZERO);
        estimate.observe(Duration::from_hours(1), Duration::from_hours(2));
        assert!(estimate.quantile(0.2) < seconds(0.1));
        assert!(estimate.quantile(0.9) > Duration::from_mins(13));
    }
}
