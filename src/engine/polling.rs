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
//!   alone, and the batch size in use halves; it grows by one on each full clean batch. Of one with as many pieces as ids,
//!   a captcha gets only what is certainly its own, see [`super::proof`]: captchas whose answers people type stand between
//!   fences, where there are any. Who was shown something that is not certain is looked at between fences next, or alone.
//! - One look is kept for shortly before the 15 minutes end, however wide the spacing has become, and it is made alone: it
//!   needs exactly one call and one look, whatever becomes of other captchas. In the seconds that remain after it further
//!   looks are asked for, which nothing is kept for.
//!
//! When a look is worth its price is learned, see [`super::timing`]; a captcha joins a call that leaves anyway, see
//! `placing`.

mod calendar;
mod gathering;
mod look_call;
mod placing;
mod pushed;
mod settling;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::captcha::{Captcha, LIFETIME, Learned};
pub use super::captcha::{Effect, LookForm};
pub use look_call::{LookCall, Looked};
pub use pushed::Pushed;

use calendar::Calendar;
use gathering::Gathering;

use super::fences::Fences;
use super::timing::{Kind, Times, Timing};
use crate::clock::Timestamp;
use crate::protocol::ids::CaptchaId;
use crate::protocol::methods::Method;

/// Batch size at the start (protocol.md 3.3: twelve worked where forty came back short).
pub const BATCH_SIZE_AT_START: usize = 12;
/// Smallest batch size in use: two captchas and the fence between them.
const BATCH_SIZE_MIN: usize = 3;
/// How long a look may take for another to be possible after an interval.
const LOOK_TAKES: Duration = Duration::from_secs(3);

/// Captchas whose pushes may be late that are remembered.
const OUTRUN_MAX: usize = 64;

/// Where a captcha stands in line.
#[derive(Clone, Copy, Debug, Default)]
struct InLine {
    /// From when on it may be looked at.
    earliest: Timestamp,
    /// None while a look at it is under way.
    due: Option<Timestamp>,
}

/// The open captchas and their looks.
#[derive(Debug)]
pub struct Polling {
    timing: Timing,
    batch_size: usize,
    fences: Fences,
    open: HashMap<CaptchaId, Captcha>,
    /// Where each stands in line.
    places: HashMap<CaptchaId, InLine>,
    calendar: Calendar,
    /// Captchas whose last look is to come, in the order of their uploads.
    last_looks: VecDeque<CaptchaId>,
    times: Times,
    /// Captchas whose answers looks found before a push, the latest [`OUTRUN_MAX`].
    outrun: VecDeque<CaptchaId>,
    /// When a look last brought something.
    last_success: Option<Timestamp>,
    /// When captchas are looked at next, where that is news.
    placed: Vec<(CaptchaId, Timestamp)>,
}

impl Polling {
    #[must_use]
    pub fn new(timing: Timing) -> Self {
        let batch_size = BATCH_SIZE_AT_START.min(timing.max_ids);
        Self {
            timing,
            batch_size,
            fences: Fences::default(),
            open: HashMap::new(),
            places: HashMap::new(),
            calendar: Calendar::default(),
            last_looks: VecDeque::new(),
            times: Times::new(timing),
            outrun: VecDeque::new(),
            last_success: None,
            placed: Vec::new(),
        }
    }

    /// Takes new settings over; a look that is due already keeps its moment.
    pub fn set_timing(&mut self, timing: Timing) {
        self.timing = timing;
        self.times.set_timing(timing);
        self.batch_size = self.batch_size.min(timing.max_ids);
    }

    /// A captcha was accepted at `uploaded_at`; nobody knows of a look at it after `looked_at`, the moment of a restart
    /// for a captcha that was recovered.
    pub fn open(&mut self, id: CaptchaId, kind: Kind, uploaded_at: Timestamp, looked_at: Option<Timestamp>) {
        self.open.insert(id, Captcha::new(kind, uploaded_at));
        self.last_looks.push_back(id);
        let first = uploaded_at + self.timing.earliest_look(kind.method);
        let earliest = looked_at.map_or(first, |looked_at| first.max(looked_at + self.timing.interval));
        self.place_first(id, earliest);
        // The documented minimum is for whoever cannot know of an answer.
        let possible = looked_at.map_or(uploaded_at, |looked_at| looked_at + self.timing.interval);
        self.places.entry(id).or_default().earliest = possible;
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
            let mut captcha = Captcha::new(method.into(), uploaded_at);
            captcha.want_price(is_solved);
            self.open.insert(id, captcha);
            // One that is in a call as a fence is placed when that comes back.
            if !self.fences.withdraw(id) {
                let earliest = now + self.timing.interval;
                self.place_again(id, earliest, earliest, 1);
            }
        } else if let Some(captcha) = self.open.get_mut(&id) {
            captcha.want_price(is_solved);
        }
    }

    /// The time within which `fraction` of each method's captchas are solved, where it is known.
    pub fn expected(&self, fraction: f32) -> impl Iterator<Item = (Method, Duration)> {
        self.times.quantiles(fraction)
    }

    /// Share of the latest answers to be pushed that looks had to find.
    #[must_use]
    pub const fn pushes_lost(&self) -> f32 {
        self.times.pushes_lost()
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
        self.calendar.next_at()
    }

    /// When the next last look comes due.
    #[must_use]
    pub fn next_last_at(&self) -> Timestamp {
        let mut next = Timestamp::NEVER;
        for id in &self.last_looks {
            let captcha = self.open.get(id).filter(|captcha| captcha.is_before_last_look());
            let due = self.places.get(id).and_then(|place| place.due);
            let (Some(captcha), Some(due)) = (captcha, due) else { continue };
            if captcha.last_look_at() >= next {
                break;
            }
            next = next.min(captcha.last_look_at().max(due));
        }
        next
    }

    /// When captchas are looked at next that were placed since the last call of this.
    pub fn take_placed(&mut self) -> Vec<(CaptchaId, Timestamp)> {
        std::mem::take(&mut self.placed)
    }

    /// The calls that are due: at most `calls_max`, and a last batch that is not full. Last looks come first, up to
    /// `last_max`. Each captcha in one is in flight until [`Self::settle`] or [`Self::postpone`] gets the call back. Beside
    /// them, the captchas whose time is over. `spares_looks`: no fences, for they are looks that bring no answer.
    pub fn plan(
        &mut self,
        (calls_max, last_max): (usize, usize),
        spares_looks: bool,
        now: Timestamp,
    ) -> (Vec<LookCall>, Vec<(CaptchaId, Effect)>) {
        let mut over = Vec::new();
        let mut calls = self.plan_last(last_max, now);
        self.decide(now);
        let free = |fences: &Fences| if spares_looks { 0 } else { fences.free(now) };
        let mut fences = free(&self.fences);
        let mut batch = Gathering::begin(self.batch_size, fences);
        while calls.len() < calls_max
            && let Some(id) = self.next_due(now)
        {
            let Some(captcha) = self.open.get_mut(&id) else { continue };
            match captcha.learn_late(now) {
                Learned::Nothing => {}
                // What follows is the look for its price.
                Learned::More(effect) => over.push((id, effect)),
                Learned::Last(effect) => {
                    over.push((id, effect));
                    self.close(id);
                    continue;
                }
            }
            if now >= captcha.ends_at() {
                over.push((id, captcha.end()));
                self.close(id);
                continue;
            }
            let is_last = captcha.is_last_look(now);
            let form = match captcha.form() {
                _ if is_last => captcha.last_form(),
                LookForm::Batch if captcha.is_doubted() && fences == 0 => LookForm::Plain,
                form => form,
            };
            if form != LookForm::Batch {
                calls.push(LookCall { is_last, ..LookCall::alone(id, form) });
                continue;
            }
            let (is_typed, ids_max) = (captcha.is_free_text(), captcha.batch_max());
            if !batch.takes(is_typed, ids_max) {
                calls.extend(batch.close(self.batch_size, &mut self.fences, now));
                fences = free(&self.fences);
                batch = Gathering::begin(self.batch_size, fences);
            }
            batch.add(id, is_typed, ids_max);
        }
        calls.extend(batch.close(self.batch_size, &mut self.fences, now));
        for call in &mut calls {
            call.at = now;
        }
        (calls, over)
    }

    /// Calls for the last looks that are due.
    fn plan_last(&mut self, calls_max: usize, now: Timestamp) -> Vec<LookCall> {
        let (mut calls, mut place) = (Vec::new(), 0);
        while calls.len() < calls_max
            && let Some(id) = self.last_looks.get(place).copied()
        {
            let captcha = self.open.get(&id).filter(|captcha| captcha.is_before_last_look());
            let Some(captcha) = captcha.filter(|captcha| now < captcha.ends_at()) else {
                self.last_looks.remove(place);
                continue;
            };
            if captcha.last_look_at() > now {
                break;
            }
            place += 1;
            let form = captcha.last_form();
            let due = self.places.get_mut(&id).and_then(|place| place.due.take_if(|due| *due <= now));
            if due.is_some() {
                calls.push(LookCall { is_last: true, ..LookCall::alone(id, form) });
            }
        }
        calls
    }

    /// The captcha that has been due for the longest.
    fn next_due(&mut self, now: Timestamp) -> Option<CaptchaId> {
        loop {
            let (due, id) = self.calendar.next_due(now)?;
            // It may have got another place in line since.
            if self.places.get_mut(&id).and_then(|place| place.due.take_if(|at| *at == due)).is_some() {
                return Some(id);
            }
        }
    }

    fn close(&mut self, id: CaptchaId) {
        self.open.remove(&id);
        self.places.remove(&id);
    }

    /// The call was not sent, at `now`; its captchas come due again at `at`, but always later than now, and before their
    /// end again and again: a last look that may not be made yet is not given up.
    pub fn postpone(&mut self, call: LookCall, at: Timestamp, now: Timestamp) {
        for (_, id) in call.captchas() {
            let Some(captcha) = self.open.get(&id) else { continue };
            if captcha.is_over() {
                self.close(id);
                continue;
            }
            let soon = now + self.again_after();
            let at = at.min(captcha.last_look_at()).max(soon).min(captcha.ends_at());
            self.put(id, at);
        }
        for (_, fence) in call.fences.into_iter().rev() {
            let id = fence.id;
            self.fences.give_back(fence);
            self.release_reopened(id, now);
        }
    }

    /// A captcha was a fence in a call until now: if its client has asked for its price meanwhile, it is looked at again.
    fn release_reopened(&mut self, id: CaptchaId, now: Timestamp) {
        if self.open.contains_key(&id) {
            self.fences.withdraw(id);
            let earliest = now + self.timing.interval;
            self.place_again(id, earliest, earliest, 1);
        }
    }
}

#[cfg(test)]
mod tests;
