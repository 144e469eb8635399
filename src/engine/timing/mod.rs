//! When an answer can be expected: what decides it, and when it is looked for first.

use std::time::Duration;

use crate::protocol::methods::{FirstLook, Method};
use crate::protocol::page::Page;

/// First look at a captcha whose answer is pushed, should it not have come: workers have 90 s (protocol.md 3.5).
const FIRST_LOOK_PUSHED: Duration = Duration::from_secs(90);

/// What tells when a captcha's answer can be expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    pub method: Method,
    /// Where it stands, if its upload says so.
    pub page: Option<Page>,
    /// Whether the upstream pushes its answer to us: looks are then for the pushes that get lost.
    pub is_pushed: bool,
}

impl From<Method> for Kind {
    fn from(method: Method) -> Self {
        Self { method, page: None, is_pushed: false }
    }
}

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

    /// From the upload to the first look.
    #[must_use]
    pub fn first_look_of(&self, kind: Kind) -> Duration {
        let earliest = self.earliest_look(kind.method);
        if kind.is_pushed { earliest.max(FIRST_LOOK_PUSHED) } else { earliest }
    }
}
