//! The last hour as it is drawn: sixty stretches of a minute; of a gateway that is younger than a quarter of an hour, of
//! fifteen seconds.

use std::time::Duration;

use serde::Serialize;

use super::facts::Moment;
use crate::clock::Timestamp;
use crate::driver::history::{LastHour, SLOT, Slot};

/// How many stretches are drawn.
pub const STRETCHES: usize = 60;
/// Slots in a stretch of an hour.
const SLOTS_A_MINUTE: u64 = 4;
/// Rates are of this time: short enough to be the present, long enough to be no noise.
const RECENT: Duration = Duration::from_mins(5);

/// What happened in some time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Counts {
    /// Uploads that got an id, and that got none.
    pub accepted: u64,
    pub refused: u64,
    /// Captchas that ended with an answer, and without.
    pub solved: u64,
    pub unsolved: u64,
    pub median_seconds: Option<f64>,
    pub p95_seconds: Option<f64>,
}

impl From<&Slot> for Counts {
    fn from(slot: &Slot) -> Self {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        Self {
            accepted: slot.accepted,
            refused: slot.refused,
            solved: slot.solved,
            unsolved: slot.unsolved,
            median_seconds: seconds(slot.solve_times.median()),
            p95_seconds: seconds(slot.solve_times.p95()),
        }
    }
}

/// A stretch of the last hour.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stretch {
    pub from: Moment,
    pub seconds: u64,
    #[serde(flatten)]
    pub counts: Counts,
}

/// The last five minutes, or since the start.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recent {
    pub seconds: u64,
    #[serde(flatten)]
    pub counts: Counts,
}

impl Recent {
    /// Of the captchas that ended, those without an answer, in per cent.
    #[must_use]
    pub fn unsolved_percent(&self) -> Option<u64> {
        let Counts { solved, unsolved, .. } = self.counts;
        (unsolved * 100).checked_div(solved + unsolved)
    }

    /// How many of `count` a minute has.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "captchas of five minutes")]
    pub fn a_minute(&self, count: u64) -> f64 {
        count as f64 * 60.0 / self.seconds.max(1) as f64
    }
}

/// The stretches that are drawn, the oldest first; the last one is not over.
#[must_use]
pub fn stretches(hour: &LastHour) -> Vec<Stretch> {
    let (first, count) = (hour.number_of_first(), hour.slots().len());
    let slots_each = if count <= STRETCHES { 1 } else { SLOTS_A_MINUTE };
    let mut stretches: Vec<(u64, Slot)> = Vec::new();
    for (number, slot) in (first..).zip(hour.slots()) {
        // By number, so that a stretch that is over does not change.
        let stretch = number / slots_each;
        match stretches.last_mut() {
            Some((last, whole)) if *last == stretch => whole.merge(slot),
            _ => stretches.push((stretch, slot.clone())),
        }
    }
    let surplus = stretches.len().saturating_sub(STRETCHES);
    let length = SLOT * u32::try_from(slots_each).unwrap_or(1);
    stretches
        .into_iter()
        .skip(surplus)
        .map(|(number, slot)| {
            let from = hour.started + length * u32::try_from(number).unwrap_or(u32::MAX);
            Stretch { from: Moment(from), seconds: length.as_secs(), counts: Counts::from(&slot) }
        })
        .collect()
}

/// What happened lately.
#[must_use]
pub fn recent(hour: &LastHour, now: Timestamp) -> Recent {
    let slots = usize::try_from(RECENT.as_secs() / SLOT.as_secs()).unwrap_or(usize::MAX);
    let mut whole = Slot::default();
    hour.slots().rev().take(slots).for_each(|slot| whole.merge(slot));
    let seconds = now.since(hour.started).min(RECENT).max(SLOT).as_secs();
    Recent { seconds, counts: Counts::from(&whole) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(0);

    /// An hour in which slot N accepted N uploads, up to `last`.
    fn hour(last: u64) -> LastHour {
        let mut hour = LastHour::starting(START);
        for number in 0..=last {
            hour.note(START + Duration::from_secs(number * 15), |slot| slot.accepted += number);
        }
        hour
    }

    #[test]
    fn a_quarter_of_an_hour_is_drawn_by_slots_and_what_is_longer_by_minutes() {
        let quarter = stretches(&hour(59));
        assert_eq!((quarter.len(), quarter[0].seconds, quarter[59].counts.accepted), (60, 15, 59));
        let longer = stretches(&hour(60));
        assert_eq!((longer.len(), longer[0].seconds), (16, 60));
        assert_eq!((longer[0].counts.accepted, longer[15].counts.accepted), (1 + 2 + 3, 60));
    }

    #[test]
    fn sixty_minutes_are_drawn_and_a_minute_that_is_over_stays_as_it_is() {
        let (before, after) = (stretches(&hour(1_000)), stretches(&hour(1_001)));
        assert_eq!((before.len(), after.len()), (60, 60));
        assert_eq!(before[..59], after[..59], "slot 1,001 is in the minute of slot 1,000");
        let next = stretches(&hour(1_004));
        assert_eq!(before[1].from, next[0].from);
        assert_eq!(next[58].counts.accepted, 1_000 + 1_001 + 1_002 + 1_003);
    }

    #[test]
    fn what_is_recent_are_the_last_five_minutes_or_since_the_start() {
        let now = START + SLOT * 100;
        let recent_sum: u64 = (81..=100).sum();
        let recent = recent(&hour(100), now);
        assert_eq!((recent.seconds, recent.counts.accepted), (300, recent_sum));
        let young = super::recent(&hour(2), START + Duration::from_secs(30));
        assert_eq!((young.seconds, young.a_minute(young.counts.accepted)), (30, 6.0));
    }

    #[test]
    fn nothing_that_ended_has_no_share() {
        let mut recent = recent(&hour(0), START);
        assert_eq!(recent.unsolved_percent(), None);
        (recent.counts.solved, recent.counts.unsolved) = (3, 1);
        assert_eq!(recent.unsolved_percent(), Some(25));
    }
}
