use super::*;
use crate::engine::captcha::PUSHED_WAITS;

/// Captcha 1 is to be pushed, and a push has come before.
fn open(method: Method) -> Polling {
    let mut polling = polling();
    polling.open(CaptchaId(100), pushed_kind(Method::Image), START, None);
    polling.pushed(CaptchaId(100), Bytes::from_static(b"before"), START);
    polling.open(CaptchaId(1), pushed_kind(method), START, None);
    polling
}

fn pushed_kind(method: Method) -> Kind {
    Kind { is_pushed: true, ..Kind::from(method) }
}

fn push(polling: &mut Polling, text: &'static str, now: Timestamp) -> Pushed {
    polling.pushed(CaptchaId(1), Bytes::from_static(text.as_bytes()), now)
}

/// The text of an answer that is told, or the code that the captcha ended with.
fn told(pushed: &Pushed) -> String {
    match pushed {
        Pushed::Late => "late".to_owned(),
        Pushed::Looked => "looked".to_owned(),
        Pushed::Answered(effect) => told_by(effect),
    }
}

fn told_by(effect: &Effect) -> String {
    match effect {
        Effect::Solved(solution) => String::from_utf8(solution.answer.plain().to_vec()).unwrap(),
        effect => format!("{effect:?}"),
    }
}

#[test]
fn a_pushed_captcha_is_not_looked_at_before_its_workers_deadline() {
    let mut polling = open(Method::Image);
    assert_eq!(calls(&mut polling, at(89)), []);
    assert_eq!(calls(&mut polling, at(90)).len(), 1);
}

#[test]
fn until_a_push_has_come_captchas_are_looked_at_as_if_there_were_none() {
    let mut polling = polling();
    for id in [1, 2] {
        polling.open(CaptchaId(id), pushed_kind(Method::Image), at(3 * id), None);
    }
    let call = calls(&mut polling, at(8)).remove(0);
    assert_eq!(call.ids, [CaptchaId(1)], "it may never come: the URL may be wrong");
    polling.pushed(CaptchaId(1), Bytes::from_static(b"pushed"), at(9));
    let pieces = Looked::One(Look::NotReady);
    settle(&mut polling, &call, pieces, at(9));
    polling.open(CaptchaId(3), pushed_kind(Method::Image), at(9), None);
    assert_eq!(
        calls(&mut polling, at(95)),
        [],
        "it comes, and those that wait for their looks wait for pushes"
    );
    assert_eq!(calls(&mut polling, at(96))[0].ids, [CaptchaId(2)]);
}

#[test]
fn a_plain_answer_is_taken_and_nothing_is_looked_at() {
    for text in ["w9h5k", "40|200|-120"] {
        let mut polling = open(Method::Rotate);
        assert_eq!(told(&push(&mut polling, text, at(9))), text);
        assert_eq!((polling.open_count(), calls(&mut polling, at(800))), (0, Vec::new()));
        assert_eq!(told(&push(&mut polling, text, at(9))), "late", "the same again");
    }
}

#[test]
fn a_code_is_taken_only_if_it_is_a_captchas_end() {
    let mut polling = open(Method::Image);
    for strange in ["CAPCHA_NOT_READY", "ERROR_ZERO_BALANCE", "ERROR: 1005", "ERROR_NEVER_SEEN"] {
        assert_eq!(told(&push(&mut polling, strange, at(3))), "looked", "{strange}");
    }
    assert_eq!(calls(&mut polling, at(4)).len(), 1, "a look tells");
    let mut polling = open(Method::Image);
    assert_eq!(told(&push(&mut polling, "ERROR_CAPTCHA_UNSOLVABLE", at(9))), "ERROR_CAPTCHA_UNSOLVABLE");
}

#[test]
fn an_answer_that_is_more_than_its_text_is_looked_at_at_once_and_never_sooner_than_the_interval_allows() {
    let mut polling = open(Method::Turnstile);
    assert_eq!(told(&push(&mut polling, "token", at(3))), "looked");
    assert_eq!(told(&push(&mut polling, "token", at(3))), "looked", "twice is no second look");
    let call = calls(&mut polling, at(3)).remove(0);
    assert_eq!((call.form, calls(&mut polling, at(3))), (LookForm::Json, Vec::new()));
    let open = settle(&mut polling, &call, Looked::One(Look::NotReady), at(4));
    assert!(open.is_empty());
    assert_eq!(calls(&mut polling, at(8)), [], "within the interval of the reply");
    let call = calls(&mut polling, at(9)).remove(0);
    let effects = settle(&mut polling, &call, Looked::One(solved("the whole")), at(10));
    assert_eq!(told_by(&effects[0].1), "the whole");
    assert_eq!(calls(&mut polling, at(900)), []);
}

#[test]
fn what_was_pushed_is_taken_when_looks_do_not_bring_the_whole() {
    let mut polling = open(Method::Turnstile);
    push(&mut polling, "token", at(3));
    let mut now = at(3);
    let effects = loop {
        let (calls, over) = polling.plan((1_000, 1_000), false, now);
        if !over.is_empty() {
            break over;
        }
        for call in calls {
            polling.postpone(call, now + seconds(5), now);
        }
        now = polling.next_at();
    };
    assert_eq!(told_by(&effects[0].1), "token");
    assert!(now >= at(3) + PUSHED_WAITS && now <= at(3) + PUSHED_WAITS + seconds(6), "{now}");
    assert_eq!(polling.open_count(), 0);
}

#[test]
fn a_price_that_a_client_asks_for_is_looked_for_after_the_push() {
    let mut polling = open(Method::Image);
    polling.want_price(CaptchaId(1), Method::Image, START, false, at(2));
    assert_eq!(told(&push(&mut polling, "w9h5k", at(9))), "w9h5k");
    let call = calls(&mut polling, at(9)).remove(0);
    assert_eq!(call.form, LookForm::Price);
    let effects = settle(&mut polling, &call, Looked::One(priced("w9h5k")), at(10));
    assert_eq!(told_by(&effects[0].1), "Priced(Some(\"0.00299\"))");
}

#[test]
fn a_push_while_a_look_is_under_way_tells_the_answer_once_and_the_look_nothing_more() {
    let mut polling = opened(3);
    let call = calls(&mut polling, at(5)).remove(0);
    assert_eq!(call.ids.len(), 3);
    assert_eq!(told(&push(&mut polling, "first", at(6))), "first");
    assert_eq!(told(&push(&mut polling, "first", at(6))), "late");
    assert_eq!(polling.open_count(), 3, "it is known what kind of captcha stood in the batch");
    let pieces = vec![solved("first"), Look::NotReady, Look::NotReady];
    let effects = settle(&mut polling, &call, Looked::Many(Batch::Pieces(pieces)), at(7));
    assert!(effects.is_empty(), "{effects:?}");
    assert_eq!(polling.open_count(), 2);
    // The same when the look was never sent.
    let call = calls(&mut polling, at(30)).remove(0);
    polling.pushed(CaptchaId(2), Bytes::from_static(b"second"), at(31));
    polling.postpone(call, at(40), at(31));
    assert_eq!(polling.open_count(), 1);
}

#[test]
fn a_push_that_a_look_outran_is_late_and_not_lost() {
    let mut polling = open(Method::Image);
    let before = polling.pushes_lost();
    let call = calls(&mut polling, at(90)).remove(0);
    settle(&mut polling, &call, Looked::One(solved("w9h5k")), at(91));
    assert!(polling.pushes_lost() > before);
    assert_eq!(told(&push(&mut polling, "w9h5k", at(92))), "late");
    let after = polling.pushes_lost();
    assert!(after < before);
    assert_eq!(told(&push(&mut polling, "w9h5k", at(93))), "late", "the same again counts no more");
    assert!((polling.pushes_lost() - after).abs() < f32::EPSILON);
}

#[test]
fn the_last_look_is_made_however_long_captchas_have_taken() {
    let mut polling = open(Method::Image);
    for id in 200..300 {
        polling.open(CaptchaId(id), pushed_kind(Method::Image), START, None);
        polling.pushed(CaptchaId(id), Bytes::from_static(b"slow"), at(899));
    }
    polling.open(CaptchaId(2), pushed_kind(Method::Image), at(900), None);
    let last_look = at(900) + LIFETIME - seconds(10);
    assert!(calls(&mut polling, last_look - seconds(1)).iter().all(|call| !call.ids.contains(&CaptchaId(2))));
    assert_eq!(calls(&mut polling, last_look)[0].ids, [CaptchaId(2)]);
}

#[test]
fn a_push_after_the_captchas_time_is_late() {
    let mut polling = open(Method::Image);
    assert_eq!(told(&push(&mut polling, "w9h5k", START + LIFETIME)), "late");
    let mut recovered = self::polling();
    recovered.open(CaptchaId(1), Method::Turnstile.into(), START, Some(at(100)));
    assert_eq!(told(&push(&mut recovered, "token", at(101))), "looked");
    assert_eq!(calls(&mut recovered, at(104)), [], "nobody knows of a look before the restart");
    assert_eq!(calls(&mut recovered, at(106)).len(), 1);
}
