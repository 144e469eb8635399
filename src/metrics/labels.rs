//! The values of labels: what can happen, as closed lists, so that no text or id becomes a label.

/// How an upload ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UploadOutcome {
    Accepted,
    /// It came again, and was told the id that it had: nothing was bought.
    Again,
    /// Wrong by every reading of the documentation; no upstream call.
    RefusedHere,
    /// The client's own settings forbid it; no upstream call.
    Denied,
    /// The upstream's own code was passed on.
    RefusedUpstream,
    /// Its turn did not come in time.
    NotInTime,
    /// Sent, and no reply that could be read.
    Unknown,
    /// The store could not remember it.
    StoreDown,
}

impl UploadOutcome {
    #[must_use]
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Again => "again",
            Self::RefusedHere => "refused_here",
            Self::Denied => "denied",
            Self::RefusedUpstream => "refused_upstream",
            Self::NotInTime => "not_in_time",
            Self::Unknown => "unknown",
            Self::StoreDown => "store_down",
        }
    }
}

/// How a captcha ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CaptchaOutcome {
    Solved,
    Failed,
    Expired,
}

impl CaptchaOutcome {
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Solved => "solved",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }
}

/// Who says what an answer costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CostBasis {
    /// The upstream told the price with the answer.
    Told,
    /// The settings' price for the method.
    Estimated,
}

impl CostBasis {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Estimated => "estimated",
        }
    }
}

/// What a client's poll was told about one captcha.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PollOutcome {
    Answer,
    NotReady,
    /// The captcha ended without an answer.
    Failed,
    /// An id that is malformed, foreign, unknown or too old.
    WrongId,
}

impl PollOutcome {
    pub(super) const ALL: [Self; 4] = [Self::Answer, Self::NotReady, Self::Failed, Self::WrongId];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Answer => "answer",
            Self::NotReady => "not_ready",
            Self::Failed => "failed",
            Self::WrongId => "wrong_id",
        }
    }
}

/// How a call to the upstream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallOutcome {
    /// Carried out.
    Done,
    /// One code for the whole call.
    Code,
    /// A batch with another number of pieces than ids.
    Mismatch,
    /// A body that is neither an answer nor a code.
    Garbage,
    /// A status other than 200.
    Status,
    NotSent,
    Lost,
}

impl CallOutcome {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Code => "code",
            Self::Mismatch => "mismatch",
            Self::Garbage => "garbage",
            Self::Status => "status",
            Self::NotSent => "not_sent",
            Self::Lost => "lost",
        }
    }
}

/// How a reload of the settings ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReloadOutcome {
    Applied,
    /// Nothing that a reload may change was another.
    Unchanged,
    /// The settings had faults; nothing was changed.
    Faulty,
}

impl ReloadOutcome {
    pub(super) const ALL: [Self; 3] = [Self::Applied, Self::Unchanged, Self::Faulty];

    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Faulty => "faulty",
        }
    }
}

/// What a client calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientCall {
    Upload,
    Poll,
    PollMany,
    Report,
    Balance,
    Stats,
    Pingback,
    /// A call to res.php that is none of these.
    Wrong,
}

impl ClientCall {
    pub(super) const ALL: [Self; 8] = [
        Self::Upload,
        Self::Poll,
        Self::PollMany,
        Self::Report,
        Self::Balance,
        Self::Stats,
        Self::Pingback,
        Self::Wrong,
    ];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Poll => "poll",
            Self::PollMany => "poll_many",
            Self::Report => "report",
            Self::Balance => "balance",
            Self::Stats => "stats",
            Self::Pingback => "pingback",
            Self::Wrong => "wrong",
        }
    }
}

/// How a poll was served; either way from memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Served {
    AtOnce,
    /// It waited, and was told when there was an answer or the wait was over.
    Held,
}

impl Served {
    pub(super) const ALL: [Self; 2] = [Self::AtOnce, Self::Held];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::AtOnce => "at_once",
            Self::Held => "held",
        }
    }
}

/// What came of a push by the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PushOutcome {
    /// It told an answer.
    Taken,
    /// It told one before the reply to its upload had come.
    Early,
    /// It is no whole answer: its captcha was looked at.
    Looked,
    /// The answer was known, or the captcha's time was over.
    Late,
    /// Of a captcha that nobody here uploaded.
    Unknown,
    Malformed,
    /// There were too many at once.
    Dropped,
}

impl PushOutcome {
    pub(super) const ALL: [Self; 7] =
        [Self::Taken, Self::Early, Self::Looked, Self::Late, Self::Unknown, Self::Malformed, Self::Dropped];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Early => "early",
            Self::Looked => "looked",
            Self::Late => "late",
            Self::Unknown => "unknown",
            Self::Malformed => "malformed",
            Self::Dropped => "dropped",
        }
    }
}

/// How a call with a key that is no client's was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StrangerAnswered {
    AtOnce,
    /// After a while.
    Held,
    /// At once, and its connection was closed.
    Closed,
}

impl StrangerAnswered {
    pub(super) const ALL: [Self; 3] = [Self::AtOnce, Self::Held, Self::Closed];

    pub const fn label(self) -> &'static str {
        match self {
            Self::AtOnce => "at_once",
            Self::Held => "held",
            Self::Closed => "closed",
        }
    }
}
