//! Every call to the upstream goes through here: asked of admission before, settled after, timed and counted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::clock::{Clock, Timestamp};
use crate::engine::admission::{Admission, Ticket};
use crate::engine::refusal::{CallKind as Asked, Ended, Refusal, Why};
use crate::metrics::{CallOutcome, Metrics};
use crate::upstream::{Call, Upstream, UpstreamError};

/// Longest time between two log lines about the same state.
const STATE_LOGGED_EVERY: Duration = Duration::from_mins(1);

/// The way to the upstream.
pub struct Gate {
    clock: Clock,
    upstream: Arc<dyn Upstream>,
    metrics: Arc<Metrics>,
    admission: Mutex<Admission>,
    /// Something was settled: what was refused may go now.
    changed: Notify,
    logged: Mutex<Option<(&'static str, Timestamp)>>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("waits", &self.waits()).finish_non_exhaustive()
    }
}

/// How a call is counted and settled, once its reply was read.
#[derive(Debug)]
pub struct Verdict {
    pub outcome: CallOutcome,
    pub ended: Ended,
}

impl Gate {
    #[must_use]
    pub fn new(
        clock: Clock,
        upstream: Arc<dyn Upstream>,
        metrics: Arc<Metrics>,
        admission: Admission,
    ) -> Self {
        let admission = Mutex::new(admission);
        Self { clock, upstream, metrics, admission, changed: Notify::new(), logged: Mutex::default() }
    }

    /// Asks whether `call` may go now. The ticket must come back through [`Self::send`] or [`Self::settle`].
    ///
    /// # Errors
    /// Until when it may not, and why.
    pub fn admit(&self, asked: Asked) -> Result<Ticket, Refusal> {
        self.with(|admission, now| admission.admit(asked, now))
    }

    /// Sends an admitted call. `read` makes something of the reply and says how the call ended.
    ///
    /// # Errors
    /// [`UpstreamError`] when there was no reply to read; the ticket is settled all the same.
    pub async fn send<T>(
        &self,
        ticket: Ticket,
        call: Call,
        read: impl FnOnce(&Bytes) -> (T, Verdict),
    ) -> Result<T, UpstreamError> {
        let kind = call.kind();
        let sent_at = self.clock.now();
        let reply = self.upstream.call(call).await;
        let took = self.clock.now().since(sent_at);
        let (result, verdict) = match reply {
            Ok(body) => {
                let (result, verdict) = read(&body);
                (Ok(result), verdict)
            }
            Err(error) => {
                let (outcome, ended) = match &error {
                    UpstreamError::NotSent(_) => (CallOutcome::NotSent, Ended::NotSent),
                    UpstreamError::Lost(_) => (CallOutcome::Lost, Ended::Unknown),
                    UpstreamError::Status(_) => (CallOutcome::Status, Ended::Unknown),
                };
                tracing::warn!(call = kind.label(), %error, "the upstream gave no answer");
                (Err(error), Verdict { outcome, ended })
            }
        };
        self.metrics.call_ended(kind, verdict.outcome, took);
        self.settle(ticket, verdict.ended);
        result
    }

    /// Settles a ticket whose call was never sent, or ended as told.
    pub fn settle(&self, ticket: Ticket, ended: Ended) {
        if let Ended::Code(code) = &ended
            && code.known().is_none_or(crate::protocol::ErrorCode::is_about_account)
        {
            tracing::warn!(%code, "the upstream refused a call");
        }
        self.with(|admission, now| {
            let is_accepted = ended == Ended::Accepted;
            admission.settle(ticket, ended, now);
            // Under one lock: no other call may get in between and take the look that the new captcha needs.
            if is_accepted {
                admission.captcha_opened();
            }
        });
        self.changed.notify_waiters();
    }

    /// A captcha is looked at again: one look is kept for it. An upload's acceptance does this by itself.
    pub fn captcha_opened(&self) {
        self.with(|admission, _| admission.captcha_opened());
    }

    /// A captcha ended: what was kept for it is free.
    pub fn captcha_closed(&self) {
        self.with(|admission, _| admission.captcha_closed());
        self.changed.notify_waiters();
    }

    /// How far apart looks at one captcha should be at present.
    #[must_use]
    pub fn look_gap(&self, interval: Duration) -> Duration {
        self.with(|admission, now| admission.look_gap(interval, now))
    }

    /// Resolves after the next change of what admission knows.
    pub fn changed(&self) -> tokio::sync::futures::Notified<'_> {
        self.changed.notified()
    }

    /// What all calls wait for at present, and until when.
    #[must_use]
    pub fn waits(&self) -> Vec<crate::engine::Wait> {
        self.with(|admission, now| admission.waits(now))
    }

    /// Logs why calls wait, when the reason is new or was last told a while ago.
    pub fn log_wait(&self, refusal: &Refusal) {
        if matches!(refusal.why, Why::Rule(_) | Why::KeyUnconfirmed) {
            return;
        }
        let now = self.clock.now();
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known =
            logged.is_some_and(|(why, at)| why == refusal.why.label() && now.since(at) < STATE_LOGGED_EVERY);
        if !is_known {
            *logged = Some((refusal.why.label(), now));
            tracing::warn!(why = %refusal.why, until = %refusal.until, "calls to the upstream wait");
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Admission, Timestamp) -> T) -> T {
        let mut admission = self.admission.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that admission never sees time go back.
        act(&mut admission, self.clock.now())
    }
}
