//! Values of the switches that are written as text, the same on the command line and in JSON.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::random::Random;

/// A switch whose text could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct Malformed {
    pub text: String,
    pub expected: &'static str,
}

impl Malformed {
    pub fn new(text: &str, expected: &'static str) -> Self {
        Self { text: text.to_owned(), expected }
    }
}

/// Lets types with `Display` and `FromStr` be JSON strings; a JSON number is read as its text.
macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = match serde_json::Value::deserialize(deserializer)? {
                    serde_json::Value::String(text) => text,
                    other => other.to_string(),
                };
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
pub(super) use as_text;

/// US dollars in hundred-thousandths, the five places of the wire (`0.00299`, protocol.md 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Money(pub i64);

const MONEY_PLACES: usize = 5;
const MONEY_UNITS: i64 = 100_000;

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let units = MONEY_UNITS.unsigned_abs();
        let (dollars, rest) = (self.0.unsigned_abs() / units, self.0.unsigned_abs() % units);
        write!(f, "{sign}{dollars}.{rest:05}")
    }
}

impl FromStr for Money {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed::new(text, "an amount in USD with at most five decimal places");
        let (dollars, rest) = text.split_once('.').unwrap_or((text, "0"));
        let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_digits(dollars) || !is_digits(rest) || rest.len() > MONEY_PLACES {
            return Err(malformed());
        }
        let dollars: i64 = dollars.parse().map_err(|_| malformed())?;
        let rest: i64 = format!("{rest:0<MONEY_PLACES$}").parse().map_err(|_| malformed())?;
        let whole = dollars.checked_mul(MONEY_UNITS).and_then(|units| units.checked_add(rest));
        whole.map(Self).ok_or_else(malformed)
    }
}

/// A range of milliseconds, both ends within, as `MIN-MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub min_ms: u32,
    pub max_ms: u32,
}

impl Span {
    /// A length within the range, each as likely.
    pub fn draw(self, random: &mut Random) -> Duration {
        let width = u64::from(self.max_ms.saturating_sub(self.min_ms)) + 1;
        Duration::from_millis(u64::from(self.min_ms) + random.below(width))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.min_ms, self.max_ms)
    }
}

impl FromStr for Span {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (min, max) = text.split_once('-').unwrap_or((text, text));
        match (min.trim().parse(), max.trim().parse()) {
            (Ok(min_ms), Ok(max_ms)) if min_ms <= max_ms => Ok(Self { min_ms, max_ms }),
            _ => Err(Malformed::new(text, "a range of milliseconds, MIN-MAX")),
        }
    }
}

as_text!(Money, Span);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_has_five_places_on_the_wire() {
        assert_eq!(Money(299).to_string(), "0.00299");
        assert_eq!(Money(-1).to_string(), "-0.00001");
        for (text, units) in [("12.5", 1_250_000), ("3", 300_000), ("0.00299", 299)] {
            assert_eq!(text.parse(), Ok(Money(units)));
        }
        for text in ["", ".5", "1.", "0.000001", "-1", "1e3", "99999999999999999999"] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
    }

    #[test]
    fn money_is_read_from_json_text_and_from_a_json_number() {
        assert_eq!(serde_json::from_str::<Money>("\"0.5\"").unwrap(), Money(50_000));
        assert_eq!(serde_json::from_str::<Money>("12.5").unwrap(), Money(1_250_000));
    }

    #[test]
    fn a_span_is_drawn_from_with_both_ends_within() {
        let span: Span = "5-7".parse().unwrap();
        let mut random = Random::new(1, "test");
        let mut seen: Vec<u128> = (0..100).map(|_| span.draw(&mut random).as_millis()).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [5, 6, 7]);
        assert!("7-5".parse::<Span>().is_err() && "a-b".parse::<Span>().is_err());
    }
}
