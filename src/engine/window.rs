//! An exact sliding window: at most `limit` events in any stretch of `window`, whenever the upstream counted them.
//!
//! **Invariant.** A unit is *held* from the moment its call is admitted until the call has ended, and *logged* from
//! then on for `window`. Held and logged units together never exceed `limit`.
//!
//! **Why that is enough.** We do not see when the upstream counts an event, only that it lies between the call's
//! start and its end. Take any stretch `[x, x + window]` of the upstream's time, the events that it counted there,
//! and of these the call that was admitted last, at `a <= x + window`. Each of the others was admitted before `a`, and
//! ended at or after `x >= a - window`. So at `a` it was held or logged, and the admission at `a` counted it. Hence
//! they are at most `limit`: in every stretch, not only in those that begin with an event or on the minute.
//!
//! A call without a reply can still arrive after we gave it up: it ends only when the latest moment at which the
//! upstream could see it has passed. Milliseconds are cut off, so a unit leaves the log when *more* than `window` has
//! gone by.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::moments::{GRANT_AFTER, RECHECK, insert_sorted};
use crate::clock::Timestamp;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExactWindow {
    limit: u32,
    window: Duration,
    held: u32,
    /// When each logged unit's call ended, oldest first.
    log: VecDeque<(Timestamp, u32)>,
}

impl ExactWindow {
    /// A window in which nothing has happened.
    pub const fn fresh(limit: u32, window: Duration) -> Self {
        Self { limit, window, held: 0, log: VecDeque::new() }
    }

    /// A window of which nothing is known: it counts as full of calls that the upstream may count until `late`. `grant`
    /// units of it come free after a minute, even where the window is longer; its row pays for them with a lower limit.
    pub fn unknown(limit: u32, window: Duration, grant: u32, now: Timestamp, late: Timestamp) -> Self {
        let mut full = Self::fresh(limit, window);
        let grant = grant.min(limit);
        insert_sorted(&mut full.log, late.min(now + GRANT_AFTER - window), grant);
        insert_sorted(&mut full.log, late, limit - grant);
        full
    }

    /// The clock was set back by so much.
    pub fn shift_back(&mut self, by: Duration) {
        for (ended, _) in &mut self.log {
            *ended = *ended - by;
        }
    }

    /// Takes new numbers over. A longer window would need events that have been forgotten: it counts as full.
    pub fn reshape(&mut self, limit: u32, window: Duration, now: Timestamp) {
        if window > self.window {
            self.log.clear();
            self.log.push_back((now, limit));
        }
        self.limit = limit;
        self.window = window;
    }

    /// Forgets what has left the window.
    pub fn advance(&mut self, now: Timestamp) {
        while self.log.front().is_some_and(|(ended, _)| self.leaves(*ended) <= now) {
            self.log.pop_front();
        }
    }

    fn leaves(&self, ended: Timestamp) -> Timestamp {
        ended + self.window + Duration::from_millis(1)
    }

    /// # Errors
    /// When `units` more would be too many: the moment at which to ask again.
    pub fn check(&self, units: u32, now: Timestamp) -> Result<(), Timestamp> {
        let Some(mut excess) = (self.used() + units).checked_sub(self.limit).filter(|excess| *excess > 0)
        else {
            return Ok(());
        };
        for (ended, logged) in &self.log {
            excess = excess.saturating_sub(*logged);
            if excess == 0 {
                return Err(self.leaves(*ended));
            }
        }
        Err(now + RECHECK)
    }

    /// A call that may cost `units` goes out.
    pub fn hold(&mut self, units: u32) {
        self.held += units;
    }

    /// A call that held `held` has ended; the upstream may have counted `spent` of it, at `ended` at the latest.
    pub fn settle(&mut self, held: u32, spent: u32, ended: Timestamp) {
        self.held = self.held.saturating_sub(held);
        insert_sorted(&mut self.log, ended, spent);
    }

    /// Units held and logged.
    pub fn used(&self) -> u32 {
        self.held + self.log.iter().map(|(_, units)| units).sum::<u32>()
    }

    pub const fn limit(&self) -> u32 {
        self.limit
    }

    /// When the oldest logged unit leaves; `now` when there is none.
    pub fn frees_at(&self, now: Timestamp) -> Timestamp {
        self.log.front().map_or(now, |(ended, _)| self.leaves(*ended))
    }
}

#[cfg(test)]
mod tests;
