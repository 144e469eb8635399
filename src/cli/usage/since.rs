//! How far back a report goes.

use std::time::Duration;

use anyhow::Context;

/// Reads `30m`, `24h` or `7d`.
pub(super) fn parse(text: &str) -> anyhow::Result<Duration> {
    let length = || {
        let unit_at = text.len().checked_sub(1).filter(|at| text.is_char_boundary(*at))?;
        let (number, unit) = text.split_at(unit_at);
        let seconds = match unit {
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return None,
        };
        let is_digits = number.bytes().all(|byte| byte.is_ascii_digit());
        // What lies before 1970 is the whole of what is kept.
        let count: u32 = number.parse().ok().filter(|count| is_digits && *count > 0)?;
        Some(Duration::from_secs(u64::from(count) * seconds))
    };
    length().with_context(|| {
        format!("--since {text:?}: expected a whole number above 0 and m, h or d, such as 30m, 24h or 7d")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_hours_and_days_are_read_and_nothing_else_is() {
        let seconds = |text| parse(text).unwrap().as_secs();
        assert_eq!((seconds("30m"), seconds("24h"), seconds("7d")), (1_800, 86_400, 604_800));
        assert_eq!(seconds("4294967295d"), 4_294_967_295 * 86_400);
        for wrong in ["", "d", "7", "0d", "-7d", "+7d", "7 d", "1.5h", "7y", "7D", "4294967296d", "7é", "é"]
        {
            let error = format!("{:#}", parse(wrong).unwrap_err());
            assert!(error.contains("--since") && error.lines().count() == 1, "{wrong}: {error}");
        }
    }
}
