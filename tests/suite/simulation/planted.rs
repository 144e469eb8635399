//! The simulation can fail: each planted fault breaks the promise that it is about, within a few seeds.

use std::time::Duration;

use capgate::engine::block_rules::Shape;
use capgate::engine::{BatchCountsAs, BlockRule, Limits};
use capgate::simulator;
use capgate::simulator::Key;

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

/// The same with a budget of this rule that allows everything.
fn without(mut limits: Limits, rule: BlockRule) -> Limits {
    match limits.shape_mut(rule) {
        Shape::Window { limit, .. } => *limit = 1_000_000,
        Shape::Ledger(ledger) => ledger.cap = 1_000_000,
    }
    limits
}

/// What tempts the gateway to break a rule: all else that would keep it from doing so is taken away.
fn provoke(rule: BlockRule, plan: &mut Plan) {
    let at_once = Duration::from_millis(1);
    let mut limits = Limits::default();
    match rule {
        BlockRule::NoSlotAnswers => {
            plan.sky = Some(Sky::NoSlots);
            (limits.no_slot_first, limits.no_slot_longest) = (at_once, at_once);
        }
        BlockRule::NoSlotRatio => {
            plan.sky = Some(Sky::NoSlots);
            (limits.no_slot_first, limits.no_slot_longest) = (at_once, at_once);
            plan.upstream = |scenario| scenario.no_slot_ratio_window_ms = 1_800_000;
        }
        BlockRule::ZeroBalanceAnswers => {
            plan.sky = Some(Sky::NoMoney);
            limits.zero_balance_probe = at_once;
        }
        BlockRule::WrongKeys => {
            plan.doctor = Doctor::LosesRefusals;
            // The upstream looks back for a day, the budget promises an hour.
            plan.length = Duration::from_mins(40);
            plan.upstream = |scenario| scenario.key = Key("another-account-key-000000000000".to_owned());
        }
        BlockRule::ResCalls => {
            plan.sky = Some(Sky::SlowWorkers);
            limits.batch_counts_as = BatchCountsAs::One;
            plan.upstream = |scenario| scenario.batch_counts_as = simulator::BatchCountsAs::One;
        }
        BlockRule::ResLooks => {
            plan.sky = Some(Sky::SlowWorkers);
            limits.batch_counts_as = BatchCountsAs::Each;
            plan.upstream = |scenario| scenario.batch_counts_as = simulator::BatchCountsAs::Each;
        }
        BlockRule::Uploads => limits.upload_gap = Duration::ZERO,
    }
    plan.limits = Some(limits);
}

/// In some history the upstream blocks for `rule` when its budget is taken away, and in the same history with the budget
/// it does not.
fn the_budget_prevents_the_block_of(rule: BlockRule) {
    let plan = |seed, with_budget: bool| {
        let watched = Some(Promise::NeverBlocked);
        let mut plan = Plan { watched, restarts: false, ..Plan::of(seed) };
        provoke(rule, &mut plan);
        if !with_budget {
            plan.limits = plan.limits.map(|limits| without(limits, rule));
        }
        plan
    };
    let block = rule.block().as_str();
    let found = (0..SEEDS).find_map(|seed| {
        let broken = play(&plan(seed, false)).broken?;
        broken.how.contains(block).then_some((seed, broken))
    });
    let (seed, broken) = found.unwrap_or_else(|| panic!("nothing happened without the budget of {rule:?}"));
    println!("{}, seed {seed}: {broken}", rule.label());
    assert_eq!(play(&plan(seed, true)).broken, None, "with the budget of {rule:?}");
}

macro_rules! each_rule {
    ($($rule:ident: $test:ident,)*) => {
        /// As many as there are: a new row does not compile without its test.
        const _: [BlockRule; BlockRule::COUNT] = [$(BlockRule::$rule,)*];
        $(#[test]
        fn $test() {
            the_budget_prevents_the_block_of(BlockRule::$rule);
        })*
    };
}

each_rule! {
    NoSlotAnswers: without_the_budget_for_no_slot_answers_the_upstream_blocks,
    ZeroBalanceAnswers: without_the_budget_for_zero_balance_answers_the_upstream_blocks,
    NoSlotRatio: without_the_ledger_of_no_slot_answers_against_uploads_the_upstream_blocks,
    WrongKeys: without_the_budget_for_wrong_keys_the_upstream_blocks,
    ResCalls: without_the_ledger_of_calls_the_upstream_blocks_if_a_batch_counts_one,
    ResLooks: without_the_ledger_of_looks_the_upstream_blocks_if_a_batch_counts_each,
    Uploads: without_the_budget_for_uploads_the_upstream_blocks,
}

#[test]
fn calls_in_flight_that_are_not_counted_get_us_blocked() {
    finds(Promise::NeverBlocked, |plan| {
        plan.sky = Some(Sky::SlowWorkers);
        plan.doctor = Doctor::AnswersLooksAtOnce;
    });
}

#[test]
fn probes_without_patience_are_noticed_when_there_is_no_slot() {
    finds(Promise::OneProbe, |plan| {
        let at_once = Duration::from_millis(1);
        plan.sky = Some(Sky::NoSlots);
        plan.limits = Some(Limits { no_slot_first: at_once, no_slot_longest: at_once, ..Limits::default() });
    });
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
fn an_upload_that_is_sent_before_it_is_noted_is_noticed() {
    finds(Promise::NotedBeforeSent, |plan| plan.doctor = Doctor::NotesNothing);
}

#[test]
fn budgets_that_a_restart_forgets_get_us_blocked() {
    finds(Promise::NeverBlocked, |plan| {
        plan.restarts = true;
        plan.sky = Some(Sky::SlowWorkers);
        plan.doctor = Doctor::ForgetsAll;
    });
}

#[test]
fn looks_that_nothing_kept_has_paid_for_are_noticed() {
    finds(Promise::BudgetsSurvive, |plan| {
        plan.restarts = true;
        // Captchas that are open, and looked at, for minutes.
        plan.upstream = |scenario| scenario.time_scale = 30.0;
        plan.doctor = Doctor::KeepsBudgetsInWords;
    });
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
fn outcomes_to_be_pushed_that_a_restart_forgets_are_noticed() {
    finds(Promise::OutcomesArePushed, |plan| {
        plan.restarts = true;
        plan.doctor = Doctor::ForgetsPingbacks;
    });
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
