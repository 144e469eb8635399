//! A capped ledger: calls that we make are paid from what accepted uploads have earned.
//!
//! It guards rules of the form "calls must stay within `allowance + earns * uploads`" whose window nobody knows
//! (protocol.md 5, rules 1003 and 1005). The upstream may count over a minute, a day, or since the account began.
//!
//! **Invariant.** `held <= level <= cap`. An admitted call *holds* its units; they leave `level` when it has ended. An
//! accepted upload adds `earns`, but never lifts `level` over `cap - (units that left since that upload was sent)`.
//!
//! **Why that is enough.** For any stretch `[s, t]`, let R be the units of all calls that the upstream could have
//! counted in it (sent by `t`, not ended before `s`), and C the accepted uploads that it *must* have counted in it
//! (sent after `s`, ended by `t`). R is what left the level in `[s, t]` plus what is held at `t`.
//! 1. Suppose every upload that added something in `[s, t]` was sent after `s`. Then
//!    `held(t) <= level(t) <= level(s) + earns * C - left`, so `R <= level(s) + earns * C <= cap + earns * C`.
//! 2. Otherwise take the last upload that added something and was sent before `s`, ended at `e`. The limit above
//!    leaves `level(e) <= cap - left(s, e)`. From `e` on only uploads of C add, so `R <= left(s, e) + level(e) +
//!    earns * C <= cap + earns * C`, as before.
//!
//! No window was assumed. An *uncapped* ledger fails in 1: after a busy day, `level(s)` is what the day has saved up,
//! and an inner window that begins at `s` sees it spent without one upload. Without the limit at `e` it fails in 2:
//! an upload that the upstream counted just before `s` would be spent inside `[s, t]`.
//!
//! **The trickle** adds one unit every `period / trickle`, for a rule whose calls are the only way to find out that they
//! may go again. No constant trickle is safe in *every* window: in an endless one it adds up without end. It is safe in
//! each window up to `period`, where it adds at most `trickle`, when `cap + trickle` stays within the allowance. With
//! `trickle = 0` the bound holds in every window there is, and an empty ledger waits for the next upload, which needs
//! nothing of it.
//!
//! **A debt** is what left while nobody enforced the rule ([`BudgetMode::Observe`](super::BudgetMode::Observe), or a way of
//! counting batches that the settings rule out): the level ends at 0, and what went beyond it is remembered for `period`.
//! Of what comes in meanwhile a half pays it, so that the excess shrinks with each upload and a captcha still gets looks.
//!
//! **A lost past** starts at level 0. Since the process before kept the same invariant, the two together stay within
//! the bound. A minute later a small grant lets the gateway find its feet; each lost past within a period costs
//! the margin one grant.
//!
//! **The reserve.** `check` can be told to leave `keep` units. So that an upload's own last look is certain, `keep`
//! must also be left under the limit of the oldest upload in flight: `cap - (sent since)` less one unit for each
//! upload in flight. When an upload is accepted, the level is then either 20 higher, or at least at that limit.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::moments::{GRANT_AFTER, RECHECK, insert_sorted};
use crate::clock::Timestamp;

/// The numbers of a ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerShape {
    /// The level never exceeds it.
    pub cap: u32,
    /// What one accepted upload adds.
    pub earns: u32,
    /// Units that come by themselves in one `period`.
    pub trickle: u32,
    pub period: Duration,
    /// Units that come once, a minute after a past was lost.
    pub grant: u32,
}

impl LedgerShape {
    fn step_ms(&self) -> Option<u64> {
        let period = u64::try_from(self.period.as_millis()).unwrap_or(u64::MAX);
        (self.trickle > 0).then(|| period.div_ceil(u64::from(self.trickle)).max(1))
    }
}

/// Where the ledger stood when an upload was sent: units that had left by then, since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mark(u64);

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CappedLedger {
    shape: LedgerShape,
    level: u32,
    held: u32,
    /// Units of calls without a reply, until the last moment at which the upstream could count them; part of `held`.
    late: VecDeque<(Timestamp, u32)>,
    /// Units that have left the level since the beginning.
    left: u64,
    /// Uploads in flight, oldest first.
    marks: VecDeque<Mark>,
    trickled: Timestamp,
    grant: Option<Timestamp>,
    /// Units that left and were not there, and until when they are remembered.
    #[serde(default)]
    debt: Option<(u32, Timestamp)>,
}

impl CappedLedger {
    /// A full ledger: nobody has used the account before.
    pub const fn fresh(shape: LedgerShape, now: Timestamp) -> Self {
        Self {
            shape,
            level: shape.cap,
            held: 0,
            late: VecDeque::new(),
            left: 0,
            marks: VecDeque::new(),
            trickled: now,
            grant: None,
            debt: None,
        }
    }

    /// An empty ledger: what was left of it is not known.
    pub fn unknown(shape: LedgerShape, now: Timestamp) -> Self {
        let mut ledger = Self::fresh(shape, now);
        ledger.level = 0;
        ledger.grant = Some(now + GRANT_AFTER);
        ledger
    }

    /// Takes new numbers over.
    pub fn reshape(&mut self, shape: LedgerShape, now: Timestamp) {
        self.advance(now);
        if shape.step_ms() != self.shape.step_ms() {
            self.trickled = now;
        }
        self.shape = shape;
        self.level = self.level.min(shape.cap);
    }

    /// Lets time pass. The trickle comes first: a unit that comes while the level is full is lost, even when a late
    /// call leaves the level in the same step.
    pub fn advance(&mut self, now: Timestamp) {
        if let Some(step) = self.shape.step_ms() {
            let steps = now.0.saturating_sub(self.trickled.0) / step;
            self.trickled.0 += steps * step;
            self.add(u32::try_from(steps).unwrap_or(u32::MAX), self.shape.cap);
        }
        if self.grant.is_some_and(|due| due <= now) {
            self.grant = None;
            self.add(self.shape.grant, self.shape.cap);
        }
        while let Some((_, units)) = self.late.pop_front_if(|(until, _)| *until <= now) {
            self.release(units, units, now);
        }
        self.debt.take_if(|(_, until)| *until <= now);
    }

    fn add(&mut self, units: u32, ceiling: u32) {
        let pays = self.debt().min(units / 2);
        self.debt = self.debt.map(|(debt, until)| (debt - pays, until)).filter(|(debt, _)| *debt > 0);
        self.level = self.level.saturating_add(units - pays).min(ceiling).max(self.level);
    }

    fn release(&mut self, held: u32, left: u32, now: Timestamp) {
        self.held = self.held.saturating_sub(held);
        let beyond = left.saturating_sub(self.level);
        if beyond > 0 {
            self.debt = Some((self.debt().saturating_add(beyond), now + self.shape.period));
        }
        self.level = self.level.saturating_sub(left);
        self.left += u64::from(left);
    }

    fn debt(&self) -> u32 {
        self.debt.map_or(0, |(debt, _)| debt)
    }

    /// Units between what has been sent since the oldest upload in flight and the cap, less one for each upload in
    /// flight; `uploads` more are about to go.
    fn room(&self, uploads: u32) -> u32 {
        let in_flight = u32::try_from(self.marks.len()).unwrap_or(u32::MAX);
        let since = self.marks.front().map_or(self.left, |oldest| oldest.0);
        let sent = u32::try_from(self.left - since).unwrap_or(u32::MAX);
        self.shape
            .cap
            .saturating_sub(sent.saturating_add(self.held))
            .saturating_sub(in_flight.saturating_add(uploads))
    }

    /// Whether `units` can be held so that `keep` stay free; `None` for a rule that keeps no reserve.
    ///
    /// # Errors
    /// The moment at which they can, should no upload be accepted before.
    pub fn check(&self, units: u32, keep: Option<u32>, now: Timestamp) -> Result<(), Timestamp> {
        let need = units.saturating_add(keep.unwrap_or(0));
        if self.level < need {
            return Err(self.reaches(need.saturating_add(self.held), now));
        }
        let blocked_by_calls = self.level < self.held.saturating_add(need);
        let blocked_by_uploads = !self.marks.is_empty() && keep.is_some() && self.room(0) < need;
        if blocked_by_calls || blocked_by_uploads {
            return Err(now + RECHECK);
        }
        Ok(())
    }

    /// Whether one more upload can go out and still find a unit for itself beside the `keep` of the others.
    ///
    /// # Errors
    /// When to ask again.
    pub fn check_upload(&self, keep: u32, now: Timestamp) -> Result<(), Timestamp> {
        if self.room(1) < keep {
            return Err(now + RECHECK);
        }
        Ok(())
    }

    /// A call that costs `units` goes out.
    pub fn hold(&mut self, units: u32) {
        self.held += units;
    }

    /// A call that held `held` has ended and `spent` of it was counted.
    pub fn settle(&mut self, held: u32, spent: u32, now: Timestamp) {
        self.release(held, spent, now);
    }

    /// Calls that nobody knows of may have cost so much.
    pub fn charge(&mut self, units: u32) {
        let charged = units.min(self.available());
        self.release(0, charged, self.trickled);
    }

    /// The clock was set back by so much.
    pub fn shift_back(&mut self, by: Duration) {
        let moments = self.late.iter_mut().map(|(until, _)| until).chain(&mut self.grant);
        for moment in moments.chain([&mut self.trickled]).chain(self.debt.as_mut().map(|(_, until)| until)) {
            *moment = *moment - by;
        }
    }

    /// A call that held `held` got no reply; the upstream may count `spent` of it, at `until` at the latest.
    pub fn settle_late(&mut self, held: u32, spent: u32, until: Timestamp) {
        self.held = self.held.saturating_sub(held) + spent;
        insert_sorted(&mut self.late, until, spent);
    }

    /// An upload goes out that may earn.
    pub fn upload_sent(&mut self) -> Mark {
        let mark = Mark(self.left);
        self.marks.push_back(mark);
        mark
    }

    /// The upload has ended; `accepted` says whether it has earned.
    pub fn upload_ended(&mut self, mark: Mark, accepted: bool) {
        let place = self.marks.partition_point(|other| *other < mark);
        if self.marks.get(place) == Some(&mark) {
            self.marks.remove(place);
        }
        if accepted {
            let since = u32::try_from(self.left - mark.0.min(self.left)).unwrap_or(u32::MAX);
            self.add(self.shape.earns, self.shape.cap.saturating_sub(since));
        }
    }

    /// The upstream says that the account is over the rule all the same: nothing but `keep` is left.
    pub fn drain_to(&mut self, keep: u32) {
        self.level = self.level.min(self.held.saturating_add(keep));
    }

    /// Units that can be held now.
    pub fn available(&self) -> u32 {
        self.level.saturating_sub(self.held)
    }

    pub const fn cap(&self) -> u32 {
        self.shape.cap
    }

    /// When the next unit comes by itself; never when nothing trickles.
    pub fn frees_at(&self, now: Timestamp) -> Timestamp {
        if self.level >= self.shape.cap {
            return now;
        }
        self.reaches(self.level + 1, now)
    }

    fn reaches(&self, level: u32, now: Timestamp) -> Timestamp {
        let missing = level.saturating_sub(self.level);
        if level > self.shape.cap && missing > 0 {
            // Not by waiting: calls and captchas have to end first.
            return now + RECHECK;
        }
        let by_grant = self.grant.filter(|_| missing <= self.shape.grant);
        let by_trickle = self.shape.step_ms().map_or(Timestamp::NEVER, |step| {
            self.trickled + Duration::from_millis(step.saturating_mul(u64::from(missing)))
        });
        by_grant.map_or(by_trickle, |grant| grant.min(by_trickle))
    }
}

#[cfg(test)]
mod tests;
