//! How long the simulated workers take for each kind of captcha, and what they are paid.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::random::Random;
use super::values::{Malformed, Money, Span, as_text};
use crate::protocol::Method;

/// How long captchas take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SolveTimes {
    /// About as at the real service: images 5 to 20 s, tokens 15 to 60 s.
    Real,
    /// 50 to 200 ms, for tests that use real time.
    Fast,
    Between(Span),
}

const FAST: Span = Span { min_ms: 50, max_ms: 200 };

/// Spread of the real times: the logarithm's deviation. Two thirds lie within a factor of 1.4 of the median.
const SPREAD: f64 = 0.35;

impl SolveTimes {
    /// One captcha's time; `scale` stretches or shortens it.
    pub fn draw(self, method: Method, scale: f64, random: &mut Random) -> Duration {
        let unscaled = match self {
            Self::Real => {
                let factor = (random.normal() * SPREAD).exp();
                Duration::from_secs(u64::from(profile(method).0)).mul_f64(factor)
            }
            Self::Fast => FAST.draw(random),
            Self::Between(span) => span.draw(random),
        };
        unscaled.mul_f64(scale)
    }
}

impl fmt::Display for SolveTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real => f.write_str("real"),
            Self::Fast => f.write_str("fast"),
            Self::Between(span) => span.fmt(f),
        }
    }
}

impl FromStr for SolveTimes {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        match text {
            "real" => Ok(Self::Real),
            "fast" => Ok(Self::Fast),
            span => span
                .parse()
                .map(Self::Between)
                .map_err(|_| Malformed::new(text, "real, fast or MIN-MAX in milliseconds")),
        }
    }
}

as_text!(SolveTimes);

/// Median solve time in seconds and price in hundred-thousandths of a dollar. Invented, in the order of magnitude
/// of what the description of 2016 and common price lists show.
const fn profile(method: Method) -> (u32, i64) {
    match method {
        Method::Image => (9, 85),
        Method::Text => (10, 100),
        Method::Grid | Method::Canvas | Method::Coordinates | Method::BoundingBox => (11, 120),
        Method::Rotate => (12, 50),
        Method::Audio => (18, 50),
        Method::Turnstile => (18, 145),
        Method::RecaptchaV3 => (20, 145),
        Method::RecaptchaV2 | Method::RecaptchaCookies => (28, 299),
        Method::Funcaptcha => (26, 290),
        _ => (30, 299),
    }
}

/// The price of a solved captcha: the table's, up to a tenth more or less as the seed decides.
pub fn price(method: Method, seed: u64) -> Money {
    let base = profile(method).1;
    let percent = i64::try_from(Random::new(seed, method.label()).below(21)).unwrap_or(0) + 90;
    Money(base * percent / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(method: Method) -> Vec<u128> {
        let mut random = Random::new(3, "test");
        let mut times: Vec<_> =
            (0..1_000).map(|_| SolveTimes::Real.draw(method, 1.0, &mut random).as_millis()).collect();
        times.sort_unstable();
        times
    }

    #[test]
    fn real_images_take_5_to_20_seconds_and_tokens_15_to_60() {
        let (images, tokens) = (drawn(Method::Image), drawn(Method::RecaptchaV2));
        assert!(images[50] > 4_500 && images[950] < 20_000, "{} {}", images[50], images[950]);
        assert!(tokens[50] > 14_000 && tokens[950] < 60_000, "{} {}", tokens[50], tokens[950]);
    }

    #[test]
    fn a_scale_shortens_and_a_seed_repeats() {
        let draw = |scale| SolveTimes::Real.draw(Method::Image, scale, &mut Random::new(1, "x"));
        assert_eq!(draw(1.0), draw(1.0));
        assert!(draw(0.01) < Duration::from_secs(1));
    }

    #[test]
    fn prices_depend_on_the_seed_and_stay_within_a_tenth() {
        let prices: Vec<_> = (0..50).map(|seed| price(Method::RecaptchaV2, seed).0).collect();
        assert!(prices.iter().all(|price| (269..=328).contains(price)));
        assert!(prices.iter().any(|price| *price != prices[0]));
    }

    #[test]
    fn solve_times_are_written_as_they_are_read() {
        for text in ["real", "fast", "10-20"] {
            assert_eq!(text.parse::<SolveTimes>().unwrap().to_string(), text);
        }
        assert!("slow".parse::<SolveTimes>().is_err());
    }
}
