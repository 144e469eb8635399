//! When which captcha is looked at, and with which others.
//!
//! A captcha here is due, or in flight, until its answer is known or its 15 minutes are over; what looks teach about it
//! is [`super::captcha`]'s.
//!
//! Invariants, each with a test:
//! - No look starts before the method's documented minimum after the upload, nor within `interval` of the *reply* to the
//!   look before it; so the upstream sees at least `interval` between two looks at one captcha.
//! - One look at one captcha at a time.
//! - A batch reply with another number of pieces than ids assigns no answer. Its captchas are looked at in halves, down to
//!   alone, and the batch size in use halves; it grows by one on each full clean batch. One with as many pieces as ids
//!   is taken at its word only as far as [`super::trust`] allows; what is not believed is looked at again with the ids
//!   in the opposite order, and a last look, which has no second, is made alone.
//! - One look is kept for shortly before the 15 minutes end, however wide the spacing has become.
//!
//! Looks fall on a grid, always rounded up: captchas of many clients that come due near each other share a call.

mod grid;
mod look_call;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use super::captcha::{Captcha, LAST_LOOK_BEFORE_END, LIFETIME, Learned};
pub use super::captcha::{Effect, IdOrder, LookForm};
pub use look_call::{LookCall, Looked};

use super::timing::{Kind, Timing};
use super::trust::Trust;
use crate::clock::Timestamp;
use crate::protocol::errors::Code;
use crate::protocol::ids::CaptchaId;
use crate::protocol::methods::Method;
use crate::protocol::reply::{Batch, Look};
use grid::{GRID_MAX, grid, grid_after};
use look_call::call_of;

/// Batch size at the start (protocol.md 3.3: twelve worked where forty came back short).
pub const BATCH_SIZE_AT_START: usize = 12;
/// How long a look may take for another to be possible after an interval: with a grid's step, for looks fall on it.
const LOOK_TAKES: Duration = Duration::from_secs(3);

/// The open captchas and their looks.
#[derive(Debug)]
pub struct Polling {
    timing: Timing,
    batch_size: usize,
    trust: Trust,
    open: HashMap<CaptchaId, Captcha>,
    /// Captchas by the moment at which they are due, which is on the grid.
    due: BTreeMap<Timestamp, VecDeque<CaptchaId>>,
    /// When a look last brought something.
    last_success: Option<Timestamp>,
}

impl Polling {
    #[must_use]
    pub fn new(timing: Timing) -> Self {
        let batch_size = BATCH_SIZE_AT_START.min(timing.max_ids);
        Self {
            timing,
            batch_size,
            trust: Trust::default(),
            open: HashMap::new(),
            due: BTreeMap::new(),
            last_success: None,
        }
    }

    /// Takes new settings over; a look that is due already keeps its moment.
    pub fn set_timing(&mut self, timing: Timing) {
        self.timing = timing;
        self.batch_size = self.batch_size.min(timing.max_ids);
    }

    /// A captcha was accepted at `uploaded_at`; nobody knows of a look at it after `looked_at`, the moment of a restart
    /// for a captcha that was recovered.
    pub fn open(&mut self, id: CaptchaId, kind: Kind, uploaded_at: Timestamp, looked_at: Option<Timestamp>) {
        self.open.insert(id, Captcha::new(kind.method, uploaded_at));
        let first = uploaded_at + self.timing.first_look_of(kind);
        let earliest = looked_at.map_or(first, |looked_at| first.max(looked_at + self.timing.interval));
        self.schedule(id, earliest, earliest);
    }

    /// The client asked with `get2`: from now on the captcha is looked at for its price too. One that `is_solved` and
    /// was no longer looked at is looked at again.
    pub fn want_price(
        &mut self,
        id: CaptchaId,
        method: Method,
        uploaded_at: Timestamp,
        is_solved: bool,
        now: Timestamp,
    ) {
        if is_solved && !self.open.contains_key(&id) && now < uploaded_at + LIFETIME {
            self.open(id, method.into(), uploaded_at, Some(now));
        }
        if let Some(captcha) = self.open.get_mut(&id) {
            captcha.want_price(is_solved);
        }
    }

    /// Captchas that are still looked at.
    #[must_use]
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// Most ids in a call at present.
    #[must_use]
    pub const fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// When [`Self::plan`] has something to do next.
    #[must_use]
    pub fn next_at(&self) -> Timestamp {
        self.due.keys().next().copied().unwrap_or(Timestamp::NEVER)
    }

    /// The calls that are due: at most `calls_max`, and a last batch that is not full. Each captcha in one is in flight
    /// until [`Self::settle`] or [`Self::postpone`] gets the call back. Beside them, the captchas whose time is over.
    pub fn plan(&mut self, calls_max: usize, now: Timestamp) -> (Vec<LookCall>, Vec<(CaptchaId, Effect)>) {
        let (mut calls, mut over) = (Vec::new(), Vec::new());
        let mut batch: Vec<CaptchaId> = Vec::new();
        let mut batch_max = self.batch_size;
        let mut batch_is_last = false;
        while calls.len() < calls_max
            && let Some(mut bucket) = self.due.first_entry().filter(|bucket| *bucket.key() <= now)
        {
            let Some(id) = bucket.get_mut().pop_front() else {
                bucket.remove();
                continue;
            };
            let Some(captcha) = self.open.get_mut(&id) else {
                continue;
            };
            if now >= captcha.ends_at() {
                over.push((id, captcha.end()));
                self.open.remove(&id);
                continue;
            }
            let form = captcha.form();
            if form != LookForm::Batch {
                calls.push(LookCall { form, ..call_of(vec![id]) });
                continue;
            }
            let is_last = captcha.ends_soon(now);
            if is_last && captcha.is_free_text() && !self.trust.is_earned() {
                calls.push(call_of(vec![id]));
                continue;
            }
            // A last look is paid from the reserve of its own captchas, so it is not shared with others.
            if !batch.is_empty() && (batch.len() >= captcha.batch_max() || is_last != batch_is_last) {
                calls.push(call_of(std::mem::take(&mut batch)));
                batch_max = self.batch_size;
            }
            batch_is_last = is_last;
            batch_max = batch_max.min(captcha.batch_max());
            batch.push(id);
            if batch.len() >= batch_max {
                calls.push(call_of(std::mem::take(&mut batch)));
                batch_max = self.batch_size;
            }
        }
        if !batch.is_empty() {
            calls.push(call_of(batch));
        }
        for call in &mut calls {
            call.is_full = call.form == LookForm::Batch && call.ids.len() == self.batch_size;
            call.is_last =
                call.ids.iter().filter_map(|id| self.open.get(id)).any(|captcha| captcha.ends_soon(now));
            self.sort(call);
        }
        (calls, over)
    }

    /// Sorts the ids the other way than most of those whose pieces wait to be confirmed were sorted; ascending where
    /// the batch is believed anyway, and for the last time.
    fn sort(&self, call: &mut LookCall) {
        let seen = |order| {
            let orders = call.ids.iter().filter_map(|id| self.open.get(id)?.seen_in());
            orders.filter(|seen| *seen == order).count()
        };
        let is_typed = call.ids.iter().any(|id| self.open.get(id).is_some_and(Captcha::is_free_text));
        let is_doubtful = is_typed && !call.is_last && !self.trust.is_earned();
        let confirms = is_doubtful && seen(IdOrder::Ascending) > seen(IdOrder::Descending);
        call.order = if confirms { IdOrder::Descending } else { IdOrder::Ascending };
        call.ids.sort_unstable_by_key(|id| id.0);
        if call.order == IdOrder::Descending {
            call.ids.reverse();
        }
    }

    /// The call was not sent, at `now`; its captchas come due again at `at`, but always later than now, and before their
    /// end as often as the grid allows: a last look that may not be made yet is not given up.
    pub fn postpone(&mut self, call: &LookCall, at: Timestamp, now: Timestamp) {
        for id in &call.ids {
            let Some(captcha) = self.open.get(id) else { continue };
            let latest = (captcha.ends_at() - LAST_LOOK_BEFORE_END).max(now + GRID_MAX);
            let at = at.min(latest).max(now + grid(self.timing.interval)).min(captcha.ends_at());
            self.put(*id, at);
        }
    }

    /// The call came back, at `now`. What is still open is looked at again `gap` later, never sooner than after the
    /// setting `interval`.
    pub fn settle(
        &mut self,
        call: &LookCall,
        looked: Looked,
        gap: Duration,
        now: Timestamp,
    ) -> Vec<(CaptchaId, Effect)> {
        let mut effects = Vec::new();
        if matches!(looked, Looked::One(Look::NotReady | Look::Solved(_)) | Looked::Many(Batch::Pieces(_))) {
            self.last_success = Some(now);
        }
        match looked {
            Looked::One(look) => {
                let id = call.ids[0];
                if call.form == LookForm::Plain && self.open.get(&id).is_some_and(Captcha::is_free_text) {
                    self.trust.looked_alone(&look);
                }
                effects.extend(self.learn(id, |captcha| captcha.learn(look)));
            }
            Looked::Many(Batch::Pieces(looks)) => self.take_pieces(call, looks, &mut effects),
            Looked::Many(Batch::Mismatch { .. }) => {
                self.trust.mismatched();
                self.halve(&call.ids);
            }
            Looked::Many(Batch::Account(Code::Known(_))) => {}
            Looked::Many(Batch::Account(Code::Unknown(_)) | Batch::Garbage) | Looked::Failed => {
                let others_succeed =
                    self.last_success.is_some_and(|at| now.since(at) <= self.timing.interval * 2);
                for id in &call.ids {
                    effects.extend(
                        self.learn(*id, |captcha| captcha.learn_nothing(call.ids.len(), others_succeed)),
                    );
                }
            }
        }
        let earliest = now + self.timing.interval;
        for id in &call.ids {
            self.schedule(*id, earliest, earliest.max(now + gap));
        }
        effects
    }

    fn take_pieces(&mut self, call: &LookCall, looks: Vec<Look>, effects: &mut Vec<(CaptchaId, Effect)>) {
        let captcha = |id| self.open.get(id);
        let typed = |id| captcha(id).is_some_and(Captcha::is_free_text);
        let free_text = call.ids.iter().any(typed);
        // The order of the replies is that of the ids, as far as anybody knows (protocol.md 3.3); what comes in the
        // opposite order only confirms.
        let is_taken = call.order == IdOrder::Ascending && self.trust.takes(&looks, free_text);
        let pairs = || call.ids.iter().zip(&looks);
        let is_contradicted = !is_taken
            && pairs().any(|(id, look)| captcha(id).is_some_and(|captcha| captcha.is_contradicted(look)));
        let typed_answers = pairs().filter(|(id, look)| typed(id) && matches!(look, Look::Solved(_))).count();
        if is_contradicted {
            self.trust.mismatched();
            for id in &call.ids {
                if let Some(captcha) = self.open.get_mut(id) {
                    captcha.doubt();
                }
            }
            return;
        }
        if is_taken {
            self.trust.answered(typed_answers);
        }
        for (id, look) in call.ids.iter().zip(looks) {
            let Some(captcha) = self.open.get_mut(id) else { continue };
            if is_taken || captcha.sees(&look, call.order) {
                if !is_taken && captcha.is_free_text() {
                    self.trust.answered(1);
                }
                captcha.matched();
                effects.extend(self.learn(*id, |captcha| captcha.learn(look)));
            }
        }
        if call.is_full && is_taken {
            self.batch_size = (self.batch_size + 1).min(self.timing.max_ids);
        }
    }

    fn halve(&mut self, ids: &[CaptchaId]) {
        self.batch_size = (self.batch_size / 2).max(2).min(self.timing.max_ids);
        for id in ids {
            if let Some(captcha) = self.open.get_mut(id) {
                captcha.mismatched(ids.len());
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
                self.open.remove(&id);
                Some((id, effect))
            }
        }
    }

    /// Sets the next look at `id`, unless it has ended, to `wanted` on the grid. A look after which none could follow is
    /// made shortly before the end; where that is too soon after the one before, what comes next is the end.
    fn schedule(&mut self, id: CaptchaId, earliest: Timestamp, wanted: Timestamp) {
        let Some(captcha) = self.open.get_mut(&id) else {
            return;
        };
        let last = captcha.ends_at() - LAST_LOOK_BEFORE_END;
        let at = if earliest > last {
            captcha.ends_at()
        } else if wanted + self.timing.interval + LOOK_TAKES > last {
            last
        } else {
            wanted
        };
        self.put(id, at);
    }

    /// Puts a captcha in line for the first moment of the grid from `at` on.
    fn put(&mut self, id: CaptchaId, at: Timestamp) {
        let due = grid_after(at, grid(self.timing.interval));
        self.due.entry(due).or_default().push_back(id);
    }
}

#[cfg(test)]
mod tests;
