//! What must survive: the one place where shared state changes.
//!
//! The order of a captcha's changes is the contract: `Submitting` is durable before the upload is sent, `Accepted` before
//! the client reads `OK|id`, `Solved` before a client is told the answer. A change is durable once
//! [`Store::commit`] has returned. A change that does not follow from what is kept is refused alone. A change that failed
//! may have been kept all the same: the same one again is not refused for that.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `memory` | a store that forgets everything when the process ends |
//! | `sqlite` | a store in one file |
//! | `deliveries` | outcomes that clients want pushed |
//! | `usage`, `solve_times` | what stays of captchas that are forgotten |
//! | `readings` | the account's balance beside it |

pub mod deliveries;
pub mod errors;
pub mod memory;
pub mod readings;
pub mod solve_times;
pub mod sqlite;
pub mod usage;

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::clock::Timestamp;
use crate::protocol::answer::Solution;
use crate::protocol::ids::CaptchaId;
use crate::protocol::methods::Method;
use crate::protocol::poll::Verdict;
use crate::protocol::repeat::Repeat;

pub use crate::clock::Day;
pub use deliveries::{Dead, Delivery};
pub use errors::StoreError;
pub use memory::MemoryStore;
pub use readings::Reading;
pub use sqlite::SqliteStore;
pub use usage::{Usage, UsageKey, UsageTable};

/// Names an upload before the upstream has given it an id; drawn at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IntentId(pub u64);

/// An upload that is about to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    pub id: IntentId,
    /// The client's name.
    pub client: String,
    pub method: Method,
    pub at: Timestamp,
}

/// How an upload ended that got no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAccepted {
    /// The upstream certainly has not taken it: never sent, or refused.
    Refused,
    /// Sent, and no reply: it may have been taken and paid for.
    Unknown,
}

/// A captcha that the upstream accepted.
#[derive(Clone, Debug)]
pub struct CaptchaRecord {
    pub id: CaptchaId,
    /// The name of the client that owns it.
    pub client: String,
    pub method: Method,
    pub uploaded_at: Timestamp,
    pub solution: Option<Solution>,
    /// When the answer was there.
    pub solved_at: Option<Timestamp>,
    pub report: Option<Verdict>,
    /// By what its upload is known when it comes again; none for one that an older version kept.
    pub repeat: Option<Repeat>,
    /// Whether its client is known to have been told the id.
    pub is_delivered: bool,
}

/// One change of what must survive.
#[derive(Clone, Debug)]
pub enum Change {
    Submitting(Intent),
    Accepted {
        intent: IntentId,
        id: CaptchaId,
        at: Timestamp,
        repeat: Option<Repeat>,
    },
    /// The client was told the id.
    Delivered {
        id: CaptchaId,
    },
    NotAccepted {
        intent: IntentId,
        how: NotAccepted,
        at: Timestamp,
    },
    Solved {
        id: CaptchaId,
        solution: Solution,
        at: Timestamp,
    },
    Priced {
        id: CaptchaId,
        price: String,
    },
    Reported {
        id: CaptchaId,
        verdict: Verdict,
        at: Timestamp,
    },
    PingbackAdded {
        client: String,
        address: String,
    },
    PingbackRemoved {
        client: String,
        address: String,
    },
    PingbacksCleared {
        client: String,
    },
    /// The client wants the captcha's outcome pushed. One whose outcome is known already stays as it is.
    DeliveryWanted {
        id: CaptchaId,
        client: String,
        target: String,
        at: Timestamp,
    },
    /// The outcome is known since `at`, and has to be pushed; this says all of it, whatever was kept before.
    DeliveryDue {
        id: CaptchaId,
        client: String,
        target: String,
        code: Bytes,
        at: Timestamp,
    },
    /// It was taken, or is no longer wanted.
    DeliveryOver {
        id: CaptchaId,
    },
    /// It was given up; of these, [`deliveries::DEAD_MAX`] stay, for [`deliveries::DEAD_KEPT`].
    DeliveryDead {
        id: CaptchaId,
        why: String,
        at: Timestamp,
    },
    /// An operator has stopped a client, or has let it go on.
    ClientStopped {
        client: String,
        is_stopped: bool,
    },
    /// All budgets, as one serialised value; the last one stays.
    Budgets(String),
    /// The account's balance was read. Of each hour, the first reading stays and the last.
    Balance(Reading),
    /// Captchas uploaded before this moment leave; their usage stays, for as many days as the store was told. Dead
    /// deliveries leave in their time.
    Forget {
        uploaded_before: Timestamp,
    },
}

/// All that a store holds, at the start.
#[derive(Clone, Debug, Default)]
pub struct Recovered {
    pub captchas: Vec<CaptchaRecord>,
    /// Uploads that were about to be sent when the process ended, or had no reply: nobody knows what became of them.
    pub unknown: Vec<Intent>,
    /// Addresses for pingback, by the client's name.
    pub pingbacks: Vec<(String, String)>,
    pub deliveries: Vec<Delivery>,
    /// The clients that an operator has stopped, by name.
    pub stopped: Vec<String>,
    /// All budgets, as they were kept last.
    pub budgets: Option<String>,
    /// The last reading of the account's balance.
    pub reading: Option<Reading>,
}

impl Recovered {
    /// The clock was set back by so much: what is under way goes on as if no time had passed.
    pub fn shift_back(&mut self, by: Duration) {
        for captcha in &mut self.captchas {
            captcha.uploaded_at = captcha.uploaded_at - by;
            captcha.solved_at = captcha.solved_at.map(|at| at - by);
        }
        for delivery in &mut self.deliveries {
            delivery.since = delivery.since - by;
        }
    }
}

/// What was used and what was paid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    pub usage: UsageTable,
    /// In the order of time.
    pub readings: Vec<Reading>,
}

/// Keeps changes.
pub trait Store: Send + Sync + 'static {
    /// Everything kept so far. For the start: uploads that are about to be sent count as unknown from now on.
    fn load(&self) -> BoxFuture<'_, Result<Recovered, StoreError>>;

    /// Keeps `change`; it is durable when this returns.
    fn commit(&self, change: Change) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Usage and readings of the days from `since` on, with captchas which are not forgotten yet. One that was uploaded
    /// before `open_since` gets no answer any more, and an upload that was about to be sent then is unknown.
    fn ledger(&self, since: Day, open_since: Timestamp) -> BoxFuture<'_, Result<Ledger, StoreError>>;
}
