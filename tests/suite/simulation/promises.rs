//! What must hold after every step, and what was found when it did not.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use capgate::clock::Timestamp;

/// A promise that a step can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// The upstream blocks for nothing that we did.
    NeverBlocked,
    /// Nothing is sent while a block lasts that we were told of; then one probe.
    BlocksAreWaitedOut,
    /// After a no-slot answer one probe at a time, not before 5 s; after zero balance not before 60 s.
    OneProbe,
    /// A refused key is not used again before somebody mends it; an unconfirmed one has one call in flight.
    RefusedKeysRest,
    /// An upload once sent is sent again only if the upstream certainly does not have it.
    PaidOnce,
    /// No upload is sent that the store does not know of: what cannot be remembered is not bought.
    NotedBeforeSent,
    /// No look before the first, none within the interval of the one before.
    LooksAreSpaced,
    /// A client gets the answer to what it uploaded, or the upstream's own error.
    RightAnswer,
    /// Whoever has an id gets its answer, if the upstream lets itself be asked before the 15 minutes are over.
    NothingLost,
    /// What a client reads stands in the store.
    StoredBeforeTold,
    /// Whoever was promised a push of the outcome gets it at least once, or it is in the list of the dead.
    OutcomesArePushed,
    /// What was stored is found again.
    Durable,
    /// A start believes in no more of a budget than the process before it had left.
    BudgetsSurvive,
    /// Nobody gets another's.
    OwnCaptchasOnly,
    /// A client that waits sees another served as often as the weights say.
    Fair,
    /// When everybody has gone, nothing is left open.
    IdleInTheEnd,
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub promise: Promise,
    pub at: Timestamp,
    pub how: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} is broken: {}", self.at, self.promise, self.how)
    }
}

/// How often what happened, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(BTreeMap<Cow<'static, str>, u64>);

impl Tally {
    pub fn count(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    pub fn add(&mut self, what: impl Into<Cow<'static, str>>, count: u64) {
        *self.0.entry(what.into()).or_default() += count;
    }

    pub fn merge(&mut self, other: Self) {
        for (what, count) in other.0 {
            self.add(what, count);
        }
    }

    pub fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or_default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self.0.iter().map(|(what, count)| format!("{what} {count}")).collect();
        f.write_str(&parts.join(", "))
    }
}
