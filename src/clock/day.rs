//! Days and months in UTC: what usage and budgets are counted by.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::{Span, Unit};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Timestamp;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
const FIRST: Date = Date::constant(1970, 1, 1);

/// A day in UTC: days since 1970-01-01.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(pub u32);

/// Not a day as `YYYY-MM-DD`, from 1970 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a day as YYYY-MM-DD, from 1970 on")]
pub struct NotADay;

impl Day {
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        Self(u32::try_from(at.as_millis() / DAY_MS).unwrap_or(u32::MAX))
    }

    #[must_use]
    pub const fn days_before(self, days: u32) -> Self {
        Self(self.0.saturating_sub(days))
    }

    /// The day after.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Its first moment.
    #[must_use]
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 as u64 * DAY_MS)
    }

    /// The first day of its month.
    #[must_use]
    pub fn month(self) -> Self {
        self.date().map_or(self, |date| Self::of_date(date.first_of_month()))
    }

    /// The first day of the month after.
    #[must_use]
    pub fn next_month(self) -> Self {
        self.date().map_or(self, |date| Self::of_date(date.last_of_month())).next()
    }

    /// None beyond the year 9999.
    fn date(self) -> Option<Date> {
        FIRST.checked_add(Span::new().try_days(self.0).ok()?).ok()
    }

    /// Days before 1970 are the first.
    fn of_date(date: Date) -> Self {
        let days = FIRST.until((Unit::Day, date)).map_or(0, |span| span.get_days());
        Self(u32::try_from(days).unwrap_or(0))
    }
}

/// `YYYY-MM-DD`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = self.start().to_string();
        f.write_str(moment.split_once('T').map_or(moment.as_str(), |(date, _)| date))
    }
}

impl FromStr for Day {
    type Err = NotADay;

    fn from_str(text: &str) -> Result<Self, NotADay> {
        // The parser takes other forms of a date, and a moment, too.
        let is_plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        let date: Date = text.parse().map_err(|_| NotADay)?;
        if is_plain && date >= FIRST { Ok(Self::of_date(date)) } else { Err(NotADay) }
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().unwrap()
    }

    #[test]
    fn days_begin_at_midnight_utc() {
        assert_eq!(Day::of(Timestamp(DAY_MS - 1)), Day(0));
        assert_eq!(Day::of(Timestamp(DAY_MS)), Day(1));
        assert_eq!(Day(20_000).to_string(), "2024-10-04");
        assert_eq!(Day(20_000).days_before(400), Day(19_600));
        assert_eq!(Day(20_000).start(), Timestamp(1_728_000_000_000));
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        for (of, month, next) in [
            ("2024-02-29", "2024-02-01", "2024-03-01"),
            ("2026-12-31", "2026-12-01", "2027-01-01"),
            ("2026-11-01", "2026-11-01", "2026-12-01"),
            ("1970-01-01", "1970-01-01", "1970-02-01"),
        ] {
            assert_eq!((day(of).month(), day(of).next_month()), (day(month), day(next)), "{of}");
        }
    }

    #[test]
    fn a_day_is_written_in_one_way_only() {
        assert_eq!(day("2024-10-04"), Day(20_000));
        for text in
            ["", "2024-13-01", "2025-02-29", "20241004", "2024-10-4", "2024-10-04T00:00", "1969-12-31"]
        {
            assert_eq!(text.parse::<Day>(), Err(NotADay), "{text}");
        }
    }

    #[test]
    fn days_that_no_calendar_has_do_no_harm() {
        let end = Day(u32::MAX);
        assert_eq!((end.next(), end.month(), end.next_month()), (end, end, end));
    }
}
