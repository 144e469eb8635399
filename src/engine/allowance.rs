//! What a client may spend: captchas open at once, and money and captchas in a day and in a month, in UTC.
//!
//! What is under way counts as spent, with the price that the settings name for its method, and is put right when its
//! answer tells another; so a burst cannot go past a limit before the first of it has ended.
//!
//! ```text
//! take -> gave back                           it was not bought
//!      -> lost                                nobody knows: it stays spent, and is open no longer
//!      -> ended: failed                       it cost nothing, and counts as a captcha
//!      -> ended: solved, or without answer -> put right, when the price is told late
//! ```
//! **Invariant.** While prices are as the settings name them, what is spent never exceeds a limit that was in force at
//! each [`Spending::take`]. A captcha belongs to the day on which it was taken, whenever it ends.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::policy::{Denied, Rule};
use crate::clock::{Day, Timestamp};

/// One of the amounts that a client may have a limit for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quota {
    DailyUsd,
    DailyCaptchas,
    MonthlyUsd,
    MonthlyCaptchas,
}

impl Quota {
    pub const ALL: [Self; 4] = [Self::DailyUsd, Self::DailyCaptchas, Self::MonthlyUsd, Self::MonthlyCaptchas];

    #[must_use]
    pub const fn is_usd(self) -> bool {
        matches!(self, Self::DailyUsd | Self::MonthlyUsd)
    }

    #[must_use]
    pub const fn is_daily(self) -> bool {
        matches!(self, Self::DailyUsd | Self::DailyCaptchas)
    }

    /// `day` or `month`, as a metric's label.
    #[must_use]
    pub const fn period(self) -> &'static str {
        if self.is_daily() { "day" } else { "month" }
    }

    #[must_use]
    pub const fn unit(self) -> &'static str {
        if self.is_usd() { "USD" } else { "captchas" }
    }

    #[must_use]
    pub const fn rule(self) -> Rule {
        match self {
            Self::DailyUsd => Rule::DailyUsd,
            Self::DailyCaptchas => Rule::DailyCaptchas,
            Self::MonthlyUsd => Rule::MonthlyUsd,
            Self::MonthlyCaptchas => Rule::MonthlyCaptchas,
        }
    }

    /// The first day of its present period.
    fn since(self, today: Day) -> Day {
        if self.is_daily() { today } else { today.month() }
    }

    /// When the next period begins.
    fn until(self, today: Day) -> Timestamp {
        if self.is_daily() { today.next() } else { today.next_month() }.start()
    }
}

/// A client's limits; none: unlimited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Captchas open at once, with uploads that wait for their turn.
    pub open: Option<u32>,
    pub daily_usd: Option<Decimal>,
    pub daily_captchas: Option<u64>,
    pub monthly_usd: Option<Decimal>,
    pub monthly_captchas: Option<u64>,
    /// The part of a limit from which on it is said that the rest runs out.
    pub warning: Decimal,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            open: None,
            daily_usd: None,
            daily_captchas: None,
            monthly_usd: None,
            monthly_captchas: None,
            warning: Decimal::ONE,
        }
    }
}

impl Allowance {
    #[must_use]
    pub fn limit(&self, quota: Quota) -> Option<Decimal> {
        match quota {
            Quota::DailyUsd => self.daily_usd,
            Quota::DailyCaptchas => self.daily_captchas.map(Decimal::from),
            Quota::MonthlyUsd => self.monthly_usd,
            Quota::MonthlyCaptchas => self.monthly_captchas.map(Decimal::from),
        }
    }
}

/// How much of a limit is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    pub quota: Quota,
    pub limit: Decimal,
    /// Never below zero.
    pub left: Decimal,
    /// When the next period begins.
    pub until: Timestamp,
}

/// Money and captchas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub usd: Decimal,
    pub captchas: u64,
}

/// One captcha's part in what is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    pub day: Day,
    pub usd: Decimal,
}

/// What one client has spent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spending {
    /// Of the present month, and of yesterday: a captcha of then may still be open.
    days: BTreeMap<Day, Tally>,
    open: u32,
    /// Since which day the present period of each quota has had its warning.
    warned: [Option<Day>; Quota::ALL.len()],
}

impl Spending {
    /// Takes one captcha of `price`: all limits have room for it, or none is touched.
    ///
    /// # Errors
    /// The limit that refuses; of several the one that does for longest.
    pub fn take(&mut self, allowance: &Allowance, price: Decimal, now: Timestamp) -> Result<Charge, Denied> {
        let today = Day::of(now);
        self.forget(today);
        let refuses = |quota: Quota| {
            let limit = allowance.limit(quota)?;
            let more = if quota.is_usd() { price } else { Decimal::ONE };
            let is_over = self.spent(quota, today).saturating_add(more) > limit;
            is_over.then(|| Denied::Spent { quota, limit, until: quota.until(today) })
        };
        let by_length = Quota::ALL.into_iter().rev().filter_map(refuses);
        if let Some(denied) = by_length.max_by_key(Denied::until) {
            return Err(denied);
        }
        if let Some(limit) = allowance.open.filter(|limit| self.open >= *limit) {
            return Err(Denied::TooManyOpen(limit));
        }
        let charge = Charge { day: today, usd: price };
        self.restore(today, Tally { usd: price, captchas: 1 });
        self.open += 1;
        Ok(charge)
    }

    /// It was not bought.
    pub fn give_back(&mut self, charge: Charge) {
        self.close();
        if let Some(tally) = self.days.get_mut(&charge.day) {
            tally.usd = tally.usd.saturating_sub(charge.usd);
            tally.captchas = tally.captchas.saturating_sub(1);
        }
    }

    /// It is no longer open; what it costs stays as it is.
    pub fn close(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// It is known to cost this.
    pub fn put_right(&mut self, charge: &mut Charge, usd: Decimal) {
        if let Some(tally) = self.days.get_mut(&charge.day) {
            tally.usd = tally.usd.saturating_sub(charge.usd).saturating_add(usd);
        }
        charge.usd = usd;
    }

    /// What was spent before a restart.
    pub fn restore(&mut self, day: Day, spent: Tally) {
        let tally = self.days.entry(day).or_default();
        tally.usd = tally.usd.saturating_add(spent.usd);
        tally.captchas = tally.captchas.saturating_add(spent.captchas);
    }

    /// A captcha that is open since before a restart, and is in what was spent.
    pub const fn reopen(&mut self) {
        self.open += 1;
    }

    /// Captchas that are open or wait for their turn.
    #[must_use]
    pub const fn open(&self) -> u32 {
        self.open
    }

    /// What is left of each limit.
    pub fn left(&self, allowance: &Allowance, now: Timestamp) -> Vec<Left> {
        let today = Day::of(now);
        let left = |quota: Quota| {
            let limit = allowance.limit(quota)?;
            let left = limit.saturating_sub(self.spent(quota, today)).max(Decimal::ZERO);
            Some(Left { quota, limit, left, until: quota.until(today) })
        };
        Quota::ALL.into_iter().filter_map(left).collect()
    }

    /// The limits that have come to their warning, each once in its period.
    pub fn warnings(&mut self, allowance: &Allowance, now: Timestamp) -> Vec<Left> {
        let mut left = self.left(allowance, now);
        left.retain(|Left { quota, limit, left, .. }| {
            let since = quota.since(Day::of(now));
            let spent = limit.saturating_sub(*left);
            let is_new = self.warned[*quota as usize] != Some(since)
                && spent >= limit.saturating_mul(allowance.warning);
            if is_new {
                self.warned[*quota as usize] = Some(since);
            }
            is_new
        });
        left
    }

    fn spent(&self, quota: Quota, today: Day) -> Decimal {
        let days = self.days.range(quota.since(today)..=today).map(|(_, tally)| tally);
        if quota.is_usd() {
            days.fold(Decimal::ZERO, |sum, tally| sum.saturating_add(tally.usd))
        } else {
            days.fold(0, |sum: u64, tally| sum.saturating_add(tally.captchas)).into()
        }
    }

    fn forget(&mut self, today: Day) {
        let first = today.month().min(today.days_before(1));
        if self.days.first_key_value().is_some_and(|(day, _)| *day < first) {
            self.days = self.days.split_off(&first);
        }
    }
}

#[cfg(test)]
mod tests;
