//! What admission remembers, and what it gives out.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::engine::block_rules::BlockRule;
use crate::engine::budget::{Budget, Held};
use crate::engine::ledger::CappedLedger;
use crate::engine::refusal::{CallKind, Refusal};
use crate::engine::waits::Waits;

/// What is known of the account's past.
#[derive(Clone, Debug)]
pub enum Past {
    /// Nobody has used this account lately: all budgets are full.
    Fresh,
    /// A past there was, but it is lost: all of it counts as spent.
    Unknown,
    /// The last state before a stop; since one from the future no time has passed. Its calls in flight ended as
    /// `Unknown`; the open captchas are told anew, with [`super::Admission::captcha_opened`].
    Saved(SavedAdmission),
    /// The state as another replica has just left it: its calls are still in flight, its captchas still open.
    Shared(SavedAdmission),
}

/// Everything that admission remembers, to be stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedAdmission(pub(super) State);

/// Permission to send one call; to be settled when the call has ended.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[must_use = "a call that is never settled holds its budgets until it is given up"]
pub struct Ticket {
    pub(super) id: u64,
    pub(super) call: CallKind,
    pub(super) key_number: u32,
    pub(super) observed: Option<Refusal>,
}

impl Ticket {
    /// What would have been refused, in [`BudgetMode::Observe`](crate::engine::BudgetMode::Observe).
    pub const fn observed(&self) -> Option<&Refusal> {
        self.observed.as_ref()
    }

    pub const fn call(&self) -> CallKind {
        self.call
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct InFlight {
    pub call: CallKind,
    pub sent: Timestamp,
    pub key_number: u32,
    pub held: [Held; BlockRule::COUNT],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    pub now: Timestamp,
    pub next_ticket: u64,
    pub in_flight: BTreeMap<u64, InFlight>,
    pub budgets: [Budget; BlockRule::COUNT],
    pub waits: Waits,
    pub last_upload: Option<Timestamp>,
    pub open_captchas: u32,
    /// Open captchas that have had their last look.
    pub last_looks: u32,
}

impl SavedAdmission {
    /// Captchas that a look is kept for.
    #[must_use]
    pub const fn reserve(&self) -> u32 {
        self.0.reserve()
    }

    /// The present when it was kept. After the one of a start, the clock was set back.
    #[must_use]
    pub const fn kept_at(&self) -> Timestamp {
        self.0.now
    }

    /// So many looks may have been made that the state does not know of.
    pub fn charge_looks(&mut self, looks: u32) {
        for ledger in self.0.look_ledgers() {
            ledger.charge(looks);
        }
    }
}

impl State {
    /// Captchas whose last look has still to be paid.
    pub const fn reserve(&self) -> u32 {
        self.open_captchas.saturating_sub(self.last_looks)
    }

    /// The ledgers of rule 1005.
    pub fn look_ledgers(&mut self) -> impl Iterator<Item = &mut CappedLedger> {
        let rules = BlockRule::ALL.into_iter().zip(&mut self.budgets);
        rules.filter(|(rule, _)| rule.keeps_reserve()).filter_map(|(_, budget)| match budget {
            Budget::Ledger(ledger) => Some(ledger),
            Budget::Window(_) => None,
        })
    }

    /// The clock was set back by so much.
    pub fn shift_back(&mut self, by: Duration) {
        if by.is_zero() {
            return;
        }
        self.now = self.now - by;
        self.waits.shift_back(by);
        self.budgets.iter_mut().for_each(|budget| budget.shift_back(by));
        let moments = self.in_flight.values_mut().map(|call| &mut call.sent).chain(&mut self.last_upload);
        moments.for_each(|moment| *moment = *moment - by);
    }
}
