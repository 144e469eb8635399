use proptest::prelude::*;

use super::*;
use crate::engine::recount::{Dice, Span, config, most_in_window};

const SECOND: Duration = Duration::from_secs(1);

fn at(ms: u64) -> Timestamp {
    Timestamp(1_000_000_000 + ms)
}

fn full(limit: u32) -> ExactWindow {
    let mut window = ExactWindow::fresh(limit, 3 * SECOND);
    for _ in 0..limit {
        window.hold(1);
        window.settle(1, 1, at(0));
    }
    window
}

#[test]
fn the_limit_is_reached_and_one_more_waits_until_the_first_has_left() {
    let mut window = full(60);
    assert_eq!(window.used(), 60);
    assert_eq!(window.check(1, at(0)), Err(at(3_001)));
    window.advance(at(3_000));
    assert_eq!(window.check(1, at(3_000)), Err(at(3_001)), "exactly 3 s is inside");
    window.advance(at(3_001));
    assert_eq!((window.check(60, at(3_001)), window.used()), (Ok(()), 0));
    assert_eq!(window.check(61, at(3_001)), Err(at(3_001) + RECHECK));
}

#[test]
fn a_call_in_flight_counts_however_long_it_takes() {
    let mut window = ExactWindow::fresh(1, 3 * SECOND);
    window.hold(1);
    window.advance(at(60_000));
    assert_eq!(window.check(1, at(60_000)), Err(at(60_000) + RECHECK));
    window.settle(1, 0, at(60_000));
    assert_eq!(window.check(1, at(60_000)), Ok(()), "it did not end the bad way");
}

#[test]
fn an_unknown_past_counts_as_full_but_for_a_grant_after_a_minute() {
    let hour = Duration::from_hours(1);
    let late = at(60_000);
    let mut window = ExactWindow::unknown(3, hour, 1, at(0), late);
    assert_eq!(window.check(1, at(0)), Err(at(60_001)));
    window.advance(at(60_001));
    assert_eq!(window.check(1, at(60_001)), Ok(()));
    assert_eq!(
        window.check(2, at(60_001)),
        Err(at(3_660_001)),
        "a call of then may be counted until a minute later"
    );
    let short = ExactWindow::unknown(60, 3 * SECOND, 0, at(0), late);
    assert_eq!(short.check(1, at(0)), Err(at(63_001)));
}

#[test]
fn a_longer_window_than_was_remembered_counts_as_full() {
    let mut window = ExactWindow::fresh(5, SECOND);
    window.reshape(4, 3 * SECOND, at(0));
    assert_eq!((window.used(), window.limit()), (4, 4));
    window.reshape(9, SECOND, at(0));
    assert_eq!(window.check(5, at(0)), Ok(()));
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    InFlightNotCounted,
    LateForgotten,
    WindowTooShort,
    OneTooMany,
}

const LIMIT: u32 = 60;
const LATE_MS: u64 = 5_000;

/// Plays one random history of `steps` and returns what the naive count finds.
fn most(seed: u64, steps: usize, fault: Fault) -> u64 {
    let mut dice = Dice::new(seed);
    let limit = LIMIT + u32::from(fault == Fault::OneTooMany);
    let length_ms = if fault == Fault::WindowTooShort { 2_900 } else { 3_000 };
    let mut window = ExactWindow::fresh(limit, Duration::from_millis(length_ms));
    let (mut now, mut spans, mut open) = (1_000_000, Vec::new(), Vec::<usize>::new());
    let calm = 1 + dice.roll(60);
    for step in 0..steps {
        now += match dice.roll(100) {
            0 => dice.roll(4_000),
            n if n < calm => dice.roll(200),
            _ => 0,
        };
        window.advance(Timestamp(now));
        if dice.chance(60) {
            if window.check(1, Timestamp(now)).is_ok() {
                if fault != Fault::InFlightNotCounted {
                    window.hold(1);
                }
                open.push(spans.len());
                spans.push(Span::begun(step, now, 1));
            }
        } else if !open.is_empty() {
            let span: &mut Span = &mut spans[open.swap_remove(dice.place(open.len()))];
            let kind = dice.roll(10);
            (span.ended, span.ended_ms) = (step, now);
            match kind {
                0 => {
                    window.settle(1, 0, Timestamp(now));
                    span.units = 0;
                }
                1 => {
                    span.ended_ms += LATE_MS;
                    let spent = u32::from(fault != Fault::LateForgotten);
                    window.settle(1, spent, Timestamp(now + LATE_MS));
                }
                _ => window.settle(1, 1, Timestamp(now)),
            }
        }
        if step == steps / 2 {
            let stored = serde_json::to_string(&window).unwrap();
            window = serde_json::from_str(&stored).unwrap();
        }
    }
    most_in_window(&spans, 3_000)
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn no_window_of_a_random_history_holds_more_than_the_limit(seed: u64) {
        prop_assert!(most(seed, 10_000, Fault::None) <= u64::from(LIMIT));
    }
}

#[test]
fn the_recount_catches_each_planted_fault() {
    let caught = |fault| (0..20).any(|seed| most(seed, 3_000, fault) > u64::from(LIMIT));
    assert!(!caught(Fault::None));
    for fault in [Fault::InFlightNotCounted, Fault::LateForgotten, Fault::WindowTooShort, Fault::OneTooMany] {
        assert!(caught(fault), "{fault:?}");
    }
}
