//! Carries looks out: one loop sleeps until captchas are due, and each call is a task of its own.

mod outcomes;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Notify;

use super::answers::Answers;
use super::callbacks::Callbacks;
use super::gate::Gate;
use super::history::History;
use super::keeper::Keeper;
use super::looked;
use super::tasks::Tasks;
use crate::audit::Audit;
use crate::clock::{Clock, Timestamp};
use crate::config::{self, Config, Live};
use crate::engine::polling::{LookCall, Looked, Polling, Pushed};
use crate::engine::refusal::CallKind as Asked;
use crate::engine::timing::{Kind, Timing};
use crate::metrics::{Metrics, PushOutcome};
use crate::protocol::ids::CaptchaId;
use crate::protocol::methods::Method;
use crate::protocol::pingback::Push;
use crate::protocol::reply::{Batch, Look};
use crate::upstream::{Call, UpstreamError};

/// Most looks under way at once; further ones wait until one has come back.
const LOOKS_IN_FLIGHT_MAX: usize = 64;
/// The same for looks that are captchas' last, which must not wait behind others.
const LAST_LOOKS_IN_FLIGHT_MAX: usize = 2 * LOOKS_IN_FLIGHT_MAX;
/// How often it is looked whether the store has caught up.
const CATCHES_UP_WITHIN: Duration = Duration::from_secs(1);

/// What looks need of the rest of the driver.
#[derive(Debug)]
pub struct Tools {
    pub clock: Clock,
    pub tasks: Tasks,
    pub gate: Arc<Gate>,
    pub keeper: Arc<Keeper>,
    pub answers: Arc<Answers>,
    pub callbacks: Arc<Callbacks>,
    pub metrics: Arc<Metrics>,
    pub audit: Audit,
    pub history: Arc<History>,
    pub live: Live,
}

/// Looks at captchas until their answers are known.
#[derive(Debug)]
pub struct Poller {
    pub(super) clock: Clock,
    pub(super) tasks: Tasks,
    pub(super) gate: Arc<Gate>,
    pub(super) keeper: Arc<Keeper>,
    pub(super) answers: Arc<Answers>,
    pub(super) callbacks: Arc<Callbacks>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) audit: Audit,
    history: Arc<History>,
    pub(super) live: Live,
    polling: Mutex<Polling>,
    in_flight: AtomicUsize,
    /// Something came due sooner, or a look came back.
    changed: Notify,
}

impl Poller {
    #[must_use]
    pub fn new(tools: Tools) -> Self {
        let Tools { clock, tasks, gate, keeper, answers, callbacks, metrics, audit, history, live } = tools;
        let (polling, in_flight, changed) =
            (Mutex::new(Polling::new(timing(&live.load()))), AtomicUsize::new(0), Notify::new());
        Self {
            clock,
            tasks,
            gate,
            keeper,
            answers,
            callbacks,
            metrics,
            audit,
            history,
            live,
            polling,
            in_flight,
            changed,
        }
    }

    /// Looks that are not planned yet follow these settings.
    pub fn reload(&self, config: &Config) {
        self.with(|polling| polling.set_timing(timing(config)));
        self.changed.notify_one();
    }

    fn interval(&self) -> Duration {
        self.live.load().polling.interval
    }

    /// The upstream accepted a captcha; the gate knows of it since its upload was settled.
    pub fn open(&self, id: CaptchaId, kind: Kind, uploaded_at: Timestamp) {
        self.show_opened(id);
        self.with(|polling| polling.open(id, kind, uploaded_at, None));
        self.changed.notify_one();
    }

    /// A captcha that was open before a restart is looked at again.
    pub fn reopen(&self, id: CaptchaId, kind: Kind, uploaded_at: Timestamp) {
        let now = self.clock.now();
        self.show_opened(id);
        self.counted(|polling| polling.open(id, kind, uploaded_at, Some(now)));
        self.changed.notify_one();
    }

    /// A client asks for a captcha's price.
    pub fn want_price(&self, id: CaptchaId, method: Method, uploaded_at: Timestamp, is_solved: bool) {
        let now = self.clock.now();
        self.counted(|polling| polling.want_price(id, method, uploaded_at, is_solved, now));
        self.changed.notify_one();
    }

    /// Captchas that the upstream is working on.
    pub fn open_count(&self) -> usize {
        self.with(|polling| polling.open_count())
    }

    /// Shows in the metrics when answers are expected, and how many pushes are lost.
    pub fn publish(&self) {
        self.metrics.pushes_lost(self.with(|polling| polling.pushes_lost()).into());
        for (part, fraction) in [("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99)] {
            let expected: Vec<_> = self.with(|polling| polling.expected(fraction).collect());
            for (method, time) in expected {
                self.metrics.expected(method, part, time);
            }
        }
    }

    /// Looks at what is due, for ever.
    pub async fn run(self: Arc<Self>) {
        loop {
            let changed = self.changed.notified();
            let in_flight = self.in_flight.load(Ordering::Acquire);
            let free =
                [LOOKS_IN_FLIGHT_MAX, LAST_LOOKS_IN_FLIGHT_MAX].map(|most| most.saturating_sub(in_flight));
            let interval = self.interval();
            let spares_looks = self.gate.look_gap(interval) > interval;
            let (calls, over) =
                self.counted(|polling| polling.plan(free.into(), spares_looks, self.clock.now()));
            for (id, effect) in over {
                self.apply(id, effect).await;
            }
            for call in calls {
                self.start(call);
            }
            let in_flight = self.in_flight.load(Ordering::Acquire);
            let next = self.with(|polling| match in_flight {
                _ if in_flight < LOOKS_IN_FLIGHT_MAX => polling.next_at(),
                _ if in_flight < LAST_LOOKS_IN_FLIGHT_MAX => polling.next_last_at(),
                _ => Timestamp::NEVER,
            });
            tokio::select! {
                biased;
                () = changed => {}
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    fn start(self: &Arc<Self>, call: LookCall) {
        let ids = u32::try_from(call.ids.len()).unwrap_or(u32::MAX);
        let ticket = match self.gate.admit(Asked::Look { ids, last: call.is_last }) {
            Ok(ticket) => ticket,
            Err(refusal) => {
                self.metrics.refused(Call::Look(call.clone()).kind(), refusal.why.label());
                self.gate.log_wait(&refusal);
                // To ask admission again costs nothing, and the wait may end before its time.
                let now = self.clock.now();
                let again = refusal.until.min(now + self.interval());
                self.counted(|polling| polling.postpone(call, again, now));
                return;
            }
        };
        let place = Place::taken(self);
        let poller = Arc::clone(self);
        self.tasks.spawn(async move {
            let upstream_call = Call::Look(call.clone());
            poller.metrics.looked(upstream_call.kind(), call.ids.len(), call.fences.len());
            let sent_at = poller.clock.now();
            let looked = poller.gate.send(ticket, upstream_call, |body| looked::read(&call, body)).await;
            let now = poller.clock.now();
            let (effects, closed) = match looked {
                Err(UpstreamError::NotSent(_)) => {
                    poller.counted(|polling| polling.postpone(call, now + poller.interval(), now));
                    (Vec::new(), 0)
                }
                looked => {
                    let gap = poller.gate.look_gap(poller.interval());
                    let looked = looked.unwrap_or(Looked::Failed);
                    poller.note_unsolved(&call, &looked, sent_at);
                    let (effects, before, after) =
                        poller.compared(|polling| polling.settle(call, looked, gap, now));
                    (effects, before - after)
                }
            };
            drop(place);
            // Together: the store keeps all of them with one write.
            join_all(effects.into_iter().map(|(id, effect)| poller.apply(id, effect))).await;
            for _ in 0..closed {
                poller.gate.captcha_closed();
            }
        });
    }

    /// The upstream pushed what became of a captcha of ours.
    pub fn pushed(self: &Arc<Self>, push: Push) -> PushOutcome {
        let (Push { id, code }, now) = (push, self.clock.now());
        let (pushed, before, after) = self.compared(|polling| polling.pushed(id, code, now));
        let effect = match pushed {
            Pushed::Late => return PushOutcome::Late,
            Pushed::Looked => {
                self.changed.notify_one();
                return PushOutcome::Looked;
            }
            Pushed::Answered(effect) => effect,
        };
        self.changed.notify_one();
        // It did not lie at the upstream.
        self.answers.unsolved(id, now);
        let (poller, closed) = (Arc::clone(self), before - after);
        self.tasks.spawn(async move {
            poller.apply(id, effect).await;
            for _ in 0..closed {
                poller.gate.captcha_closed();
            }
        });
        PushOutcome::Taken
    }

    fn show_opened(&self, id: CaptchaId) {
        if let Some(owned) = self.answers.owned(id) {
            self.metrics.captcha_opened(&owned.owner, owned.method);
        }
    }

    /// An answer that comes later cannot be older than this look.
    fn note_unsolved(&self, call: &LookCall, looked: &Looked, sent_at: Timestamp) {
        let looks = match looked {
            Looked::One(look) => std::slice::from_ref(look),
            Looked::Many(Batch::Pieces(looks)) => looks,
            Looked::Many(_) | Looked::Failed => &[],
        };
        for (id, _) in call.ids.iter().zip(looks).filter(|(_, look)| matches!(look, Look::NotReady)) {
            self.answers.unsolved(*id, sent_at);
        }
    }

    /// Acts on the open captchas, and tells the gate of those that came or went: a look is kept for each.
    fn counted<T>(&self, act: impl FnOnce(&mut Polling) -> T) -> T {
        let (result, before, after) = self.compared(act);
        for _ in before..after {
            self.gate.captcha_opened();
        }
        for _ in after..before {
            self.gate.captcha_closed();
        }
        result
    }

    /// Acts on the open captchas; with how many there were before and are now.
    fn compared<T>(&self, act: impl FnOnce(&mut Polling) -> T) -> (T, usize, usize) {
        self.with(|polling| {
            let before = polling.open_count();
            let result = act(polling);
            self.metrics.polling(polling.open_count(), polling.batch_size());
            (result, before, polling.open_count())
        })
    }

    /// Acts on the open captchas, and tells polls that wait when the next look can bring them something.
    fn with<T>(&self, act: impl FnOnce(&mut Polling) -> T) -> T {
        let (result, placed) = {
            let mut polling = self.polling.lock().unwrap_or_else(PoisonError::into_inner);
            (act(&mut polling), polling.take_placed())
        };
        for (id, at) in placed {
            self.answers.expect(id, at);
        }
        result
    }
}

fn timing(config: &Config) -> Timing {
    let config::Polling { interval, first_look, first_look_token, max_ids, .. } = config.polling;
    Timing { interval, first_look, first_look_token, max_ids }
}

/// One of the looks that may be under way at once; given back however the look ends.
struct Place(Arc<Poller>);

impl Place {
    fn taken(poller: &Arc<Poller>) -> Self {
        poller.in_flight.fetch_add(1, Ordering::AcqRel);
        Self(Arc::clone(poller))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
        self.0.changed.notify_one();
    }
}
