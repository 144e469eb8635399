//! The clients as they are listed: what each has at present, and what is left of its budgets.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;

use super::facts::{Moment, Standing};
use super::money::as_number;
use super::state::Level;
use crate::engine::allowance::Left;
use crate::metrics::{ClientNumbers, Numbers};

/// Most clients that are listed, those with most at present first.
pub const CLIENTS_MAX: usize = 50;

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientShown {
    pub name: String,
    #[serde(flatten)]
    pub numbers: ClientNumbers,
    /// An operator has stopped it, or its last day is over.
    pub stopped: bool,
    /// Those that it has.
    pub budgets: Vec<ClientBudget>,
}

/// What a client may spend or upload in a day or month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientBudget {
    /// `day` or `month`.
    pub period: &'static str,
    /// `USD` or `captchas`.
    pub unit: &'static str,
    #[serde(serialize_with = "as_number")]
    pub limit: Decimal,
    #[serde(serialize_with = "as_number")]
    pub left: Decimal,
    /// When the next period begins.
    pub until: Moment,
}

impl ClientBudget {
    /// What is left of it, in per cent.
    #[must_use]
    pub fn left_percent(&self) -> u8 {
        let percent = (self.left * Decimal::ONE_HUNDRED).checked_div(self.limit).unwrap_or_default();
        u8::try_from(percent.trunc().min(Decimal::ONE_HUNDRED)).unwrap_or(0)
    }

    #[must_use]
    pub fn level(&self) -> Level {
        match self.left_percent() {
            0 => Level::Bad,
            1..20 => Level::Waiting,
            _ => Level::Good,
        }
    }
}

impl ClientShown {
    /// The budget of which the smallest part is left.
    #[must_use]
    pub fn tightest(&self) -> Option<&ClientBudget> {
        self.budgets.iter().min_by_key(|budget| budget.left_percent())
    }

    /// The numbers in the order of the page's columns.
    pub(super) fn columns(&self) -> [u64; 5] {
        let ClientNumbers { open, waiting, solved, unsolved, refused, .. } = self.numbers;
        [open, waiting, solved, unsolved, refused]
    }
}

/// The clients with most at present, and how many are left out.
pub(super) fn listed(numbers: &Numbers, standings: &BTreeMap<String, Standing>) -> (Vec<ClientShown>, usize) {
    let mut clients: Vec<_> = numbers
        .clients
        .iter()
        .map(|(name, of)| ClientShown {
            name: name.clone(),
            numbers: *of,
            stopped: standings.get(name).is_some_and(|standing| standing.is_stopped),
            budgets: standings
                .get(name)
                .into_iter()
                .flat_map(|standing| &standing.left)
                .map(client_budget)
                .collect(),
        })
        .collect();
    // Only where some are left out does it matter who has most; else rows that change places cannot be read.
    if clients.len() > CLIENTS_MAX {
        clients.sort_by_key(|ClientShown { numbers: of, .. }| {
            std::cmp::Reverse((of.open + of.waiting, of.accepted))
        });
    }
    let left_out = clients.len().saturating_sub(CLIENTS_MAX);
    clients.truncate(CLIENTS_MAX);
    (clients, left_out)
}

fn client_budget(left: &Left) -> ClientBudget {
    let Left { quota, limit, left, until } = *left;
    ClientBudget { period: quota.period(), unit: quota.unit(), limit, left, until: Moment(until) }
}
