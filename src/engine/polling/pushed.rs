//! What the upstream pushes of open captchas.

use bytes::Bytes;

use super::{Effect, OUTRUN_MAX, Polling};
use crate::clock::Timestamp;
use crate::engine::captcha::{Captcha, Learned};
use crate::protocol::ids::CaptchaId;

/// What came of a push.
#[derive(Clone, Debug)]
pub enum Pushed {
    /// Nobody waits for it: the answer is known, or the captcha's time is over.
    Late,
    /// It is looked at as soon as it may be, for what was pushed is not the whole answer.
    Looked,
    /// The answer; the captcha has ended, unless its client wants its price.
    Answered(Effect),
}

impl Polling {
    /// The upstream pushed `text` for a captcha.
    pub fn pushed(&mut self, id: CaptchaId, text: Bytes, now: Timestamp) -> Pushed {
        let is_awaited = |captcha: &&mut Captcha| captcha.waits_for_answer() && now < captcha.ends_at();
        let Some(captcha) = self.open.get_mut(&id).filter(is_awaited) else {
            self.was_outrun(id);
            return Pushed::Late;
        };
        let (kind, age, is_news) =
            (captcha.kind(), now.since(captcha.uploaded_at()), !captcha.is_known_solved());
        let learned = captcha.learn_push(text, now);
        let is_answer = match &learned {
            Learned::Nothing => captcha.is_known_solved(),
            Learned::More(Effect::Solved(solution)) | Learned::Last(Effect::Solved(solution)) => {
                !solution.answer.is_failed()
            }
            Learned::More(_) | Learned::Last(_) => false,
        };
        if is_news && is_answer {
            self.times.pushed(kind, age);
        }
        match learned {
            Learned::Nothing => {
                self.hurry(id, now);
                Pushed::Looked
            }
            Learned::More(effect) => {
                self.hurry(id, now);
                Pushed::Answered(effect)
            }
            Learned::Last(effect) => {
                // The reply to a look that is under way is read as if it were open: which piece is whose depends on all.
                let is_under_way = self.places.get(&id).is_some_and(|place| place.due.is_none());
                match self.open.get_mut(&id) {
                    Some(captcha) if is_under_way => captcha.leave_when_back(),
                    _ => self.close(id),
                }
                Pushed::Answered(effect)
            }
        }
    }

    /// A look found an answer that was to be pushed.
    pub(super) fn outruns(&mut self, id: CaptchaId) {
        if self.outrun.len() >= OUTRUN_MAX {
            self.outrun.pop_front();
        }
        self.outrun.push_back(id);
    }

    fn was_outrun(&mut self, id: CaptchaId) {
        if let Some(nth) = self.outrun.iter().position(|outrun| *outrun == id) {
            self.outrun.remove(nth);
            self.times.pushed_late();
        }
    }

    /// It is looked at as soon as it may be: not before `interval` has passed since the last look. The documented minimum
    /// after the upload does not hold, for there is an answer.
    fn hurry(&mut self, id: CaptchaId, now: Timestamp) {
        let Some(place) = self.places.get(&id).copied() else { return };
        let Some(due) = place.due else { return };
        let at = place.earliest.max(now);
        if at < due {
            self.put(id, at);
        }
    }
}
