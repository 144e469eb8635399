//! The figures: sums by client, method or day, what they cost, and what the account's balance says to it.
//!
//! A cost is the sum of the prices that the upstream told (`get2`) and, for answers whose price it did not tell, of the
//! settings' prices: this part is the estimate. What is not solved is not charged. An estimate is never bent to what left
//! the account, for somebody else may use the account as well: the difference is shown instead.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::By;
use crate::config::Prices;
use crate::store::readings::Compared;
use crate::store::{Day, Ledger, Reading, Usage};

/// Decimal places of a factor.
const FACTOR_PLACES: u32 = 3;

#[derive(Debug)]
pub(super) struct Report {
    pub since: Day,
    /// The last day, included.
    pub until: Day,
    pub by: By,
    pub rows: Vec<Row>,
    pub total: Row,
    /// Nothing when there are no two readings to compare.
    pub balance: Option<Balance>,
}

#[derive(Debug, Default)]
pub(super) struct Row {
    /// The client's name, the method's label or the day.
    pub name: String,
    pub usage: Usage,
    /// What the answers without a known price cost, in USD.
    pub estimated: Decimal,
}

/// What left the account between two readings, beside what is counted for the same time.
#[derive(Debug)]
pub(super) struct Balance {
    pub compared: Compared,
    /// What the answers without a known price cost, in USD.
    pub estimated: Decimal,
}

impl Report {
    pub fn new(ledger: &Ledger, since: Day, until: Day, by: By, prices: &Prices) -> Self {
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        let mut total = Row::default();
        for (key, usage) in ledger.usage.rows() {
            let name = match by {
                By::Client => key.client.clone(),
                By::Method => key.method.label().to_owned(),
                By::Day => key.day.to_string(),
            };
            let estimated = prices.of_one(key.method) * Decimal::from(usage.unpriced());
            for row in [rows.entry(name).or_default(), &mut total] {
                row.usage.add(usage);
                row.estimated += estimated;
            }
        }
        let rows = rows.into_iter().map(|(name, row)| Row { name, ..row }).collect();
        Self { since, until, by, rows, total, balance: Balance::of(&ledger.readings, prices) }
    }
}

impl Row {
    /// In USD, the estimate included.
    pub fn cost(&self) -> Decimal {
        self.usage.cost + self.estimated
    }

    pub const fn is_estimated(&self) -> bool {
        self.usage.unpriced() > 0
    }
}

impl Balance {
    fn of(readings: &[Reading], prices: &Prices) -> Option<Self> {
        let [first, .., last] = readings else { return None };
        let compared = last.compared_with(first);
        let cost = |(method, count): (&_, &i64)| prices.of_one(*method) * Decimal::from(*count);
        let estimated = compared.charged.unpriced.iter().map(cost).sum();
        Some(Self { compared, estimated })
    }

    /// What is counted here, in USD.
    pub fn counted(&self) -> Decimal {
        self.compared.charged.known + self.estimated
    }

    /// What left the account and is not counted here, in USD; below zero when more is counted than left.
    pub fn difference(&self) -> Decimal {
        self.compared.spent - self.counted()
    }

    /// By how much the settings' prices would have to be multiplied for there to be no difference.
    pub fn price_factor(&self) -> Option<Decimal> {
        let rest = self.compared.spent - self.compared.charged.known;
        let is_meaningful = self.estimated > Decimal::ZERO && rest >= Decimal::ZERO;
        is_meaningful.then(|| (rest / self.estimated).round_dp(FACTOR_PLACES))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Timestamp;
    use crate::protocol::methods::Method;
    use crate::store::readings::Charged;
    use crate::store::{UsageKey, UsageTable};

    pub fn usd(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn used(solved: u64, prices: &[&str], seconds: u64) -> Usage {
        let cost = prices.iter().map(|price| usd(price)).sum();
        let mut usage =
            Usage { uploads: solved, solved, priced: prices.len() as u64, cost, ..Usage::default() };
        for _ in 0..solved {
            usage.solve_times.add(Duration::from_secs(seconds));
        }
        usage
    }

    /// Two clients, two methods, two days; and two readings of the account's balance.
    pub fn ledger() -> Ledger {
        let mut usage = UsageTable::default();
        let key = |day, client: &str, method| UsageKey { day: Day(day), client: client.to_owned(), method };
        usage.add(key(20_000, "team-a", Method::Image), &used(2, &["0.00085", "0.00085"], 10));
        let unwell =
            Usage { uploads: 5, failed: 1, unanswered: 1, unknown: 1, reported_bad: 2, ..used(2, &[], 20) };
        usage.add(key(20_001, "team-a", Method::Hcaptcha), &unwell);
        usage.add(key(20_001, "team-b", Method::Image), &used(1, &[], 30));
        let unpriced = BTreeMap::from([(Method::Image, 1), (Method::Hcaptcha, 2)]);
        let first = Reading {
            at: Timestamp(20_000 * 86_400_000),
            account: String::new(),
            balance: usd("10"),
            spent: usd("1"),
            charged: Charged::default(),
            left_out: 1,
            standing: Charged::default(),
        };
        let last = Reading {
            at: first.at + Duration::from_hours(36),
            spent: usd("1.011"),
            charged: Charged { known: usd("0.0017"), unpriced },
            left_out: 3,
            ..first.clone()
        };
        Ledger { usage, readings: vec![first, last] }
    }

    fn report(by: By) -> Report {
        Report::new(&ledger(), Day(19_995), Day(20_001), by, &Prices::default())
    }

    #[test]
    fn rows_add_up_by_client_method_and_day() {
        let rows = |by| -> Vec<_> {
            let row = |row: &Row| (row.name.clone(), row.usage.uploads, row.cost(), row.is_estimated());
            report(by).rows.iter().map(row).collect()
        };
        let row =
            |name: &str, uploads, cost, is_estimated| (name.to_owned(), uploads, usd(cost), is_estimated);
        assert_eq!(rows(By::Client), [row("team-a", 7, "0.00768", true), row("team-b", 1, "0.001", true)]);
        assert_eq!(rows(By::Method), [row("hcaptcha", 5, "0.00598", true), row("image", 3, "0.0027", true)]);
        assert_eq!(
            rows(By::Day),
            [row("2024-10-04", 2, "0.0017", false), row("2024-10-05", 6, "0.00698", true)]
        );
        let total = report(By::Client).total;
        assert_eq!((total.usage.uploads, total.cost(), total.estimated), (8, usd("0.00868"), usd("0.00698")));
    }

    #[test]
    fn the_balance_is_compared_with_what_was_answered_in_the_same_time() {
        let balance = report(By::Client).balance.unwrap();
        assert_eq!((balance.compared.spent, balance.compared.left_out), (usd("0.011"), 2));
        assert_eq!((balance.counted(), balance.difference()), (usd("0.00868"), usd("0.00232")));
        assert_eq!(balance.price_factor(), Some(usd("1.332")), "(0.011 - 0.0017) / 0.00698");
        let one_reading = Ledger { readings: ledger().readings.split_off(1), ..ledger() };
        let report = Report::new(&one_reading, Day(0), Day(1), By::Day, &Prices::default());
        assert!(report.balance.is_none());
    }

    #[test]
    fn prices_cannot_be_blamed_when_less_left_the_account_than_is_known_to_have_been_charged() {
        let mut ledger = ledger();
        ledger.readings[1].spent = usd("1.001");
        let balance = Report::new(&ledger, Day(0), Day(1), By::Day, &Prices::default()).balance.unwrap();
        assert_eq!((balance.difference(), balance.price_factor()), (usd("-0.00768"), None));
    }
}
