use bytes::Bytes;

use super::*;
use crate::engine::captcha::STRANGE_CODES_MAX;
use crate::protocol::answer::{Answer, Solution};
use crate::protocol::errors::{Code, ErrorCode};
use crate::protocol::reply::{Batch, Look};

const START: Timestamp = Timestamp(1_000_000_000);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn at(count: u64) -> Timestamp {
    START + seconds(count)
}

fn polling() -> Polling {
    Polling::new(Timing {
        interval: seconds(5),
        first_look: seconds(5),
        first_look_token: seconds(15),
        max_ids: 100,
    })
}

fn opened(count: u64) -> Polling {
    let mut polling = polling();
    for id in 1..=count {
        polling.open(CaptchaId(id), Method::Image.into(), START, None);
    }
    polling
}

fn calls(polling: &mut Polling, now: Timestamp) -> Vec<LookCall> {
    polling.plan((1_000, 1_000), false, now).0
}

fn solved(text: &'static str) -> Look {
    Look::Solved(Answer::Text(Bytes::from_static(text.as_bytes())).into())
}

fn priced(text: &'static str) -> Look {
    let answer = Answer::Text(Bytes::from_static(text.as_bytes()));
    Look::Solved(Solution { answer, price: Some("0.00299".into()) })
}

fn not_ready(call: &LookCall) -> Looked {
    match call.form {
        LookForm::Batch => Looked::Many(Batch::Pieces(call.ids.iter().map(|_| Look::NotReady).collect())),
        _ => Looked::One(Look::NotReady),
    }
}

fn settle(
    polling: &mut Polling,
    call: &LookCall,
    looked: Looked,
    now: Timestamp,
) -> Vec<(CaptchaId, Effect)> {
    polling.settle(call.clone(), looked, Duration::ZERO, now)
}

#[test]
fn no_look_before_the_documented_minimum_of_the_method() {
    for (method, first) in
        [(Method::Image, 5), (Method::Text, 5), (Method::RecaptchaV2, 15), (Method::Other, 15)]
    {
        let mut polling = polling();
        polling.open(CaptchaId(1), method.into(), START, None);
        assert_eq!(calls(&mut polling, START + seconds(first) - Duration::from_millis(1)), []);
        assert_eq!(calls(&mut polling, at(first)).len(), 1, "{method:?}");
    }
}

#[test]
fn captchas_that_come_due_near_each_other_share_a_call() {
    let mut polling = polling();
    for id in 1..=5 {
        polling.open(CaptchaId(id), Method::Image.into(), START + Duration::from_millis(id * 100), None);
    }
    let mut shared = Vec::new();
    while polling.next_at() <= at(6) {
        let now = polling.next_at();
        shared.extend(calls(&mut polling, now));
    }
    assert_eq!(shared.iter().map(|call| call.ids.len()).collect::<Vec<_>>(), [5]);
}

#[test]
fn a_captcha_joins_the_first_call_that_leaves_soon_and_else_has_one_of_its_own() {
    let mut polling = opened(1);
    polling.open(CaptchaId(2), Method::Image.into(), at(1), None);
    polling.open(CaptchaId(3), Method::Image.into(), at(2), None);
    let call = calls(&mut polling, at(5)).remove(0);
    let looked = not_ready(&call);
    settle(&mut polling, &call, looked, at(5));
    let ids = |calls: Vec<LookCall>| calls.into_iter().flat_map(|call| call.ids).collect::<Vec<_>>();
    assert_eq!(ids(calls(&mut polling, at(6))), [CaptchaId(2)], "4 s are too long to wait");
    assert_eq!(ids(calls(&mut polling, at(7))), [], "3 s are not");
    assert_eq!(ids(calls(&mut polling, at(10))), [CaptchaId(1), CaptchaId(3)]);
}

#[test]
fn the_next_look_comes_an_interval_after_the_reply_and_one_at_a_time() {
    let mut polling = opened(1);
    let now = at(5);
    let call = calls(&mut polling, now).remove(0);
    assert_eq!(calls(&mut polling, now + seconds(60)), [], "it is in flight");
    let replied = now + Duration::from_millis(700);
    let looked = not_ready(&call);
    settle(&mut polling, &call, looked, replied);
    assert_eq!(calls(&mut polling, replied + seconds(5) - Duration::from_millis(1)), []);
    let next = replied + Duration::from_millis(5_300);
    assert_eq!((polling.next_at(), calls(&mut polling, next).len()), (next, 1), "steps of half a second");
}

#[test]
fn batches_hold_as_many_as_the_size_in_use_which_grows_by_one_on_each_full_clean_one() {
    let mut polling = opened(25);
    let planned = calls(&mut polling, at(5));
    assert_eq!(planned.iter().map(|call| call.ids.len()).collect::<Vec<_>>(), [12, 12, 1]);
    assert_eq!(planned[2].form, LookForm::Plain);
    for call in &planned {
        let looked = not_ready(call);
        settle(&mut polling, call, looked, at(5));
    }
    assert_eq!(polling.batch_size(), 14);
}

#[test]
fn the_batch_size_stays_within_the_setting() {
    let timing = Timing { max_ids: 1, ..polling().timing };
    let mut polling = Polling::new(timing);
    for id in 1..=3 {
        polling.open(CaptchaId(id), Method::Image.into(), START, None);
    }
    let planned = calls(&mut polling, at(5));
    assert!(planned.len() == 3 && planned.iter().all(|call| call.form == LookForm::Plain));
}

#[test]
fn a_mismatch_assigns_nothing_and_halves_until_each_is_looked_at_alone() {
    let mut polling = opened(12);
    let mut now = at(5);
    let mut sizes = Vec::new();
    loop {
        let planned = calls(&mut polling, now);
        sizes.push(planned.iter().map(|call| call.ids.len()).max().unwrap_or(0));
        if planned.iter().all(|call| call.form == LookForm::Plain) {
            assert_eq!(planned.len(), 12);
            break;
        }
        for call in &planned {
            let mismatch = Looked::Many(Batch::Mismatch { pieces: call.ids.len() + 1 });
            assert!(settle(&mut polling, call, mismatch, now).is_empty());
        }
        now = polling.next_at();
    }
    assert_eq!(sizes, [12, 6, 3, 1]);
    assert_eq!(polling.batch_size(), 3);
}

#[test]
fn a_clean_half_goes_back_into_large_batches() {
    let mut polling = opened(4);
    let call = calls(&mut polling, at(5)).remove(0);
    settle(&mut polling, &call, Looked::Many(Batch::Mismatch { pieces: 1 }), at(5));
    let halves = calls(&mut polling, at(10));
    assert_eq!(halves.len(), 2);
    for half in &halves {
        let looked = not_ready(half);
        settle(&mut polling, half, looked, at(10));
    }
    let planned = calls(&mut polling, at(15));
    assert_eq!(planned[0].ids.len(), 4, "{planned:?}");
}

#[test]
fn methods_with_rich_answers_are_looked_at_alone_in_json() {
    let mut polling = polling();
    for (id, method) in [(1, Method::Rotate), (2, Method::Geetest), (3, Method::Other), (4, Method::Text)] {
        polling.open(CaptchaId(id), method.into(), START, None);
    }
    let planned = calls(&mut polling, at(15));
    assert!(planned.len() == 4 && planned.iter().all(|call| call.form == LookForm::Json));
}

#[test]
fn each_piece_goes_to_the_captcha_at_its_place() {
    let mut polling = opened(4);
    let call = calls(&mut polling, at(5)).remove(0);
    let codes = Look::Code(ErrorCode::Unsolvable.into());
    let looks = vec![solved("a"), Look::NotReady, codes, Look::Garbage];
    let effects = settle(&mut polling, &call, Looked::Many(Batch::Pieces(looks)), at(5));
    let told: Vec<_> = effects
        .iter()
        .map(|(id, effect)| match effect {
            Effect::Solved(solution) => (*id, solution.answer.plain()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, [(call.ids[0], "a".into()), (call.ids[2], "ERROR_CAPTCHA_UNSOLVABLE".into())]);
    assert_eq!(polling.open_count(), 2);
}

#[test]
fn codes_of_the_account_and_failed_calls_end_no_captcha() {
    let mut polling = opened(1);
    let mut now = at(5);
    let account = |code: ErrorCode| Looked::One(Look::Code(code.into()));
    for looked in [
        account(ErrorCode::Block1005),
        account(ErrorCode::KeyDoesNotExist),
        account(ErrorCode::IpBanned),
        Looked::Failed,
        Looked::One(Look::Garbage),
        Looked::Many(Batch::Garbage),
    ] {
        let call = calls(&mut polling, now).remove(0);
        assert!(settle(&mut polling, &call, looked, now).is_empty());
        now = polling.next_at();
    }
    assert_eq!(polling.open_count(), 1);
}

#[test]
fn a_strange_code_ends_a_captcha_only_when_it_comes_for_a_minute() {
    let mut polling = opened(1);
    let strange = || Looked::One(Look::Code(Code::Unknown(Bytes::from_static(b"ERROR_NEW"))));
    let mut look = |looked| {
        let now = polling.next_at();
        let call = calls(&mut polling, now).remove(0);
        settle(&mut polling, &call, looked, now)
    };
    let in_a_row = usize::from(STRANGE_CODES_MAX) - 1;
    for _ in 0..2 {
        assert!(look(Looked::One(Look::NotReady)).is_empty());
        for _ in 0..in_a_row {
            assert!(look(strange()).is_empty());
        }
    }
    assert!(
        matches!(&look(strange())[..], [(_, Effect::Solved(solution))] if solution.answer.plain() == "ERROR_NEW")
    );
}

#[test]
fn one_look_is_kept_for_before_the_end_and_then_the_captcha_expires() {
    let exactly = |count| START + seconds(count);
    let mut polling = opened(1);
    let call = calls(&mut polling, at(5)).remove(0);
    let looked = not_ready(&call);
    polling.settle(call, looked, seconds(3_600), at(800));
    assert_eq!(polling.next_at(), exactly(890));
    let call = calls(&mut polling, exactly(890)).remove(0);
    assert!(call.is_last);
    let looked = not_ready(&call);
    settle(&mut polling, &call, looked, exactly(890));
    assert_eq!(polling.next_at(), exactly(895), "the time that is left is used");
    let call = calls(&mut polling, exactly(895)).remove(0);
    assert!(!call.is_last, "only one is kept");
    let looked = not_ready(&call);
    settle(&mut polling, &call, looked, exactly(895));
    assert_eq!(polling.next_at(), exactly(900));
    let (planned, over) = polling.plan((10, 10), false, exactly(900));
    assert!(planned.is_empty() && matches!(over[..], [(CaptchaId(1), Effect::Expired)]));
    assert_eq!((polling.open_count(), polling.next_at()), (0, Timestamp::NEVER));
}

#[test]
fn a_wanted_price_is_looked_for_alone_with_the_answer() {
    let mut polling = opened(2);
    polling.want_price(CaptchaId(1), Method::Image, START, false, START);
    let planned = calls(&mut polling, at(5));
    let call = planned.iter().find(|call| call.form == LookForm::Price).unwrap();
    assert_eq!(call.ids, [CaptchaId(1)]);
    let effects = settle(&mut polling, call, Looked::One(priced("a")), at(5));
    assert!(matches!(&effects[..], [(_, Effect::Solved(solution))] if solution.price.is_some()));
    assert_eq!(polling.open_count(), 1);
}

#[test]
fn a_price_that_is_asked_for_late_costs_one_more_look_and_at_most_three() {
    let mut polling = polling();
    let now = at(60);
    polling.want_price(CaptchaId(1), Method::Image, START, true, now);
    assert_eq!(calls(&mut polling, now + seconds(4)), []);
    let mut now = polling.next_at();
    for _ in 0..2 {
        let call = calls(&mut polling, now).remove(0);
        assert!(settle(&mut polling, &call, Looked::One(solved("a")), now).is_empty());
        now = polling.next_at();
    }
    let call = calls(&mut polling, now).remove(0);
    let effects = settle(&mut polling, &call, Looked::One(solved("a")), now);
    assert!(matches!(effects[..], [(CaptchaId(1), Effect::Priced(None))]));
    assert_eq!(polling.open_count(), 0);
}

#[test]
fn a_call_that_was_not_sent_comes_due_again() {
    let mut polling = opened(3);
    let call = calls(&mut polling, at(5)).remove(0);
    polling.postpone(call, at(300), at(5));
    assert_eq!(calls(&mut polling, at(299)), []);
    assert_eq!(calls(&mut polling, at(300))[0].ids.len(), 3);
}

#[test]
fn a_recovered_captcha_is_looked_at_an_interval_after_the_restart() {
    let mut polling = polling();
    polling.open(CaptchaId(1), Method::Image.into(), START, Some(START + seconds(100)));
    assert_eq!(polling.next_at(), at(105));
}

#[test]
fn batches_that_bring_nothing_are_taken_apart_until_the_others_have_their_answers() {
    let mut polling = opened(4);
    let poison = CaptchaId(3);
    let mut answered = Vec::new();
    for _ in 0..60 {
        let now = polling.next_at();
        for call in calls(&mut polling, now) {
            let looked = match call.form {
                _ if call.ids.contains(&poison) => Looked::Failed,
                LookForm::Batch => {
                    Looked::Many(Batch::Pieces(call.ids.iter().map(|_| solved("a")).collect()))
                }
                _ => Looked::One(solved("a")),
            };
            answered.extend(settle(&mut polling, &call, looked, now).into_iter().map(|(id, _)| id));
        }
    }
    answered.sort();
    assert_eq!(answered, [CaptchaId(1), CaptchaId(2), CaptchaId(4)]);
}

#[test]
fn a_price_that_never_comes_because_calls_fail_is_given_up() {
    let mut polling = polling();
    polling.want_price(CaptchaId(1), Method::Image, START, true, at(60));
    let mut effects = Vec::new();
    for _ in 0..3 {
        let now = polling.next_at();
        let call = calls(&mut polling, now).remove(0);
        effects.extend(settle(&mut polling, &call, Looked::Failed, now));
    }
    assert!(matches!(effects[..], [(CaptchaId(1), Effect::Priced(None))]));
}

#[test]
fn a_last_look_is_not_shared_with_captchas_that_have_time_left() {
    let mut polling = polling();
    polling.open(CaptchaId(1), Method::Image.into(), START, Some(at(880)));
    for id in 2..=4 {
        polling.open(CaptchaId(id), Method::Image.into(), at(880), None);
    }
    let planned = calls(&mut polling, at(893));
    let last: Vec<_> = planned.iter().filter(|call| call.is_last).flat_map(|call| &call.ids).collect();
    assert_eq!((planned.len(), last), (2, vec![&CaptchaId(1)]));
}

#[test]
fn last_looks_do_not_wait_for_a_place_behind_others() {
    let mut polling = polling();
    for id in 1..=3 {
        polling.open(CaptchaId(id), Method::Image.into(), START, Some(at(880)));
    }
    polling.open(CaptchaId(4), Method::Image.into(), at(880), None);
    assert!(polling.plan((0, 2), false, at(889)).0.is_empty());
    assert_eq!(polling.next_last_at(), at(890));
    let first = polling.plan((0, 2), false, at(890)).0;
    assert!(first.iter().all(|call| call.is_last && call.form == LookForm::Plain));
    let ids: Vec<_> = first.iter().flat_map(|call| &call.ids).collect();
    assert_eq!(ids, [&CaptchaId(1), &CaptchaId(2)], "as many as there is room for, and not one more");
    // Those that may not be sent come again beside the third.
    for call in first {
        polling.postpone(call, at(890), at(890));
    }
    assert_eq!(polling.next_last_at(), at(890), "the third");
    assert_eq!(polling.plan((0, 1), false, at(890)).0[0].ids, [CaptchaId(3)]);
    assert!(polling.next_last_at() > at(890));
    let later: Vec<_> =
        polling.plan((0, 9), false, at(893)).0.into_iter().flat_map(|call| call.ids).collect();
    assert_eq!(later, [CaptchaId(1), CaptchaId(2)]);
}

#[test]
fn who_was_due_first_is_looked_at_first() {
    let mut polling = opened(30);
    assert_eq!(polling.plan((1, 1), false, at(5)).0[0].ids[0], CaptchaId(1));
}

#[test]
fn a_call_that_may_not_be_sent_is_asked_for_later_than_now_and_until_the_very_end() {
    let mut polling = opened(1);
    let mut now = at(5);
    let mut asked = 0;
    while let Some(call) = calls(&mut polling, now).pop() {
        // Whoever refuses may say "until now".
        polling.postpone(call, if now < at(880) { at(880) } else { now }, now);
        assert!(polling.next_at() > now);
        now = polling.next_at();
        asked += u32::from(now > at(890));
    }
    assert!(asked >= 10, "{asked} times in the last seconds");
    assert_eq!(polling.open_count(), 0);
}

#[test]
fn a_short_outage_takes_no_batch_apart() {
    let mut polling = opened(12);
    for _ in 0..6 {
        let now = polling.next_at();
        let call = calls(&mut polling, now).remove(0);
        assert_eq!(call.ids.len(), 12);
        assert!(settle(&mut polling, &call, Looked::Failed, now).is_empty());
    }
}

mod doubtful;
mod pushed;

#[test]
fn what_there_is_of_every_open_captcha_is_small() {
    assert_eq!((size_of::<Captcha>(), size_of::<InLine>(), size_of::<calendar::Undecided>()), (48, 24, 32));
}
