//! What the upstream told of the account's balance, and how fast it falls.
//!
//! **Limit.** One balance a minute of the last six hours: 361, or one more.

use std::collections::VecDeque;
use std::time::Duration;

use rust_decimal::Decimal;

use crate::clock::Timestamp;

/// Balances that are older say nothing of the present rate.
pub const LOOKED_BACK: Duration = Duration::from_hours(6);
/// A shorter time between the first and the last one shows no rate.
pub const SHORTEST: Duration = Duration::from_mins(10);

/// A balance, in USD, and when it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    pub at: Timestamp,
    pub usd: Decimal,
}

/// The balances of the last hours, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Balances {
    told: VecDeque<Balance>,
}

impl Balances {
    pub fn add(&mut self, told: Balance) {
        self.told.pop_back_if(|last| minute(*last) == minute(told));
        self.told.push_back(told);
        while self.told.pop_front_if(|first| first.at + LOOKED_BACK < told.at).is_some() {}
    }

    #[must_use]
    pub fn last(&self) -> Option<Balance> {
        self.told.back().copied()
    }

    /// What the balance falls by in an hour, in USD; none before [`SHORTEST`] has passed. Only what it fell by: money
    /// that is paid in hides nothing.
    #[must_use]
    pub fn falls_per_hour(&self) -> Option<Decimal> {
        let (first, last) = (self.told.front()?, self.told.back()?);
        let span = last.at.since(first.at);
        if span < SHORTEST {
            return None;
        }
        let pairs = self.told.iter().zip(self.told.iter().skip(1));
        let fell = pairs.fold(Decimal::ZERO, |fell, (before, after)| {
            fell.saturating_add(before.usd.saturating_sub(after.usd).max(Decimal::ZERO))
        });
        per_hour(fell, span)
    }
}

/// Of a minute's balances, the last one is kept.
const fn minute(balance: Balance) -> u64 {
    balance.at.as_millis() / 60_000
}

/// What `amount` in `span` makes in an hour.
#[must_use]
pub fn per_hour(amount: Decimal, span: Duration) -> Option<Decimal> {
    amount.checked_mul(Decimal::from(3_600_000_u64))?.checked_div(Decimal::from(span.as_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balances(told: &[(u64, &str)]) -> Balances {
        let mut balances = Balances::default();
        for (minutes, usd) in told {
            balances.add(Balance { at: Timestamp(minutes * 60_000), usd: usd.parse().unwrap() });
        }
        balances
    }

    fn rate(told: &[(u64, &str)]) -> Option<Decimal> {
        balances(told).falls_per_hour().map(|rate| rate.normalize())
    }

    #[test]
    fn the_rate_is_what_the_balance_fell_by_and_money_paid_in_hides_nothing() {
        assert_eq!(rate(&[(0, "10"), (30, "9.5"), (60, "9")]), Some(Decimal::ONE));
        assert_eq!(rate(&[(0, "10"), (20, "9"), (40, "109"), (60, "108")]), Some(Decimal::TWO));
        assert_eq!(rate(&[(0, "1"), (60, "1")]), Some(Decimal::ZERO));
    }

    #[test]
    fn ten_minutes_show_a_rate_and_less_do_not() {
        assert_eq!(rate(&[(0, "10"), (10, "9")]), Some(Decimal::from(6)));
        for told in [&[][..], &[(0, "10")], &[(0, "10"), (9, "9")]] {
            assert_eq!(rate(told), None, "{told:?}");
        }
    }

    #[test]
    fn six_hours_are_looked_back_on_and_a_minute_more_is_not() {
        assert_eq!(rate(&[(0, "16"), (180, "10"), (360, "10")]), Some(Decimal::ONE));
        assert_eq!(rate(&[(0, "16"), (180, "10"), (361, "10")]), Some(Decimal::ZERO));
    }

    #[test]
    fn one_balance_a_minute_is_kept_whoever_asks_how_often() {
        let mut balances = Balances::default();
        for second in 0..=7 * 3_600_u64 {
            balances.add(Balance { at: Timestamp(second * 1_000), usd: Decimal::from(100_000 - second) });
        }
        assert!((360..=362).contains(&balances.told.len()), "{}", balances.told.len());
        assert_eq!(balances.last().unwrap().usd, Decimal::from(100_000 - 7 * 3_600));
        assert_eq!(balances.falls_per_hour().map(|rate| rate.normalize()), Some(Decimal::from(3_600)));
    }
}
