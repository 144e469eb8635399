//! What the upstream, the network and the disk are like, hour by hour: calm, bad in one way or in several, and an
//! operator who mends what was refused.

use std::sync::Arc;
use std::time::Duration;

use capgate::driver::Driver;
use capgate::protocol::ErrorCode;
use capgate::simulator::random::Random;
use capgate::simulator::{FaultKind, FaultPoint, Money, Rate, Scenario};

use super::world::{Shared, World};

/// Faults that spoil single calls, beside those that have a period of their own.
pub const FAULTS: &[FaultKind] = &[
    FaultKind::Html,
    FaultKind::Html500,
    FaultKind::Html502,
    FaultKind::Html521,
    FaultKind::Hang,
    FaultKind::ResetBefore,
    FaultKind::ResetAfter,
    FaultKind::Garbage,
    FaultKind::Empty,
    FaultKind::Truncated,
    FaultKind::Slow,
    FaultKind::Endless,
    FaultKind::ShortBatch,
    FaultKind::UnknownCode,
    FaultKind::Code(ErrorCode::Unsolvable),
    FaultKind::Code(ErrorCode::BadDuplicates),
    FaultKind::Code(ErrorCode::BadParameters),
    FaultKind::Code(ErrorCode::Upload),
];

/// Faults of pushes, where the upstream pushes.
pub const PUSH_FAULTS: &[FaultKind] = &[
    FaultKind::PushLost,
    FaultKind::PushTwice,
    FaultKind::PushLate,
    FaultKind::PushEarly,
    FaultKind::PushForeign,
];

/// How long an operator waits for a process to say that something is kept.
const SAID_WITHIN: Duration = Duration::from_secs(5);

/// What others' use of the key can bring about.
const BLOCKS: &[ErrorCode] = &[
    ErrorCode::Block1001,
    ErrorCode::Block1002,
    ErrorCode::Block1003,
    ErrorCode::Block1004,
    ErrorCode::Block1005,
    ErrorCode::MaxUserTurn,
    ErrorCode::IpBanned,
];

/// Times that a history refuses the key: the upstream may count five in any time it likes.
const KEY_REFUSALS_MAX: u32 = 2;

/// A period's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sky {
    Calm,
    Faults,
    Unreachable,
    NoSlots,
    NoMoney,
    BlockedByOthers,
    KeyRefused,
    SlowWorkers,
    DiskFails,
}

impl Sky {
    fn draw(random: &mut Random) -> Self {
        match random.below(20) {
            0..=6 => Self::Calm,
            7..=10 => Self::Faults,
            11 => Self::Unreachable,
            12 | 13 => Self::NoSlots,
            14 => Self::NoMoney,
            15 | 16 => Self::BlockedByOthers,
            17 => Self::KeyRefused,
            18 => Self::SlowWorkers,
            _ => Self::DiskFails,
        }
    }
}

/// Changes the sky until it is dropped. `only`: this one, all the time.
pub async fn change(shared: Arc<Shared>, calm: Scenario, seed: u64, only: Option<Sky>) {
    let mut random = Random::new(seed, "weather");
    let clock = shared.world().clock;
    let mut key_refusals = 0;
    loop {
        let mut sky = only.unwrap_or_else(|| Sky::draw(&mut random));
        if sky == Sky::KeyRefused {
            key_refusals += 1;
            if key_refusals > KEY_REFUSALS_MAX && only.is_none() {
                sky = Sky::Calm;
            }
        }
        let minutes = if sky == Sky::Calm { 5 + random.below(50) } else { 1 + random.below(25) };
        shared.world().set_sky(sky, &calm, &mut random);
        clock.sleep(Duration::from_secs(minutes * 60)).await;
        shared.world().clear_sky(&calm);
        mend(&shared, &mut random).await;
    }
}

/// An operator sees that the key is refused, mends it, and says so.
pub async fn mend(shared: &Shared, random: &mut Random) {
    let clock = shared.world().clock;
    if !shared.world().waits.key_needs_mending() {
        return;
    }
    clock.sleep(Duration::from_secs(random.below(600))).await;
    loop {
        let Some(driver) = shared.world().mend() else { return };
        tokio::select! {
            biased;
            kept = driver.gate.keep() => if kept.is_ok() { return },
            // The process is gone, or the disk says nothing.
            () = clock.sleep(SAID_WITHIN) => {}
        }
        // Who is not told that it is kept says it again.
        clock.sleep(SAID_WITHIN).await;
    }
}

impl World {
    /// What was refused is mended, and the process that runs is told so; nothing when none does.
    fn mend(&mut self) -> Option<Arc<Driver>> {
        let driver = self.life.driver.clone()?;
        self.note(format_args!("an operator mends what was refused"));
        self.waits.mended();
        let now = self.clock.now();
        self.trouble_until(now);
        driver.gate.clear_latches();
        Some(driver)
    }

    fn set_sky(&mut self, sky: Sky, calm: &Scenario, random: &mut Random) {
        let mut scenario = calm.clone();
        let some = |random: &mut Random| Rate::Probability(0.02 + random.fraction() * 0.4);
        let mut fault = |kind: FaultKind, rate| {
            scenario.faults.insert(FaultPoint { kind, endpoint: None }, rate);
        };
        match sky {
            Sky::Calm => {}
            Sky::Faults => {
                for _ in 0..=random.below(4) {
                    fault(pick(FAULTS, random), some(random));
                }
                self.network.holds_up = if random.below(3) == 0 { 0.05 } else { 0.0 };
                self.network.usual_ms = 20 + random.below(600);
            }
            Sky::Unreachable => {
                self.network.refuses = if random.below(2) == 0 { 1.0 } else { 0.3 };
            }
            Sky::NoSlots if random.below(2) == 0 => {
                let no_slot = FaultKind::Code(ErrorCode::NoSlotAvailable);
                fault(no_slot, Rate::Probability(0.3 + random.fraction() * 0.7));
            }
            Sky::NoSlots => scenario.slots = usize::try_from(random.below(8)).unwrap_or(0),
            Sky::NoMoney if random.below(2) == 0 => {
                fault(FaultKind::Code(ErrorCode::ZeroBalance), Rate::Probability(random.fraction()));
            }
            Sky::NoMoney => scenario.balance = Money(0),
            Sky::BlockedByOthers => fault(FaultKind::Code(pick(BLOCKS, random)), Rate::Next(1)),
            Sky::KeyRefused => fault(FaultKind::Code(ErrorCode::KeyDoesNotExist), Rate::Next(1)),
            Sky::SlowWorkers => scenario.time_scale = 5.0 + random.fraction() * 40.0,
            Sky::DiskFails => {
                self.disk.is_failing = true;
                self.disk.keeps_nothing = random.below(2) == 0;
            }
        }
        self.note(format_args!("the sky: {sky:?} {:?}", scenario.faults));
        let is_harmless = matches!(sky, Sky::Calm | Sky::NoSlots | Sky::NoMoney | Sky::SlowWorkers);
        self.sky_troubles(!is_harmless);
        self.model.switch(scenario);
    }

    /// All is well again, as far as it lies with others.
    pub fn clear_sky(&mut self, calm: &Scenario) {
        self.note(format_args!("the sky clears"));
        self.network.refuses = 0.0;
        self.network.holds_up = 0.0;
        self.network.usual_ms = 120;
        self.disk.is_failing = false;
        self.model.switch(calm.clone());
        self.sky_troubles(false);
    }
}

pub fn pick<T: Copy>(from: &[T], random: &mut Random) -> T {
    let length = u64::try_from(from.len()).unwrap_or(u64::MAX);
    from[usize::try_from(random.below(length)).unwrap_or(0)]
}
