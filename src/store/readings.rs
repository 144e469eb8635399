//! Readings of the account's balance: what left the account, beside what the captchas answered in the same time cost.
//!
//! A reading carries two running sums, what was spent and what was answered. Two readings subtracted compare the two for
//! exactly the time between them.
//!
//! **Invariant.** Both sums grow over the same spans. A span over which the balance rose is left out of both: money was
//! paid in, and how much was spent meanwhile nobody can tell. So is one at whose end the key was another.

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;

use super::{Day, Usage, UsageKey, UsageTable};
use crate::clock::Timestamp;
use crate::protocol::methods::Method;

/// A longer span between two readings is left out: usage of its beginning may have left the store.
pub const SPAN_MAX: Duration = Duration::from_hours(5 * 24);
/// Usage has to stay at least so many days, so that a span of [`SPAN_MAX`] finds the usage of its beginning.
pub const USAGE_KEPT_DAYS_MIN: u32 = 7;

/// What answered captchas cost, as far as it is known; the rest by number. Counts are signed: a captcha that was without
/// a price at one reading has one at the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Charged {
    /// The prices that are known, in USD.
    pub known: Decimal,
    /// Answers whose price is not known.
    pub unpriced: BTreeMap<Method, i64>,
}

/// One reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    pub at: Timestamp,
    /// What tells the account's key from another.
    pub account: String,
    /// In USD.
    pub balance: Decimal,
    /// What left the account since the first reading, in USD.
    pub spent: Decimal,
    /// What was answered since the first reading.
    pub charged: Charged,
    /// Spans that are left out of both.
    pub left_out: u64,
    /// What had been answered, of the uploads of the day before and later: where the next reading goes on.
    pub standing: Charged,
}

/// What two readings show of the time between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compared {
    pub from: Timestamp,
    pub to: Timestamp,
    pub spent: Decimal,
    pub charged: Charged,
    pub left_out: u64,
}

impl Charged {
    fn of<'t>(rows: impl Iterator<Item = (&'t UsageKey, &'t Usage)>) -> Self {
        let mut charged = Self::default();
        for (key, usage) in rows {
            charged.add(key.method, i64::try_from(usage.unpriced()).unwrap_or(i64::MAX));
            charged.known = sum(charged.known, usage.cost);
        }
        charged
    }

    fn add(&mut self, method: Method, count: i64) {
        let here = self.unpriced.entry(method).or_default();
        *here = here.saturating_add(count);
        if *here == 0 {
            self.unpriced.remove(&method);
        }
    }

    fn plus(&self, other: &Self) -> Self {
        let mut both = Self { known: sum(self.known, other.known), ..self.clone() };
        for (method, count) in &other.unpriced {
            both.add(*method, *count);
        }
        both
    }

    fn minus(&self, other: &Self) -> Self {
        let unpriced = other.unpriced.iter().map(|(method, count)| (*method, -count)).collect();
        self.plus(&Self { known: -other.known, unpriced })
    }

    /// As a store keeps it: the known prices, then `method:count`, separated by blanks.
    #[must_use]
    pub fn to_stored(&self) -> String {
        let counts = self.unpriced.iter().map(|(method, count)| format!(" {}:{count}", method.label()));
        std::iter::once(self.known.to_string()).chain(counts).collect()
    }

    /// Reads what [`Self::to_stored`] wrote; `None` when it is damaged.
    #[must_use]
    pub fn from_stored(stored: &str) -> Option<Self> {
        let mut words = stored.split(' ');
        let mut charged = Self { known: words.next()?.parse().ok()?, ..Self::default() };
        for word in words {
            let (label, count) = word.split_once(':')?;
            charged.add(Method::from_label(label).unwrap_or(Method::Other), count.parse().ok()?);
        }
        Some(charged)
    }
}

impl Reading {
    /// The first day whose usage the reading after `last` needs.
    #[must_use]
    pub fn usage_since(last: Option<&Self>, now: Timestamp) -> Day {
        counted_from(last.map_or(now, |last| last.at))
    }

    /// The reading after `last`, from the balance of `account` and from `usage` since [`Self::usage_since`]; `None` when
    /// no time has passed.
    #[must_use]
    pub fn after(
        last: Option<&Self>,
        at: Timestamp,
        account: &str,
        balance: Decimal,
        usage: &UsageTable,
    ) -> Option<Self> {
        let account = account.to_owned();
        let first_day = counted_from(at);
        let standing = Charged::of(usage.rows().filter(|(key, _)| key.day >= first_day));
        let Some(last) = last else {
            let (spent, charged) = (Decimal::ZERO, Charged::default());
            return Some(Self { at, account, balance, spent, charged, left_out: 0, standing });
        };
        if at <= last.at {
            return None;
        }
        let left = last.balance.checked_sub(balance).filter(|left| !left.is_sign_negative());
        let is_comparable = account == last.account && at.since(last.at) <= SPAN_MAX;
        let mut next = Self { at, account, balance, standing, ..last.clone() };
        match left.filter(|_| is_comparable) {
            Some(left) => {
                next.spent = sum(next.spent, left);
                next.charged = next.charged.plus(&last.news(usage));
            }
            None => next.left_out += 1,
        }
        Some(next)
    }

    /// Whether captchas were answered since this reading; `usage` as in [`Self::after`].
    #[must_use]
    pub fn is_outdated(&self, usage: &UsageTable) -> bool {
        self.news(usage) != Charged::default()
    }

    /// What the time from `first` to this reading shows.
    #[must_use]
    pub fn compared_with(&self, first: &Self) -> Compared {
        Compared {
            from: first.at,
            to: self.at,
            spent: sum(self.spent, -first.spent),
            charged: self.charged.minus(&first.charged),
            left_out: self.left_out.saturating_sub(first.left_out),
        }
    }

    /// The hour in which it was taken: hours since 1970.
    #[must_use]
    pub const fn hour(&self) -> u64 {
        self.at.as_millis() / (60 * 60 * 1_000)
    }

    fn news(&self, usage: &UsageTable) -> Charged {
        let first_day = counted_from(self.at);
        Charged::of(usage.rows().filter(|(key, _)| key.day >= first_day)).minus(&self.standing)
    }
}

/// A captcha that is answered after `at` was uploaded on this day or later, for it lives 15 minutes.
fn counted_from(at: Timestamp) -> Day {
    Day::of(at).days_before(1)
}

/// Far from the bounds of the type unless a balance or a price is absurd.
fn sum(a: Decimal, b: Decimal) -> Decimal {
    a.checked_add(b).unwrap_or(a)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: u64 = (20_000 * 24 + 12) * HOUR;
    const HOUR: u64 = 60 * 60 * 1_000;

    fn usd(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    /// Images answered on `day`: all of them, and those whose price is known.
    fn usage(rows: &[(u32, u64, &[&str])]) -> UsageTable {
        let mut table = UsageTable::default();
        for (day, solved, prices) in rows {
            let key = UsageKey { day: Day(*day), client: "team-a".to_owned(), method: Method::Image };
            let cost = prices.iter().map(|price| usd(price)).sum();
            let priced = prices.len() as u64;
            table.add(key, &Usage { uploads: *solved, solved: *solved, priced, cost, ..Usage::default() });
        }
        table
    }

    fn after(last: Option<&Reading>, hours: u64, balance: &str, usage: &UsageTable) -> Reading {
        Reading::after(last, Timestamp(NOON + hours * HOUR), "a key", usd(balance), usage).unwrap()
    }

    #[test]
    fn two_readings_compare_what_left_the_account_with_what_was_answered_between_them() {
        let first = after(None, 0, "10", &usage(&[(20_000, 5, &[])]));
        assert!(!first.is_outdated(&usage(&[(20_000, 5, &[])])));
        let then = usage(&[(20_000, 8, &["0.00085"])]);
        assert!(first.is_outdated(&then));
        let second = after(Some(&first), 1, "9.99745", &then);
        let compared = second.compared_with(&first);
        assert_eq!((compared.spent, compared.left_out), (usd("0.00255"), 0));
        assert_eq!(compared.charged.known, usd("0.00085"));
        assert_eq!(compared.charged.unpriced, BTreeMap::from([(Method::Image, 2)]));
    }

    #[test]
    fn a_price_that_comes_after_a_reading_moves_the_captcha_from_one_side_to_the_other() {
        let first = after(None, 0, "10", &usage(&[(20_000, 3, &[])]));
        let second = after(Some(&first), 1, "10", &usage(&[(20_000, 3, &["0.001"])]));
        let charged = second.compared_with(&first).charged;
        assert_eq!((charged.known, charged.unpriced), (usd("0.001"), BTreeMap::from([(Method::Image, -1)])));
    }

    #[test]
    fn a_span_in_which_money_came_in_is_left_out_of_both_sums() {
        let first = after(None, 0, "10", &usage(&[]));
        let topped_up = after(Some(&first), 1, "10.00001", &usage(&[(20_000, 100, &[])]));
        let last = after(Some(&topped_up), 2, "10", &usage(&[(20_000, 101, &[])]));
        let compared = last.compared_with(&first);
        assert_eq!((compared.spent, compared.left_out), (usd("0.00001"), 1));
        assert_eq!(compared.charged.unpriced, BTreeMap::from([(Method::Image, 1)]));
    }

    #[test]
    fn midnight_between_two_readings_counts_each_answer_once() {
        let first = after(None, 0, "10", &usage(&[(20_000, 5, &[])]));
        let second = after(Some(&first), 13, "9", &usage(&[(20_000, 6, &[]), (20_001, 2, &[])]));
        // The day before may still have news: it is 25 hours later now, and the first day counts no more.
        let third =
            after(Some(&second), 38, "8", &usage(&[(20_000, 7, &[]), (20_001, 4, &[]), (20_002, 1, &[])]));
        let answered = |reading: &Reading| reading.compared_with(&first).charged.unpriced[&Method::Image];
        assert_eq!((answered(&second), answered(&third)), (3, 7));
        let fourth = after(Some(&third), 39, "8", &usage(&[(20_001, 4, &[]), (20_002, 2, &[])]));
        assert_eq!(answered(&fourth), 8);
    }

    #[test]
    fn a_span_of_five_days_counts_and_one_millisecond_more_does_not() {
        let first = after(None, 0, "10", &usage(&[]));
        let longest = after(Some(&first), 5 * 24, "9", &usage(&[]));
        assert_eq!((longest.spent, longest.left_out), (usd("1"), 0));
        let later = first.at + SPAN_MAX + Duration::from_millis(1);
        let too_long = Reading::after(Some(&first), later, "a key", usd("9"), &usage(&[])).unwrap();
        assert_eq!((too_long.spent, too_long.left_out), (usd("0"), 1));
        let at_once = Reading::after(Some(&first), first.at, "a key", usd("9"), &usage(&[]));
        assert_eq!(at_once, None, "no time has passed");
    }

    #[test]
    fn the_balance_of_another_account_is_not_compared() {
        let first = after(None, 0, "10", &usage(&[]));
        let at = first.at + Duration::from_hours(1);
        let other =
            Reading::after(Some(&first), at, "another key", usd("3"), &usage(&[(20_000, 5, &[])])).unwrap();
        assert_eq!((other.spent, other.charged.clone(), other.left_out), (usd("0"), Charged::default(), 1));
        let next =
            Reading::after(Some(&other), at + SPAN_MAX, "another key", usd("2"), &usage(&[(20_000, 5, &[])]));
        assert_eq!(next.unwrap().spent, usd("1"));
    }

    #[test]
    fn what_is_stored_comes_back_and_damage_is_noticed() {
        let unpriced = BTreeMap::from([(Method::Image, 3), (Method::Hcaptcha, -1)]);
        let charged = Charged { known: usd("0.00299"), unpriced };
        assert_eq!(charged.to_stored(), "0.00299 image:3 hcaptcha:-1");
        assert_eq!(Charged::from_stored(&charged.to_stored()), Some(charged));
        for damaged in ["", "x", "1 image", "1 image:x", "1  image:1"] {
            assert_eq!(Charged::from_stored(damaged), None, "{damaged:?}");
        }
    }
}
