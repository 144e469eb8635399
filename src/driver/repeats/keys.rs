//! Uploads that their client named: the same name gets the same id for as long as the captcha lives.
//!
//! `UnderWay -> Bought`, or forgotten when it got no id: then the name is free for another try.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::{Begun, Parcel, Refusal};
use crate::clock::{Clock, Timestamp};
use crate::engine::captcha::LIFETIME;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::CaptchaId;
use crate::protocol::repeat::{IDEMPOTENCY_KEY, IdempotencyKey, Sameness};
use crate::protocol::submit::WrongCall;

/// Most names that are remembered: five times what the upstream takes in 15 minutes (60 uploads in 3 s). One more is
/// refused, for what cannot be remembered is not bought.
pub const KEYS_MAX: usize = 100_000;

type Outcome = Option<Result<CaptchaId, Refusal>>;

#[derive(Clone, Debug)]
pub(super) struct Keys {
    clock: Clock,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    uploads: HashMap<IdempotencyKey, Named>,
    /// Those that were bought, about the oldest first: one that the store took late comes late.
    by_age: VecDeque<(Timestamp, IdempotencyKey)>,
}

#[derive(Debug)]
struct Named {
    same: Sameness,
    state: State,
}

#[derive(Debug)]
enum State {
    UnderWay(watch::Receiver<Outcome>),
    Bought(CaptchaId, Timestamp),
}

/// A named upload, until it has ended.
#[derive(Debug)]
pub struct Attempt {
    keys: Keys,
    key: IdempotencyKey,
    same: Sameness,
    /// Dropped without an outcome, it wakes whoever shares it: one of them tries instead.
    told: watch::Sender<Outcome>,
}

enum Entered {
    Bought(CaptchaId),
    UnderWay(watch::Receiver<Outcome>),
    New(Attempt),
}

impl Keys {
    pub fn new(clock: Clock) -> Self {
        Self { clock, kept: Arc::default() }
    }

    pub async fn begin(&self, key: IdempotencyKey, same: Sameness) -> Result<Begun, Refusal> {
        let again = |id| Begun::Again(Parcel { id, is_again: true, unnamed: None });
        loop {
            let mut told = match self.enter(key, same)? {
                Entered::Bought(id) => return Ok(again(id)),
                Entered::New(attempt) => return Ok(Begun::New(super::Attempt::Named(attempt))),
                Entered::UnderWay(told) => told,
            };
            let outcome = told.wait_for(Outcome::is_some).await.ok().and_then(|outcome| outcome.clone());
            match outcome {
                Some(Ok(id)) => return Ok(again(id)),
                Some(Err(refusal)) => return Err(refusal),
                None => {}
            }
        }
    }

    /// A captcha that was bought under this name. Those of before a restart come in the order of their uploads.
    pub fn remember(&self, key: IdempotencyKey, same: Sameness, id: CaptchaId, uploaded_at: Timestamp) {
        self.with(|kept| {
            kept.uploads.insert(key, Named { same, state: State::Bought(id, uploaded_at) });
            kept.by_age.push_back((uploaded_at, key));
        });
    }

    fn enter(&self, key: IdempotencyKey, same: Sameness) -> Result<Entered, Refusal> {
        let now = self.clock.now();
        self.with(|kept| {
            kept.forget(now);
            let is_over = |named: &Named| matches!(named.state, State::Bought(_, at) if at + LIFETIME <= now);
            if let Some(named) = kept.uploads.get(&key).filter(|named| !is_over(named)) {
                return match &named.state {
                    _ if named.same != same => Err(Refusal::Wrong(WrongCall::new(
                        ErrorCode::BadParameters,
                        format!("this {IDEMPOTENCY_KEY} belongs to another upload of the last 15 minutes"),
                    ))),
                    State::Bought(id, _) => Ok(Entered::Bought(*id)),
                    State::UnderWay(told) => Ok(Entered::UnderWay(told.clone())),
                };
            }
            if kept.uploads.len() >= KEYS_MAX {
                return Err(Refusal::KeysFull);
            }
            let (told, outcome) = watch::channel(None);
            kept.uploads.insert(key, Named { same, state: State::UnderWay(outcome) });
            Ok(Entered::New(Attempt { keys: self.clone(), key, same, told }))
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut Kept) -> T) -> T {
        act(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    fn forget(&mut self, now: Timestamp) {
        let is_over = |(uploaded_at, _): &mut (Timestamp, IdempotencyKey)| *uploaded_at + LIFETIME <= now;
        while let Some((over, key)) = self.by_age.pop_front_if(is_over) {
            let is_that = |named: &Named| matches!(named.state, State::Bought(_, at) if at == over);
            if self.uploads.get(&key).is_some_and(is_that) {
                self.uploads.remove(&key);
            }
        }
    }
}

impl Attempt {
    pub fn bought(self, id: CaptchaId, uploaded_at: Timestamp) {
        self.keys.remember(self.key, self.same, id, uploaded_at);
        self.told.send_replace(Some(Ok(id)));
    }

    pub fn refused(self, refusal: &Refusal) {
        // Whoever shares it has not hung up itself.
        if *refusal != Refusal::HungUp {
            self.told.send_replace(Some(Err(refusal.clone())));
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.keys.with(|kept| {
            let is_under_way = |named: &Named| matches!(named.state, State::UnderWay(_));
            if kept.uploads.get(&self.key).is_some_and(is_under_way) {
                kept.uploads.remove(&self.key);
            }
        });
    }
}
