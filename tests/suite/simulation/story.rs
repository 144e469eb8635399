//! One history, from the first start to the moment when all is idle: what a seed and a plan decide.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use capgate::clients::Clients;
use capgate::clock::{Clock, Timestamp};
use capgate::config::{self, Config};
use capgate::driver::Driver;
use capgate::engine::Limits;
use capgate::metrics::Metrics;
use capgate::protocol::{ClientKey, UpstreamKey};
use capgate::simulator::random::Random;
use capgate::simulator::{DEFAULT_KEY, FaultPoint, Model, Rate, Scenario};
use capgate::store::MemoryStore;

use super::clients::Crowd;
use super::doctors::Doctor;
use super::pingbacks::{self, SimulatedReceivers};
use super::promises::{Broken, Promise, Tally};
use super::store::FlakyStore;
use super::traffic::Traffic;
use super::upstream::SimulatedUpstream;
use super::weather::{self, Sky};
use super::world::{Shared, World};

/// Where histories begin: 2026-11-23T00:00:00Z.
const BEGIN: Timestamp = Timestamp(1_795_392_000_000);
const CLIENTS: u32 = 200;
/// After the last client has gone: every captcha's 15 minutes, the longest wait, and the probes after it.
const REST: Duration = Duration::from_mins(32);
/// Longest that clients are waited for; each has gone when its captcha's 15 minutes are over.
const LEAVE_WITHIN: Duration = Duration::from_mins(40);

/// Longest that a call of a gateway that is idle otherwise is waited for.
const ASKS_WITHIN_SECONDS: u32 = 60;

/// Part of the pushes with each of their faults.
const PUSH_FAULTS: f64 = 0.03;

/// Over which time the upstream may compare for 1003; nobody says.
const RATIO_WINDOWS_MS: &[u64] = &[60_000, 600_000, 1_800_000];

const UPLOAD_GAPS: &[Duration] =
    &[Duration::from_millis(100), Duration::from_millis(100), Duration::from_millis(20), Duration::ZERO];

/// What decides a history.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    pub length: Duration,
    pub restarts: bool,
    /// Some restarts find the clock hours behind.
    pub sets_clock_back: bool,
    /// One kind of weather instead of a changing one.
    pub sky: Option<Sky>,
    pub limits: Option<Limits>,
    pub doctor: Doctor,
    /// Only this promise is watched.
    pub watched: Option<Promise>,
    /// Shortest time between two looks that the gateway is told to keep.
    pub interval: Duration,
    /// What the upstream is like besides.
    pub upstream: fn(&mut Scenario),
}

impl Plan {
    pub const fn of(seed: u64) -> Self {
        Self {
            seed,
            length: Duration::from_hours(12),
            restarts: true,
            sets_clock_back: false,
            sky: None,
            limits: None,
            doctor: Doctor::None,
            watched: None,
            interval: Duration::from_secs(5),
            upstream: |_| (),
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    pub broken: Option<Broken>,
    /// The number of events, and their digest.
    pub digest: (u64, u64),
    pub last_events: Vec<String>,
    pub tally: Tally,
    pub lasted: Duration,
}

/// Plays the history through, or until a promise is broken.
pub fn play(plan: &Plan) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without IO starts").block_on(Story::begin(plan.clone()).play())
}

struct Story {
    plan: Plan,
    calm: Scenario,
    config: Config,
    shared: Arc<Shared>,
    disk: Arc<MemoryStore>,
    metrics: Arc<Metrics>,
    clock: Clock,
    /// How far behind the gateway's clock is.
    set_back_hours: AtomicU64,
}

impl Story {
    fn begin(plan: Plan) -> Self {
        let clock = Clock::starting_at(BEGIN);
        let mut random = Random::new(plan.seed, "story");
        let mut calm = Scenario {
            seed: plan.seed,
            piped_answers: if random.below(3) == 0 { 0.02 } else { 0.0 },
            slots: if random.below(3) == 0 { 60 } else { 2_000 },
            no_slot_ratio_window_ms: weather::pick(RATIO_WINDOWS_MS, &mut Random::new(plan.seed, "1003")),
            ..Scenario::default()
        };
        let mut config = Config::default();
        config.pingback.register_from = vec!["0.0.0.0/0".parse().expect("a network")];
        if Random::new(plan.seed, "pingback").below(3) == 0 {
            config.upstream.pingback_url = Some(pingbacks::OURS.to_owned());
            let some = |kind| (FaultPoint { kind, endpoint: None }, Rate::Probability(PUSH_FAULTS));
            calm.faults.extend(weather::PUSH_FAULTS.iter().copied().map(some));
        }
        (plan.upstream)(&mut calm);
        config.upstream.key = Some(UpstreamKey::new(DEFAULT_KEY));
        config.uploads.hold = Duration::from_secs(weather::pick(&[3, 3, 10, 30], &mut random));
        config.polling.interval = plan.interval;
        config.clients = (0..CLIENTS).map(|number| client(number, &mut random)).collect();
        let weights = config.clients.iter().map(|client| client.weight).collect();
        let model = Model::new(calm.clone(), clock.now());
        let shared = Shared::new(clock, model, plan.seed, weights, plan.watched);
        let (disk, metrics) = (Arc::new(MemoryStore::default()), Arc::new(Metrics::default()));
        Self { plan, calm, config, shared, disk, metrics, clock, set_back_hours: AtomicU64::new(0) }
    }

    /// Some gateways are told to send uploads as they come; the budgets alone must do.
    fn limits(&self) -> Limits {
        let upload_gap = weather::pick(UPLOAD_GAPS, &mut Random::new(self.plan.seed, "upload gap"));
        self.plan.limits.clone().unwrap_or_else(|| Limits { upload_gap, ..Limits::default() })
    }

    async fn play(self) -> Outcome {
        let whole = self.whole();
        tokio::select! {
            biased;
            () = self.until_broken() => {}
            () = whole => {}
            () = pingbacks::push(Arc::clone(&self.shared)) => {}
        }
        let mut world = self.shared.world();
        world.life.driver = None;
        let state = world.model.state(self.clock.now());
        world.tally.add("blocks by others", state.blocks_forced);
        for (fault, times) in state.faults {
            world.tally.add(format!("fault {fault}"), times);
        }
        Outcome {
            broken: world.broken.clone(),
            digest: world.log.digest(),
            last_events: world.log.last(),
            tally: world.tally.clone(),
            lasted: self.clock.now().since(BEGIN),
        }
    }

    async fn until_broken(&self) {
        loop {
            let changed = self.shared.changed.notified();
            if self.shared.world().broken.is_some() {
                return;
            }
            changed.await;
        }
    }

    async fn whole(&self) {
        self.start().await;
        let clients = Clients::new(&self.config, &self.metrics);
        let found = (0..CLIENTS).map(|number| clients.find(Some(key(number).as_bytes())));
        let crowd = Arc::new(Crowd {
            shared: Arc::clone(&self.shared),
            clients: found.map(|client| client.expect("every client has its key")).collect(),
            piped: self.calm.piped_answers,
            is_one: self.plan.doctor == Doctor::TakesAllForOne,
        });
        let end = BEGIN + self.plan.length;
        let traffic = Traffic::new(crowd, self.plan.seed).run(end);
        let weather =
            weather::change(Arc::clone(&self.shared), self.calm.clone(), self.plan.seed, self.plan.sky);
        let visits = tokio::select! {
            biased;
            visits = traffic => visits,
            () = weather => return,
            () = self.restart() => return,
        };
        self.shared.world().clear_sky(&self.calm);
        self.shared.world().life.kill_at = None;
        self.start_if_dead().await;
        weather::mend(&self.shared, &mut Random::new(self.plan.seed, "last mending")).await;
        tokio::select! {
            biased;
            () = visits.wait() => {}
            () = self.clock.sleep(LEAVE_WITHIN) => {
                let how = format!("{} clients still wait", visits.len());
                self.shared.world().broke(Promise::IdleInTheEnd, how);
            }
        }
        self.clock.sleep(REST).await;
        // An idle gateway asks for the balance now and then.
        for _ in 0..ASKS_WITHIN_SECONDS {
            if self.shared.world().waits.in_flight() == 0 {
                break;
            }
            self.clock.sleep(Duration::from_secs(1)).await;
        }
        self.shared.world().judge_pingbacks();
        self.shared.world().judge_end();
    }

    /// Kills the process at some step, again and again, and starts the next one.
    async fn restart(&self) {
        let mut random = Random::new(self.plan.seed, "restarts");
        loop {
            if self.plan.restarts {
                let mut world = self.shared.world();
                // Often after a few steps, like a process that crashes as soon as it runs.
                let steps = if random.below(3) == 0 { random.below(60) } else { random.below(5_000) };
                world.life.kill_at = Some(world.steps() + 1 + steps);
            }
            while self.shared.driver().is_some() {
                let changed = self.shared.changed.notified();
                if self.shared.driver().is_some() {
                    changed.await;
                }
            }
            let down_ms = if random.below(20) == 0 { 900_000 } else { 20_000 };
            self.clock.sleep(Duration::from_millis(random.below(down_ms))).await;
            if self.plan.sets_clock_back && random.below(4) == 0 {
                // Not for all others.
                let hours = 1 + random.below(48);
                self.set_back_hours.fetch_add(hours, Ordering::Relaxed);
                self.shared.world().note(format_args!("the clock is set back by {hours} hours"));
            }
            self.start_if_dead().await;
        }
    }

    async fn start_if_dead(&self) {
        if self.shared.driver().is_none() {
            self.start().await;
        }
    }

    /// Starts a process on what is on the disk, as soon as the disk lets it.
    async fn start(&self) {
        let life = {
            let mut world = self.shared.world();
            world.life.number += 1;
            world.life.number
        };
        loop {
            let store = FlakyStore::new(Arc::clone(&self.shared), life, Arc::clone(&self.disk));
            let upstream = SimulatedUpstream::new(Arc::clone(&self.shared), life);
            let set_back = Duration::from_hours(self.set_back_hours.load(Ordering::Relaxed));
            let started = Driver::start_with(
                self.limits(),
                &self.config,
                Clock::starting_at(self.clock.now() - set_back),
                self.plan.doctor.store(store, self.clock),
                self.plan.doctor.upstream(upstream, self.clock),
                Arc::new(SimulatedReceivers(Arc::clone(&self.shared))),
                Arc::clone(&self.metrics),
            );
            if let Ok(driver) = started.await {
                let mut world = self.shared.world();
                world.note(format_args!("process {life} starts"));
                world.starts(driver);
                let now = world.clock.now();
                world.waits.started(now);
                world.trouble_until(now);
                return;
            }
            self.clock.sleep(Duration::from_secs(1)).await;
        }
    }
}

fn key(number: u32) -> String {
    format!("simulated-client-key-{number:011}")
}

fn client(number: u32, random: &mut Random) -> config::Client {
    config::Client {
        name: format!("client-{number}"),
        keys: vec![ClientKey::parse(key(number).as_bytes()).expect("a client key has 32 symbols")],
        weight: weather::pick(&[1, 1, 1, 2, 5, 20], random),
        ..config::Client::default()
    }
}

impl World {
    /// Everybody has gone and every captcha's time is over: nothing may be left.
    fn judge_end(&mut self) {
        let Some(driver) = self.life.driver.clone() else {
            return self.broke(Promise::IdleInTheEnd, "no process runs".to_owned());
        };
        let left = [
            ("captchas are open", driver.poller.open_count()),
            ("calls hold a ticket", driver.gate.at_work().0),
            ("captchas hold a look", driver.gate.at_work().1 as usize),
            ("calls are in flight", self.waits.in_flight()),
            ("clients wait for a turn", usize::from(!self.turns.is_empty())),
        ];
        for (what, count) in left {
            if count > 0 {
                self.broke(Promise::IdleInTheEnd, format!("{count} {what}"));
            }
        }
    }
}
