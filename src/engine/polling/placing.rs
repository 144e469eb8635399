//! When a captcha is looked at next, and in which call.
//!
//! Its plan names the best moment, and a call of its own at that moment has a price. In a call that leaves anyway it shares
//! the price with those in it, so it joins one if that saves more than the waiting costs: captchas gather in few calls.
//! Those that were looked at together may be looked at again together, and share the price too. A new captcha chooses when
//! it may first be looked at, for only then is it known which calls leave in the next seconds. One of whose kind nothing is
//! known yet joins the first call that leaves within [`JOINED_WITHIN`] of an interval.

use std::time::Duration;

use super::calendar::{Undecided, Why};
use super::{LOOK_TAKES, LookForm, Polling};
use crate::clock::Timestamp;
use crate::engine::captcha::Captcha;
use crate::protocol::ids::CaptchaId;

/// What a call is worth, in parts of an interval: five eighths of a second of one client's time. With less, captchas keep to
/// calls of their own; with more, they wait for each other.
const CALL_PRICE_PARTS: f32 = 8.0;
/// The part of an interval for which a captcha waits for a call to join, when nothing tells what the wait costs: for its
/// first look, and for each further one.
const JOINED_WITHIN: f32 = 2.0 / 3.0;
const JOINED_AGAIN_WITHIN: f32 = 0.2;
/// Looks of which nothing tells when they are best fall on moments this part of an interval apart, so that those of a burst
/// share calls.
const UNKNOWN_STEPS: u32 = 10;
/// New captchas get their calls in steps of this part of an interval, so that many come at once.
const DECIDED_EVERY_PARTS: u32 = 100;
/// Intervals between two looks at a captcha whose answer is to be pushed and has not come.
const PUSHED_INTERVALS: u32 = 4;

impl Polling {
    /// A captcha that may be looked at from `earliest` on gets its first look.
    pub(super) fn place_first(&mut self, id: CaptchaId, earliest: Timestamp) {
        let Some(captcha) = self.open.get(&id) else { return };
        let (kind, uploaded_at) = (captcha.kind(), captcha.uploaded_at());
        let (first, explores) = self.times.first_look(kind);
        // However long captchas take at present: the look that is kept for it is made.
        let wanted = earliest.max((uploaded_at + first).min(captcha.last_look_at()));
        let is_pushed = self.times.is_pushed(kind);
        let at = earliest.max(wanted - self.timing.interval);
        let at = next_step(at, self.timing.interval / DECIDED_EVERY_PARTS);
        let why = match (is_pushed, explores) {
            (true, _) => Why::Overdue,
            (false, true) => Why::Explores,
            (false, false) => Why::Best,
        };
        let captcha = Undecided { id, earliest, wanted, why };
        self.calendar.decide_later(captcha, at);
        self.places.entry(id).or_default().due = Some(at);
        self.placed.push((id, if is_pushed { Timestamp::default() } else { earliest }));
    }

    /// New captchas that have come near their first looks get their calls.
    pub(super) fn decide(&mut self, now: Timestamp) {
        while let Some((due, captcha)) = self.calendar.next_undecided(now) {
            let Undecided { id, earliest, wanted, why } = captcha;
            // What was pushed of it may have brought it another place in line.
            if self.places.get(&id).is_none_or(|place| place.due != Some(due)) {
                continue;
            }
            let Some(captcha) = self.open.get(&id) else { continue };
            if why != Why::Overdue && self.times.is_pushed(captcha.kind()) {
                // Meanwhile pushes have turned out to come.
                self.place_first(id, earliest);
                continue;
            }
            let (from, wanted) = (earliest.max(now), wanted.max(now));
            // Where calls leave anyway, the moments at which captchas are looked at differ enough to learn from.
            let others_leave = || self.calendar.first_shared(from, from + self.timing.interval).is_some();
            let at = match why {
                Why::Overdue => wanted,
                Why::Explores if !others_leave() => wanted,
                Why::Explores => self.best_call(captcha, from, None, 1),
                Why::Best => self.best_call(captcha, from, Some(wanted), 1),
            };
            self.put_before_end(id, from, at);
        }
    }

    /// The next look at `id`, unless it has ended: not before `earliest`, and from `wanted` on if its end is not near.
    /// `together` captchas were looked at with it.
    pub(super) fn place_again(
        &mut self,
        id: CaptchaId,
        earliest: Timestamp,
        wanted: Timestamp,
        together: usize,
    ) {
        let Some(captcha) = self.open.get(&id) else { return };
        let at = if captcha.is_known_solved() {
            // There is something to fetch: the sooner the better.
            earliest
        } else if captcha.is_doubted() {
            wanted
        } else if self.times.is_pushed(captcha.kind()) {
            wanted + self.timing.interval * (PUSHED_INTERVALS - 1)
        } else {
            self.best_call(captcha, wanted, None, together)
        };
        self.put_before_end(id, earliest, at);
    }

    /// The best call for a captcha from `earliest` on; at `wanted`, if that is known already.
    fn best_call(
        &self,
        captcha: &Captcha,
        earliest: Timestamp,
        wanted: Option<Timestamp>,
        together: usize,
    ) -> Timestamp {
        let (uploaded_at, looked) = (captcha.uploaded_at(), captcha.unsolved_at());
        let plan = self.times.plan(captcha.kind()).filter(|plan| plan.knows(looked));
        let own = wanted.unwrap_or_else(|| {
            let age = earliest.since(uploaded_at);
            plan.map_or(earliest, |plan| uploaded_at + plan.next_look(looked, age)).max(earliest)
        });
        if captcha.form() != LookForm::Batch {
            return own;
        }
        let Some(plan) = plan else {
            let within = if wanted.is_some() { JOINED_WITHIN } else { JOINED_AGAIN_WITHIN };
            let own = next_step(own, self.timing.interval / UNKNOWN_STEPS);
            let until = own + self.timing.interval.mul_f32(within);
            return self.calendar.first_shared(own, until).unwrap_or(own);
        };
        #[expect(clippy::cast_precision_loss, reason = "a batch has at most a thousand ids")]
        let together = together.max(1) as f32;
        let price = self.timing.interval.as_secs_f32() / CALL_PRICE_PARTS;
        let new = [(earliest, price / together), (own, price)];
        let window = (earliest, own + self.timing.interval);
        self.calendar.best_call(new, price, window, |at| plan.cost(looked, at.since(uploaded_at)))
    }

    /// Sets the next look to `at`. A look after which none could follow is made shortly before the end. Then there is time
    /// for another when that one came back soon; after it, for the end.
    fn put_before_end(&mut self, id: CaptchaId, earliest: Timestamp, at: Timestamp) {
        let Some(captcha) = self.open.get(&id) else { return };
        let last = captcha.last_look_at();
        let at = if earliest + LOOK_TAKES > captcha.ends_at() {
            captcha.ends_at()
        } else if earliest > last {
            earliest
        } else if at + self.timing.interval + LOOK_TAKES > last {
            last
        } else {
            at
        };
        self.places.entry(id).or_default().earliest = earliest;
        self.put(id, at);
    }

    /// Puts a captcha in line; where it stood before counts no more.
    pub(super) fn put(&mut self, id: CaptchaId, at: Timestamp) {
        let Some(captcha) = self.open.get(&id) else { return };
        self.calendar.put(id, at, captcha.form() == LookForm::Batch);
        self.places.entry(id).or_default().due = Some(at);
        let is_pushed = self.times.is_pushed(captcha.kind());
        self.placed.push((id, if is_pushed { Timestamp::default() } else { at }));
    }

    /// Shortest time until a call that was not sent is tried again.
    pub(super) fn again_after(&self) -> Duration {
        (self.timing.interval / 6).clamp(Duration::from_millis(1), Duration::from_secs(1))
    }
}

/// The first moment from `at` on that is a multiple of `step`.
pub(super) fn next_step(at: Timestamp, step: Duration) -> Timestamp {
    let step = u64::try_from(step.as_millis()).unwrap_or(u64::MAX).max(1);
    Timestamp(at.0.div_ceil(step).saturating_mul(step))
}
