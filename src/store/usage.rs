//! Who used how much: a captcha that is forgotten stays as a count, by client, method and day.
//!
//! **Invariant.** A captcha is counted once: among those that are kept, or, once forgotten, in the usage that is kept.
//! It belongs to the day of its upload.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::solve_times::SolveTimes;
use crate::clock::{Day, Timestamp};
use crate::protocol::answer::{Answer, price_of};
use crate::protocol::methods::Method;
use crate::protocol::poll::Verdict;

/// How many days usage is kept when nothing else is said.
pub const USAGE_KEPT_DAYS: u32 = 400;

/// Whose usage, of what, when.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UsageKey {
    pub day: Day,
    /// The client's name.
    pub client: String,
    pub method: Method,
}

/// What happened to some captchas. What is neither solved, failed nor unanswered is open yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Uploads that the upstream accepted.
    pub uploads: u64,
    pub solved: u64,
    /// Ended without an answer: unsolvable.
    pub failed: u64,
    /// Too old for an answer while still open.
    pub unanswered: u64,
    /// Uploads of which nobody knows whether they were accepted; not among `uploads`.
    pub unknown: u64,
    pub reported_good: u64,
    pub reported_bad: u64,
    /// Of those solved, the ones whose price is known, and so is in `cost`. What is not solved is not charged.
    pub priced: u64,
    /// In USD.
    pub cost: Decimal,
    /// From upload to answer, of those solved.
    pub solve_times: SolveTimes,
}

/// How far a captcha has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Open,
    Solved,
    Failed,
}

/// What of a captcha matters for usage.
#[derive(Clone, Debug)]
pub struct Outline<'a> {
    pub uploaded_at: Timestamp,
    pub solved_at: Option<Timestamp>,
    pub state: State,
    pub price: Option<&'a str>,
    pub report: Option<Verdict>,
    /// No answer can come any more.
    pub is_over: bool,
}

/// Usage by day, client and method.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageTable {
    rows: BTreeMap<UsageKey, Usage>,
}

impl State {
    #[must_use]
    pub const fn of(answer: &Answer) -> Self {
        if answer.is_failed() { Self::Failed } else { Self::Solved }
    }
}

impl Usage {
    /// One captcha's usage.
    #[must_use]
    pub fn of(captcha: &Outline<'_>) -> Self {
        let mut usage = Self { uploads: 1, ..Self::default() };
        match captcha.state {
            State::Solved => {
                usage.solved = 1;
                if let Some(solved_at) = captcha.solved_at {
                    usage.solve_times.add(solved_at.since(captcha.uploaded_at));
                }
            }
            State::Failed => usage.failed = 1,
            State::Open => usage.unanswered = captcha.is_over.into(),
        }
        match captcha.report {
            Some(Verdict::Good) => usage.reported_good = 1,
            Some(Verdict::Bad) => usage.reported_bad = 1,
            None => {}
        }
        if let Some(price) = captcha.price.filter(|_| captcha.state == State::Solved).and_then(price_of) {
            (usage.priced, usage.cost) = (1, price);
        }
        usage
    }

    /// The usage of an upload whose fate is unknown.
    #[must_use]
    pub fn of_unknown() -> Self {
        Self { unknown: 1, ..Self::default() }
    }

    /// Answers whose price is not known.
    #[must_use]
    pub const fn unpriced(&self) -> u64 {
        self.solved.saturating_sub(self.priced)
    }

    /// Captchas that may still be answered.
    #[must_use]
    pub const fn open(&self) -> u64 {
        self.uploads.saturating_sub(self.solved).saturating_sub(self.failed).saturating_sub(self.unanswered)
    }

    pub fn add(&mut self, other: &Self) {
        let Self {
            uploads,
            solved,
            failed,
            unanswered,
            unknown,
            reported_good,
            reported_bad,
            priced,
            cost,
            solve_times,
        } = other;
        self.uploads += uploads;
        self.solved += solved;
        self.failed += failed;
        self.unanswered += unanswered;
        self.unknown += unknown;
        self.reported_good += reported_good;
        self.reported_bad += reported_bad;
        self.priced += priced;
        self.cost = self.cost.checked_add(*cost).unwrap_or(Decimal::MAX);
        self.solve_times.merge(solve_times);
    }
}

impl UsageTable {
    /// Adds to what is there under `key`.
    pub fn add(&mut self, key: UsageKey, usage: &Usage) {
        self.rows.entry(key).or_default().add(usage);
    }

    /// Days before `day` leave.
    pub fn forget_before(&mut self, day: Day) {
        self.rows.retain(|key, _| key.day >= day);
    }

    /// By day, then client, then method.
    pub fn rows(&self) -> impl Iterator<Item = (&UsageKey, &Usage)> {
        self.rows.iter()
    }

    /// Everything together.
    #[must_use]
    pub fn total(&self) -> Usage {
        self.rows.values().fold(Usage::default(), |mut total, usage| {
            total.add(usage);
            total
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_price(price: &str) -> Outline<'_> {
        Outline {
            uploaded_at: Timestamp(0),
            solved_at: Some(Timestamp(7_000)),
            state: State::Solved,
            price: Some(price),
            report: None,
            is_over: false,
        }
    }

    #[test]
    fn prices_add_up_exactly_and_one_that_is_no_number_is_not_known() {
        let mut usage = Usage::default();
        for price in ["0.00299", "0.1", "0.2", "free", "-1", "100.1", "100", "0.0000000014"] {
            usage.add(&Usage::of(&with_price(price)));
        }
        assert_eq!((usage.solved, usage.priced, usage.unpriced()), (8, 5, 3));
        assert_eq!(usage.cost.to_string(), "100.302990001");
    }

    #[test]
    fn what_is_not_solved_is_not_charged_and_is_open_until_it_is_over() {
        let of = |state, is_over| Usage::of(&Outline { state, is_over, ..with_price("0.1") });
        let failed = of(State::Failed, true);
        assert_eq!((failed.failed, failed.priced, failed.cost), (1, 0, Decimal::ZERO));
        let (open, over) = (of(State::Open, false), of(State::Open, true));
        assert_eq!((open.open(), open.unanswered, open.cost), (1, 0, Decimal::ZERO));
        assert_eq!((over.open(), over.unanswered, over.cost), (0, 1, Decimal::ZERO));
    }
}
