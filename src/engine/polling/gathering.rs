//! Captchas that are due together, put into one call: how many there is room for, and where fences stand.

use crate::clock::Timestamp;
use crate::engine::captcha::LookForm;
use crate::engine::fences::Fences;
use crate::protocol::ids::CaptchaId;

use super::look_call::LookCall;

/// A batch that is being filled.
#[derive(Debug)]
pub(super) struct Gathering {
    typed: Vec<CaptchaId>,
    plain: Vec<CaptchaId>,
    /// Most ids in the call: the batch size in use, or what one of the captchas allows.
    ids_max: usize,
    /// Fences that stand by; without any, the batch goes without.
    fences: usize,
}

impl Gathering {
    pub const fn begin(batch_size: usize, fences: usize) -> Self {
        Self { typed: Vec::new(), plain: Vec::new(), ids_max: batch_size, fences }
    }

    /// A fence between every two captchas with typed answers, and one between them and the others.
    fn fences_for(&self, typed: usize, plain: usize) -> usize {
        if self.fences == 0 {
            return 0;
        }
        typed.saturating_sub(1) + usize::from(typed > 0 && plain > 0)
    }

    /// Whether there is room for one more, in a call of at most `ids_max`.
    pub fn takes(&self, is_typed: bool, ids_max: usize) -> bool {
        let typed = self.typed.len() + usize::from(is_typed);
        let plain = self.plain.len() + usize::from(!is_typed);
        let fences = self.fences_for(typed, plain);
        let fits = typed + plain + fences <= self.ids_max.min(ids_max);
        (self.typed.is_empty() && self.plain.is_empty()) || (fits && fences <= self.fences)
    }

    pub fn add(&mut self, id: CaptchaId, is_typed: bool, ids_max: usize) {
        if is_typed {
            self.typed.push(id);
        } else {
            self.plain.push(id);
        }
        self.ids_max = self.ids_max.min(ids_max);
    }

    /// The call, if there is anything to look at.
    pub fn close(mut self, batch_size: usize, fences: &mut Fences, now: Timestamp) -> Option<LookCall> {
        let wanted = self.fences_for(self.typed.len(), self.plain.len());
        if wanted == 0 {
            // In ascending order, for an upstream that sorts its reply by id is not ruled out.
            let mut ids = self.typed;
            ids.append(&mut self.plain);
            ids.sort_unstable();
            if let [id] = ids[..] {
                return Some(LookCall::alone(id, LookForm::Plain));
            }
            let first = *ids.first()?;
            let is_full = ids.len() >= batch_size;
            return Some(LookCall { ids, is_full, ..LookCall::alone(first, LookForm::Batch) });
        }
        self.typed.sort_unstable();
        self.plain.sort_unstable();
        let mut call = LookCall { ids: Vec::new(), ..LookCall::alone(self.typed[0], LookForm::Batch) };
        for id in self.typed {
            call.ids.push(id);
            if call.fences.len() < wanted
                && let Some(fence) = fences.take(now)
            {
                call.fences.push((call.ids.len(), fence.clone()));
                call.ids.push(fence.id);
            }
        }
        call.ids.append(&mut self.plain);
        // One more with a typed answer would bring its fence along.
        call.is_full = call.ids.len() + 1 >= batch_size;
        Some(call)
    }
}
