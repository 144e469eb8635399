//! Why an upload got no id.

use crate::engine::refusal;
use crate::engine::{Denied, QueueLimit};
use crate::metrics::UploadOutcome;
use crate::protocol::errors::Code;
use crate::protocol::submit::WrongCall;

/// Why an upload got no id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Wrong by every reading of the documentation; no upstream call.
    Wrong(WrongCall),
    /// The upstream's own code, and its explanation.
    Upstream {
        code: Code,
        text: Option<String>,
    },
    /// The client's own settings forbid it.
    Denied(Denied),
    /// Its turn did not come in time, for this reason.
    NotNow(refusal::Refusal),
    /// Its turn did not come in time, because of those before it.
    NotInTime,
    QueueFull(QueueLimit),
    /// Too many uploads have a name that is remembered; one without a name is not refused.
    KeysFull,
    /// The client waits for too many pingbacks; an upload without one is not refused.
    PingbacksFull,
    /// The upstream refuses connections.
    Unreachable,
    /// The client uploads faster than its `rate`.
    TooFast,
    /// A reload has removed the client while it waited.
    ClientRemoved,
    /// The client closed its connection while it waited; nobody reads this.
    HungUp,
    /// Sent, and no reply that could be read: it may have been taken.
    Unknown,
    /// What cannot be remembered is not bought.
    StoreDown,
    /// Bought when the store went down; its id is told once it is kept.
    NotKeptYet,
    Stopping,
}

impl Refusal {
    /// The reason as a metric's label: one of a closed list.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Wrong(_) => "wrong",
            Self::Upstream { .. } => "upstream",
            Self::Denied(denied) => denied.rule().label(),
            Self::NotNow(refusal) => refusal.why.label(),
            Self::NotInTime => "not_in_time",
            Self::QueueFull(_) => "queue_full",
            Self::KeysFull => "keys_full",
            Self::PingbacksFull => "pingbacks_full",
            Self::Unreachable => "unreachable",
            Self::TooFast => "rate",
            Self::ClientRemoved => "client_removed",
            Self::HungUp => "hung_up",
            Self::Unknown => "unknown",
            Self::StoreDown | Self::NotKeptYet => "store_down",
            Self::Stopping => "stopping",
        }
    }

    /// More than the label says, for the log. Nothing in it comes from what the client sent, nor from the upstream's text,
    /// for the password of a proxy may stand there.
    pub(super) fn detail(&self) -> Option<String> {
        match self {
            Self::Wrong(wrong) => Some(wrong.reason.to_string()),
            Self::Upstream { code, .. } => Some(code.to_string()),
            Self::NotNow(refusal) => Some(refusal.to_string()),
            Self::QueueFull(limit) => Some(limit.to_string()),
            _ => None,
        }
    }

    pub(super) fn outcome(&self) -> UploadOutcome {
        match self {
            Self::Wrong(_) | Self::ClientRemoved => UploadOutcome::RefusedHere,
            Self::Upstream { .. } => UploadOutcome::RefusedUpstream,
            Self::Denied(_) => UploadOutcome::Denied,
            Self::NotNow(_)
            | Self::NotInTime
            | Self::Unreachable
            | Self::QueueFull(_)
            | Self::KeysFull
            | Self::PingbacksFull
            | Self::TooFast
            | Self::HungUp
            | Self::Stopping => UploadOutcome::NotInTime,
            Self::Unknown => UploadOutcome::Unknown,
            Self::StoreDown | Self::NotKeptYet => UploadOutcome::StoreDown,
        }
    }
}
