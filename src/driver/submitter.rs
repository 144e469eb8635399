//! Carries uploads out: one task owns the fair queue and gives turns; each upload is then a task of its own
//! (`sending`), so that a client that hangs up loses nothing that was paid for.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::Refusal;
use super::allowances::{Allowances, Reserved};
use super::callbacks::{Callbacks, Wanted};
use super::repeats::{Attempt, Begun, HungUp, Parcel, Repeats};
use super::sending::Sender;
use crate::clients::Client;
use crate::clock::{Clock, Timestamp};
use crate::config::{AuthMode, Config, Live, Uploads};
use crate::engine::fair_queue::{FairQueue, Item, ItemKey, QueueLimits};
use crate::engine::refusal::{self, CallKind as Asked, Why};
use crate::protocol::repeat::Repeat;
use crate::protocol::submit::Upload;

/// Uploads handed to the submitter and not yet queued.
const HANDOVERS_MAX: usize = 1_024;
/// An upload that waits for its turn.
#[derive(Debug)]
pub(super) struct Waiting {
    pub upload: Arc<Upload>,
    pub repeat: Repeat,
    pub arrived_at: Timestamp,
    pub hung_up: HungUp,
    /// Lives until the upload has ended, so that the same one can wait for it.
    pub attempt: Attempt,
    /// Where its client wants the outcome pushed to.
    pub wanted: Option<Wanted>,
    /// What the client may spend is less by it.
    pub reserved: Reserved,
    pub answer: oneshot::Sender<Result<Parcel, Refusal>>,
}

impl Waiting {
    /// Whether nobody is there any more to read what becomes of it.
    fn is_abandoned(&self) -> bool {
        is_gone(&self.answer, &self.hung_up)
    }

    pub fn refuse(self, refusal: Refusal) {
        self.attempt.refused(&refusal);
        // The client may be gone by now; then nobody needs to be told.
        let _ = self.answer.send(Err(refusal));
    }
}

/// Whether nobody reads the answer.
pub(super) fn is_gone(answer: &oneshot::Sender<Result<Parcel, Refusal>>, hung_up: &HungUp) -> bool {
    answer.is_closed() || hung_up.is_so()
}

/// Gives uploads their turn.
#[derive(Clone, Debug)]
pub struct Submitter {
    inbox: mpsc::Sender<Item<Waiting>>,
    repeats: Repeats,
    callbacks: Arc<Callbacks>,
    allowances: Arc<Allowances>,
    clock: Clock,
}

impl Submitter {
    /// Starts the task that owns the queue.
    #[must_use]
    pub fn start(sender: Sender, repeats: Repeats, allowances: Arc<Allowances>, live: &Live) -> Self {
        let (tasks, clock, callbacks) = (sender.tasks.clone(), sender.clock, Arc::clone(&sender.callbacks));
        let (inbox, handed_over) = mpsc::channel(HANDOVERS_MAX);
        let queue = Queue {
            sender: Arc::new(sender),
            waiting: FairQueue::new(QueueLimits::default()),
            refusal: None,
            inbox: inbox.downgrade(),
            clients: None,
        };
        tasks.spawn_endless(queue.run(handed_over, live.changes()));
        Self { inbox, repeats, callbacks, allowances, clock }
    }

    /// Waits for a turn until `deadline`, then for the upstream's reply.
    ///
    /// # Errors
    /// [`Refusal`] when it got no id.
    pub async fn submit(
        &self,
        client: &Client,
        upload: Upload,
        hung_up: HungUp,
        arrived_at: Timestamp,
        deadline: Timestamp,
    ) -> Result<Parcel, Refusal> {
        let repeat = Repeat::of(&client.name, &upload);
        // The one before may take longer than this one may wait; then its id waits for the next.
        let begun = tokio::select! {
            biased;
            begun = self.repeats.begin(repeat, &hung_up) => begun?,
            () = self.clock.sleep_until(deadline) => return Err(Refusal::NotInTime),
        };
        let attempt = match begun {
            Begun::New(attempt) => attempt,
            Begun::Again(parcel) => return Ok(parcel),
        };
        // What was bought is told even to a client that has nothing left to spend.
        let reserved = self.allowances.reserve(client, upload.method).map_err(Refusal::Denied);
        let prepared = reserved.and_then(|reserved| {
            let target = upload.pingback.clone();
            let wanted = target.map(|target| self.callbacks.promise(&client.name, target)).transpose()?;
            Ok((reserved, wanted))
        });
        let (reserved, wanted) = match prepared {
            Ok(prepared) => prepared,
            Err(refusal) => {
                attempt.refused(&refusal);
                return Err(refusal);
            }
        };
        let (answer, told) = oneshot::channel();
        let item = Item {
            client: Arc::clone(&client.name),
            weight: client.weight,
            priority: upload.priority,
            bytes: upload.size_bytes() as u64,
            deadline,
            value: Waiting {
                upload: Arc::new(upload),
                repeat,
                arrived_at,
                hung_up,
                attempt,
                wanted,
                reserved,
                answer,
            },
        };
        self.inbox.send(item).await.map_err(|_| Refusal::Stopping)?;
        told.await.unwrap_or(Err(Refusal::Stopping))
    }
}

struct Queue {
    sender: Arc<Sender>,
    waiting: FairQueue<Waiting>,
    /// Why the last turn was not given.
    refusal: Option<refusal::Refusal>,
    /// For uploads that come back to wait again; weak, so that the task ends with the last [`Submitter`].
    inbox: mpsc::WeakSender<Item<Waiting>>,
    /// Those that may wait; none: whoever gets here.
    clients: Option<HashSet<String>>,
}

impl Queue {
    async fn run(
        mut self,
        mut handed_over: mpsc::Receiver<Item<Waiting>>,
        mut settings: watch::Receiver<Arc<Config>>,
    ) {
        let tools = Arc::clone(&self.sender);
        let mut is_open = true;
        self.follow(&settings.borrow_and_update().clone());
        while is_open || !self.waiting.is_empty() {
            let gate_changed = tools.gate.changed();
            self.end_waits(tools.clock.now());
            let next_turn = self.give_turns();
            tools.metrics.uploads_waiting(self.waiting.len());
            let next = next_turn.min(self.waiting.next_deadline().unwrap_or(Timestamp::NEVER));
            tokio::select! {
                biased;
                item = handed_over.recv(), if is_open => match item {
                    Some(item) => {
                        self.push(item);
                        // All that have come, before the next turn: who was handed over last may be who is next.
                        while let Ok(item) = handed_over.try_recv() {
                            self.push(item);
                        }
                    }
                    None => is_open = false,
                },
                Ok(()) = settings.changed() => self.follow(&settings.borrow_and_update().clone()),
                () = gate_changed, if !self.waiting.is_empty() => {}
                () = tools.clock.sleep_until(next) => {}
            }
        }
    }

    /// Takes settings over. Uploads of clients that are gone are not bought any more.
    fn follow(&mut self, config: &Config) {
        let Uploads { queue_max: items, queue_bytes_max: bytes, .. } = config.uploads;
        self.waiting.set_limits(QueueLimits { items, bytes });
        self.sender.metrics.uploads_waiting_limit(items);
        let names = || config.clients.iter().map(|client| client.name.clone()).collect();
        self.clients = (config.auth.mode == AuthMode::Keys).then(names);
        let gone: Vec<_> = self
            .waiting
            .clients()
            .map(|(name, _)| Arc::clone(name))
            .filter(|name| !self.may_wait(name))
            .collect();
        for name in gone {
            while let Some((_, item)) = self.waiting.remove_of(&name) {
                self.left(item).value.refuse(Refusal::ClientRemoved);
            }
        }
    }

    fn may_wait(&self, client: &str) -> bool {
        self.clients.as_ref().is_none_or(|clients| clients.contains(client))
    }

    fn push(&mut self, item: Item<Waiting>) {
        if !self.may_wait(&item.client) {
            return item.value.refuse(Refusal::ClientRemoved);
        }
        let client = Arc::clone(&item.client);
        let mut pushed = self.waiting.push(item);
        if let Err(full) = pushed {
            // Those whose clients have gone make room.
            for key in self.waiting.keys_where(Waiting::is_abandoned) {
                self.remove_abandoned(key);
            }
            pushed = self.waiting.push(full.item);
        }
        match pushed {
            Ok(_) => self.sender.metrics.upload_queued(&client),
            Err(full) => full.item.value.refuse(Refusal::QueueFull(full.limit)),
        }
    }

    fn remove_abandoned(&mut self, key: ItemKey) {
        if let Some(item) = self.waiting.remove(key) {
            self.left(item).value.refuse(Refusal::HungUp);
        }
    }

    /// What every item goes through when it leaves the queue, whether its turn came or not.
    fn left(&self, item: Item<Waiting>) -> Item<Waiting> {
        let waited = self.sender.clock.now().since(item.value.arrived_at);
        self.sender.metrics.upload_unqueued(&item.client);
        self.sender.metrics.upload_waited(&item.client, item.value.upload.method, waited);
        item
    }

    /// Sends what may go. Returns when the next may.
    fn give_turns(&mut self) -> Timestamp {
        while let Some((key, item)) = self.waiting.peek() {
            if item.value.is_abandoned() {
                self.remove_abandoned(key);
                continue;
            }
            match self.sender.gate.admit(Asked::Upload) {
                Ok(ticket) => {
                    self.refusal = None;
                    if let Some((_, item)) = self.waiting.pop() {
                        let item = self.left(item);
                        let (sender, inbox) = (Arc::clone(&self.sender), self.inbox.clone());
                        self.sender.tasks.spawn(async move { sender.send(item, ticket, inbox).await });
                    }
                }
                Err(refusal) => {
                    self.sender.gate.log_wait(&refusal);
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
            self.left(item).value.refuse(Refusal::NotNow(refusal.clone()));
        }
    }

    fn end_waits(&mut self, now: Timestamp) {
        while let Some((_, item)) = self.waiting.pop_expired(now) {
            let refusal = match &self.refusal {
                Some(refusal) => Refusal::NotNow(refusal.clone()),
                None => Refusal::NotInTime,
            };
            self.left(item).value.refuse(refusal);
        }
    }
}
