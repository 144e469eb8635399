//! When which outcome is pushed to its client's receiver.
//!
//! ```text
//! waits -> in flight -> delivered
//!                    -> failed -> waits, longer each time -> … -> dead, once it is too old
//! ```
//! What one client pushes to one receiver is a line. Invariants, each with a test:
//! - A line has at most `line_max` in flight, and one while its receiver cannot be reached; then the whole line rests
//!   after each failure. So a dead receiver holds one place, and a call now and then, whatever waits for it.
//! - A receiver that answers, with whatever status, does not rest: one delivery that it refuses delays no other.
//! - Lines take turns, so a long one delays no short one.
//! - A delivery that is older than `retry_for` is dead, tried or not.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::protocol::ids::CaptchaId;

/// How deliveries are tried.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// From the first failure to the second attempt; it doubles with each further one.
    pub first_wait: Duration,
    /// Longest wait between two attempts at one delivery.
    pub longest_wait: Duration,
    /// Longest rest of a line whose receiver cannot be reached.
    pub longest_rest: Duration,
    /// How long a delivery is tried.
    pub retry_for: Duration,
    /// Most in flight of one line.
    pub line_max: usize,
    /// Most in flight of all.
    pub in_flight_max: usize,
}

/// Whose deliveries to which receiver.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineName {
    pub client: Arc<str>,
    /// Scheme, host and port.
    pub receiver: Arc<str>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    Delivered,
    /// The receiver answered, and not that it took it.
    Refused,
    /// Nobody answered.
    Unreachable,
}

/// What an attempt's end means for its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Delivered,
    /// It is tried again, not before this moment.
    Again(Timestamp),
    Dead,
}

#[derive(Debug)]
struct Delivery {
    line: LineName,
    /// When it is too old.
    end: Timestamp,
    /// How often its receiver has answered that it does not take it.
    refusals: u32,
    /// When it is due; none while it is in flight.
    due: Option<Timestamp>,
}

#[derive(Debug, Default)]
struct Line {
    due: BTreeSet<(Timestamp, CaptchaId)>,
    in_flight: usize,
    /// Attempts in a row that reached nobody.
    failures: u32,
    rests_until: Timestamp,
}

impl Line {
    /// When it has something to send next, if a place were free.
    fn next_at(&self, line_max: usize) -> Option<Timestamp> {
        let most = if self.failures > 0 { 1 } else { line_max };
        let (due, _) = self.due.first().filter(|_| self.in_flight < most)?;
        Some(self.rests_until.max(*due))
    }
}

/// What has to be done at a moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// To be tried now; in flight until [`Deliveries::settle`].
    pub attempts: Vec<CaptchaId>,
    /// Too old.
    pub dead: Vec<CaptchaId>,
}

/// The deliveries that are not over.
#[derive(Debug)]
pub struct Deliveries {
    pace: Pace,
    open: HashMap<CaptchaId, Delivery>,
    lines: BTreeMap<LineName, Line>,
    /// In the order in which they get too old.
    by_end: BTreeSet<(Timestamp, CaptchaId)>,
    in_flight: usize,
    /// The line that was served last.
    last: Option<LineName>,
}

impl Deliveries {
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        let (open, lines) = (HashMap::new(), BTreeMap::new());
        Self { pace, open, lines, by_end: BTreeSet::new(), in_flight: 0, last: None }
    }

    /// From now on they are tried like this; how long each is tried was settled when it came.
    pub const fn set_pace(&mut self, pace: Pace) {
        self.pace = pace;
    }

    /// An outcome is to be delivered since `since`: at once, at first. One that is known already stays as it is.
    pub fn add(&mut self, id: CaptchaId, line: LineName, since: Timestamp) {
        if self.open.contains_key(&id) {
            return;
        }
        self.lines.entry(line.clone()).or_default().due.insert((since, id));
        let end = since + self.pace.retry_for;
        self.by_end.insert((end, id));
        self.open.insert(id, Delivery { line, end, refusals: 0, due: Some(since) });
    }

    /// What is to be tried now, and what is too old.
    pub fn plan(&mut self, now: Timestamp) -> Plan {
        let mut plan = Plan::default();
        while let Some((end, id)) = self.by_end.first().copied().filter(|(end, _)| *end < now) {
            self.by_end.remove(&(end, id));
            // One in flight has its last chance.
            if self.open.get(&id).is_some_and(|delivery| delivery.due.is_some()) {
                self.remove(id);
                plan.dead.push(id);
            }
        }
        while self.in_flight < self.pace.in_flight_max
            && let Some((name, id)) = self.next_in_turn(now)
        {
            if let (Some(line), Some(delivery)) = (self.lines.get_mut(&name), self.open.get_mut(&id)) {
                line.in_flight += 1;
                line.due.pop_first();
                delivery.due = None;
            }
            self.in_flight += 1;
            self.last = Some(name);
            plan.attempts.push(id);
        }
        plan
    }

    /// The first delivery of the next line, after the one that was served last, that may send.
    fn next_in_turn(&self, now: Timestamp) -> Option<(LineName, CaptchaId)> {
        let is_after_last = |name: &LineName| self.last.as_ref().is_some_and(|last| name > last);
        let may_send =
            |(_, line): &(&LineName, &Line)| line.next_at(self.pace.line_max).is_some_and(|at| at <= now);
        let mut lines = self.lines.iter().filter(may_send);
        let (name, line) = lines.clone().find(|(name, _)| is_after_last(name)).or_else(|| lines.next())?;
        Some((name.clone(), line.due.first()?.1))
    }

    /// An attempt has ended. `jitter`, from 0 to 1, is drawn by the caller: it shortens the wait by up to a half.
    pub fn settle(&mut self, id: CaptchaId, attempt: Attempt, jitter: f64, now: Timestamp) -> Settled {
        let Some(delivery) = self.open.get_mut(&id).filter(|delivery| delivery.due.is_none()) else {
            return Settled::Dead;
        };
        self.in_flight -= 1;
        let line = self.lines.entry(delivery.line.clone()).or_default();
        line.in_flight -= 1;
        match attempt {
            Attempt::Delivered | Attempt::Refused => (line.failures, line.rests_until) = (0, Timestamp(0)),
            // Several that fail together are one failure.
            Attempt::Unreachable if now < line.rests_until => {}
            Attempt::Unreachable => {
                line.failures = line.failures.saturating_add(1);
                let rest = waits(self.pace.first_wait, line.failures, self.pace.longest_rest, jitter);
                line.rests_until = now + rest;
            }
        }
        let end = delivery.end;
        if attempt == Attempt::Delivered || now >= end {
            self.remove(id);
            return if attempt == Attempt::Delivered { Settled::Delivered } else { Settled::Dead };
        }
        let due = if attempt == Attempt::Refused {
            delivery.refusals = delivery.refusals.saturating_add(1);
            now + waits(self.pace.first_wait, delivery.refusals, self.pace.longest_wait, jitter)
        } else {
            // As soon as the line may: when its receiver is back, nothing waits any longer.
            line.rests_until
        };
        // The last attempt is made when its time is over, not up to ten minutes before.
        let due = due.min(end);
        delivery.due = Some(due);
        line.due.insert((due, id));
        Settled::Again(due)
    }

    /// It is given up in flight, for a reason that no further attempt would mend.
    pub fn abandon(&mut self, id: CaptchaId) {
        let Some(delivery) = self.open.get(&id).filter(|delivery| delivery.due.is_none()) else { return };
        self.in_flight -= 1;
        if let Some(line) = self.lines.get_mut(&delivery.line) {
            line.in_flight -= 1;
        }
        self.remove(id);
    }

    fn remove(&mut self, id: CaptchaId) {
        let Some(delivery) = self.open.remove(&id) else { return };
        self.by_end.remove(&(delivery.end, id));
        if let Entry::Occupied(mut line) = self.lines.entry(delivery.line) {
            if let Some(due) = delivery.due {
                line.get_mut().due.remove(&(due, id));
            }
            if line.get().due.is_empty() && line.get().in_flight == 0 {
                line.remove();
            }
        }
    }

    /// When [`Self::plan`] has something to do next.
    #[must_use]
    pub fn next_at(&self) -> Timestamp {
        let line_max = self.pace.line_max;
        let has_place = self.in_flight < self.pace.in_flight_max;
        let sends = self.lines.values().filter(|_| has_place).filter_map(|line| line.next_at(line_max)).min();
        let ends = self.by_end.first().map(|(end, _)| Timestamp(end.0.saturating_add(1)));
        sends.into_iter().chain(ends).min().unwrap_or(Timestamp::NEVER)
    }

    /// Deliveries that are not over.
    #[must_use]
    pub fn len(&self) -> usize {
        self.open.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

/// The wait after so many failures in a row.
fn waits(first: Duration, failures: u32, longest: Duration, jitter: f64) -> Duration {
    let doubled = first.saturating_mul(1 << failures.saturating_sub(1).min(20));
    doubled.min(longest).mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests;
