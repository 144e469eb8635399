//! What clients' polls find, held against what was promised to whoever read `OK|id`.

use std::time::Duration;

use capgate::driver::answers::Found;
use capgate::protocol::{Answer, CaptchaId, Solution};

use super::promises::Promise;
use super::world::{Paid, World};

/// How long before the last poll the answer must have been ready: the look that is kept for it comes ten seconds before
/// the end, a second late at most, and the poll three.
const READY_FOR: Duration = Duration::from_secs(8);
/// How long the upstream must have been reachable by then: a look that hangs is given up after half a minute.
const REACHABLE_FOR: Duration = Duration::from_secs(35);
/// How long an answer that reached the gateway may be on its way to the store and to whoever polls.
const TOLD_WITHIN: Duration = Duration::from_secs(2);
/// So many codes in a row that nobody knows are taken for a captcha's end.
const STRANGE_CODES: u32 = 12;

impl World {
    /// Judges what a poll found; true when it was an answer. `is_last`: the captcha's time is almost over.
    pub fn is_answered(&mut self, id: CaptchaId, found: &Found, is_last: bool) -> bool {
        let is_behind = self.is_behind();
        self.step();
        match found {
            Found::Solved(solution) => {
                self.note(format_args!("{id}: its client reads {:?}", solution.answer.plain()));
                self.judge(id, solution, is_behind);
                self.tally.count("answers read");
                return true;
            }
            Found::Nothing => {
                self.broke(Promise::NothingLost, format!("{id} is forgotten before its time"));
            }
            Found::NotReady | Found::PriceMissing { .. } if is_last => self.judge_unanswered(id),
            Found::NotReady | Found::PriceMissing { .. } => {}
        }
        false
    }

    /// Whether what the process knows waits behind what the disk refused before.
    fn is_behind(&self) -> bool {
        self.life.driver.as_ref().is_some_and(|driver| driver.keeper.is_behind())
    }

    fn judge(&mut self, id: CaptchaId, solution: &Solution, is_behind: bool) {
        let is_known = self.disk.solved.contains(&id.0) || self.disk.refused.contains(&id.0);
        if !is_known && is_behind {
            self.disk.refused.insert(id.0);
        } else if !is_known {
            self.broke(Promise::StoredBeforeTold, format!("{id}'s answer is told and not stored"));
        }
        let Some(Paid { expected, .. }) = self.paid.get(&id.0).cloned() else { return };
        let now = self.clock.now();
        let was_strange = self.was_strange(id);
        let Some(captcha) = self.model.captcha(id, now) else { return };
        let is_over = captcha.ready_at <= now;
        let wrong = match &solution.answer {
            Answer::Failed(code) => {
                let is_true = is_over && code.known().is_some() && code.known() == captcha.ends_with;
                (!is_true && !was_strange).then(|| format!("{id} is told to have ended with {code}"))
            }
            Answer::Text(text) => {
                (!is_over || *text != expected.plain).then(|| format!("{id} is answered with {text:?}"))
            }
            Answer::Json { request, .. } => {
                let is_right = is_over && request.get() == expected.request;
                (!is_right).then(|| format!("{id} is answered with {}", request.get()))
            }
        };
        let price = captcha.price.to_string();
        if let Some(how) = wrong {
            self.broke(Promise::RightAnswer, how);
        } else if solution.price.as_ref().is_some_and(|told| *told != price) {
            self.broke(Promise::RightAnswer, format!("{id} has the price {:?}", solution.price));
        }
    }

    /// So many looks at it brought codes that nobody knows that the last of them counts as its end.
    pub fn was_strange(&self, id: CaptchaId) -> bool {
        self.strange_codes.get(&id.0).is_some_and(|times| *times >= STRANGE_CODES)
    }

    /// No answer, and its time is almost over: was there a chance to get it?
    fn judge_unanswered(&mut self, id: CaptchaId) {
        let now = self.clock.now();
        let Some(captcha) = self.model.captcha(id, now) else { return };
        let (ready_at, uploaded_at) = (captcha.ready_at, captcha.uploaded_at);
        if let Some(shown_at) = self.shown.get(&id.0) {
            if (*shown_at).max(self.disk.stalled_until) + TOLD_WITHIN > now {
                self.tally.count("not kept in time");
            } else {
                self.broke(Promise::NothingLost, format!("{id}'s answer has come and is not told"));
            }
        } else if ready_at + READY_FOR > now {
            self.tally.count("not solved in time");
        } else if self.clear_since().is_none_or(|since| since + REACHABLE_FOR > now) {
            self.tally.count("unreachable in their last minute");
        } else {
            let how = format!("{id} of {uploaded_at} was ready at {ready_at} and could be asked for");
            self.broke(Promise::NothingLost, how);
        }
    }

    /// An answer was read before, and the client asks again.
    pub fn answer_is_read_again(&mut self, id: CaptchaId, found: &Found) {
        match found {
            Found::Solved(solution) => self.judge(id, solution, self.is_behind()),
            // Told while the store was down, and then the process ended: it is looked for again.
            Found::NotReady | Found::PriceMissing { .. } if self.disk.refused.contains(&id.0) => {}
            _ => self.broke(Promise::Durable, format!("{id}'s answer is gone: {found:?}")),
        }
    }

    /// Somebody else asks for `id`.
    pub fn others_read(&mut self, id: CaptchaId, other: usize, found: &Found) {
        if !matches!(found, Found::Nothing) {
            self.broke(Promise::OwnCaptchasOnly, format!("client {other} reads {id}: {found:?}"));
        }
    }
}
