//! When an answer can be expected, learned from the looks themselves.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `settings` | what the settings and the documentation say about when to look |
//! | `estimate` | how long captchas of one kind take, as far as looks can tell |
//! | `plan` | when to look at one captcha, so that its client waits as little as the looks are worth |
//! | `times` | an estimate and a plan for each method, and for each page whose captchas take another time |
//!
//! The bounds come first: no look before the documented minimum, none within `polling.interval` of the one before.
//! Between them, a look is made when it shortens waiting by more than it is worth. Until a method is known, and for a
//! captcha that takes longer than nearly all others, looks come as the documentation advises. A new process knows
//! nothing.

mod estimate;
mod plan;
mod settings;
mod times;

pub use estimate::Estimate;
pub use plan::Plan;
pub use settings::Timing;
pub use times::{PAGES_MAX, Times};

use crate::protocol::methods::Method;
use crate::protocol::page::Page;

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

#[cfg(test)]
mod tests;
