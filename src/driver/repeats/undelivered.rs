//! Ids that their clients never read: the connection was gone before `OK|id` could be told. The same upload by the same
//! client within a minute gets that id, and nothing is paid twice. Two uploads that were both told stay two captchas.
//!
//! Across a restart the store knows who was told. Between telling and keeping that lie some milliseconds; an id told in
//! the last of them before a `kill -9` is offered once more, for the other way round it could be lost.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::{Begun, HungUp, Parcel};
use crate::clock::{Clock, Timestamp};
use crate::protocol::ids::CaptchaId;
use crate::protocol::repeat::Sameness;

/// How long an id waits for its client to ask again.
const KEPT: Duration = Duration::from_mins(1);
/// Most ids that wait; beyond, the oldest are forgotten and their uploads would be paid again.
pub const IDS_MAX: usize = 10_000;

/// Ids without a reader, and the uploads that may come to have one.
#[derive(Clone, Debug)]
pub(super) struct Undelivered {
    clock: Clock,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    ids: HashMap<Sameness, VecDeque<CaptchaId>>,
    /// Until when each id waits, the oldest first; also of ids that were taken since.
    by_age: VecDeque<(Timestamp, Sameness, CaptchaId)>,
    sent: HashMap<Sameness, Vec<Sent>>,
    attempts: u64,
}

/// An upload on its way to the upstream and back.
#[derive(Debug)]
struct Sent {
    attempt: u64,
    hung_up: HungUp,
    ended: watch::Receiver<()>,
    /// The same upload waits for this one to end: one waits for each.
    is_waited_for: bool,
}

/// An upload.
#[derive(Debug)]
pub struct Attempt {
    undelivered: Undelivered,
    same: Sameness,
    hung_up: HungUp,
    /// Since it was sent.
    number: Option<u64>,
    ended: watch::Receiver<()>,
    /// Dropped with the attempt, which wakes whoever waits for its end.
    _end: watch::Sender<()>,
}

/// Somebody waits for an upload whose client has gone.
struct Wait<'a> {
    undelivered: &'a Undelivered,
    same: Sameness,
    attempt: u64,
    ended: watch::Receiver<()>,
}

enum Found<'a> {
    Id(CaptchaId),
    Orphan(Wait<'a>),
    Nothing,
}

impl Undelivered {
    pub fn new(clock: Clock) -> Self {
        Self { clock, kept: Arc::default() }
    }

    /// The id of the same upload, if its client never read it, after a wait for one whose client has gone. Whoever has
    /// gone while it waited takes nothing.
    pub async fn begin(&self, same: Sameness, hung_up: &HungUp) -> Begun {
        let attempt = |number| self.attempt(same, hung_up.clone(), number);
        loop {
            if hung_up.is_so() {
                return Begun::New(super::Attempt::Unnamed(attempt(None)));
            }
            match self.find(same) {
                Found::Id(id) => {
                    let mut attempt = attempt(None);
                    attempt.sent();
                    return Begun::Again(Parcel { id, is_again: true, unnamed: Some(attempt) });
                }
                Found::Orphan(mut wait) => {
                    // An error says that it has ended, which is what is waited for.
                    let _ = wait.ended.changed().await;
                }
                Found::Nothing => return Begun::New(super::Attempt::Unnamed(attempt(None))),
            }
        }
    }

    /// An id that nobody read, since `since`.
    pub fn offer(&self, same: Sameness, id: CaptchaId, since: Timestamp) {
        let now = self.clock.now();
        let until = since + KEPT;
        self.with(|kept| {
            kept.forget(now);
            if until <= now {
                return;
            }
            if kept.by_age.len() >= IDS_MAX {
                kept.forget_oldest();
            }
            kept.ids.entry(same).or_default().push_back(id);
            kept.by_age.push_back((until, same, id));
        });
    }

    fn find(&self, same: Sameness) -> Found<'_> {
        let now = self.clock.now();
        self.with(|kept| {
            kept.forget(now);
            if let Some(id) = kept.take(same) {
                return Found::Id(id);
            }
            let sent = kept.sent.get_mut(&same).into_iter().flatten();
            match sent.filter(|sent| !sent.is_waited_for).find(|sent| sent.hung_up.is_so()) {
                Some(orphan) => {
                    orphan.is_waited_for = true;
                    let (attempt, ended) = (orphan.attempt, orphan.ended.clone());
                    Found::Orphan(Wait { undelivered: self, same, attempt, ended })
                }
                None => Found::Nothing,
            }
        })
    }

    fn attempt(&self, same: Sameness, hung_up: HungUp, number: Option<u64>) -> Attempt {
        let (end, ended) = watch::channel(());
        Attempt { undelivered: self.clone(), same, hung_up, number, ended, _end: end }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> T {
        act(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    fn take(&mut self, same: Sameness) -> Option<CaptchaId> {
        let ids = self.ids.get_mut(&same)?;
        let id = ids.pop_front();
        if ids.is_empty() {
            self.ids.remove(&same);
        }
        id
    }

    fn forget(&mut self, now: Timestamp) {
        while self.by_age.front().is_some_and(|(until, ..)| *until <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some((_, same, id)) = self.by_age.pop_front() else { return };
        if let Some(ids) = self.ids.get_mut(&same) {
            ids.retain(|waiting| *waiting != id);
            if ids.is_empty() {
                self.ids.remove(&same);
            }
        }
    }

    fn change(&mut self, same: Sameness, attempt: u64, change: impl FnOnce(&mut Sent)) {
        let mut sent = self.sent.get_mut(&same).into_iter().flatten();
        if let Some(sent) = sent.find(|sent| sent.attempt == attempt) {
            change(sent);
        }
    }
}

impl Attempt {
    /// From now on it can come to have an id that nobody reads.
    pub fn sent(&mut self) {
        if self.number.is_some() {
            return;
        }
        let (hung_up, ended) = (self.hung_up.clone(), self.ended.clone());
        self.number = Some(self.undelivered.with(|kept| {
            kept.attempts += 1;
            let sent = Sent { attempt: kept.attempts, hung_up, ended, is_waited_for: false };
            kept.sent.entry(self.same).or_default().push(sent);
            kept.attempts
        }));
    }

    /// Its client does not wait any more, even if its connection is there.
    pub fn given_up(&self) {
        if let Some(number) = self.number {
            self.undelivered.with(|kept| {
                kept.change(self.same, number, |sent| sent.hung_up = HungUp::new(|| true));
            });
        }
    }

    /// Its id has no reader.
    pub fn offer(self, id: CaptchaId) {
        // Before the attempt ends: whoever waits for that finds the id.
        self.undelivered.offer(self.same, id, self.undelivered.clock.now());
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        self.undelivered.with(|kept| {
            if let Some(sent) = kept.sent.get_mut(&self.same) {
                sent.retain(|sent| sent.attempt != number);
                if sent.is_empty() {
                    kept.sent.remove(&self.same);
                }
            }
        });
    }
}

/// Whoever gives up waiting leaves its place to another.
impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.undelivered.with(|kept| {
            kept.change(self.same, self.attempt, |sent| sent.is_waited_for = false);
        });
    }
}
