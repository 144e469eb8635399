//! What may go upstream now, whose turn it is, and what is looked at when: pure values that decide, for a driver that
//! carries out.
//!
//! - [`block_rules`]: the upstream's block rules, one row and one budget each.
//! - [`window`], [`ledger`]: the two shapes of a budget, each with its invariant and the reason why it is enough.
//! - [`waits`]: what the upstream's last answers forbid: no slot, zero balance, a block, a refused key.
//! - [`admission`]: all of them say yes, or none is spent.
//! - [`policy`], [`allowance`]: what a client may do, and what it may spend.
//! - [`fair_queue`]: whose upload is next.
//! - [`captcha`]: one captcha's life, and what looks teach about it.
//! - [`polling`]: which captchas are looked at when, and together with which.
//! - [`proof`], [`fences`]: which pieces of a batch are certainly whose.
//! - [`timing`]: when an answer can be expected.
//! - [`deliveries`]: which outcome is pushed to its client's receiver when.
//!
//! Nothing here reads a clock, draws a random number, logs or waits: `now` is the last argument, and whoever asks is
//! told until when the answer is no.

pub mod admission;
pub mod allowance;
pub mod block_rules;
pub mod budget;
pub mod call;
pub mod captcha;
pub mod deliveries;
pub mod fair_queue;
pub mod fences;
pub mod ledger;
pub mod limits;
mod moments;
pub mod policy;
pub mod polling;
pub mod proof;
pub mod refusal;
pub mod timing;
pub mod waits;
pub mod window;

#[cfg(test)]
mod recount;

pub use admission::{Admission, Past, SavedAdmission, Ticket};
pub use allowance::Allowance;
pub use block_rules::BlockRule;
pub use budget::BudgetState;
pub use fair_queue::{FairQueue, Full, Item, ItemKey, QueueLimit, QueueLimits};
pub use limits::{BatchCountsAs, BudgetMode, Limits};
pub use policy::{Denied, Policy};
pub use refusal::{CallKind, Ended, Refusal, Why};
pub use waits::Wait;
