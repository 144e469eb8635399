//! The last hour in short slots, for people: they look at a shape, and Prometheus may not be there.
//!
//! **Limit.** [`SLOTS`] slots, each of a fixed size but for its solve times, which have a few hundred buckets.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rust_decimal::Decimal;

use super::cost::Cost;
use crate::clock::{Clock, Timestamp};
use crate::store::solve_times::SolveTimes;

/// How long a slot is.
pub const SLOT: Duration = Duration::from_secs(15);
/// As many as an hour has.
pub const SLOTS: usize = 240;

/// What happened in one stretch of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// Uploads that got an id.
    pub accepted: u64,
    /// Uploads that got none.
    pub refused: u64,
    /// Captchas that were answered.
    pub solved: u64,
    /// Captchas that ended without an answer.
    pub unsolved: u64,
    /// What the answers cost in USD, estimated where the upstream did not tell.
    pub cost: Decimal,
    /// From the upload to the answer.
    pub solve_times: SolveTimes,
}

impl Slot {
    /// What happened in both.
    pub fn merge(&mut self, other: &Self) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.solved += other.solved;
        self.unsolved += other.unsolved;
        self.cost = self.cost.saturating_add(other.cost);
        self.solve_times.merge(&other.solve_times);
    }
}

/// The slots of the last hour, or since the start: the oldest first, the present one last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastHour {
    pub started: Timestamp,
    slots: VecDeque<Slot>,
    /// Which slot since the start the last one is.
    number: u64,
}

impl LastHour {
    #[must_use]
    pub fn starting(now: Timestamp) -> Self {
        Self { started: now, slots: VecDeque::from([Slot::default()]), number: 0 }
    }

    pub fn slots(&self) -> impl DoubleEndedIterator<Item = &Slot> + ExactSizeIterator {
        self.slots.iter()
    }

    /// Which slot since the start the first one is that is kept.
    #[must_use]
    pub fn number_of_first(&self) -> u64 {
        (self.number + 1).saturating_sub(self.slots.len() as u64)
    }

    /// When the first slot that is kept began.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.started + Duration::from_millis(self.number_of_first() * millis(SLOT))
    }

    /// Notes something in the present slot.
    pub fn note(&mut self, now: Timestamp, note: impl FnOnce(&mut Slot)) {
        self.advance(now);
        if let Some(present) = self.slots.back_mut() {
            note(present);
        }
    }

    fn advance(&mut self, now: Timestamp) {
        let number = millis(now.since(self.started)) / millis(SLOT);
        let missing = number.saturating_sub(self.number);
        for _ in 0..missing.min(SLOTS as u64) {
            if self.slots.len() == SLOTS {
                self.slots.pop_front();
            }
            self.slots.push_back(Slot::default());
        }
        self.number += missing;
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// Where the driver notes what happens.
#[derive(Debug)]
pub struct History {
    clock: Clock,
    hour: Mutex<LastHour>,
}

impl History {
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, hour: Mutex::new(LastHour::starting(clock.now())) }
    }

    pub fn upload_ended(&self, is_accepted: bool) {
        self.with(|slot| if is_accepted { slot.accepted += 1 } else { slot.refused += 1 });
    }

    /// A captcha was answered.
    pub fn solved(&self, took: Duration, cost: Cost) {
        self.with(|slot| {
            slot.solved += 1;
            slot.cost = slot.cost.saturating_add(cost.usd);
            slot.solve_times.add(took);
        });
    }

    /// A captcha ended without an answer.
    pub fn unsolved(&self) {
        self.with(|slot| slot.unsolved += 1);
    }

    /// The last hour as it is now.
    #[must_use]
    pub fn read(&self) -> LastHour {
        let mut hour = self.lock();
        hour.advance(self.clock.now());
        hour.clone()
    }

    fn with(&self, note: impl FnOnce(&mut Slot)) {
        self.lock().note(self.clock.now(), note);
    }

    fn lock(&self) -> MutexGuard<'_, LastHour> {
        self.hour.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp(1_000_007);

    fn accepted(hour: &LastHour) -> Vec<u64> {
        hour.slots().map(|slot| slot.accepted).collect()
    }

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn what_happens_falls_into_the_slot_of_its_time_and_quiet_slots_are_there() {
        let mut hour = LastHour::starting(START);
        for after in [0, 14_999, 15_000, 60_000] {
            hour.note(START + ms(after), |slot| slot.accepted += 1);
        }
        assert_eq!(accepted(&hour), [2, 1, 0, 0, 1]);
        assert_eq!(hour.since(), START);
    }

    #[test]
    fn an_hour_is_kept_and_not_a_slot_more_however_long_nothing_happened() {
        let mut hour = LastHour::starting(START);
        let last_of_hour = START + SLOT * 239;
        hour.note(START, |slot| slot.accepted = 7);
        hour.note(last_of_hour, |slot| slot.accepted = 8);
        assert_eq!((hour.slots().len(), accepted(&hour)[0]), (SLOTS, 7));
        hour.advance(last_of_hour + SLOT);
        assert_eq!((hour.slots().len(), accepted(&hour)[0], accepted(&hour)[238]), (SLOTS, 0, 8));
        assert_eq!(hour.since(), START + SLOT);
        hour.advance(last_of_hour + Duration::from_hours(24 * 365));
        assert_eq!((hour.slots().len(), accepted(&hour).iter().sum::<u64>()), (SLOTS, 0));
        hour.note(START, |slot| slot.accepted = 9);
        assert_eq!(accepted(&hour)[239], 9, "time that goes back finds the present");
    }

    #[test]
    fn slots_merge_into_longer_ones() {
        let mut hour = LastHour::starting(START);
        for (after, took) in [(0, 2_000), (20_000, 4_000), (20_000, 6_000)] {
            hour.note(START + ms(after), |slot| {
                slot.solved += 1;
                slot.cost += Decimal::ONE;
                slot.solve_times.add(ms(took));
            });
        }
        let mut whole = Slot::default();
        hour.slots().for_each(|slot| whole.merge(slot));
        assert_eq!((whole.solved, whole.cost), (3, Decimal::from(3)));
        let median = whole.solve_times.median().unwrap().as_millis();
        assert!((3_800..=4_200).contains(&median), "{median}");
    }
}
