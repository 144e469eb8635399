//! Polls that are held until there is an answer.
//!
//! A held poll is a place in a count, a channel that its captcha's answer closes, and a timer: no thread, no task, no call
//! to the upstream. It is answered when the answer comes, when its time is over, or when the gateway stops.
//!
//! A client that did not ask for the wait is held only while an answer is due: while the next look at its captcha falls
//! within its hold. One that sleeps between its polls could not hear of an answer that comes after the hold until its
//! sleep is over, so its sleep had better begin at once. One that does not sleep is held all the same: its next poll
//! would come at once too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Driver;
use super::answers::{Found, Outlook};
use super::repeats::HungUp;
use crate::clients::Client;
use crate::clock::Timestamp;
use crate::metrics::{Metrics, Served};
use crate::protocol::ids::CaptchaId;

/// How often it is looked whether the client of a held poll is still there.
const PEER_SEEN_EVERY: Duration = Duration::from_secs(1);
/// A client that polls again sooner than after this part of `polling.interval` does not sleep between its polls.
const SLEEP_PARTS: u32 = 5;

/// How long a poll waits.
#[derive(Clone, Copy, Debug)]
pub enum Wait {
    /// The client knows nothing of it: up to its hold, while an answer is due.
    Hold,
    /// As long as the client asks for.
    Asked(Duration),
}

/// The places for held polls.
#[derive(Debug)]
pub(super) struct Holds {
    places: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    sleeps_from_ms: AtomicU64,
}

/// A held poll's place; given back however the poll ends.
struct Place<'a> {
    _permit: OwnedSemaphorePermit,
    metrics: &'a Metrics,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.metrics.poll_held(-1);
    }
}

impl Holds {
    /// At most `held_max` polls are held at once.
    pub fn new(held_max: usize, interval: Duration, metrics: Arc<Metrics>) -> Self {
        metrics.polls_held_limit(held_max);
        let places = Arc::new(Semaphore::new(held_max));
        let holds = Self { places, metrics, sleeps_from_ms: AtomicU64::default() };
        holds.reload(interval);
        holds
    }

    /// Follows `polling.interval`.
    pub fn reload(&self, interval: Duration) {
        let sleeps_from = u64::try_from((interval / SLEEP_PARTS).as_millis()).unwrap_or(u64::MAX);
        self.sleeps_from_ms.store(sleeps_from, Ordering::Relaxed);
    }

    fn sleeps_from(&self) -> Duration {
        Duration::from_millis(self.sleeps_from_ms.load(Ordering::Relaxed))
    }

    fn take(&self) -> Option<Place<'_>> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        self.metrics.poll_held(1);
        Some(Place { _permit: permit, metrics: &self.metrics })
    }
}

/// How one poll waits.
struct Hold {
    id: CaptchaId,
    with_price: bool,
    deadline: Timestamp,
    /// The client waits for an answer at once, or asks again at once.
    is_steady: bool,
}

impl Hold {
    fn is_worth_it(&self, answer_from: Timestamp) -> bool {
        self.is_steady || answer_from < self.deadline
    }
}

/// When a poll that waits looks around itself.
fn wake_at(deadline: Timestamp, now: Timestamp, hung_up: &HungUp) -> Timestamp {
    if hung_up.can_be_seen() { deadline.min(now + PEER_SEEN_EVERY) } else { deadline }
}

impl Driver {
    /// What a client's poll finds that may be held, if it need not wait for it: with one look at the map, at `now`.
    pub fn find_at_once(
        &self,
        client: &Client,
        id: CaptchaId,
        with_price: bool,
        now: Timestamp,
    ) -> Option<Found> {
        self.begin(client, id, with_price, Wait::Hold, now).ok()
    }

    /// What a client's poll finds, after a wait for what is not there yet. A poll that finds no place is answered at
    /// once, and so is one whose client has gone: it is looked for every second.
    pub async fn wait_for(
        &self,
        client: &Client,
        id: CaptchaId,
        with_price: bool,
        wait: Wait,
        hung_up: &HungUp,
    ) -> (Found, Served) {
        let (found, hold) = match self.begin(client, id, with_price, wait, self.clock.now()) {
            Ok(found) => return (found, Served::AtOnce),
            Err(waits) => waits,
        };
        if let Some(found) = self.hold(client, &hold, hung_up).await {
            return (found, Served::Held);
        }
        self.answers.told_open(id);
        (found, Served::AtOnce)
    }

    /// What there is for a poll that arrives at `now`.
    ///
    /// # Errors
    /// The same, and how the poll waits for more.
    fn begin(
        &self,
        client: &Client,
        id: CaptchaId,
        with_price: bool,
        wait: Wait,
        now: Timestamp,
    ) -> Result<Found, (Found, Hold)> {
        let mut hold = Hold { id, with_price, deadline: now, is_steady: true };
        let waits = |outlook: Outlook| {
            let longest = match wait {
                Wait::Asked(longest) => longest,
                Wait::Hold => {
                    let slept = outlook.told_open_at.map(|told_at| now.since(told_at));
                    hold.is_steady = slept.is_some_and(|slept| slept < self.holds.sleeps_from());
                    client.poll_hold
                }
            };
            hold.deadline = now + longest;
            !longest.is_zero() && hold.is_worth_it(outlook.answer_from)
        };
        let (found, waits) = self.find_or_wait(client, id, with_price, now, waits);
        if waits { Err((found, hold)) } else { Ok(found) }
    }

    /// What came of the wait; none when there was none.
    async fn hold(&self, client: &Client, hold: &Hold, hung_up: &HungUp) -> Option<Found> {
        if self.is_stopping() {
            return None;
        }
        let _place = self.holds.take()?;
        loop {
            // First the channel, then the look: what changes in between is not missed.
            let Some(mut changes) = self.answers.changes(hold.id) else { return Some(Found::Nothing) };
            let now = self.clock.now();
            let may_wait = now < hold.deadline && !self.is_stopping() && !hung_up.is_so();
            let waits = |outlook: Outlook| may_wait && hold.is_worth_it(outlook.answer_from);
            let (found, waits) = self.find_or_wait(client, hold.id, hold.with_price, now, waits);
            if !waits {
                return Some(found);
            }
            let wake_at = wake_at(hold.deadline, now, hung_up);
            tokio::select! {
                biased;
                _ = changes.changed() => {}
                () = self.stopping.cancelled() => {}
                () = self.clock.sleep_until(wake_at) => {}
            }
        }
    }

    /// Waits until one of several captchas has an answer, for as long as the client asks for. At once where there is one,
    /// and where there is no place to wait.
    pub async fn wait_for_any(
        &self,
        client: &Client,
        ids: &[CaptchaId],
        longest: Duration,
        hung_up: &HungUp,
    ) -> Served {
        let deadline = self.clock.now() + longest;
        let Some(_place) = self.holds.take() else { return Served::AtOnce };
        let mut served = Served::AtOnce;
        loop {
            let mut changes: Vec<_> = ids.iter().filter_map(|id| self.answers.changes(*id)).collect();
            let found: Vec<_> = ids.iter().map(|id| self.find(client, *id, false)).collect();
            let now = self.clock.now();
            if found.iter().any(|found| matches!(found, Found::Solved(_)))
                || !found.iter().any(Found::is_open)
                || now >= deadline
                || self.is_stopping()
                || hung_up.is_so()
            {
                return served;
            }
            served = Served::Held;
            let wake_at = wake_at(deadline, now, hung_up);
            let any =
                futures_util::future::select_all(changes.iter_mut().map(|change| Box::pin(change.changed())));
            tokio::select! {
                biased;
                _ = any => {}
                () = self.stopping.cancelled() => {}
                () = self.clock.sleep_until(wake_at) => {}
            }
        }
    }
}
