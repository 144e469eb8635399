//! Numbers and times as people read them.

use std::time::Duration;

use rust_decimal::Decimal;

/// A length of time in its two largest units: `42 s`, `4 min 12 s`, `3 h 20 min`, `2 days 4 h`.
#[must_use]
pub fn span(length: Duration) -> String {
    let seconds = length.as_secs() + u64::from(length.subsec_millis() >= 500);
    let unit = |count: u64, name: &str| match (count, name) {
        (1, "days") => "1 day".to_owned(),
        _ => format!("{count} {name}"),
    };
    let two = |large: String, small: u64, name: &str| match small {
        0 => large,
        _ => format!("{large} {}", unit(small, name)),
    };
    match seconds {
        0..60 => unit(seconds, "s"),
        60..3_600 => two(unit(seconds / 60, "min"), seconds % 60, "s"),
        3_600..86_400 => two(unit(seconds / 3_600, "h"), seconds % 3_600 / 60, "min"),
        _ => two(unit(seconds / 86_400, "days"), seconds % 86_400 / 3_600, "h"),
    }
}

/// The largest unit alone, for what is only an estimate: `12 min`, `5 h`, `3 days`.
#[must_use]
pub fn about(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..60 => span(length),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Seconds of a solve time: `350 ms`, `4.2 s`, `38 s`.
#[must_use]
pub fn seconds(seconds: f64) -> String {
    match seconds {
        ..1.0 => format!("{:.0} ms", seconds * 1_000.0),
        ..10.0 => format!("{seconds:.1} s"),
        _ => format!("{seconds:.0} s"),
    }
}

/// US dollars: cents, and more digits where there are fewer of them.
#[must_use]
pub fn usd(amount: Decimal) -> String {
    let digits = if amount.abs() >= Decimal::ONE || amount.is_zero() { 2 } else { 4 };
    // Formatting alone would cut digits off.
    let amount = format!("{:.*}", digits as usize, amount.round_dp(digits));
    match amount.strip_prefix('-') {
        Some(amount) => format!("−${}", grouped(amount)),
        None => format!("${}", grouped(&amount)),
    }
}

/// A whole number with its thousands set apart.
#[must_use]
pub fn number(count: u64) -> String {
    grouped(&count.to_string())
}

fn grouped(number: &str) -> String {
    let (whole, rest) = number.find('.').map_or((number, ""), |dot| number.split_at(dot));
    let mut text = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_reads_in_its_two_largest_units() {
        for (ms, text) in [
            (0, "0 s"),
            (499, "0 s"),
            (59_400, "59 s"),
            (59_500, "1 min"),
            (252_000, "4 min 12 s"),
            (3_600_000, "1 h"),
            (12_059_000, "3 h 20 min"),
            (86_400_000, "1 day"),
            (187_200_000, "2 days 4 h"),
        ] {
            assert_eq!(span(Duration::from_millis(ms)), text, "{ms}");
        }
    }

    #[test]
    fn an_estimate_has_one_unit() {
        for (seconds, text) in
            [(42, "42 s"), (3_599, "59 min"), (90_000, "25 h"), (172_800, "2 days"), (8_640_000, "100 days")]
        {
            assert_eq!(about(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn money_has_cents_and_little_money_more_digits() {
        for (amount, text) in [
            ("0", "$0.00"),
            ("0.00299", "$0.0030"),
            ("0.5", "$0.5000"),
            ("1", "$1.00"),
            ("1234567.891", "$1,234,567.89"),
            ("-3.5", "−$3.50"),
        ] {
            assert_eq!(usd(amount.parse().unwrap()), text);
        }
    }

    #[test]
    fn thousands_are_set_apart_and_solve_times_keep_what_matters() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.35, 4.24, 37.6].map(seconds), ["350 ms", "4.2 s", "38 s"]);
    }
}
