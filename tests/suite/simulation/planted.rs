//! The simulation can fail: each planted fault breaks the promise that it is about, within a few seeds.

use std::time::Duration;

use capgate::engine::block_rules::Shape;
use capgate::engine::{BlockRule, Limits};

use super::doctors::Doctor;
use super::promises::Promise;
use super::story::{Plan, play};
use super::weather::Sky;

/// Seeds that are tried.
const SEEDS: u64 = 10;

/// Plays seeds with what `plant` changed until `promise` is broken.
fn finds(promise: Promise, plant: impl Fn(&mut Plan)) {
    let found = (0..SEEDS).find_map(|seed| {
        let mut plan = Plan { watched: Some(promise), restarts: false, ..Plan::of(seed) };
        plant(&mut plan);
        play(&plan).broken
    });
    let broken = found.unwrap_or_else(|| panic!("nobody noticed that {promise:?} is broken"));
    println!("{broken}");
}

/// Budgets of these rules that allow everything.
fn without(rules: &[BlockRule]) -> Limits {
    let mut limits = Limits::default();
    for rule in rules {
        match limits.shape_mut(*rule) {
            Shape::Window { limit, .. } => *limit = 1_000_000,
            Shape::Ledger(ledger) => ledger.cap = 1_000_000,
        }
    }
    limits
}

#[test]
fn an_uncapped_ledger_gets_us_blocked() {
    finds(Promise::NeverBlocked, |plan| {
        plan.sky = Some(Sky::SlowWorkers);
        plan.limits = Some(without(&[BlockRule::ResCalls, BlockRule::ResLooks]));
    });
}

#[test]
fn calls_in_flight_that_are_not_counted_get_us_blocked() {
    finds(Promise::NeverBlocked, |plan| {
        plan.sky = Some(Sky::SlowWorkers);
        plan.doctor = Doctor::AnswersLooksAtOnce;
    });
}

#[test]
fn a_loosened_window_gets_us_blocked() {
    finds(Promise::NeverBlocked, |plan| {
        plan.limits = Some(Limits { upload_gap: Duration::ZERO, ..without(&[BlockRule::Uploads]) });
    });
}

#[test]
fn probes_without_patience_get_us_blocked_for_no_slot_answers() {
    let impatient = |plan: &mut Plan| {
        let at_once = Duration::from_millis(1);
        plan.sky = Some(Sky::NoSlots);
        plan.limits = Some(Limits {
            no_slot_first: at_once,
            no_slot_longest: at_once,
            ..without(&[BlockRule::NoSlotAnswers, BlockRule::NoSlotRatio])
        });
    };
    finds(Promise::OneProbe, impatient);
    finds(Promise::NeverBlocked, impatient);
}

#[test]
fn probes_without_patience_are_noticed_when_there_is_no_money() {
    finds(Promise::OneProbe, |plan| {
        plan.sky = Some(Sky::NoMoney);
        plan.limits = Some(Limits { zero_balance_probe: Duration::from_secs(1), ..Limits::default() });
    });
}

#[test]
fn a_block_that_is_ignored_is_noticed() {
    finds(Promise::BlocksAreWaitedOut, |plan| {
        plan.sky = Some(Sky::BlockedByOthers);
        plan.doctor = Doctor::HidesBlocks;
    });
}

#[test]
fn a_refused_key_that_is_used_again_is_noticed() {
    finds(Promise::RefusedKeysRest, |plan| {
        plan.sky = Some(Sky::KeyRefused);
        plan.doctor = Doctor::HidesBlocks;
    });
}

#[test]
fn pieces_of_a_batch_that_go_to_the_wrong_captchas_are_noticed() {
    finds(Promise::RightAnswer, |plan| plan.doctor = Doctor::SwapsPieces);
}

#[test]
fn a_lost_upload_that_is_sent_again_is_noticed() {
    finds(Promise::PaidOnce, |plan| plan.doctor = Doctor::DeniesLostUploads);
}

#[test]
fn an_id_that_is_told_before_it_is_stored_is_noticed() {
    finds(Promise::StoredBeforeTold, |plan| plan.doctor = Doctor::KeepsLater);
}

#[test]
fn looks_that_come_too_soon_are_noticed() {
    finds(Promise::LooksAreSpaced, |plan| plan.interval = Duration::from_secs(4));
}

#[test]
fn captchas_that_a_restart_forgets_are_noticed() {
    for promise in [Promise::NothingLost, Promise::Durable] {
        finds(promise, |plan| {
            plan.restarts = true;
            plan.doctor = Doctor::ForgetsCaptchas;
        });
    }
}

#[test]
fn a_client_that_is_starved_and_one_that_reads_anothers_answers_are_noticed() {
    for promise in [Promise::Fair, Promise::OwnCaptchasOnly] {
        finds(promise, |plan| plan.doctor = Doctor::TakesAllForOne);
    }
}

#[test]
fn calls_that_never_end_are_noticed_in_the_end() {
    finds(Promise::IdleInTheEnd, |plan| plan.doctor = Doctor::NeverGivesUp);
}
