//! One upload whose turn has come: noted, sent, kept, told.
//!
//! ```text
//! noted -> sent -> accepted -> kept -> told
//!                           -> the store is down: told that there is no slot; kept as soon as it can be, and the
//!                              same upload that comes again is told the id
//!              -> refused, lost
//! ```

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::sync::mpsc;

use super::Refusal;
use super::answers::{Answers, Found};
use super::callbacks::Callbacks;
use super::gate::{CallEnd, Gate};
use super::keeper::Keeper;
use super::poller::Poller;
use super::pushes::Pushes;
use super::submitter::{Waiting, is_gone};
use super::tasks::Tasks;
use super::witnesses;
use crate::audit::Audit;
use crate::clock::{Clock, Timestamp};
use crate::engine::admission::Ticket;
use crate::engine::captcha::LIFETIME;
use crate::engine::fair_queue::Item;
use crate::engine::refusal::Ended;
use crate::engine::timing::Kind;
use crate::metrics::{CallOutcome, Metrics, UploadOutcome};
use crate::protocol::errors::{Code, Reaction};
use crate::protocol::ids::CaptchaId;
use crate::protocol::reply::{UploadReply, read_upload};
use crate::store::{Change, Intent, IntentId, NotAccepted, StoreError};
use crate::upstream::{Call, UpstreamError};

/// How long after a connection was refused the same upload is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// How long after the store failed to keep an accepted upload it is asked again.
const STORE_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// The same, when its client has been told that there is no slot.
const STORE_LATE_AFTER: Duration = Duration::from_secs(1);

/// What sending an upload needs.
#[derive(Debug)]
pub struct Sender {
    pub clock: Clock,
    pub tasks: Tasks,
    pub gate: Arc<Gate>,
    pub keeper: Arc<Keeper>,
    pub answers: Arc<Answers>,
    pub poller: Arc<Poller>,
    pub callbacks: Arc<Callbacks>,
    pub pushes: Arc<Pushes>,
    pub metrics: Arc<Metrics>,
    pub audit: Audit,
}

/// How an upload that was sent came back.
enum Sent {
    Accepted(Accepted),
    Refused(Refusal),
    /// Certainly not taken, for a reason that may pass: it may wait for another turn.
    Again,
}

/// An upload that the upstream took.
struct Accepted {
    id: CaptchaId,
    at: Timestamp,
    /// What must be on disk before its client is told.
    changes: Vec<Change>,
}

impl Sender {
    /// It works with the same parts as the looks do.
    pub(super) fn new(poller: &Arc<Poller>, pushes: Arc<Pushes>) -> Self {
        Self {
            clock: poller.clock,
            tasks: poller.tasks.clone(),
            gate: Arc::clone(&poller.gate),
            keeper: Arc::clone(&poller.keeper),
            answers: Arc::clone(&poller.answers),
            poller: Arc::clone(poller),
            callbacks: Arc::clone(&poller.callbacks),
            pushes,
            metrics: Arc::clone(&poller.metrics),
            audit: poller.audit.clone(),
        }
    }

    pub(super) async fn send(
        &self,
        mut item: Item<Waiting>,
        ticket: Ticket,
        inbox: mpsc::WeakSender<Item<Waiting>>,
    ) {
        item.value.attempt.sent();
        match self.send_once(&mut item, ticket).await {
            Sent::Accepted(accepted) => self.accepted(item, accepted).await,
            Sent::Refused(refusal) => item.value.refuse(refusal),
            Sent::Again if self.clock.now() >= item.deadline => item.value.refuse(Refusal::NotInTime),
            Sent::Again => {
                let sent = match inbox.upgrade() {
                    Some(inbox) => inbox.send(item).await.map_err(|error| error.0),
                    None => Err(item),
                };
                if let Err(item) = sent {
                    item.value.refuse(Refusal::Stopping);
                }
            }
        }
    }

    async fn send_once(&self, item: &mut Item<Waiting>, ticket: Ticket) -> Sent {
        let Waiting { upload, repeat, wanted, reserved, hung_up, answer, .. } = &mut item.value;
        // The disk may have taken its time: whoever has gone meanwhile, or can wait no longer, buys nothing.
        let (clock, deadline) = (self.clock, item.deadline);
        let too_late = move || clock.now() >= deadline;
        let is_abandoned = || is_gone(answer, hung_up);
        let (upload, client) = (&*upload, &item.client);
        let intent = IntentId(rand::random());
        let noted =
            Intent { id: intent, client: client.to_string(), method: upload.method, at: self.clock.now() };
        // Together: the store keeps them with one write.
        let (noted, kept) = join(self.keeper.commit(Change::Submitting(noted)), self.gate.keep()).await;
        if noted.is_err() {
            self.gate.settle(ticket, Ended::NotSent);
            return Sent::Refused(Refusal::StoreDown);
        }
        reserved.sent();
        let pushed_to = self.pushes.url();
        let is_pushed = pushed_to.is_some();
        let sent = pushed_to.map_or_else(|| Arc::clone(upload), |url| Arc::new(upload.pushed_to(url)));
        let is_wanted = || !too_late() && !is_abandoned();
        let reply = self.gate.send_kept(ticket, Call::Submit(sent), kept, is_wanted, read).await;
        let at = self.clock.now();
        let not_accepted = |how| self.keeper.keep(Change::NotAccepted { intent, how, at });
        match reply {
            Ok(UploadReply::Accepted(id)) => {
                self.pushes.accepting(id);
                if !self.answers.add(id, Arc::clone(client), upload.method, at, None, None) {
                    tracing::error!(captcha = %id, "the upstream gave an id twice; the second upload is not told it");
                    self.gate.captcha_closed();
                    self.pushes.accepted(id);
                    witnesses::uploaded(&self.audit, client, upload, None);
                    not_accepted(NotAccepted::Unknown).await;
                    return Sent::Refused(Refusal::Unknown);
                }
                witnesses::uploaded(&self.audit, client, upload, Some(id));
                let accepted = Change::Accepted { intent, id, at, repeat: Some(*repeat) };
                let wanted = wanted.take().map(|wanted| self.callbacks.accepted(id, wanted, at));
                reserved.accepted(id, at);
                // Paid, and looked at from now on whatever the store says.
                let kind = Kind { method: upload.method, page: upload.page, is_pushed };
                self.poller.open(id, kind, at);
                Sent::Accepted(Accepted { id, at, changes: [accepted].into_iter().chain(wanted).collect() })
            }
            Ok(UploadReply::Refused { code, text }) => {
                reserved.not_taken();
                let noted = Change::NotAccepted { intent, how: NotAccepted::Refused, at };
                let is_for_push = is_pushed && self.pushes.is_refused(&code);
                self.refused(noted, code, text, is_for_push).await
            }
            Ok(UploadReply::Garbage) | Err(UpstreamError::Lost(_) | UpstreamError::Status(_)) => {
                witnesses::uploaded(&self.audit, client, upload, None);
                not_accepted(NotAccepted::Unknown).await;
                tracing::warn!(%client, method = upload.method.label(), "an upload's fate is unknown; it is not sent again");
                Sent::Refused(Refusal::Unknown)
            }
            Err(UpstreamError::NotSent(_)) => {
                reserved.not_taken();
                not_accepted(NotAccepted::Refused).await;
                if at + RETRY_AFTER >= deadline || is_abandoned() {
                    return Sent::Refused(match self.keeper.is_down() {
                        _ if is_abandoned() => Refusal::HungUp,
                        true => Refusal::StoreDown,
                        false if too_late() => Refusal::NotInTime,
                        false => Refusal::Unreachable,
                    });
                }
                self.clock.sleep(RETRY_AFTER).await;
                Sent::Again
            }
        }
    }

    async fn refused(&self, noted: Change, code: Code, text: Option<String>, is_for_push: bool) -> Sent {
        // Without our address it may be taken.
        let may_pass = matches!(
            code.reaction(),
            Reaction::WaitForSlot | Reaction::WaitOutBlock(_) | Reaction::StopCalling
        );
        if may_pass || is_for_push {
            // Back to its place in the queue at once: a disk that stalls must not cost it turns.
            let keeper = Arc::clone(&self.keeper);
            self.tasks.spawn(async move { keeper.keep(noted).await });
            return Sent::Again;
        }
        self.keeper.keep(noted).await;
        Sent::Refused(Refusal::Upstream { code, text })
    }

    /// Who reads `OK|id` must find it on disk.
    async fn accepted(&self, item: Item<Waiting>, accepted: Accepted) {
        let Accepted { id, at, mut changes } = accepted;
        let Item { value: Waiting { upload, arrived_at, attempt, answer, .. }, client, deadline, .. } = item;
        let kept = self.kept_before(deadline, STORE_AGAIN_AFTER, &changes).await;
        // From here on there is a captcha to keep the answer of.
        self.pushes.accepted(id);
        let error = match kept {
            Ok(()) => {
                if let Err(Ok(_not_read)) = answer.send(Ok(attempt.bought(id, at))) {
                    tracing::info!(captcha = %id, %client, "accepted after its client hung up");
                    let took = self.clock.now().since(arrived_at);
                    self.metrics.upload_ended(&client, upload.method, UploadOutcome::Accepted, took);
                }
                return;
            }
            Err(error) => error,
        };
        let _ = answer.send(Err(Refusal::NotKeptYet));
        attempt.given_up();
        // What is known already has been kept in whole.
        if !self.callbacks.is_wanted(id) {
            changes.truncate(1);
        }
        let kept = match error {
            StoreError::Failed(_) => {
                let is_stopping = self.tasks.stopping();
                tokio::select! {
                    biased;
                    kept = self.kept_before(at + LIFETIME, STORE_LATE_AFTER, &changes) => kept,
                    () = is_stopping => Err(error),
                }
            }
            error => Err(error),
        };
        if let Err(error) = kept {
            tracing::error!(captcha = %id, %client, %error, "accepted, and never kept");
            return attempt.refused(&Refusal::Unknown);
        }
        // It may have been solved before there was a captcha to keep the answer of.
        if let Found::Solved(solution) = self.answers.find(id, &client, false) {
            let (solution, at) = ((*solution).clone(), self.clock.now());
            self.keeper.keep(Change::Solved { id, solution, at }).await;
        }
        tracing::info!(captcha = %id, %client, "kept late: the same upload again is told its id");
        drop(attempt.bought(id, at));
    }

    /// Asks the store again and again.
    async fn kept_before(
        &self,
        deadline: Timestamp,
        pause: Duration,
        changes: &[Change],
    ) -> Result<(), StoreError> {
        loop {
            // Together: the store keeps them with one write. The same ones again change nothing.
            let commits = changes.iter().map(|change| self.keeper.commit(change.clone()));
            let kept: Result<(), _> = join_all(commits).await.into_iter().collect();
            let Err(error) = kept else { return Ok(()) };
            let may_pass = matches!(error, StoreError::Failed(_));
            if !may_pass || self.clock.now() + pause >= deadline {
                return Err(error);
            }
            self.clock.sleep(pause).await;
        }
    }
}

/// Reads in.php's reply, and says what it means for the account.
fn read(body: &bytes::Bytes) -> (UploadReply, CallEnd) {
    let reply = read_upload(body);
    let end = match &reply {
        UploadReply::Accepted(_) => CallEnd { outcome: CallOutcome::Done, ended: Ended::Accepted },
        UploadReply::Refused { code, .. } => {
            CallEnd { outcome: CallOutcome::Code, ended: Ended::Code(code.clone()) }
        }
        UploadReply::Garbage => CallEnd { outcome: CallOutcome::Garbage, ended: Ended::NoCode },
    };
    (reply, end)
}
