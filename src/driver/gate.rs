//! Every call to the upstream goes through here: asked of admission before, settled after, timed and counted.

mod keeping;
mod logged;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::float::Float;
use super::keeper::Keeper;
use super::troubles::Troubles;
use crate::clock::{Clock, Timestamp};
use crate::engine::admission::{Admission, Ticket};
use crate::engine::block_rules::BlockRule;
use crate::engine::budget::BudgetState;
use crate::engine::refusal::{CallKind as Asked, Ended, Refusal};
use crate::engine::{Limits, Wait};
use crate::metrics::{CallOutcome, Metrics};
use crate::protocol::errors::{Code, ErrorCode, Reaction};
use crate::protocol::reply::{Told, read_told};
use crate::store::StoreError;
use crate::upstream::{Call, CallKind, Upstream, UpstreamError};
use logged::tell_states;

/// The way to the upstream.
pub struct Gate {
    clock: Clock,
    upstream: Arc<dyn Upstream>,
    metrics: Arc<Metrics>,
    keeper: Arc<Keeper>,
    troubles: Arc<Troubles>,
    /// What tells the account's key from another, kept with the budgets.
    key: Mutex<String>,
    admission: Mutex<Admission>,
    /// One state is kept at a time, and all who wait share the next: which one it was, and what came of it.
    kept: tokio::sync::Mutex<(u64, Result<(), StoreError>)>,
    /// How often a state was asked for.
    keeps: AtomicU64,
    float: Float,
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
pub struct CallEnd {
    pub outcome: CallOutcome,
    pub ended: Ended,
}

/// Why the upstream did not do what it was asked for.
#[derive(Debug)]
pub enum NotDone {
    /// It said so.
    Code(Code),
    /// It said what nobody understands.
    Garbage,
    NoReply(UpstreamError),
}

impl Gate {
    #[must_use]
    pub fn new(
        clock: Clock,
        upstream: Arc<dyn Upstream>,
        keeper: Arc<Keeper>,
        metrics: Arc<Metrics>,
        troubles: Arc<Troubles>,
        key: String,
        admission: Admission,
    ) -> Self {
        for rule in BlockRule::ALL {
            metrics.may_observe(rule.label());
        }
        let gate = Self {
            clock,
            upstream,
            metrics,
            keeper,
            troubles,
            key: Mutex::new(key),
            admission: Mutex::new(admission),
            kept: tokio::sync::Mutex::new((0, Ok(()))),
            keeps: AtomicU64::new(0),
            float: Float::default(),
            changed: Notify::new(),
            logged: Mutex::default(),
        };
        tell_states(&[], &gate.waits(), clock.now());
        gate
    }

    /// Asks whether `call` may go now. The ticket must come back through [`Self::send`] or [`Self::settle`].
    ///
    /// # Errors
    /// Until when it may not, and why.
    pub fn admit(&self, asked: Asked) -> Result<Ticket, Refusal> {
        let ticket = self.with(|admission, now| admission.admit(asked, now))?;
        if let Some(refusal) = ticket.observed() {
            self.metrics.would_refuse(refusal.why.label());
            self.log_once(
                &refusal.why,
                |why| tracing::warn!(%why, "observe mode: sent what a budget refuses"),
            );
        }
        Ok(ticket)
    }

    /// Sends an admitted call. `read` makes something of the reply and says how the call ended.
    ///
    /// # Errors
    /// [`UpstreamError`] when there was no reply to read; the ticket is settled all the same.
    pub async fn send<T>(
        &self,
        ticket: Ticket,
        call: Call,
        read: impl FnOnce(&Bytes) -> (T, CallEnd),
    ) -> Result<T, UpstreamError> {
        let kept = self.keep().await;
        self.send_kept(ticket, call, kept, || true, read).await
    }

    /// The same, when the budgets were kept after the call was admitted, or could not be; if the call is still wanted.
    ///
    /// # Errors
    /// [`UpstreamError`] when there was no reply to read; the ticket is settled all the same.
    pub async fn send_kept<T>(
        &self,
        ticket: Ticket,
        call: Call,
        kept: Result<(), StoreError>,
        is_wanted: impl FnOnce() -> bool,
        read: impl FnOnce(&Bytes) -> (T, CallEnd),
    ) -> Result<T, UpstreamError> {
        let kind = call.kind();
        let not_sent = |ticket, why: &str| {
            self.settle(ticket, Ended::NotSent);
            Err(UpstreamError::NotSent(why.into()))
        };
        // On disk before the call goes out: after a crash, a call that nobody remembers could be one too many. A store
        // that is down stops all calls but looks, which fetch what was paid for.
        if kept.is_err() && !self.may_leave_unkept(ticket.call()) {
            return not_sent(ticket, "the store is down");
        }
        if !is_wanted() {
            return not_sent(ticket, "nobody waits for it any more");
        }
        // While that was being written, an answer to another call may have told us to wait. Under one lock: a call that
        // was admitted with one key must not carry another.
        let sent_at = self.clock.now();
        let sent =
            self.with(|admission, now| admission.may_leave(&ticket, now).then(|| self.upstream.call(call)));
        let Some(sent) = sent else {
            return not_sent(ticket, "the upstream told us to wait");
        };
        let reply = sent.await;
        let took = self.clock.now().since(sent_at);
        let (result, end) = match reply {
            Ok(body) => {
                let (result, end) = read(&body);
                (Ok(result), end)
            }
            Err(error) => {
                let (outcome, ended) = match &error {
                    UpstreamError::NotSent(_) => (CallOutcome::NotSent, Ended::NotSent),
                    UpstreamError::Lost(_) => (CallOutcome::Lost, Ended::Unknown),
                    UpstreamError::Status(_) => (CallOutcome::Status, Ended::NoCode),
                };
                tracing::warn!(call = kind.label(), %error, "the upstream gave no answer");
                self.troubles.met(kind.label(), &error.to_string());
                (Err(error), CallEnd { outcome, ended })
            }
        };
        self.metrics.call_ended(kind, end.outcome, took);
        self.note(kind, &end);
        if let Ended::Code(code) = &end.ended
            && matches!(code.reaction(), Reaction::WaitOutBlock(_))
        {
            self.metrics.blocked(code);
        }
        let was_confirmed = self.with(|admission, _| admission.key_is_confirmed());
        let is_news = matches!(end.ended, Ended::Accepted | Ended::Code(_));
        self.settle(ticket, end.ended);
        // What an upload has earned must be known after a crash, before its captcha is: its looks are paid from it. So
        // must a wait that has just begun; and that the key is good, or the call would count as one with a wrong key.
        if is_news || !was_confirmed {
            // Logged where it failed; the next call keeps them.
            let _ = self.keep().await;
        }
        result
    }

    /// Sends an admitted call whose reply begins with `OK` when the upstream did what it was asked for.
    ///
    /// # Errors
    /// [`NotDone`]; the ticket is settled all the same.
    pub async fn send_for_ok(&self, ticket: Ticket, call: Call) -> Result<(), NotDone> {
        let told = self.send(ticket, call, |body| {
            let end = |outcome, ended| CallEnd { outcome, ended };
            match read_told(body) {
                Told::Text(text) if text.starts_with("OK") => (Ok(()), end(CallOutcome::Done, Ended::Done)),
                Told::Code(code) => {
                    (Err(NotDone::Code(code.clone())), end(CallOutcome::Code, Ended::Code(code)))
                }
                Told::Text(_) | Told::Garbage => {
                    (Err(NotDone::Garbage), end(CallOutcome::Garbage, Ended::NoCode))
                }
            }
        });
        told.await.unwrap_or_else(|error| Err(NotDone::NoReply(error)))
    }

    /// Notes what of a call's end is a trouble. An error without a reply was noted where it was met.
    fn note(&self, kind: CallKind, end: &CallEnd) {
        let is_answered =
            matches!(end.outcome, CallOutcome::Done | CallOutcome::Code | CallOutcome::Mismatch);
        self.troubles.call_ended(is_answered);
        match (end.outcome, &end.ended) {
            (CallOutcome::Garbage, _) => {
                self.troubles.met(kind.label(), "a reply that is neither an answer nor a code");
            }
            (CallOutcome::Mismatch, _) => {
                self.troubles.met(kind.label(), "a batch with another number of pieces than ids");
            }
            // What a look finds out about one captcha is that captcha's end, and no trouble.
            (_, Ended::Code(code)) if kind == CallKind::Submit || is_about_account(code) => {
                let help = code.known().map(|known| format!(": {}", known.help())).unwrap_or_default();
                self.troubles.met(kind.label(), &format!("{code}{help}"));
            }
            _ => (),
        }
    }

    /// Takes reloaded settings over. When the key is another, calls that were admitted with the one before stay behind,
    /// and the first call that carries the new one goes alone.
    pub fn reload(&self, limits: Limits, key: &str, carry_key: impl FnOnce()) {
        self.changing(|admission, now| {
            admission.set_limits(limits, now);
            if *self.key() != *key {
                key.clone_into(&mut self.key());
                admission.key_changed(now);
                carry_key();
            }
        });
        self.changed.notify_waiters();
    }

    /// Settles a ticket whose call was never sent, or ended as told.
    pub fn settle(&self, ticket: Ticket, ended: Ended) {
        if let Ended::Code(code) = &ended
            && is_about_account(code)
        {
            tracing::warn!(%code, "the upstream refused a call");
        }
        self.changing(|admission, now| {
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
    pub fn waits(&self) -> Vec<Wait> {
        self.with(|admission, now| admission.waits(now))
    }

    /// Shows the budgets and waits in the metrics.
    pub fn publish(&self) {
        let (budgets, waits) = self.with(|admission, now| (admission.budgets(now), admission.waits(now)));
        for budget in budgets {
            let numbers = [budget.limit, budget.used, budget.left];
            self.metrics.budget(budget.rule.label(), numbers, budget.until);
        }
        self.metrics.waits(waits.iter().map(|wait| (wait.why.label(), wait.until)));
    }

    /// Why a call of this kind would have to wait if it came now.
    #[must_use]
    pub fn foresee(&self, asked: Asked) -> Option<Refusal> {
        self.with(|admission, now| admission.foresee(asked, now))
    }

    /// The budgets of the block rules at present.
    #[must_use]
    pub fn budgets(&self) -> Vec<BudgetState> {
        self.with(|admission, now| admission.budgets(now))
    }

    /// Calls that were admitted and have not ended, and open captchas: both none when all is idle.
    #[must_use]
    pub fn at_work(&self) -> (usize, u32) {
        self.with(|admission, _| (admission.in_flight(), admission.open_captchas()))
    }

    /// An operator says that what was latched is mended: the next call is a probe.
    pub fn clear_latches(&self) {
        tracing::warn!("an operator cleared what was latched");
        self.changing(Admission::clear_latches);
        self.changed.notify_waiters();
    }

    /// Acts on what admission knows, and tells which waits have begun by that and which are over.
    fn changing<T>(&self, act: impl FnOnce(&mut Admission, Timestamp) -> T) -> T {
        let (result, before, after, now) = self.with(|admission, now| {
            let before = admission.waits(now);
            let result = act(admission, now);
            (result, before, admission.waits(now), now)
        });
        tell_states(&before, &after, now);
        result
    }

    fn key(&self) -> MutexGuard<'_, String> {
        self.key.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Admission, Timestamp) -> T) -> T {
        let mut admission = self.admission.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that admission never sees time go back.
        act(&mut admission, self.clock.now())
    }
}

/// A code that nobody knows could be about anything.
fn is_about_account(code: &Code) -> bool {
    code.known().is_none_or(ErrorCode::is_about_account)
}
