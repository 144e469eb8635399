//! Calls that look at captchas.

use crate::engine::captcha::{IdOrder, LookForm};
use crate::protocol::ids::CaptchaId;
use crate::protocol::reply::{Batch, Look};

/// One call to the upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookCall {
    pub ids: Vec<CaptchaId>,
    pub form: LookForm,
    /// How `ids` are sorted.
    pub order: IdOrder,
    /// Whether a captcha in it has no later chance to be looked at.
    pub is_last: bool,
    /// Whether it holds as many ids as the batch size in use.
    pub is_full: bool,
}

impl LookCall {
    /// The same looks in two calls; of one id only the first has any.
    #[must_use]
    pub fn halves(self) -> [Self; 2] {
        let half =
            |ids: &[CaptchaId]| Self { is_last: self.is_last, order: self.order, ..call_of(ids.to_vec()) };
        let (first, second) = self.ids.split_at(self.ids.len().div_ceil(2));
        [half(first), half(second)]
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

/// A call that looks at `ids`, together or, if it is one, alone.
pub(super) fn call_of(ids: Vec<CaptchaId>) -> LookCall {
    let form = if ids.len() == 1 { LookForm::Plain } else { LookForm::Batch };
    LookCall { ids, form, order: IdOrder::default(), is_last: false, is_full: false }
}
