//! A store with a disk's habits: it takes its time, keeps changes in their order, fails for a while, and loses what had
//! not been written when the process was killed. What is on the disk outlives the process.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use capgate::clock::Timestamp;
use capgate::simulator::random::Random;
use capgate::store::{Change, Day, Ledger, MemoryStore, Recovered, Store, StoreError};
use futures_util::future::BoxFuture;

use super::world::{Shared, World};

/// The disk tells a process so soon that a change is written.
const TOLD_WITHIN: Duration = Duration::from_millis(3);

/// What is on the disk, as the checks need it, and how the disk behaves.
#[derive(Debug)]
pub struct Disk {
    random: Random,
    /// Changes are written one after the other.
    busy_until: Timestamp,
    /// When it last wrote nothing for a while, and until when.
    pub stalled_at: Timestamp,
    pub stalled_until: Timestamp,
    /// It refuses every change.
    pub is_failing: bool,
    /// And keeps nothing of what it refuses; else some failures come after the change was written.
    pub keeps_nothing: bool,
    /// Captchas and their owners' names.
    pub accepted: BTreeMap<u64, String>,
    pub solved: BTreeSet<u64>,
    /// Captchas whose outcomes are to be pushed.
    pub due: BTreeSet<u64>,
    /// Answers that it refused to keep, and those that were told while they waited behind them.
    pub refused: BTreeSet<u64>,
}

impl Disk {
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed, "disk"),
            busy_until: Timestamp(0),
            stalled_at: Timestamp(0),
            stalled_until: Timestamp(0),
            is_failing: false,
            keeps_nothing: false,
            accepted: BTreeMap::new(),
            solved: BTreeSet::new(),
            due: BTreeSet::new(),
            refused: BTreeSet::new(),
        }
    }

    /// Now and then the disk stalls.
    fn writes_at(&mut self, now: Timestamp) -> Timestamp {
        let ms = match self.random.below(3_000) {
            0 => {
                let ms = self.random.below(5_000);
                (self.stalled_at, self.stalled_until) = (now, now + Duration::from_millis(ms));
                ms
            }
            1..=10 => self.random.below(800),
            _ => self.random.below(4),
        };
        self.busy_until = (self.busy_until + Duration::from_millis(1)).max(now + Duration::from_millis(ms));
        self.busy_until
    }

    /// The process ends: what waits to be written is lost.
    pub fn killed(&mut self) {
        self.busy_until = Timestamp(0);
    }
}

/// One process's way to the disk.
#[derive(Debug)]
pub struct FlakyStore {
    shared: Arc<Shared>,
    life: u32,
    disk: Arc<MemoryStore>,
}

impl FlakyStore {
    pub const fn new(shared: Arc<Shared>, life: u32, disk: Arc<MemoryStore>) -> Self {
        Self { shared, life, disk }
    }

    async fn write(&self, change: Change) -> Result<(), StoreError> {
        let begun = {
            let mut world = self.shared.world();
            world.commit_begins(self.life, &change)
        };
        let Some((clock, at)) = begun else { return std::future::pending().await };
        clock.sleep_until(at).await;
        let written = self.shared.world().commit_ends(self.life, &change);
        let Some((is_kept, is_told)) = written else { return std::future::pending().await };
        if is_kept {
            self.disk.commit(change).await?;
        }
        let after_ms = self.shared.world().disk.random.below(3);
        clock.sleep(Duration::from_millis(after_ms)).await;
        if is_told { Ok(()) } else { Err(StoreError::Failed("the simulated disk fails".to_owned())) }
    }
}

impl Store for FlakyStore {
    fn load(&self) -> BoxFuture<'_, Result<Recovered, StoreError>> {
        if self.shared.world().disk.is_failing {
            return Box::pin(async { Err(StoreError::Failed("the simulated disk fails".to_owned())) });
        }
        self.disk.load()
    }

    fn commit(&self, change: Change) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.write(change))
    }

    fn ledger(&self, since: Day, open_since: Timestamp) -> BoxFuture<'_, Result<Ledger, StoreError>> {
        self.disk.ledger(since, open_since)
    }
}

impl World {
    /// A process hands a change to its store; when it will be written, or nothing if that process is dead.
    fn commit_begins(&mut self, life: u32, change: &Change) -> Option<(capgate::clock::Clock, Timestamp)> {
        self.step();
        if !self.is_alive(life) {
            return None;
        }
        // The first thing that becomes of an upload whose turn has come.
        if let Change::Submitting(intent) = change {
            self.note(format_args!("{} has a turn", intent.client));
            if let Err(how) = self.turn_given(&intent.client) {
                self.broke(super::promises::Promise::Fair, how);
            }
        }
        let now = self.clock.now();
        let at = self.disk.writes_at(now);
        if matches!(change, Change::Budgets(_)) {
            self.turns.noted(at + TOLD_WITHIN);
        }
        Some((self.clock, at))
    }

    /// A change's time has come: whether it is written, and whether its process is told so.
    fn commit_ends(&mut self, life: u32, change: &Change) -> Option<(bool, bool)> {
        if !self.is_alive(life) {
            return None;
        }
        let is_told = !self.disk.is_failing;
        let is_kept = is_told || (!self.disk.keeps_nothing && self.disk.random.below(4) == 0);
        self.written(change, is_kept, is_told);
        Some((is_kept, is_told))
    }

    fn written(&mut self, change: &Change, is_kept: bool, is_told: bool) {
        match change {
            Change::Submitting(intent) => {
                self.note(format_args!("disk: {} is about to be sent: {is_told}", intent.client));
                if is_kept {
                    self.owners_of_intents.insert(intent.id.0, intent.client.clone());
                }
            }
            Change::Accepted { intent, id, .. } => {
                self.note(format_args!("disk: {id} accepted: {is_told}"));
                if is_kept && let Some(owner) = self.owners_of_intents.remove(&intent.0) {
                    self.disk.accepted.insert(id.0, owner);
                }
            }
            Change::NotAccepted { intent, how, .. } => {
                self.note(format_args!("disk: not accepted, {how:?}: {is_told}"));
                self.owners_of_intents.remove(&intent.0);
            }
            Change::Solved { id, .. } => {
                self.note(format_args!("disk: {id} solved: {is_told}"));
                if is_kept {
                    self.disk.solved.insert(id.0);
                }
                if !is_told {
                    self.disk.refused.insert(id.0);
                }
            }
            Change::DeliveryDue { id, .. } => {
                self.note(format_args!("disk: {id}'s outcome is to be pushed: {is_told}"));
                if is_kept {
                    self.disk.due.insert(id.0);
                }
            }
            _ => {}
        }
    }
}
