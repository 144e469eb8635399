//! A call to the upstream, as the block rules see it, and how it ended.

use serde::{Deserialize, Serialize};

use crate::protocol::Code;

/// A call to the upstream, as the block rules see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallKind {
    /// in.php.
    Upload,
    /// res.php, `get` of one or several captchas; `last`: their last chance before the upstream forgets them, paid
    /// from the reserve.
    Look { ids: u32, last: bool },
    /// res.php, `reportgood` or `reportbad`.
    Report,
    /// Balance and statistics: they yield first.
    Balance,
    /// load.php: it carries no key and no rule counts it, so it says nothing of either.
    Load,
}

/// How a call to the upstream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// An upload that got its id.
    Accepted,
    /// Any other call that got what it asked for.
    Done,
    /// The upstream answered with a code, `CAPCHA_NOT_READY` among them. For a batch: its one code for the whole call.
    Code(Code),
    /// Not one byte can have reached the upstream.
    NotSent,
    /// A page that holds what was asked for, and says nothing of the key: statistics, load.
    Page,
    /// A whole reply that is no answer and no code: an error page or noise in the place of both. The call may have been
    /// carried out, and its refusal counted.
    NoCode,
    /// No whole reply: the upstream may have done anything with the call.
    Unknown,
}
