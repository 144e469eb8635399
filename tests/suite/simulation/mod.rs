//! The deterministic simulation: the driver, the engine and a store run against the simulated upstream under a paused
//! clock, and whole days pass in seconds. A seed decides everything: who uploads what and when, what goes wrong, when
//! the process is killed. After every step it is checked that no promise is broken ([`promises`]).
//!
//! A seed that fails prints itself, the promise that is broken and the last events. To replay it, and nothing else:
//! ```sh
//! SIMULATION_SEED=17 cargo test --test suite simulation::replay -- --nocapture
//! ```
//! `SIMULATION_LINES=100000` prints more of its events. A longer run, which goes on after a failing seed and may begin
//! at a later one:
//! ```sh
//! SIMULATION_FROM=208 SIMULATION_SEEDS=2208 cargo test --test suite simulation::days
//! ```
//!
//! | file | what it is |
//! | --- | --- |
//! | `story` | one history: start, clients, weather, restarts, rest |
//! | `traffic`, `clients`, `uploads` | who comes when, with which habits, and uploads what |
//! | `weather` | what goes wrong, hour by hour |
//! | `upstream`, `network` | the simulator's model behind a network, and the checks of each call |
//! | `pingbacks` | receivers that fail now and then, an upstream that pushes, and the judge of what is pushed |
//! | `store` | a disk that stalls, fails, and loses what was not written |
//! | `waits`, `turns`, `answers` | the judges: what must not be sent, whose turn it is, what clients read |
//! | `world` | all of that behind one lock; a step |
//! | `doctors`, `planted` | planted faults, and that each is found |

mod answers;
mod clients;
mod doctors;
mod log;
mod network;
mod pingbacks;
mod planted;
mod promises;
mod store;
mod story;
mod traffic;
mod turns;
mod uploads;
mod upstream;
mod waits;
mod weather;
mod world;

use std::fmt::Write;

use promises::Tally;
use story::{Outcome, Plan, play};

/// Seeds of all the tests of [`days`] together, unless `SIMULATION_FROM` and `SIMULATION_SEEDS` say otherwise.
const SEEDS: u64 = 208;
/// The tests that share them.
const PARTS: u64 = 4;

fn number_in_env(wanted: &str) -> Option<u64> {
    let (_, value) = std::env::vars().find(|(name, _)| name == wanted)?;
    Some(value.parse().unwrap())
}

fn report(plan: &Plan, outcome: &Outcome) -> String {
    let mut text = String::new();
    for event in &outcome.last_events {
        writeln!(text, "{event}").unwrap();
    }
    let seed = plan.seed;
    if let Some(broken) = &outcome.broken {
        writeln!(text, "seed {seed}: {broken}").unwrap();
    }
    writeln!(
        text,
        "replay: SIMULATION_SEED={seed} cargo test --test suite simulation::replay -- --nocapture"
    )
    .unwrap();
    text
}

/// Plays every `PARTS`th seed, beginning with the `first`.
fn days(first: u64) {
    let from = number_in_env("SIMULATION_FROM").unwrap_or(0);
    let seeds = number_in_env("SIMULATION_SEEDS").unwrap_or(SEEDS);
    let (mut tally, mut days, mut histories, mut failed) = (Tally::default(), 0.0, 0, Vec::new());
    for seed in (from + first..seeds).step_by(usize::try_from(PARTS).unwrap()) {
        let plan = Plan::of(seed);
        let outcome = play(&plan);
        if outcome.broken.is_some() {
            println!("{}", report(&plan, &outcome));
            failed.push(seed);
        }
        tally.merge(outcome.tally);
        days += outcome.lasted.as_secs_f64() / 86_400.0;
        histories += 1;
    }
    println!("{histories} histories, {days:.1} days: {tally}");
    assert!(histories > 0, "SIMULATION_SEEDS is where the seeds end: after SIMULATION_FROM");
    assert!(failed.is_empty(), "a promise was broken by the seeds {failed:?}");
    if seeds >= SEEDS + from {
        let faults = weather::FAULTS.iter().chain(weather::PUSH_FAULTS).map(|fault| format!("fault {fault}"));
        let others = ["blocks by others", "kills", "hung up", "answers read", "pushes", "pingbacks"];
        let unlucky = ["pushes that are not believed", "receivers out of reach", "pingbacks refused"];
        for what in faults.chain(others.into_iter().chain(unlucky).map(String::from)) {
            assert!(tally.of(&what) > 0, "there was no {what}");
        }
    }
}

#[test]
fn days_of_the_first_quarter_break_no_promise() {
    days(0);
}

#[test]
fn days_of_the_second_quarter_break_no_promise() {
    days(1);
}

#[test]
fn days_of_the_third_quarter_break_no_promise() {
    days(2);
}

#[test]
fn days_of_the_fourth_quarter_break_no_promise() {
    days(3);
}

/// What the gateway does to the upstream. How old a captcha is nobody knows after the second start on such a clock.
#[test]
fn clocks_that_are_set_back_break_no_rule_of_the_upstream() {
    use promises::Promise;
    for promise in
        [Promise::NeverBlocked, Promise::BlocksAreWaitedOut, Promise::RefusedKeysRest, Promise::PaidOnce]
    {
        for seed in 0..6 {
            let plan = Plan { sets_clock_back: true, watched: Some(promise), ..Plan::of(seed) };
            let outcome = play(&plan);
            assert!(outcome.broken.is_none(), "{}", report(&plan, &outcome));
        }
    }
}

#[test]
fn replay_of_a_seed_gives_the_same_events() {
    let plan = Plan::of(number_in_env("SIMULATION_SEED").unwrap_or(7));
    let (once, again) = (play(&plan), play(&plan));
    println!("{}{} events, {}", report(&plan, &once), once.digest.0, once.tally);
    assert_eq!(once.last_events, again.last_events);
    assert_eq!(once.digest, again.digest);
    assert!(once.broken.is_none());
}
