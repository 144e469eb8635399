use proptest::prelude::*;

use super::*;
use crate::engine::recount::{Dice, Span, broken_stretch, config};

const DAY_MS: u64 = 86_400_000;

fn at(ms: u64) -> Timestamp {
    Timestamp(1_000_000_000 + ms)
}

const fn shape(cap: u32, earns: u32, trickle: u32) -> LedgerShape {
    LedgerShape { cap, earns, trickle, period: Duration::from_hours(24), grant: 4 }
}

fn spend(ledger: &mut CappedLedger, units: u32) {
    ledger.hold(units);
    ledger.settle(units, units, at(0));
}

#[test]
fn the_level_is_spent_to_the_last_unit_and_not_one_more() {
    let mut ledger = CappedLedger::fresh(shape(10, 20, 0), at(0));
    assert_eq!(ledger.check(10, Some(0), at(0)), Ok(()));
    assert_eq!(ledger.check(11, Some(0), at(0)), Err(at(0) + RECHECK));
    spend(&mut ledger, 10);
    assert_eq!(ledger.check(1, Some(0), at(0)), Err(Timestamp::NEVER));
    assert_eq!(ledger.available(), 0);
}

#[test]
fn an_accepted_upload_earns_up_to_the_cap() {
    let mut ledger = CappedLedger::fresh(shape(100, 20, 0), at(0));
    spend(&mut ledger, 90);
    for expected in [30, 50, 70, 90, 100, 100] {
        let mark = ledger.upload_sent();
        ledger.upload_ended(mark, true);
        assert_eq!(ledger.available(), expected);
    }
}

#[test]
fn what_was_spent_while_an_upload_was_under_way_is_not_earned_back_by_it() {
    let mut ledger = CappedLedger::fresh(shape(100, 20, 0), at(0));
    let mark = ledger.upload_sent();
    spend(&mut ledger, 15);
    ledger.upload_ended(mark, true);
    assert_eq!(ledger.available(), 85);
}

#[test]
fn an_idle_ledger_fills_slowly_and_an_unknown_one_has_its_grant_after_a_minute() {
    let mut ledger = CappedLedger::unknown(shape(10, 20, 24), at(0));
    assert_eq!(ledger.check(1, None, at(0)), Err(at(60_000)));
    assert_eq!(ledger.check(5, None, at(0)), Err(at(5 * 3_600_000)));
    ledger.advance(at(60_000));
    assert_eq!(ledger.available(), 4);
    ledger.advance(at(3_599_999));
    assert_eq!(ledger.available(), 4);
    ledger.advance(at(3_600_000));
    assert_eq!(ledger.available(), 5);
    ledger.advance(at(DAY_MS));
    assert_eq!(ledger.available(), 10, "never over the cap");
}

#[test]
fn an_upload_in_flight_keeps_a_unit_for_its_own_last_look_even_in_an_empty_ledger() {
    let mut ledger = CappedLedger::fresh(shape(10, 20, 0), at(0));
    spend(&mut ledger, 10);
    assert_eq!(ledger.check_upload(9, at(0)), Ok(()));
    assert_eq!(ledger.check_upload(10, at(0)), Err(at(0) + RECHECK));
    let mark = ledger.upload_sent();
    ledger.upload_ended(mark, true);
    assert!(ledger.available() >= 1);
}

#[test]
fn what_nobody_enforced_is_paid_with_half_of_what_comes_in_and_forgotten_after_a_period() {
    let mut ledger = CappedLedger::fresh(shape(100, 20, 0), at(0));
    spend(&mut ledger, 125);
    let stored = serde_json::to_string(&ledger).unwrap();
    let mut ledger: CappedLedger = serde_json::from_str(&stored).unwrap();
    for expected in [10, 20, 35, 55] {
        let mark = ledger.upload_sent();
        ledger.upload_ended(mark, true);
        assert_eq!(ledger.available(), expected);
    }
    spend(&mut ledger, 75);
    for (now, expected) in [(DAY_MS - 1, 10), (DAY_MS, 30)] {
        ledger.advance(at(now));
        let mark = ledger.upload_sent();
        ledger.upload_ended(mark, true);
        assert_eq!(ledger.available(), expected, "{now}");
    }
}

#[test]
fn what_is_charged_is_no_more_than_there_is() {
    let mut ledger = CappedLedger::fresh(shape(100, 20, 0), at(0));
    ledger.hold(30);
    ledger.charge(50);
    assert_eq!(ledger.available(), 20);
    ledger.charge(50);
    assert_eq!((ledger.available(), ledger.debt), (0, None));
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Uncapped,
    InFlightNotCounted,
    LateForgotten,
    EarnsForEarlierWindows,
    TrickleWithoutMargin,
}

const LATE_MS: u64 = 60_000;

/// A random history in front of the ledger of rule 1005 (`ratio: false`) or 1003 (`ratio: true`, where an upload is
/// the call that costs, unless it is accepted).
struct Play {
    dice: Dice,
    ledger: CappedLedger,
    fault: Fault,
    ratio: bool,
    now: u64,
    spans: Vec<Span>,
    calls: Vec<usize>,
    uploads: Vec<(usize, Mark)>,
    late: Vec<(u64, usize)>,
}

impl Play {
    fn new(seed: u64, numbers: LedgerShape, fault: Fault, ratio: bool) -> Self {
        let cap = match fault {
            Fault::Uncapped => 1_000_000,
            Fault::TrickleWithoutMargin => numbers.cap + numbers.trickle,
            _ => numbers.cap,
        };
        let mut ledger = CappedLedger::fresh(LedgerShape { cap, ..numbers }, Timestamp(DAY_MS));
        ledger.level = numbers.cap;
        Self {
            dice: Dice::new(seed),
            ledger,
            fault,
            ratio,
            now: DAY_MS,
            spans: Vec::new(),
            calls: Vec::new(),
            uploads: Vec::new(),
            late: Vec::new(),
        }
    }

    fn run(mut self, steps: usize) -> Vec<Span> {
        let mut mood = 0;
        for step in 0..steps {
            if step % 500 == 0 {
                mood = self.dice.roll(4);
            }
            self.now += match self.dice.roll(1_000) {
                0 if !self.ratio || self.dice.chance(20) => self.dice.roll(12 * 3_600_000),
                1..20 => self.dice.roll(60_000),
                20..300 => self.dice.roll(300),
                _ => 0,
            };
            let now = Timestamp(self.now);
            self.ledger.advance(now);
            self.late_calls_end(step);
            // Moods: save up, spend, and mixtures.
            match (mood, self.dice.roll(10)) {
                (0, 0..=4) | (1, 0) | (2, 0..=2) | (3, 0..=1) => self.upload(step, now),
                (0, 5) | (1, 1..=6) | (2, 3..=6) | (3, 2..=6) => self.call(step, now),
                (_, 7) => self.call_ends(step, now),
                _ => {
                    self.call_ends(step, now);
                    self.upload_ends(step, now, mood);
                }
            }
            if step == steps / 2 {
                let stored = serde_json::to_string(&self.ledger).unwrap();
                self.ledger = serde_json::from_str(&stored).unwrap();
            }
        }
        self.spans
    }

    fn late_calls_end(&mut self, step: usize) {
        for (until, place) in self.late.extract_if(.., |(until, _)| *until <= self.now) {
            (self.spans[place].ended, self.spans[place].ended_ms) = (step - 1, until);
        }
    }

    fn call(&mut self, step: usize, now: Timestamp) {
        let units = u32::try_from(1 + self.dice.roll(12)).unwrap();
        if !self.ratio && self.ledger.check(units, Some(0), now).is_ok() {
            if self.fault != Fault::InFlightNotCounted {
                self.ledger.hold(units);
            }
            self.calls.push(self.spans.len());
            self.spans.push(Span::begun(step, self.now, units.into()));
        }
    }

    fn upload(&mut self, step: usize, now: Timestamp) {
        if self.ratio && self.ledger.check(1, None, now).is_err() || self.uploads.len() > 100 {
            return;
        }
        if self.ratio && self.fault != Fault::InFlightNotCounted {
            self.ledger.hold(1);
        }
        self.uploads.push((self.spans.len(), self.ledger.upload_sent()));
        self.spans.push(Span::begun(step, self.now, self.ratio.into()));
    }

    fn call_ends(&mut self, step: usize, now: Timestamp) {
        if self.calls.is_empty() {
            return;
        }
        let place = self.calls.swap_remove(self.dice.place(self.calls.len()));
        let units = u32::try_from(self.spans[place].units).unwrap();
        match self.dice.roll(10) {
            0 => self.lost(place, units, now),
            1 => {
                self.ledger.settle(units, 0, now);
                self.spans[place].units = 0;
                (self.spans[place].ended, self.spans[place].ended_ms) = (step, self.now);
            }
            _ => {
                self.ledger.settle(units, units, now);
                (self.spans[place].ended, self.spans[place].ended_ms) = (step, self.now);
            }
        }
    }

    fn lost(&mut self, place: usize, units: u32, now: Timestamp) {
        let spent = if self.fault == Fault::LateForgotten { 0 } else { units };
        let until = now + Duration::from_millis(LATE_MS);
        self.ledger.settle_late(units, spent, until);
        self.late.push((until.0, place));
    }

    fn upload_ends(&mut self, step: usize, now: Timestamp, mood: u64) {
        if self.uploads.is_empty() {
            return;
        }
        let (place, mark) = self.uploads.swap_remove(self.dice.place(self.uploads.len()));
        let units = u32::from(self.ratio);
        let accepted = self.dice.chance([95, 3, 60, 30][usize::try_from(mood).unwrap()]);
        if accepted {
            self.spans[place].earns = true;
            self.ledger.settle(units, 0, now);
        } else if self.dice.chance(10) {
            self.lost(place, units, now);
            self.ledger.upload_ended(mark, false);
            return;
        } else {
            self.ledger.settle(units, units, now);
        }
        (self.spans[place].ended, self.spans[place].ended_ms) = (step, self.now);
        let mark = if self.fault == Fault::EarnsForEarlierWindows {
            self.ledger.upload_ended(mark, false);
            self.ledger.upload_sent()
        } else {
            mark
        };
        self.ledger.upload_ended(mark, accepted);
    }
}

/// What the naive count finds of rule 1005, in every window up to a day; without a trickle, in every window.
fn rule_1005(seed: u64, steps: usize, trickle: u32, fault: Fault) -> Option<String> {
    let spans = Play::new(seed, shape(1_200 - trickle, 20, trickle), fault, false).run(steps);
    let span_ms = if trickle > 0 { DAY_MS } else { u64::MAX };
    broken_stretch(&spans, span_ms, |calls, accepted| calls > 20 * accepted + 1_200)
}

fn rule_1003(seed: u64, steps: usize, fault: Fault) -> Option<String> {
    let spans = Play::new(seed, shape(55, 1, 24), fault, true).run(steps);
    broken_stretch(&spans, DAY_MS, |refused, accepted| refused >= 120 && refused >= 3 * accepted)
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn in_every_window_up_to_a_day_1005_holds_with_a_trickle(seed: u64) {
        prop_assert_eq!(rule_1005(seed, 10_000, 240, Fault::None), None);
    }

    #[test]
    fn in_every_window_1005_holds_without_a_trickle(seed: u64) {
        prop_assert_eq!(rule_1005(seed, 10_000, 0, Fault::None), None);
    }

    #[test]
    fn in_every_window_up_to_a_day_1003_holds(seed: u64) {
        prop_assert_eq!(rule_1003(seed, 10_000, Fault::None), None);
    }
}

#[test]
fn the_recount_catches_each_planted_fault() {
    for (fault, trickle) in [
        (Fault::Uncapped, 0),
        (Fault::InFlightNotCounted, 0),
        (Fault::LateForgotten, 0),
        (Fault::EarnsForEarlierWindows, 0),
        (Fault::TrickleWithoutMargin, 240),
    ] {
        let caught = (0..12).any(|seed| rule_1005(seed, 5_000, trickle, fault).is_some());
        assert!(caught, "1005: {fault:?}");
    }
    for fault in [Fault::Uncapped, Fault::InFlightNotCounted] {
        let caught = (0..12).any(|seed| rule_1003(seed, 5_000, fault).is_some());
        assert!(caught, "1003: {fault:?}");
    }
}
