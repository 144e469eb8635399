//! What is measured.

use std::fmt;
use std::time::Duration;

use capgate::simulator::State;

use super::Told;
use super::soonest::soonest;

/// The figures of one row.
#[derive(Clone, Debug)]
pub struct Figures {
    pub mean: Duration,
    pub median: Duration,
    pub p95: Duration,
    /// Calls to res.php for each captcha.
    pub calls: f64,
    /// Looks for each captcha, alone or in a batch.
    pub looks: f64,
    /// What rule 1005 left in the end, a batch counted as one call and as many.
    pub headroom: [i64; 2],
    /// Shortest time between two looks at one captcha.
    pub smallest_gap: Duration,
    /// The smallest mean delay of anybody who looks at these captchas every 5 s at most.
    pub soonest: Duration,
}

impl Figures {
    pub fn new(captchas: &[Told], state: &State) -> Self {
        let mut delays: Vec<Duration> = captchas.iter().map(|captcha| captcha.delay).collect();
        delays.sort_unstable();
        let count = u32::try_from(delays.len()).expect("some thousands");
        let uploads = f64::from(u32::try_from(state.counts.c).expect("some thousands"));
        let of = |number: u64| i64::try_from(number).expect("some thousands");
        let each = |number: u64| f64::from(u32::try_from(number).expect("some thousands")) / uploads;
        let allowed = 20 * of(state.counts.c) + 1_200;
        Self {
            mean: delays.iter().sum::<Duration>() / count,
            median: delays[delays.len() / 2],
            p95: delays[delays.len() * 95 / 100],
            calls: each(state.counts.r),
            looks: each(state.counts.looks),
            headroom: [allowed - of(state.counts.r), allowed - of(state.counts.r_each)],
            smallest_gap: Duration::from_millis(state.captchas.looks_min_gap_ms.unwrap_or(u64::MAX)),
            soonest: soonest(captchas),
        }
    }
}

/// A row of the table, but for its name.
impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [mean, median, p95, gap] =
            [self.mean, self.median, self.p95, self.smallest_gap].map(|time| time.as_secs_f64());
        let [calls, looks] = self.headroom;
        write!(
            f,
            "{mean:.2} | {median:.2} | {p95:.2} | {:.2} | {:.2} | {calls}, {looks} | {gap:.2}",
            self.calls, self.looks
        )
    }
}
