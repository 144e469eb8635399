//! What a call that came back means for its captchas.

use std::time::Duration;

use super::{BATCH_SIZE_MIN, Effect, LookCall, Looked, Polling};
use crate::clock::Timestamp;
use crate::engine::captcha::{Captcha, Learned};
use crate::engine::proof::{Place, certain};
use crate::protocol::answer::{Answer, Solution};
use crate::protocol::errors::Code;
use crate::protocol::ids::CaptchaId;
use crate::protocol::reply::{Batch, Look};

impl Polling {
    /// The call came back, at `now`. What is still open is looked at again `gap` later, never sooner than after the
    /// setting `interval`.
    pub fn settle(
        &mut self,
        call: LookCall,
        looked: Looked,
        gap: Duration,
        now: Timestamp,
    ) -> Vec<(CaptchaId, Effect)> {
        let mut effects = Vec::new();
        if matches!(looked, Looked::One(Look::NotReady | Look::Solved(_)) | Looked::Many(Batch::Pieces(_))) {
            self.last_success = Some(now);
        }
        let mut out_of_place = Vec::new();
        match looked {
            Looked::One(look) => self.take_piece(&call, call.ids[0], look, now, &mut effects),
            Looked::Many(Batch::Pieces(looks)) => {
                out_of_place = self.take_pieces(&call, looks, now, &mut effects);
            }
            Looked::Many(Batch::Mismatch { .. }) => self.halve(&call),
            Looked::Many(Batch::Account(Code::Known(_))) => {}
            Looked::Many(Batch::Account(Code::Unknown(_)) | Batch::Garbage) | Looked::Failed => {
                let others_succeed =
                    self.last_success.is_some_and(|at| now.since(at) <= self.timing.interval * 2);
                for (_, id) in call.captchas() {
                    effects.extend(
                        self.learn(id, |captcha| captcha.learn_nothing(call.ids.len(), others_succeed)),
                    );
                }
            }
        }
        let earliest = now + self.timing.interval;
        self.times.set_gap(gap);
        let together = call.captchas().filter(|(_, id)| self.open.contains_key(id)).count();
        for (_, id) in call.captchas() {
            if let Some(captcha) = self.open.get_mut(&id).filter(|_| call.is_last) {
                captcha.last_look_made();
            }
            match self.open.get(&id) {
                Some(captcha) if captcha.is_over() => self.close(id),
                _ => self.place_again(id, earliest, earliest.max(now + gap), together),
            }
        }
        if !call.fences.is_empty() && out_of_place.len() == call.fences.len() {
            self.fences.rest(now);
        }
        for (place, fence) in call.fences {
            let id = fence.id;
            if out_of_place.contains(&place) {
                self.fences.drop_one(&fence);
            } else {
                self.fences.looked_at(fence, earliest);
            }
            self.release_reopened(id, now);
        }
        effects
    }

    /// Takes what is certain of a batch with as many pieces as ids. Returns the places of fences that do not stand there.
    fn take_pieces(
        &mut self,
        call: &LookCall,
        looks: Vec<Look>,
        now: Timestamp,
        effects: &mut Vec<(CaptchaId, Effect)>,
    ) -> Vec<usize> {
        let is_typed = |id: &CaptchaId| self.open.get(id).is_some_and(Captcha::is_free_text);
        let place_of = |(place, id): (usize, &CaptchaId)| match call.fence_at(place) {
            Some(fence) => Place::Fence(&fence.piece),
            None if is_typed(id) => Place::Typed,
            None => Place::Plain,
        };
        let places: Vec<Place<'_>> = call.ids.iter().enumerate().map(place_of).collect();
        let certain = certain(&places, &looks);
        let is_out = |place: &usize| !places[*place].is_fence_in_place(&looks[*place]);
        let out_of_place: Vec<usize> = call.fences.iter().map(|(place, _)| *place).filter(is_out).collect();
        if call.is_full && certain.iter().all(|is_certain| *is_certain) {
            self.batch_size = (self.batch_size + 1).min(self.timing.max_ids);
        }
        for ((place, id), look) in call.ids.iter().copied().enumerate().zip(looks) {
            let Some(captcha) = self.open.get_mut(&id).filter(|_| call.fence_at(place).is_none()) else {
                continue;
            };
            if certain[place] {
                captcha.matched();
                self.take_piece(call, id, look, now, effects);
            } else if !matches!(look, Look::NotReady) {
                captcha.doubt(!call.fences.is_empty());
            }
        }
        out_of_place
    }

    /// Takes what certainly is of one captcha. One that has its answer, and whose price nobody waits for, can be a fence from
    /// now on.
    fn take_piece(
        &mut self,
        call: &LookCall,
        id: CaptchaId,
        look: Look,
        now: Timestamp,
        effects: &mut Vec<(CaptchaId, Effect)>,
    ) {
        let Some(captcha) = self.open.get_mut(&id) else { return };
        if matches!(look, Look::NotReady) {
            captcha.was_unsolved(call.at);
        }
        let (kind, uploaded_at) = (captcha.kind(), captcha.uploaded_at());
        // What was pushed has taught it already.
        let unsolved_at = (!captcha.is_known_solved()).then_some(captcha.unsolved_at());
        let text = match &look {
            Look::Solved(Solution { answer: Answer::Text(text), .. }) => Some(text.clone()),
            _ => None,
        };
        let effect = self.learn(id, |captcha| captcha.learn(look));
        if let (Some(unsolved_at), Some((_, Effect::Solved(solution)))) = (unsolved_at, &effect)
            && !solution.answer.is_failed()
        {
            self.times.looked(kind, unsolved_at, now.since(uploaded_at));
            if kind.is_pushed {
                self.outruns(id);
            }
        }
        effects.extend(effect);
        let is_over = !self.open.contains_key(&id);
        if let (true, Some(text)) = (is_over, text) {
            self.fences.add(id, &text, uploaded_at, now + self.timing.interval);
        }
    }

    fn halve(&mut self, call: &LookCall) {
        self.batch_size = (self.batch_size / 2).max(BATCH_SIZE_MIN).min(self.timing.max_ids);
        for (_, id) in call.captchas() {
            if let Some(captcha) = self.open.get_mut(&id) {
                captcha.mismatched(call.ids.len());
            }
        }
    }

    /// Lets a captcha learn. It leaves `open` when that was the last.
    fn learn(
        &mut self,
        id: CaptchaId,
        learn: impl FnOnce(&mut Captcha) -> Learned,
    ) -> Option<(CaptchaId, Effect)> {
        match learn(self.open.get_mut(&id)?) {
            Learned::Nothing => None,
            Learned::More(effect) => Some((id, effect)),
            Learned::Last(effect) => {
                self.close(id);
                Some((id, effect))
            }
        }
    }
}
