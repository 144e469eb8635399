use std::time::Duration;

use super::super::block_rules::Shape;
use super::super::waits::Wait;
use super::*;

mod model;
mod wordless;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const LOOK: CallKind = CallKind::Look { ids: 1, last: false };

fn at(ms: u64) -> Timestamp {
    Timestamp(1_700_000_000_000 + ms)
}

fn fresh() -> Admission {
    let mut admission = Admission::new(Limits::default(), Past::Fresh, at(0));
    let ticket = admission.admit(CallKind::Balance, at(0)).unwrap();
    admission.settle(ticket, Ended::Done, at(0));
    admission
}

fn code(code: ErrorCode) -> Ended {
    Ended::Code(code.into())
}

/// Sends one upload and has it end with `ended` in the same instant.
fn upload(admission: &mut Admission, ended: Ended, now: Timestamp) {
    let ticket = admission.admit(CallKind::Upload, now).unwrap();
    admission.settle(ticket, ended, now);
}

fn refused(admission: &mut Admission, call: CallKind, now: Timestamp) -> (Why, Timestamp) {
    let before = admission.save();
    let refusal = admission.admit(call, now).unwrap_err();
    let mut after = admission.save();
    after.0.now = before.0.now;
    if before.0.now == now {
        assert_eq!(before, after, "a refusal spends nothing");
    }
    (refusal.why, refusal.until)
}

#[test]
fn without_a_slot_one_probe_goes_after_5_seconds_doubling_to_60() {
    let mut admission = fresh();
    let mut now = 0;
    upload(&mut admission, code(ErrorCode::NoSlotAvailable), at(now));
    for wait in [5, 10, 20, 40, 60, 60] {
        let probe_at = now + wait * SECOND;
        assert_eq!(refused(&mut admission, CallKind::Upload, at(probe_at - 1)), (Why::NoSlot, at(probe_at)));
        let probe = admission.admit(CallKind::Upload, at(probe_at)).unwrap();
        let later = probe_at + SECOND;
        assert_eq!(refused(&mut admission, CallKind::Upload, at(later)).0, Why::NoSlot);
        admission.settle(probe, code(ErrorCode::NoSlotAvailable), at(later));
        now = later;
    }
    assert_eq!(admission.waits(at(now))[0].why, Why::NoSlot);
    upload(&mut admission, Ended::Accepted, at(now + MINUTE));
    assert_eq!(admission.waits(at(now + MINUTE)), vec![]);
    now += 2 * MINUTE;
    upload(&mut admission, code(ErrorCode::NoSlotAvailable), at(now));
    assert_eq!(refused(&mut admission, CallKind::Upload, at(now + SECOND)).1, at(now + 5 * SECOND));
}

#[test]
fn a_burst_of_no_slot_answers_is_one_wait() {
    let mut admission = fresh();
    let sent: Vec<Ticket> =
        (0..10).map(|n| admission.admit(CallKind::Upload, at(n * 100)).unwrap()).collect();
    for ticket in sent {
        admission.settle(ticket, code(ErrorCode::NoSlotAvailable), at(SECOND));
    }
    assert_eq!(refused(&mut admission, CallKind::Upload, at(SECOND)), (Why::NoSlot, at(6 * SECOND)));
    assert!(admission.admit(LOOK, at(SECOND)).is_ok(), "polls go on as usual");
}

#[test]
fn an_admitted_call_stays_when_a_wait_began_before_it_left_and_a_probe_leaves() {
    for (answer, stops_looks) in [
        (code(ErrorCode::NoSlotAvailable), false),
        (code(ErrorCode::ZeroBalance), false),
        (code(ErrorCode::Block1005), true),
        (code(ErrorCode::KeyDoesNotExist), true),
    ] {
        let mut admission = fresh();
        let first = admission.admit(CallKind::Upload, at(0)).unwrap();
        let second = admission.admit(CallKind::Upload, at(SECOND)).unwrap();
        let look = admission.admit(LOOK, at(SECOND)).unwrap();
        assert!(admission.may_leave(&second, at(SECOND)) && admission.may_leave(&look, at(SECOND)));
        admission.settle(first, answer.clone(), at(SECOND));
        assert!(!admission.may_leave(&second, at(SECOND)));
        assert_eq!(admission.may_leave(&look, at(SECOND)), !stops_looks, "{answer:?}");
    }
    let mut admission = fresh();
    upload(&mut admission, code(ErrorCode::NoSlotAvailable), at(0));
    let probe = admission.admit(CallKind::Upload, at(5 * SECOND)).unwrap();
    assert!(admission.may_leave(&probe, at(5 * SECOND)));
}

#[test]
fn a_call_admitted_with_one_key_does_not_leave_with_another_and_the_first_with_that_goes_alone() {
    let mut admission = fresh();
    upload(&mut admission, Ended::Accepted, at(0));
    let [one, two] = [1, 2].map(|n| admission.admit(CallKind::Upload, at(n * SECOND)).unwrap());
    admission.key_changed(at(2 * SECOND));
    assert!(!admission.may_leave(&one, at(2 * SECOND)) && !admission.may_leave(&two, at(2 * SECOND)));
    for ticket in [one, two] {
        assert_eq!(refused(&mut admission, LOOK, at(2 * SECOND)).0, Why::KeyUnconfirmed);
        admission.settle(ticket, Ended::NotSent, at(2 * SECOND));
    }
    let first = admission.admit(LOOK, at(2 * SECOND)).unwrap();
    assert!(admission.may_leave(&first, at(2 * SECOND)));
    assert_eq!(refused(&mut admission, LOOK, at(2 * SECOND)).0, Why::KeyUnconfirmed);
}

#[test]
fn without_money_uploads_are_refused_from_memory_and_one_probe_goes_each_minute() {
    let mut admission = fresh();
    upload(&mut admission, code(ErrorCode::ZeroBalance), at(0));
    assert_eq!(refused(&mut admission, CallKind::Upload, at(0)), (Why::ZeroBalance, at(MINUTE)));
    let probe = admission.admit(CallKind::Upload, at(MINUTE)).unwrap();
    assert_eq!(refused(&mut admission, CallKind::Upload, at(MINUTE)).0, Why::ZeroBalance);
    admission.settle(probe, code(ErrorCode::ZeroBalance), at(MINUTE));
    assert_eq!(refused(&mut admission, CallKind::Upload, at(MINUTE)).1, at(2 * MINUTE));
    assert_eq!(admission.waits(at(MINUTE))[0].since, at(0));
    admission.clear_latches(at(MINUTE + SECOND));
    upload(&mut admission, Ended::Accepted, at(MINUTE + SECOND));
    assert!(admission.admit(CallKind::Upload, at(2 * MINUTE)).is_ok());
}

#[test]
fn during_each_block_no_call_of_any_kind_goes_and_then_one_probe() {
    for (text, seconds) in [
        ("ERROR: 1001", 600),
        ("ERROR: 1002", 300),
        ("ERROR: 1003", 30),
        ("ERROR: 1005", 300),
        ("MAX_USER_TURN", 10),
        ("IP_BANNED", 300),
        ("ERROR: 1017", 600),
    ] {
        let mut admission = fresh();
        let block = Code::parse(text.as_bytes()).unwrap();
        upload(&mut admission, Ended::Code(block.clone()), at(0));
        let over = at((seconds + 2) * SECOND);
        for call in [
            CallKind::Upload,
            LOOK,
            CallKind::Look { ids: 1, last: true },
            CallKind::Report,
            CallKind::Balance,
        ] {
            let (why, until) = refused(&mut admission, call, Timestamp(over.0 - 1));
            assert_eq!((why, until >= over), (Why::Blocked(block.clone()), true), "{text}");
        }
        let probe = admission.admit(CallKind::Upload, over).unwrap();
        assert!(matches!(
            refused(&mut admission, CallKind::Report, over).0,
            Why::Blocked(_) | Why::KeyUnconfirmed
        ));
        admission.settle(probe, Ended::Accepted, over);
        admission.captcha_opened();
        assert_eq!(admission.waits(over), vec![]);
        let first = admission.admit(LOOK, over).unwrap();
        assert!(admission.admit(LOOK, over).is_ok(), "normal again");
        admission.settle(first, Ended::Done, over);
    }
}

#[test]
fn a_probe_that_finds_the_block_still_there_waits_it_out_again() {
    let mut admission = fresh();
    upload(&mut admission, code(ErrorCode::Block1003), at(0));
    let probe = admission.admit(LOOK, at(32 * SECOND)).unwrap();
    admission.settle(probe, code(ErrorCode::Block1003), at(33 * SECOND));
    assert_eq!(
        refused(&mut admission, LOOK, at(64 * SECOND)),
        (Why::Blocked(ErrorCode::Block1003.into()), at(65 * SECOND))
    );
    let probe = admission.admit(LOOK, at(65 * SECOND)).unwrap();
    admission.settle(probe, Ended::Unknown, at(70 * SECOND));
    assert_eq!(refused(&mut admission, LOOK, at(70 * SECOND)).1, at(75 * SECOND));
    assert_eq!(admission.waits(at(70 * SECOND))[0].since, at(0));
}

#[test]
fn a_key_without_a_reply_has_one_call_in_flight_and_its_first_refusal_closes_the_gate() {
    let mut admission = Admission::new(Limits::default(), Past::Fresh, at(0));
    let first = admission.admit(CallKind::Upload, at(0)).unwrap();
    assert_eq!(refused(&mut admission, LOOK, at(0)).0, Why::KeyUnconfirmed);
    admission.settle(first, code(ErrorCode::KeyDoesNotExist), at(SECOND));
    for hours in [0, 1, 1_000] {
        let (why, until) = refused(&mut admission, LOOK, at(SECOND + hours * 60 * MINUTE));
        assert_eq!(why, Why::KeyRefused(ErrorCode::KeyDoesNotExist.into()));
        assert_eq!(until, Timestamp::NEVER);
    }
    let mut changed = admission.clone();
    let now = at(1_001 * 60 * MINUTE);
    changed.key_changed(now);
    assert!(changed.admit(CallKind::Upload, now).is_ok());
    admission.clear_latches(now);
    let again = admission.admit(CallKind::Upload, now).unwrap();
    assert_eq!(refused(&mut admission, LOOK, now).0, Why::KeyUnconfirmed);
    admission.settle(again, Ended::Accepted, now);
    let _held = admission.admit(LOOK, now).unwrap();
    assert!(admission.admit(LOOK, now).is_ok(), "the key is good");
}

#[test]
fn an_impatient_operator_cannot_complete_1004() {
    let mut admission = Admission::new(Limits::default(), Past::Fresh, at(0));
    let mut sent = 0;
    for second in 0..3_600 {
        if let Ok(ticket) = admission.admit(CallKind::Balance, at(second * SECOND)) {
            sent += 1;
            admission.settle(ticket, code(ErrorCode::WrongUserKey), at(second * SECOND));
        }
        admission.clear_latches(at(second * SECOND));
    }
    assert_eq!(sent, 3);
}

#[test]
fn a_key_that_may_not_be_tried_is_a_wait_that_is_shown() {
    let mut admission = Admission::new(Limits::default(), Past::Fresh, at(0));
    assert_eq!(admission.waits(at(0)), vec![]);
    for minute in 0..3 {
        upload(&mut admission, code(ErrorCode::WrongUserKey), at(minute * MINUTE));
        admission.clear_latches(at(minute * MINUTE));
    }
    let waits = admission.waits(at(2 * MINUTE));
    let [Wait { why: Why::KeyUnconfirmed, until, .. }] = waits[..] else { panic!("{waits:?}") };
    assert_eq!(refused(&mut admission, LOOK, at(2 * MINUTE)), (Why::Rule(BlockRule::WrongKeys), until));
}

#[test]
fn an_answer_to_a_call_with_the_old_key_says_nothing_about_the_new_one() {
    let mut admission = fresh();
    let old = admission.admit(CallKind::Upload, at(0)).unwrap();
    admission.key_changed(at(0));
    admission.settle(old, code(ErrorCode::KeyDoesNotExist), at(SECOND));
    assert_eq!(admission.waits(at(SECOND)), vec![]);
    assert!(admission.admit(CallKind::Upload, at(SECOND)).is_ok());
}

#[test]
fn uploads_in_flight_count_as_if_all_had_found_no_slot_or_no_money() {
    for (bad, rule) in [
        (ErrorCode::NoSlotAvailable, BlockRule::NoSlotAnswers),
        (ErrorCode::ZeroBalance, BlockRule::ZeroBalanceAnswers),
    ] {
        let mut limits = Limits { upload_gap: Duration::ZERO, ..Limits::default() };
        for other in BlockRule::ALL.into_iter().filter(|other| *other != rule) {
            match limits.shape_mut(other) {
                Shape::Window { limit, .. } => *limit = 10_000,
                Shape::Ledger(shape) => shape.cap = 10_000,
            }
        }
        let mut admission = Admission::new(limits, Past::Fresh, at(0));
        upload(&mut admission, Ended::Accepted, at(0));
        let sent: Vec<Ticket> = (0..119).map(|_| admission.admit(CallKind::Upload, at(0)).unwrap()).collect();
        assert_eq!(refused(&mut admission, CallKind::Upload, at(0)).0, Why::Rule(rule));
        for ticket in sent {
            admission.settle(ticket, code(bad), at(SECOND));
        }
        admission.clear_latches(at(SECOND));
        assert_eq!(
            refused(&mut admission, CallKind::Upload, at(SECOND)),
            (Why::Rule(rule), at(62 * SECOND + 1))
        );
    }
}

#[test]
fn uploads_are_spaced_evenly_and_a_look_is_not() {
    let mut admission = fresh();
    upload(&mut admission, Ended::Accepted, at(0));
    assert_eq!(refused(&mut admission, CallKind::Upload, at(99)), (Why::Rule(BlockRule::Uploads), at(100)));
    assert!(admission.admit(LOOK, at(99)).is_ok());
    assert!(admission.admit(CallKind::Upload, at(100)).is_ok());
}

#[test]
fn balance_calls_yield_first_and_last_looks_never() {
    let mut admission = fresh();
    for n in 0..5 {
        upload(&mut admission, Ended::Accepted, at(n * SECOND));
        admission.captcha_opened();
    }
    let count = |admission: &mut Admission, call| {
        let mut calls = 0;
        while let Ok(ticket) = admission.admit(call, at(MINUTE)) {
            admission.settle(ticket, Ended::Done, at(MINUTE));
            calls += 1;
        }
        calls
    };
    let balances = count(&mut admission, CallKind::Balance);
    let looks = count(&mut admission, LOOK);
    assert_eq!((balances, looks), (1_000 - 100 - 5 - 5, 100));
    assert_eq!(refused(&mut admission, LOOK, at(MINUTE)).0, Why::Rule(BlockRule::ResCalls));
    let last = CallKind::Look { ids: 5, last: true };
    assert!(admission.admit(last, at(MINUTE)).is_ok());
}

#[test]
fn a_start_that_pays_for_last_looks_again_takes_none_from_the_others() {
    let mut admission = fresh();
    for n in 0..5 {
        upload(&mut admission, Ended::Accepted, at(n * SECOND));
        admission.captcha_opened();
    }
    while let Ok(ticket) = admission.admit(LOOK, at(MINUTE)) {
        admission.settle(ticket, Ended::Done, at(MINUTE));
    }
    for (perhaps_made, made) in [(0, 5), (5, 5), (6, 4), (10, 0)] {
        let mut saved = admission.save();
        saved.charge_looks(perhaps_made);
        let mut started = Admission::new(Limits::default(), Past::Saved(saved), at(2 * MINUTE));
        (0..5).for_each(|_| started.captcha_opened());
        let mut looks_last = || {
            let ticket = started.admit(CallKind::Look { ids: 1, last: true }, at(2 * MINUTE));
            ticket.map(|ticket| started.settle(ticket, Ended::Done, at(2 * MINUTE)))
        };
        let can = (0..5).filter(|_| looks_last().is_ok()).count();
        assert_eq!(can, made, "of 5, where {perhaps_made} may have been made");
    }
}

#[test]
fn looks_are_spaced_wider_as_the_ledger_runs_low() {
    let mut admission = fresh();
    let interval = Duration::from_secs(5);
    assert_eq!(admission.look_gap(interval, at(0)), interval);
    let mut gap = interval;
    for _ in 0..83 {
        let batch = CallKind::Look { ids: 12, last: false };
        let ticket = admission.admit(batch, at(0)).unwrap();
        admission.settle(ticket, Ended::Done, at(0));
        let wider = admission.look_gap(interval, at(0));
        assert!(wider >= gap);
        gap = wider;
    }
    assert_eq!(gap, 8 * interval);
}

#[test]
fn a_batch_that_is_known_to_count_once_is_bound_by_calls_alone() {
    let limits = Limits { batch_counts_as: super::super::BatchCountsAs::One, ..Limits::default() };
    let mut admission = fresh();
    admission.set_limits(limits, at(0));
    for _ in 0..900 {
        let batch = CallKind::Look { ids: 100, last: false };
        let ticket = admission.admit(batch, at(0)).unwrap();
        admission.settle(ticket, Ended::Done, at(0));
    }
}

#[test]
fn observing_lets_calls_go_and_tells_what_would_have_been_refused() {
    let limits = Limits { mode: BudgetMode::Observe, ..Limits::default() };
    let mut admission = fresh();
    admission.set_limits(limits, at(0));
    upload(&mut admission, Ended::Accepted, at(0));
    let ticket = admission.admit(CallKind::Upload, at(1)).unwrap();
    assert_eq!(ticket.observed().map(|refusal| &refusal.why), Some(&Why::Rule(BlockRule::Uploads)));
    admission.settle(ticket, code(ErrorCode::Block1001), at(1));
    assert!(admission.admit(CallKind::Upload, at(2)).is_err(), "what the upstream said is obeyed");
}

#[test]
fn an_unknown_past_costs_two_minutes_and_a_fresh_one_nothing() {
    let mut lost = Admission::new(Limits::default(), Past::Unknown, at(0));
    let (why, until) = refused(&mut lost, CallKind::Upload, at(0));
    assert!(matches!(why, Why::Rule(_)));
    assert!(until <= at(122 * SECOND), "{until}");
    upload(&mut lost, Ended::Accepted, until);
    assert!(lost.admit(CallKind::Upload, until + Duration::from_secs(1)).is_ok());
    assert!(lost.budgets(at(0)).iter().all(|budget| budget.used <= budget.limit));
    let mut new = Admission::new(Limits::default(), Past::Fresh, at(0));
    assert!(new.admit(CallKind::Upload, at(0)).is_ok());
}

#[test]
fn a_gateway_with_nothing_left_uploads_and_looks_as_often_as_that_has_earned() {
    let mut admission = Admission::new(Limits::default(), Past::Unknown, at(0));
    let mut now = 30 * MINUTE;
    let looks = |admission: &mut Admission, now| {
        let mut looks = 0;
        while let Ok(ticket) = admission.admit(LOOK, at(now)) {
            admission.settle(ticket, Ended::Done, at(now));
            looks += 1;
        }
        looks
    };
    assert_eq!(looks(&mut admission, now), 40, "its grant");
    for spare in [0, 1, 1] {
        now += 24 * 60 * MINUTE;
        assert_eq!(looks(&mut admission, now), spare, "what was kept back for the last one");
        upload(&mut admission, Ended::Accepted, at(now));
        admission.captcha_opened();
        assert_eq!(looks(&mut admission, now), 18, "all but its last look, and that once more");
        let last = admission.admit(CallKind::Look { ids: 1, last: true }, at(now)).unwrap();
        admission.settle(last, Ended::Done, at(now));
        admission.captcha_closed();
    }
}

#[test]
fn what_was_sent_beyond_1005_while_it_was_only_observed_is_not_forgotten() {
    let observe = Limits { mode: BudgetMode::Observe, ..Limits::default() };
    let mut admission = fresh();
    admission.set_limits(observe, at(0));
    for _ in 0..1_100 {
        let ticket = admission.admit(LOOK, at(0)).unwrap();
        admission.settle(ticket, Ended::Done, at(0));
    }
    admission.set_limits(Limits::default(), at(0));
    upload(&mut admission, Ended::Accepted, at(SECOND));
    admission.captcha_opened();
    let left = |admission: &Admission| admission.budgets(at(SECOND))[BlockRule::ResCalls as usize].left;
    assert_eq!(left(&admission), 10, "the other half pays");
}

#[test]
fn a_call_that_was_given_up_before_it_left_stays() {
    let mut admission = fresh();
    let ticket = admission.admit(CallKind::Upload, at(0)).unwrap();
    assert!(admission.may_leave(&ticket, at(5 * MINUTE)));
    assert!(!admission.may_leave(&ticket, at(5 * MINUTE + 1)));
    admission.settle(ticket, Ended::NotSent, at(6 * MINUTE));
}

#[test]
fn a_probe_for_money_that_is_lost_waits_its_minute() {
    let mut admission = fresh();
    upload(&mut admission, code(ErrorCode::ZeroBalance), at(0));
    upload(&mut admission, Ended::NoCode, at(MINUTE));
    assert_eq!(refused(&mut admission, CallKind::Upload, at(MINUTE)), (Why::ZeroBalance, at(2 * MINUTE)));
}

#[test]
fn a_call_whose_sender_died_is_given_up_and_a_reply_after_all_is_still_obeyed() {
    let mut admission = fresh();
    let orphan = admission.admit(CallKind::Upload, at(0)).unwrap();
    assert_eq!(admission.in_flight(), 1);
    let later = at(6 * MINUTE);
    let _look = admission.admit(LOOK, later).unwrap();
    assert_eq!(admission.in_flight(), 1);
    admission.settle(orphan, code(ErrorCode::Block1001), later);
    assert_eq!(refused(&mut admission, LOOK, later).0, Why::Blocked(ErrorCode::Block1001.into()));
}

#[test]
fn an_upload_without_reply_counts_as_every_bad_case_until_the_windows_have_passed_it() {
    let mut admission = fresh();
    upload(&mut admission, Ended::Unknown, at(0));
    let used = |admission: &Admission, rule: BlockRule, now| {
        admission.budgets(now).iter().find(|budget| budget.rule == rule).map(|b| b.used)
    };
    for rule in
        [BlockRule::NoSlotAnswers, BlockRule::ZeroBalanceAnswers, BlockRule::NoSlotRatio, BlockRule::Uploads]
    {
        assert_eq!(used(&admission, rule, at(MINUTE)), Some(1), "{rule:?}");
    }
    assert_eq!(used(&admission, BlockRule::NoSlotAnswers, at(121 * SECOND)), Some(1));
    assert_eq!(used(&admission, BlockRule::NoSlotAnswers, at(122 * SECOND)), Some(0));
}

#[test]
fn replicas_that_hand_the_value_on_share_one_truth() {
    let limits = Limits::default();
    let mut shared = serde_json::to_string(&fresh().save()).unwrap();
    let mut replica = |call, now| {
        let saved = serde_json::from_str(&shared).unwrap();
        let mut admission = Admission::new(limits.clone(), Past::Shared(saved), now);
        let ticket = admission.admit(call, now);
        shared = serde_json::to_string(&admission.save()).unwrap();
        ticket.map(|ticket| ticket.id)
    };
    assert_eq!(replica(CallKind::Upload, at(0)), Ok(1));
    assert!(replica(CallKind::Upload, at(50)).is_err());
    assert_eq!(replica(CallKind::Upload, at(100)), Ok(2));
    assert_eq!(replica(LOOK, at(40)), Ok(3), "a clock behind does no harm");
}

#[test]
fn since_a_state_from_the_future_no_time_has_passed() {
    let mut admission = fresh();
    upload(&mut admission, code(ErrorCode::Block1003), at(0));
    for back in [SECOND, MINUTE, 24 * 60 * MINUTE] {
        let past = Timestamp(at(0).0 - back);
        let mut restored = Admission::new(Limits::default(), Past::Saved(admission.save()), past);
        let (why, until) = refused(&mut restored, LOOK, past);
        assert_eq!(why, Why::Blocked(ErrorCode::Block1003.into()));
        assert_eq!(until, past + Duration::from_secs(32), "as long as before");
        let left = |admission: &Admission, now| {
            admission.budgets(now).iter().map(|budget| budget.left).collect::<Vec<_>>()
        };
        assert_eq!(left(&restored, past), left(&admission, at(0)));
        assert!(restored.admit(LOOK, until).is_ok());
    }
}

#[test]
fn after_a_restart_calls_in_flight_count_as_lost_and_waits_go_on() {
    let mut admission = fresh();
    let _lost = admission.admit(LOOK, at(0)).unwrap();
    upload(&mut admission, code(ErrorCode::ZeroBalance), at(0));
    let stored = serde_json::to_string(&admission.save()).unwrap();
    let saved = serde_json::from_str(&stored).unwrap();
    let mut restored = Admission::new(Limits::default(), Past::Saved(saved), at(SECOND));
    assert_eq!(restored.in_flight(), 0);
    assert_eq!(refused(&mut restored, CallKind::Upload, at(SECOND)), (Why::ZeroBalance, at(MINUTE)));
    let left = |admission: &Admission| {
        let budget = admission.budgets(at(SECOND))[BlockRule::ResCalls as usize];
        budget.left
    };
    assert_eq!(left(&restored), left(&admission));
    let _one = restored.admit(LOOK, at(SECOND)).unwrap();
    assert_eq!(refused(&mut restored, LOOK, at(SECOND)).0, Why::KeyUnconfirmed);
}
