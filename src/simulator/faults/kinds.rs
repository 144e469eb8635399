//! What can go wrong with a call, and what each fault leaves of it.

use std::fmt;

use crate::protocol::{ErrorCode, Reaction};

/// Which script a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    InPhp,
    ResPhp,
    LoadPhp,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// An HTML page with status 200; nothing is taken.
    Html,
    /// An HTML page with status 500; nothing is taken.
    Html500,
    /// An HTML page with status 502; nothing is taken.
    Html502,
    /// An HTML page with status 521; nothing is taken.
    Html521,
    /// The call is carried out and its reply never comes.
    Hang,
    /// The connection ends before the call is carried out.
    ResetBefore,
    /// The call is carried out (an upload is accepted and charged), then the connection ends without a reply.
    ResetAfter,
    /// The call is carried out; the reply is noise.
    Garbage,
    /// The call is carried out; the reply is empty.
    Empty,
    /// The call is carried out; the connection ends in the middle of the reply's body.
    Truncated,
    /// The call is carried out; the reply comes late (switch `slow_ms`).
    Slow,
    /// A body without end; nothing is taken.
    Endless,
    /// A batch comes back with fewer pieces than ids.
    ShortBatch,
    /// The answer is not pushed.
    PushLost,
    /// The answer is pushed twice.
    PushTwice,
    /// The answer is pushed late (switch `slow_ms`).
    PushLate,
    /// The captcha is solved at once, and its answer is pushed before the reply to its upload leaves.
    PushEarly,
    /// A captcha that nobody uploaded is pushed, and then the answer.
    PushForeign,
    /// A code that no description has.
    UnknownCode,
    /// A code of the table. One that ends a captcha is decided at its upload and told as its answer; a block's code
    /// begins that block; any other is the reply to the call.
    Code(ErrorCode),
}

/// The code that [`FaultKind::UnknownCode`] sends.
pub const UNKNOWN_CODE: &str = "ERROR_NEVER_SEEN_BEFORE";

#[rustfmt::skip]
const NAMES: &[(&str, FaultKind)] = &[
    ("html",         FaultKind::Html),
    ("html_500",     FaultKind::Html500),
    ("html_502",     FaultKind::Html502),
    ("html_521",     FaultKind::Html521),
    ("hang",         FaultKind::Hang),
    ("reset_before", FaultKind::ResetBefore),
    ("reset_after",  FaultKind::ResetAfter),
    ("garbage",      FaultKind::Garbage),
    ("empty",        FaultKind::Empty),
    ("truncated",    FaultKind::Truncated),
    ("slow",         FaultKind::Slow),
    ("endless",      FaultKind::Endless),
    ("short_batch",  FaultKind::ShortBatch),
    ("push_lost",    FaultKind::PushLost),
    ("push_twice",   FaultKind::PushTwice),
    ("push_late",    FaultKind::PushLate),
    ("push_early",   FaultKind::PushEarly),
    ("push_foreign", FaultKind::PushForeign),
    ("unknown_code", FaultKind::UnknownCode),
    ("unsolvable",   FaultKind::Code(ErrorCode::Unsolvable)),
    ("no_slot",      FaultKind::Code(ErrorCode::NoSlotAvailable)),
    ("zero_balance", FaultKind::Code(ErrorCode::ZeroBalance)),
    ("wrong_key",    FaultKind::Code(ErrorCode::KeyDoesNotExist)),
];

impl FaultKind {
    /// Every name beside those of codes.
    #[cfg(test)]
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().map(|(name, _)| *name)
    }

    /// The kind that is written so; a code of the table is one, too.
    pub fn named(name: &str) -> Option<Self> {
        let named = NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        named.or_else(|| ErrorCode::parse(name.as_bytes()).map(Self::Code))
    }

    /// The HTTP status and title of the page, for the page faults.
    pub const fn page(self) -> Option<(u16, &'static str)> {
        match self {
            Self::Html => Some((200, "Site maintenance")),
            Self::Html500 => Some((500, "500 Internal Server Error")),
            Self::Html502 => Some((502, "502 Bad Gateway")),
            Self::Html521 => Some((521, "Web server is down")),
            _ => None,
        }
    }

    /// Whether the captcha of an upload ends with it.
    pub fn ends_captcha(self) -> bool {
        matches!(self, Self::Code(code) if code.reaction() == Reaction::EndCaptcha)
    }

    /// Whether it decides how an answer is pushed.
    pub const fn spoils_push(self) -> bool {
        matches!(
            self,
            Self::PushLost | Self::PushTwice | Self::PushLate | Self::PushEarly | Self::PushForeign
        )
    }

    /// Whether it hits a call as a whole, whatever the call says.
    pub fn hits_call(self) -> bool {
        self != Self::ShortBatch && !self.ends_captcha() && !self.spoils_push()
    }

    /// Whether the call is not carried out.
    pub const fn prevents(self) -> bool {
        self.page().is_some() || matches!(self, Self::ResetBefore | Self::Endless)
    }

    /// Whether the sender does not get to read the reply.
    pub const fn loses_reply(self) -> bool {
        self.prevents()
            || matches!(self, Self::Hang | Self::ResetAfter | Self::Garbage | Self::Empty | Self::Truncated)
    }

    /// The calls that it hits when none are named.
    pub fn is_natural_on(self, endpoint: Endpoint) -> bool {
        match self {
            Self::ShortBatch => endpoint == Endpoint::ResPhp,
            Self::Code(ErrorCode::NoSlotAvailable | ErrorCode::ZeroBalance) => endpoint == Endpoint::InPhp,
            Self::Code(_) if self.ends_captcha() => endpoint == Endpoint::InPhp,
            _ if self.spoils_push() => endpoint == Endpoint::InPhp,
            Self::Code(_) | Self::UnknownCode => endpoint != Endpoint::LoadPhp,
            _ => true,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, kind)| kind == self).map(|(name, _)| *name);
        match (name, self) {
            (Some(name), _) => f.write_str(name),
            (None, Self::Code(code)) => f.write_str(code.as_str()),
            (None, other) => write!(f, "{other:?}"),
        }
    }
}
