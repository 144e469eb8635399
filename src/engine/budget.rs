//! Our allowance against one block rule: asked before a call, holding the bad case while it is in flight, settled
//! after.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::block_rules::{BlockRule, Shape};
use super::ledger::{CappedLedger, Mark};
use super::window::ExactWindow;
use crate::clock::Timestamp;

/// What a call asks of a budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// What it costs in the bad case.
    pub units: u32,
    /// What must stay free beside it, where the rule keeps a reserve.
    pub keep: Option<u32>,
    /// Whether it may earn.
    pub upload: bool,
}

/// What a call has cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spent {
    Nothing,
    Units(u32),
    /// Nobody knows; if so, it is counted at this moment at the latest.
    Perhaps(u32, Timestamp),
}

/// What a call in flight holds of one budget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub units: u32,
    pub mark: Option<Mark>,
}

/// A budget as operators see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BudgetState {
    pub rule: BlockRule,
    pub limit: u32,
    /// Units spent or held by calls in flight.
    pub used: u32,
    pub left: u32,
    /// When `left` grows by itself; the present when nothing is used.
    pub until: Timestamp,
}

/// One rule's budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Budget {
    Window(ExactWindow),
    Ledger(CappedLedger),
}

impl Budget {
    /// Nothing has been spent.
    pub const fn fresh(shape: Shape, now: Timestamp) -> Self {
        match shape {
            Shape::Window { limit, window, .. } => Self::Window(ExactWindow::fresh(limit, window)),
            Shape::Ledger(shape) => Self::Ledger(CappedLedger::fresh(shape, now)),
        }
    }

    /// Nothing is known, so all counts as spent. A call of then is counted by `late` at the latest.
    pub fn unknown(shape: Shape, now: Timestamp, late: Timestamp) -> Self {
        match shape {
            Shape::Window { limit, window, grant } => {
                Self::Window(ExactWindow::unknown(limit, window, grant, now, late))
            }
            Shape::Ledger(shape) => Self::Ledger(CappedLedger::unknown(shape, now)),
        }
    }

    /// Takes new numbers over; a budget that has become another kind starts as unknown.
    pub fn reshape(&mut self, shape: Shape, now: Timestamp) {
        match (self, shape) {
            (Self::Window(budget), Shape::Window { limit, window, .. }) => {
                budget.reshape(limit, window, now);
            }
            (Self::Ledger(budget), Shape::Ledger(shape)) => budget.reshape(shape, now),
            (budget, shape) => *budget = Self::unknown(shape, now, now),
        }
    }

    /// The clock was set back by so much.
    pub fn shift_back(&mut self, by: Duration) {
        match self {
            Self::Window(budget) => budget.shift_back(by),
            Self::Ledger(budget) => budget.shift_back(by),
        }
    }

    /// Lets time pass.
    pub fn advance(&mut self, now: Timestamp) {
        match self {
            Self::Window(budget) => budget.advance(now),
            Self::Ledger(budget) => budget.advance(now),
        }
    }

    /// # Errors
    /// Until when the answer is no.
    pub fn check(&self, need: Need, now: Timestamp) -> Result<(), Timestamp> {
        match self {
            Self::Window(_) | Self::Ledger(_) if need.units == 0 && !need.upload => Ok(()),
            Self::Window(budget) => budget.check(need.units, now),
            Self::Ledger(budget) if need.units == 0 => budget.check_upload(need.keep.unwrap_or(0), now),
            Self::Ledger(budget) => budget.check(need.units, need.keep, now),
        }
    }

    /// The call goes out.
    pub fn hold(&mut self, need: Need) -> Held {
        let mark = match self {
            Self::Window(budget) => {
                budget.hold(need.units);
                None
            }
            Self::Ledger(budget) => {
                budget.hold(need.units);
                need.upload.then(|| budget.upload_sent())
            }
        };
        Held { units: need.units, mark }
    }

    /// The call has ended.
    pub fn settle(&mut self, held: Held, spent: Spent, accepted: bool, now: Timestamp) {
        match self {
            Self::Window(budget) => match spent {
                Spent::Nothing => budget.settle(held.units, 0, now),
                Spent::Units(units) => budget.settle(held.units, units, now),
                Spent::Perhaps(units, until) => budget.settle(held.units, units, until),
            },
            Self::Ledger(budget) => {
                match spent {
                    Spent::Nothing => budget.settle(held.units, 0, now),
                    Spent::Units(units) => budget.settle(held.units, units, now),
                    Spent::Perhaps(units, until) => budget.settle_late(held.units, units, until),
                }
                if let Some(mark) = held.mark {
                    budget.upload_ended(mark, accepted);
                }
            }
        }
    }

    /// As operators see it.
    pub fn state(&self, rule: BlockRule, now: Timestamp) -> BudgetState {
        let (limit, left, until) = match self {
            Self::Window(budget) => {
                (budget.limit(), budget.limit().saturating_sub(budget.used()), budget.frees_at(now))
            }
            Self::Ledger(budget) => (budget.cap(), budget.available(), budget.frees_at(now)),
        };
        BudgetState { rule, limit, used: limit.saturating_sub(left), left, until }
    }
}
