//! Outcomes that clients want pushed to their receivers.
//!
//! ```text
//! wanted (the captcha is open) -> due -> delivered: gone
//!                                     -> dead: kept for a while, for operators
//! ```

use std::time::Duration;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::protocol::ids::CaptchaId;

/// Most dead deliveries that are kept; the oldest leave.
pub const DEAD_MAX: usize = 1_000;
/// How long a dead delivery is kept.
pub const DEAD_KEPT: Duration = Duration::from_hours(7 * 24);

/// An outcome that a client wants pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub id: CaptchaId,
    /// The client's name.
    pub client: String,
    /// The URL that the client gave.
    pub target: String,
    /// The captcha's upload; once the outcome is known, that moment.
    pub since: Timestamp,
    /// The answer or the code that the captcha ended with; none while it is open.
    pub code: Option<Bytes>,
    pub dead: Option<Dead>,
}

/// Why a delivery was given up, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dead {
    pub at: Timestamp,
    pub why: String,
}
