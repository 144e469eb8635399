//! Pushes captchas' outcomes to their clients' receivers.
//!
//! ```text
//! wanted -> the captcha ends -> due, on disk -> pushed -> over
//!                                            -> not taken: again, later -> … -> dead
//! ```
//! **Invariants.** Nothing is pushed before it is on disk; what is on disk and not over is pushed after a restart, so a
//! receiver gets each outcome at least once, or it is in the list of the dead. A client has [`OPEN_MAX`] that are not
//! over, and an upload that wants one more is refused: what could not be kept is not promised.

mod dead;
mod places;
mod pushing;
mod recovery;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::Refusal;
use super::keeper::Keeper;
use super::pingbacks::Pingbacks;
use super::tasks::Tasks;
use crate::clock::{Clock, Timestamp};
use crate::config::{self, Live};
use crate::engine::deliveries::{Deliveries, LineName, Pace};
use crate::metrics::Metrics;
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::CaptchaId;
use crate::protocol::pingback::Target;
use crate::protocol::submit::WrongCall;
use crate::receivers::Receivers;
use crate::store::{Change, StoreError};
pub use dead::DeadLetter;
use dead::DeadLetters;
use places::{Place, Places};

/// Most outcomes of one client that are wanted or due at once.
pub const OPEN_MAX: usize = 5_000;
/// What a captcha without an answer within 15 minutes is pushed as: nobody solved it in time, and clients know the code.
pub const EXPIRED: ErrorCode = ErrorCode::Unsolvable;
/// Most pushes in flight, of all clients.
const IN_FLIGHT_MAX: usize = 256;
/// Most pushes in flight from one client to one receiver.
const LINE_MAX: usize = 4;
/// Longest wait between two attempts at one push.
const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// Longest rest of a receiver that cannot be reached.
const LONGEST_REST: Duration = Duration::from_mins(1);
/// How often a store that is down is asked to keep an outcome that is due.
const STORE_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The outcome of a captcha, wanted by its client. It holds one of the client's places until it is dropped.
#[derive(Debug)]
pub struct Wanted {
    client: Arc<str>,
    target: Target,
    _place: Place,
}

/// An outcome that is known.
#[derive(Debug)]
struct Due {
    wanted: Wanted,
    code: Bytes,
    since: Timestamp,
    attempts: u32,
    /// Why the last attempt failed.
    failure: Option<String>,
}

#[derive(Debug)]
struct State {
    deliveries: Deliveries,
    wanted: HashMap<CaptchaId, Wanted>,
    due: HashMap<CaptchaId, Due>,
    dead: DeadLetters,
}

/// Pushes outcomes.
pub struct Callbacks {
    clock: Clock,
    tasks: Tasks,
    keeper: Arc<Keeper>,
    pub registered: Arc<Pingbacks>,
    receivers: Arc<dyn Receivers>,
    metrics: Arc<Metrics>,
    live: Live,
    places: Places,
    state: Mutex<State>,
    changed: Notify,
}

impl std::fmt::Debug for Callbacks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Callbacks").field("state", &self.state).finish_non_exhaustive()
    }
}

impl Callbacks {
    #[must_use]
    pub fn new(
        clock: Clock,
        tasks: Tasks,
        registered: Pingbacks,
        metrics: Arc<Metrics>,
        live: Live,
    ) -> Arc<Self> {
        let state = State {
            deliveries: Deliveries::new(pace(&live)),
            wanted: HashMap::new(),
            due: HashMap::new(),
            dead: DeadLetters::default(),
        };
        Arc::new(Self {
            clock,
            tasks,
            keeper: Arc::clone(&registered.keeper),
            receivers: Arc::clone(&registered.receivers),
            registered: Arc::new(registered),
            places: Places::new(Arc::clone(&metrics)),
            metrics,
            live,
            state: Mutex::new(state),
            changed: Notify::new(),
        })
    }

    /// Promises to push an outcome to `target`.
    ///
    /// # Errors
    /// When the client has not registered the host, or waits for too many already.
    pub fn promise(&self, client: &Arc<str>, target: Target) -> Result<Wanted, Refusal> {
        if !self.registered.has(client, target.host()) {
            let reason = format!("pingback: {} is not registered; add_pingback does that", target.host());
            return Err(Refusal::Wrong(WrongCall::new(ErrorCode::BadParameters, reason)));
        }
        let place = self.places.take(client, OPEN_MAX).ok_or(Refusal::PingbacksFull)?;
        Ok(Wanted { client: Arc::clone(client), target, _place: place })
    }

    /// The captcha was accepted: what has to be kept beside it.
    pub fn accepted(&self, id: CaptchaId, wanted: Wanted, at: Timestamp) -> Change {
        let (client, target) = (wanted.client.to_string(), wanted.target.as_str().to_owned());
        self.with(|state| state.wanted.insert(id, wanted));
        Change::DeliveryWanted { id, client, target, at }
    }

    /// Whether the captcha's outcome is wanted, and not known.
    pub fn is_wanted(&self, id: CaptchaId) -> bool {
        self.with(|state| state.wanted.contains_key(&id))
    }

    /// The captcha has ended. If its client wants to hear of it, that is kept and then pushed.
    pub fn ended(self: &Arc<Self>, id: CaptchaId, code: impl FnOnce() -> Bytes) {
        let Some(wanted) = self.with(|state| state.wanted.remove(&id)) else { return };
        let due = Due { wanted, code: code(), since: self.clock.now(), attempts: 0, failure: None };
        let callbacks = Arc::clone(self);
        self.tasks.spawn(async move { callbacks.keep(id, due).await });
    }

    /// Keeps what is due, as soon as the store takes it.
    async fn keep(&self, id: CaptchaId, mut due: Due) {
        let change = Change::DeliveryDue {
            id,
            client: due.wanted.client.to_string(),
            target: due.wanted.target.as_str().to_owned(),
            code: due.code.clone(),
            at: due.since,
        };
        while let Err(error) = self.keeper.commit(change.clone()).await {
            let may_pass = matches!(error, StoreError::Failed(_));
            if !may_pass || self.clock.now() >= due.since + self.live.load().pingback.retry_for {
                due.failure = Some(format!("it could not be kept: {error}"));
                return self.bury(id, due).await;
            }
            // When everything stops, the next start finds it wanted still, and the answer beside it.
            if self.tasks.sleep(STORE_AGAIN_AFTER).await {
                return;
            }
        }
        self.add(id, due);
    }

    fn add(&self, id: CaptchaId, due: Due) {
        let line = LineName {
            client: Arc::clone(&due.wanted.client),
            receiver: due.wanted.target.receiver().into(),
        };
        self.with(|state| {
            state.deliveries.add(id, line, due.since);
            state.due.insert(id, due);
        });
        self.changed.notify_one();
    }

    /// Outcomes that are wanted, and those that are due.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        self.with(|state| (state.wanted.len(), state.due.len()))
    }

    fn restore(&self, id: CaptchaId, client: Arc<str>, target: Target, code: Bytes, since: Timestamp) {
        if let Some(place) = self.places.take(&client, usize::MAX) {
            let wanted = Wanted { client, target, _place: place };
            self.add(id, Due { wanted, code, since, attempts: 0, failure: None });
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn pace(live: &Live) -> Pace {
    let config::Pingback { retry_after, retry_for, .. } = live.load().pingback;
    Pace {
        first_wait: retry_after,
        longest_wait: LONGEST_WAIT.max(retry_after),
        longest_rest: LONGEST_REST.max(retry_after),
        retry_for,
        line_max: LINE_MAX,
        in_flight_max: IN_FLIGHT_MAX,
    }
}

#[cfg(test)]
mod tests;
