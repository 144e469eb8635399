//! The only reader of time.
//!
//! A [`Timestamp`] is wall-clock time in milliseconds, so that a budget's window can be stored and understood after
//! a restart. A [`Clock`] reads the wall once, when it is made, and from then on moves with the runtime's monotonic
//! clock: a stepped system clock cannot shorten a budget's window, and a paused test runtime moves the whole program.

mod day;

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

pub use day::{Day, NotADay};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// A moment that never comes: what has no limit in time waits until then.
    pub const NEVER: Self = Self(u64::MAX);

    /// How long ago `earlier` was; zero when it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, length: Duration) -> Self {
        Self(self.0.saturating_add(millis(length)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, length: Duration) -> Self {
        Self(self.0.saturating_sub(millis(length)))
    }
}

/// RFC 3339 in UTC, with milliseconds: what logs and pages show.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = i64::try_from(self.0).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
        match moment {
            Some(moment) => write!(f, "{moment:.3}"),
            None => f.write_str("never"),
        }
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// Where the program's time comes from; cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall_at_start: Timestamp,
    started: Instant,
}

impl Clock {
    /// Reads the wall clock, now and never again.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads time")]
    pub fn system() -> Self {
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { wall_at_start: Timestamp(millis(wall)), started: Instant::now() }
    }

    /// A clock that shows `wall` at this moment, for a simulation that begins on a day of its own.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads time")]
    pub fn starting_at(wall: Timestamp) -> Self {
        Self { wall_at_start: wall, started: Instant::now() }
    }

    /// The present moment; never goes back.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.wall_at_start + self.started.elapsed()
    }

    /// Resolves at `moment`, at once if it has passed, and never for [`Timestamp::NEVER`].
    pub async fn sleep_until(&self, moment: Timestamp) {
        if moment == Timestamp::NEVER {
            return std::future::pending().await;
        }
        let after_start = moment.since(self.wall_at_start);
        // The runtime's timer cannot hold centuries; whoever waits that long looks again after a day.
        let nearest = after_start.min(self.started.elapsed() + Duration::from_hours(24));
        tokio::time::sleep_until(self.started + nearest).await;
    }

    /// Resolves `length` from now.
    pub async fn sleep(&self, length: Duration) {
        self.sleep_until(self.now() + length).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_paused_runtime_moves_the_clock_by_exactly_what_was_slept() {
        let clock = Clock::starting_at(Timestamp(1_000));
        clock.sleep_until(Timestamp(61_000)).await;
        assert_eq!(clock.now(), Timestamp(61_000));
        clock.sleep_until(Timestamp(5)).await;
        assert_eq!(clock.now(), Timestamp(61_000), "a moment that has passed costs no time");
    }

    #[test]
    fn a_timestamp_reads_as_utc() {
        assert_eq!(Timestamp(1_480_000_000_123).to_string(), "2016-11-24T15:06:40.123Z");
        assert_eq!(Timestamp::NEVER.to_string(), "never");
    }

    #[test]
    fn arithmetic_at_the_ends_stays_at_the_ends() {
        assert_eq!(Timestamp::NEVER + Duration::from_secs(1), Timestamp::NEVER);
        assert_eq!(Timestamp(3) - Duration::from_secs(1), Timestamp(0));
        assert_eq!(Timestamp(3).since(Timestamp(9)), Duration::ZERO);
    }
}
