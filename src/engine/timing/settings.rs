//! What the settings and the documentation say about when to look.

use std::time::Duration;

use super::Kind;
use crate::protocol::methods::{FirstLook, Method};

/// How long workers have, in intervals of 5 s: 90 s, and 300 s for reCAPTCHA v2 (protocol.md 3.5).
const DEADLINE_INTERVALS: u32 = 18;
const DEADLINE_INTERVALS_RECAPTCHA: u32 = 60;

/// The settings of `[polling]` that decide when to look.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Shortest time between two looks at one captcha.
    pub interval: Duration,
    pub first_look: Duration,
    pub first_look_token: Duration,
    /// Most ids in one call.
    pub max_ids: usize,
}

impl Timing {
    /// The documented minimum from the upload to the first look.
    #[must_use]
    pub const fn earliest_look(&self, method: Method) -> Duration {
        match method.first_look() {
            FirstLook::Image => self.first_look,
            FirstLook::Token => self.first_look_token,
        }
    }

    /// From the upload to the first look, as long as nothing is known.
    #[must_use]
    pub fn first_look_of(&self, kind: Kind) -> Duration {
        if kind.is_pushed { self.deadline(kind.method) } else { self.earliest_look(kind.method) }
    }

    /// When the workers have given up at the latest; shorter with a simulator whose time runs faster.
    #[must_use]
    pub fn deadline(&self, method: Method) -> Duration {
        let intervals = match method {
            Method::RecaptchaV2 | Method::RecaptchaCookies => DEADLINE_INTERVALS_RECAPTCHA,
            _ => DEADLINE_INTERVALS,
        };
        self.earliest_look(method).max(self.interval * intervals)
    }
}
