//! Everything around the gateway, and the judge: the upstream's model, the network, the disk, and what was promised.
//!
//! There is one lock, held for a step and never across a wait. A step is a call that leaves, arrives or comes back, a
//! change that is handed to the disk, or something that a client does.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use capgate::clock::{Clock, Timestamp};
use capgate::driver::Driver;
use capgate::driver::gate::Gate;
use capgate::engine::{BlockRule, Why};
use capgate::simulator::{Answer, Model};
use tokio::sync::Notify;

use super::log::Log;
use super::network::Network;
use super::pingbacks::Pingbacks;
use super::promises::{Broken, Promise, Tally};
use super::store::Disk;
use super::turns::Turns;
use super::waits::Waits;

/// What reached the gateway this long before a kill must be known after it; later news may not be on the disk yet.
const REMEMBERED_AFTER: Duration = Duration::from_millis(1_500);

/// What became of an upload at the upstream, as far as the gateway can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Sent, and nothing certain since.
    Perhaps,
    Taken,
    CertainlyNot,
}

/// A captcha whose id a client read.
#[derive(Clone, Debug)]
pub struct Paid {
    pub expected: Answer,
    /// When the upstream forgets it.
    pub ends_at: Timestamp,
}

/// The process that runs.
#[derive(Debug, Default)]
pub struct Life {
    pub number: u32,
    pub driver: Option<Arc<Driver>>,
    /// What the process that was killed last believed.
    before: Option<Arc<Gate>>,
    /// The step at which it is killed.
    pub kill_at: Option<u64>,
}

/// See the module.
#[derive(Debug)]
pub struct World {
    pub clock: Clock,
    pub model: Model,
    pub network: Network,
    pub disk: Disk,
    pub life: Life,
    pub waits: Waits,
    pub turns: Turns,
    pub pingbacks: Pingbacks,
    pub uploads: BTreeMap<u64, (usize, Fate)>,
    pub paid: BTreeMap<u64, Paid>,
    /// For each captcha, the life in which it was looked at last, and whether that look was late.
    pub looks: BTreeMap<u64, (u32, bool)>,
    /// How often in a row an unknown code was the reply to a look at a captcha.
    pub strange_codes: BTreeMap<u64, u32>,
    /// Captchas whose answer reached the process that runs, in a reply to a look at them alone, and when.
    pub shown: BTreeMap<u64, Timestamp>,
    pub owners_of_intents: BTreeMap<u64, String>,
    pub calls: u64,
    pub tally: Tally,
    pub broken: Option<Broken>,
    pub log: Log,
    steps: u64,
    /// Only this promise is watched, where a fault was planted.
    watched: Option<Promise>,
    sky_is_troubled: bool,
    troubled_until: Timestamp,
    changed: Arc<Notify>,
    uploaded: Arc<Notify>,
}

/// The world, shared between everything that runs in it.
#[derive(Debug)]
pub struct Shared {
    world: Mutex<World>,
    /// A promise is broken, a process was killed or started.
    pub changed: Arc<Notify>,
    /// An upload has arrived at the upstream, so something may be to be pushed.
    pub uploaded: Arc<Notify>,
}

impl Shared {
    pub fn new(
        clock: Clock,
        model: Model,
        seed: u64,
        weights: Vec<u32>,
        watched: Option<Promise>,
    ) -> Arc<Self> {
        let (changed, uploaded) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let world = World {
            clock,
            model,
            network: Network::new(seed),
            disk: Disk::new(seed),
            life: Life::default(),
            waits: Waits::default(),
            turns: Turns::new(weights),
            pingbacks: Pingbacks::new(seed),
            uploads: BTreeMap::new(),
            paid: BTreeMap::new(),
            looks: BTreeMap::new(),
            strange_codes: BTreeMap::new(),
            shown: BTreeMap::new(),
            owners_of_intents: BTreeMap::new(),
            calls: 0,
            tally: Tally::default(),
            broken: None,
            log: Log::new(),
            steps: 0,
            watched,
            sky_is_troubled: false,
            troubled_until: Timestamp(0),
            changed: Arc::clone(&changed),
            uploaded: Arc::clone(&uploaded),
        };
        Arc::new(Self { world: Mutex::new(world), changed, uploaded })
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gateway, while it runs.
    pub fn driver(&self) -> Option<Arc<Driver>> {
        self.world().life.driver.clone()
    }
}

impl World {
    pub fn note(&mut self, event: fmt::Arguments<'_>) {
        self.log.add(self.clock.now(), event);
    }

    /// The first promise that is broken ends the history.
    pub fn broke(&mut self, promise: Promise, how: String) {
        if self.broken.is_some() || self.watched.is_some_and(|watched| watched != promise) {
            return;
        }
        self.note(format_args!("{promise:?} is broken: {how}"));
        self.broken = Some(Broken { promise, at: self.clock.now(), how });
        self.changed.notify_waiters();
    }

    /// Something happens: the process may end here, and the upstream must not have blocked us.
    pub fn step(&mut self) {
        self.steps += 1;
        let blocks = self.model.blocks();
        if blocks > 0 && self.broken.is_none() {
            let log = self.model.state(self.clock.now()).block_log;
            let earned: Vec<_> = log.iter().filter(|block| !block.forced).map(|block| block.rule).collect();
            self.broke(Promise::NeverBlocked, format!("the upstream began {earned:?}"));
        }
        if self.life.kill_at.is_some_and(|step| step <= self.steps) {
            self.kill();
        }
    }

    /// An upload has arrived at the upstream.
    pub fn uploaded(&self) {
        self.uploaded.notify_one();
    }

    pub const fn steps(&self) -> u64 {
        self.steps
    }

    pub fn is_alive(&self, life: u32) -> bool {
        self.life.number == life && self.life.driver.is_some()
    }

    /// The process ends where it stands.
    pub fn kill(&mut self) {
        self.life.kill_at = None;
        if let Some(driver) = self.life.driver.take() {
            driver.kill();
            self.life.before = Some(Arc::clone(&driver.gate));
            self.tally.count("kills");
            let number = self.life.number;
            self.note(format_args!("process {number} is killed"));
            let now = self.clock.now();
            let is_stalled = now < self.disk.stalled_until + REMEMBERED_AFTER;
            let written_at = if is_stalled { self.disk.stalled_at } else { now };
            let remembered_before = written_at - REMEMBERED_AFTER;
            self.waits.killed(remembered_before);
            self.turns.clear();
            self.disk.killed();
            let solved = &self.disk.solved;
            self.shown.retain(|id, _| solved.contains(id));
            self.changed.notify_waiters();
        }
    }

    /// A process starts, and knows what the one before knew, or believes the worse.
    pub fn starts(&mut self, driver: Driver) {
        if let Some(before) = self.life.before.take() {
            self.compare(&before, &driver.gate);
        }
        self.life.driver = Some(Arc::new(driver));
    }

    fn compare(&mut self, before: &Gate, after: &Gate) {
        // What is held for calls may have been for some that never left; and after a block of another's making less is
        // believed than is true, which need not be remembered.
        let (admitted, open) = before.at_work();
        let admitted = u32::try_from(admitted).unwrap_or(u32::MAX);
        if before.waits().iter().any(|wait| matches!(wait.why, Why::Blocked(_))) {
            return;
        }
        for (had, has) in before.budgets().iter().zip(after.budgets()) {
            let units = if had.rule == BlockRule::ResLooks { open.max(1) } else { 1 };
            // That a key is refused which was good may not be on the disk yet.
            let news = u32::from(had.rule == BlockRule::WrongKeys);
            let held = admitted.saturating_mul(units).saturating_add(news);
            if has.left > had.left.saturating_add(held) {
                let rule = had.rule.label();
                let how = format!("{rule}: {} and {held} held, {} after the start", had.left, has.left);
                self.broke(Promise::BudgetsSurvive, how);
            }
        }
    }

    pub fn turn_given(&mut self, name: &str) -> Result<(), String> {
        let client = name.rsplit('-').next().and_then(|number| number.parse().ok());
        client.map_or(Ok(()), |client| self.turns.given(client, self.clock.now()))
    }

    /// From now on, or until now, the upstream or the disk cannot be relied on.
    pub fn sky_troubles(&mut self, is_troubled: bool) {
        if self.sky_is_troubled {
            self.trouble_until(self.clock.now());
        }
        self.sky_is_troubled = is_troubled;
    }

    pub fn trouble_until(&mut self, moment: Timestamp) {
        self.troubled_until = self.troubled_until.max(moment);
    }

    /// Since when the upstream could be asked without trouble.
    pub fn clear_since(&self) -> Option<Timestamp> {
        let now = self.clock.now();
        let since = self.troubled_until.max(self.waits.key_let_calls_go_since(now)?);
        let is_clear = !self.sky_is_troubled && self.life.driver.is_some() && since <= now;
        is_clear.then_some(since)
    }
}
