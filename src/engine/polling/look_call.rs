//! Calls that look at captchas.

use crate::clock::Timestamp;
use crate::engine::captcha::LookForm;
use crate::engine::fences::Fence;
use crate::protocol::ids::CaptchaId;
use crate::protocol::reply::{Batch, Look};

/// One call to the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookCall {
    /// In the order in which they are asked for, fences among them.
    pub ids: Vec<CaptchaId>,
    /// Those of the ids whose answers are known already, and where they stand.
    pub fences: Vec<(usize, Fence)>,
    pub form: LookForm,
    /// When it was planned, which is before it is sent.
    pub at: Timestamp,
    /// Whether it is the look that is kept for its captcha until the end.
    pub is_last: bool,
    /// Whether it holds as many ids as the batch size in use.
    pub is_full: bool,
}

impl LookCall {
    /// A call that looks at one captcha.
    #[must_use]
    pub fn alone(id: CaptchaId, form: LookForm) -> Self {
        Self {
            ids: vec![id],
            fences: Vec::new(),
            form,
            at: Timestamp::default(),
            is_last: false,
            is_full: false,
        }
    }

    /// The fence at a place of `ids`, if there is one.
    #[must_use]
    pub fn fence_at(&self, place: usize) -> Option<&Fence> {
        let nth = self.fences.binary_search_by_key(&place, |(at, _)| *at).ok()?;
        Some(&self.fences[nth].1)
    }

    /// The captchas whose answers it asks for, with their places in `ids`.
    pub fn captchas(&self) -> impl Iterator<Item = (usize, CaptchaId)> {
        self.ids.iter().copied().enumerate().filter(|(place, _)| self.fence_at(*place).is_none())
    }
}

/// What came of a call.
#[derive(Clone, Debug)]
pub enum Looked {
    One(Look),
    Many(Batch),
    /// No reply that could be read.
    Failed,
}
