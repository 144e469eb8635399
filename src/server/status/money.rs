//! The account's money, and how long it lasts.

use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

use super::facts::Moment;
use crate::clock::Timestamp;
use crate::driver::history::LastHour;
use crate::driver::money::{Balances, per_hour};

/// A rate of spending is never taken from a shorter time.
const SPENDING_OVER_MIN: Duration = Duration::from_mins(1);

/// Where a rate of spending is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// What the balance fell by in the last six hours.
    Balance,
    /// What the last hour's answers cost, as far as prices are known or set.
    Answers,
}

/// The account's money.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Money {
    #[serde(serialize_with = "as_number_if_known")]
    pub balance_usd: Option<Decimal>,
    pub told: Option<Moment>,
    #[serde(serialize_with = "as_number_if_known")]
    pub spending_usd_per_hour: Option<Decimal>,
    pub spending_from: Option<Source>,
    /// When it is used up at that rate; nothing when nothing is spent.
    pub lasts_until: Option<Moment>,
}

/// What the balances and the answers come to.
pub(super) fn of(balances: &Balances, hour: &LastHour, now: Timestamp) -> Money {
    let last = balances.last();
    let spent = hour.slots().fold(Decimal::ZERO, |spent, slot| spent.saturating_add(slot.cost));
    let over = now.since(hour.since()).max(SPENDING_OVER_MIN);
    let by_balance = balances.falls_per_hour().map(|rate| (rate, Source::Balance));
    let rate = by_balance.or_else(|| per_hour(spent, over).map(|rate| (rate, Source::Answers)));
    let lasts_until = last.zip(rate).and_then(|(last, (rate, _))| {
        let hours = last.usd.checked_div(rate).filter(|hours| !hours.is_sign_negative())?;
        let ms = u64::try_from((hours * Decimal::from(3_600_000_u64)).trunc()).ok()?;
        Some(Moment(last.at + Duration::from_millis(ms)))
    });
    Money {
        balance_usd: last.map(|last| last.usd),
        told: last.map(|last| Moment(last.at)),
        spending_usd_per_hour: rate.map(|(rate, _)| rate),
        spending_from: rate.map(|(_, source)| source),
        lasts_until,
    }
}

/// A JSON number, for whoever reads the JSON with a program.
pub(super) fn as_number<S: Serializer>(amount: &Decimal, to: S) -> Result<S::Ok, S::Error> {
    as_number_if_known(&Some(*amount), to)
}

#[expect(clippy::ref_option, reason = "as serde calls it")]
fn as_number_if_known<S: Serializer>(amount: &Option<Decimal>, to: S) -> Result<S::Ok, S::Error> {
    amount.and_then(|amount| amount.to_string().parse::<f64>().ok()).serialize(to)
}
