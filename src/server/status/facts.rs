//! What the driver and the metrics tell at one moment: what everything that is shown is made from.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use crate::clock::Timestamp;
use crate::driver::history::LastHour;
use crate::driver::keeper::Fault;
use crate::driver::money::Balances;
use crate::driver::troubles::{Trouble, Unanswered};
use crate::engine::allowance::Left;
use crate::engine::refusal::Refusal;
use crate::engine::{BudgetMode, BudgetState, Wait};
use crate::metrics::Numbers;

/// What of the settings is shown.
#[derive(Clone, Debug)]
pub struct About {
    /// Without user, query and key.
    pub upstream: String,
    pub budget_mode: BudgetMode,
}

/// What the driver and the metrics tell at one moment.
#[derive(Clone, Debug)]
pub struct Facts {
    pub now: Timestamp,
    pub is_draining: bool,
    pub waits: Vec<Wait>,
    pub budgets: Vec<BudgetState>,
    /// Why an upload, and why a look, would have to wait now.
    pub held: Vec<Refusal>,
    pub store_fault: Option<Fault>,
    pub unanswered: Option<Unanswered>,
    pub numbers: Numbers,
    /// By the client's name.
    pub standings: BTreeMap<String, Standing>,
    pub hour: LastHour,
    pub balances: Balances,
    /// The latest first.
    pub troubles: Vec<Trouble>,
}

/// A moment, in RFC 3339 and UTC; `never` for the end of what has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

/// What a configured client may do at present.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// An operator has stopped it, or its last day is over.
    pub is_stopped: bool,
    pub left: Vec<Left>,
}

#[cfg(test)]
impl Facts {
    /// Nothing has happened, and nothing is wrong.
    pub fn quiet(now: Timestamp) -> Self {
        Self {
            now,
            is_draining: false,
            waits: Vec::new(),
            budgets: Vec::new(),
            held: Vec::new(),
            store_fault: None,
            unanswered: None,
            numbers: Numbers::default(),
            standings: BTreeMap::new(),
            hour: LastHour::starting(now),
            balances: Balances::default(),
            troubles: Vec::new(),
        }
    }
}
