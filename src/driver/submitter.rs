//! Carries uploads out: one task owns the fair queue and gives turns; each upload is then a task of its own, so that a
//! client that hangs up loses nothing that was paid for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::Refusal;
use super::answers::Answers;
use super::gate::{CallEnd, Gate};
use super::keeper::Keeper;
use super::poller::Poller;
use super::tasks::Tasks;
use super::undelivered::{Attempt, HungUp, Sameness, Undelivered};
use crate::clock::{Clock, Timestamp};
use crate::engine::admission::Ticket;
use crate::engine::fair_queue::{FairQueue, Item, QueueLimits};
use crate::engine::refusal::{self, CallKind as Asked, Ended, Why};
use crate::metrics::{CallOutcome, Metrics, UploadOutcome};
use crate::protocol::errors::Reaction;
use crate::protocol::ids::CaptchaId;
use crate::protocol::reply::{UploadReply, read_upload};
use crate::protocol::submit::Upload;
use crate::store::{Change, Intent, IntentId, NotAccepted, StoreError};
use crate::upstream::{Call, UpstreamError};

/// Uploads handed to the submitter and not yet queued.
const HANDOVERS_MAX: usize = 1_024;
/// How long after a connection was refused the same upload is tried again.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// How long after the store failed to keep an accepted upload it is asked again.
const STORE_AGAIN_AFTER: Duration = Duration::from_millis(200);

type Answer = oneshot::Sender<Result<CaptchaId, Refusal>>;

/// An upload that waits for its turn.
#[derive(Debug)]
struct Waiting {
    upload: Arc<Upload>,
    arrived_at: Timestamp,
    hung_up: HungUp,
    /// Lives until the upload has ended, so that the same one can wait for it.
    attempt: Attempt,
    answer: Answer,
}

impl Waiting {
    /// Whether nobody is there any more to read what becomes of it.
    fn is_abandoned(&self) -> bool {
        self.answer.is_closed() || self.hung_up.is_so()
    }
}

/// Gives uploads their turn.
#[derive(Clone, Debug)]
pub struct Submitter {
    inbox: mpsc::Sender<Item<Waiting>>,
    undelivered: Undelivered,
    clock: Clock,
}

/// What sending an upload needs.
#[derive(Debug)]
pub struct Tools {
    pub clock: Clock,
    pub tasks: Tasks,
    pub gate: Arc<Gate>,
    pub keeper: Arc<Keeper>,
    pub answers: Arc<Answers>,
    pub poller: Arc<Poller>,
    pub metrics: Arc<Metrics>,
}

impl Submitter {
    /// Starts the task that owns the queue.
    #[must_use]
    pub fn start(tools: Tools, limits: QueueLimits) -> Self {
        let (tasks, clock) = (tools.tasks.clone(), tools.clock);
        let (inbox, handed_over) = mpsc::channel(HANDOVERS_MAX);
        let queue = Queue {
            tools: Arc::new(tools),
            waiting: FairQueue::new(limits),
            refusal: None,
            inbox: inbox.downgrade(),
        };
        tasks.spawn_endless(queue.run(handed_over));
        Self { inbox, undelivered: Undelivered::default(), clock }
    }

    /// Waits for a turn until `deadline`, then for the upstream's reply.
    ///
    /// # Errors
    /// [`Refusal`] when it got no id.
    pub async fn submit(
        &self,
        client: Arc<str>,
        weight: u32,
        upload: Upload,
        hung_up: HungUp,
        arrived_at: Timestamp,
        deadline: Timestamp,
    ) -> Result<CaptchaId, Refusal> {
        let same = Sameness::of(&client, &upload);
        // The one before may take longer than this one may wait; then its id waits for the next.
        let taken = tokio::select! {
            biased;
            taken = self.undelivered.take(same, &hung_up) => taken,
            () = self.clock.sleep_until(deadline) => return Err(Refusal::NotInTime),
        };
        if let Some(id) = taken {
            tracing::info!(%client, captcha = %id, "the same upload again: its id had not been read");
            return Ok(id);
        }
        let (answer, told) = oneshot::channel();
        let attempt = self.undelivered.begin(same, hung_up.clone());
        let item = Item {
            client,
            weight,
            priority: upload.priority,
            bytes: upload.size_bytes() as u64,
            deadline,
            value: Waiting { upload: Arc::new(upload), arrived_at, hung_up, attempt, answer },
        };
        self.inbox.send(item).await.map_err(|_| Refusal::Stopping)?;
        told.await.unwrap_or(Err(Refusal::Stopping))
    }
}

struct Queue {
    tools: Arc<Tools>,
    waiting: FairQueue<Waiting>,
    /// Why the last turn was not given.
    refusal: Option<refusal::Refusal>,
    /// For uploads that come back to wait again; weak, so that the task ends with the last [`Submitter`].
    inbox: mpsc::WeakSender<Item<Waiting>>,
}

impl Queue {
    async fn run(mut self, mut handed_over: mpsc::Receiver<Item<Waiting>>) {
        let tools = Arc::clone(&self.tools);
        let mut is_open = true;
        while is_open || !self.waiting.is_empty() {
            let gate_changed = tools.gate.changed();
            self.end_waits(tools.clock.now());
            let next_turn = self.give_turns();
            tools.metrics.uploads_waiting(self.waiting.len());
            let next = next_turn.min(self.waiting.next_deadline().unwrap_or(Timestamp::NEVER));
            tokio::select! {
                biased;
                item = handed_over.recv(), if is_open => match item {
                    Some(item) => self.push(item),
                    None => is_open = false,
                },
                () = gate_changed, if !self.waiting.is_empty() => {}
                () = tools.clock.sleep_until(next) => {}
            }
        }
    }

    fn push(&mut self, item: Item<Waiting>) {
        if let Err(full) = self.waiting.push(item) {
            // The client may be gone by now; then nobody needs to be told.
            let _ = full.item.value.answer.send(Err(Refusal::QueueFull(full.limit)));
        }
    }

    /// Sends what may go. Returns when the next may.
    fn give_turns(&mut self) -> Timestamp {
        while let Some((key, item)) = self.waiting.peek() {
            if item.value.is_abandoned() {
                if let Some(item) = self.waiting.remove(key) {
                    let _ = item.value.answer.send(Err(Refusal::HungUp));
                }
                continue;
            }
            match self.tools.gate.admit(Asked::Upload) {
                Ok(ticket) => {
                    self.refusal = None;
                    if let Some((_, item)) = self.waiting.pop() {
                        let (tools, inbox) = (Arc::clone(&self.tools), self.inbox.clone());
                        self.tools.tasks.spawn(async move { tools.send(item, ticket, inbox).await });
                    }
                }
                Err(refusal) => {
                    self.tools.gate.log_wait(&refusal);
                    if refusal.why == Why::ZeroBalance {
                        self.refuse_all(&refusal);
                    }
                    let until = refusal.until;
                    self.refusal = Some(refusal);
                    return until;
                }
            }
        }
        Timestamp::NEVER
    }

    /// Without money nobody's turn will come in time: told at once, from memory.
    fn refuse_all(&mut self, refusal: &refusal::Refusal) {
        while let Some((_, item)) = self.waiting.pop() {
            let _ = item.value.answer.send(Err(Refusal::NotNow(refusal.clone())));
        }
    }

    fn end_waits(&mut self, now: Timestamp) {
        while let Some((_, item)) = self.waiting.pop_expired(now) {
            let refusal = match &self.refusal {
                Some(refusal) => Refusal::NotNow(refusal.clone()),
                None => Refusal::NotInTime,
            };
            let _ = item.value.answer.send(Err(refusal));
        }
    }
}

/// How an upload that was sent came back.
enum Sent {
    Told(Result<CaptchaId, Refusal>),
    /// Certainly not taken, for a reason that may pass: it may wait for another turn.
    Again,
}

impl Tools {
    async fn send(&self, item: Item<Waiting>, ticket: Ticket, inbox: mpsc::WeakSender<Item<Waiting>>) {
        match self.send_once(&item, ticket).await {
            Sent::Told(told) => {
                let Waiting { upload, arrived_at, hung_up, attempt, answer } = item.value;
                if let (Ok(id), true) = (&told, hung_up.is_so()) {
                    attempt.keep(*id);
                }
                if let Err(Ok(id)) = answer.send(told) {
                    attempt.keep(id);
                    tracing::info!(captcha = %id, client = %item.client, "accepted after its client hung up");
                    let took = self.clock.now().since(arrived_at);
                    self.metrics.upload_ended(&item.client, upload.method, UploadOutcome::Accepted, took);
                }
            }
            Sent::Again if self.clock.now() >= item.deadline => {
                let _ = item.value.answer.send(Err(Refusal::NotInTime));
            }
            Sent::Again => {
                let inbox = inbox.upgrade();
                let sent = match inbox {
                    Some(inbox) => inbox.send(item).await.map_err(|error| error.0),
                    None => Err(item),
                };
                if let Err(item) = sent {
                    let _ = item.value.answer.send(Err(Refusal::Stopping));
                }
            }
        }
    }

    async fn send_once(&self, item: &Item<Waiting>, ticket: Ticket) -> Sent {
        let (upload, client) = (&item.value.upload, &item.client);
        let intent = IntentId(rand::random());
        let noted =
            Intent { id: intent, client: client.to_string(), method: upload.method, at: self.clock.now() };
        if self.keeper.commit(Change::Submitting(noted)).await.is_err() {
            self.gate.settle(ticket, Ended::NotSent);
            return Sent::Told(Err(Refusal::StoreDown));
        }
        let reply = self.gate.send(ticket, Call::Submit(Arc::clone(upload)), read).await;
        let at = self.clock.now();
        let not_accepted = |how| self.keeper.keep(Change::NotAccepted { intent, how, at });
        match reply {
            Ok(UploadReply::Accepted(id)) => Sent::Told(self.accept(intent, id, item, at).await),
            Ok(UploadReply::Refused { code, text }) => {
                not_accepted(NotAccepted::Refused).await;
                match code.reaction() {
                    Reaction::WaitForSlot | Reaction::WaitOutBlock(_) | Reaction::StopCalling => Sent::Again,
                    _ => Sent::Told(Err(Refusal::Upstream { code, text })),
                }
            }
            Ok(UploadReply::Garbage) | Err(UpstreamError::Lost(_) | UpstreamError::Status(_)) => {
                not_accepted(NotAccepted::Unknown).await;
                tracing::warn!(%client, method = upload.method.label(), "an upload's fate is unknown; it is not sent again");
                Sent::Told(Err(Refusal::Unknown))
            }
            Err(UpstreamError::NotSent(_)) => {
                not_accepted(NotAccepted::Refused).await;
                if at + RETRY_AFTER >= item.deadline {
                    return Sent::Told(Err(Refusal::Unreachable));
                }
                self.clock.sleep(RETRY_AFTER).await;
                Sent::Again
            }
        }
    }

    async fn accept(
        &self,
        intent: IntentId,
        id: CaptchaId,
        item: &Item<Waiting>,
        at: Timestamp,
    ) -> Result<CaptchaId, Refusal> {
        let method = item.value.upload.method;
        if !self.answers.add(id, Arc::clone(&item.client), method, at, None, None) {
            tracing::error!(captcha = %id, "the upstream gave an id twice; the second upload is not told it");
            self.gate.captcha_closed();
            self.keeper.keep(Change::NotAccepted { intent, how: NotAccepted::Unknown, at }).await;
            return Err(Refusal::Unknown);
        }
        self.poller.open(id, method, at);
        // Paid, and looked at from now on whatever the store says; but who reads `OK|id` must find it on disk.
        let accepted = Change::Accepted { intent, id, at };
        while let Err(error) = self.keeper.commit(accepted.clone()).await {
            let may_pass = matches!(error, StoreError::Failed(_));
            if !may_pass || self.clock.now() + STORE_AGAIN_AFTER >= item.deadline {
                return Err(Refusal::StoreDown);
            }
            self.clock.sleep(STORE_AGAIN_AFTER).await;
        }
        Ok(id)
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
