//! What a captcha is given of a batch, and what becomes of one that was shown something that is not certain.

use super::*;
use crate::engine::recount::Dice;

/// The pieces in the order of the ids of `call`; of the others, not ready.
fn pieces(call: &LookCall, known: &[(u64, &'static str)]) -> Looked {
    let piece = |id: &CaptchaId| {
        let known = known.iter().find(|(number, _)| *number == id.0);
        known.map_or(Look::NotReady, |(_, text)| solved(text))
    };
    Looked::Many(Batch::Pieces(call.ids.iter().map(piece).collect()))
}

fn ids(call: &LookCall) -> Vec<u64> {
    call.ids.iter().map(|id| id.0).collect()
}

fn told(effects: &[(CaptchaId, Effect)]) -> Vec<u64> {
    effects.iter().map(|(id, _)| id.0).collect()
}

/// Three captchas that are open, and the first two of five that are known.
fn with_two_fences() -> Polling {
    let mut polling = opened(5);
    let call = calls(&mut polling, at(6)).remove(0);
    let known = pieces(&call, &[(1, "one-1"), (3, "three")]);
    assert_eq!(told(&settle(&mut polling, &call, known, at(6))), [1, 3]);
    polling
}

#[test]
fn an_answer_without_neighbours_is_given_at_once_and_stands_between_others_from_the_next_look_on() {
    let mut polling = with_two_fences();
    let planned = calls(&mut polling, at(12));
    assert_eq!(planned.iter().map(ids).collect::<Vec<_>>(), [[2, 1, 4, 3, 5]]);
    let known = pieces(&planned[0], &[(1, "one-1"), (2, "two"), (3, "three"), (4, "four"), (5, "five")]);
    assert_eq!(told(&settle(&mut polling, &planned[0], known, at(12))), [2, 4, 5], "side by side");
}

#[test]
fn answers_side_by_side_are_looked_at_alone_while_there_are_no_fences() {
    let mut polling = opened(4);
    let first = calls(&mut polling, at(6)).remove(0);
    let seen = pieces(&first, &[(1, "one"), (2, "two"), (4, "four")]);
    assert!(settle(&mut polling, &first, seen, at(6)).is_empty());
    let alone = calls(&mut polling, at(12));
    assert_eq!(alone.iter().map(ids).collect::<Vec<_>>(), [[1], [2], [4], [3]], "the third is left over");
    assert!(alone.iter().all(|call| call.form == LookForm::Plain));
    assert_eq!(told(&settle(&mut polling, &alone[0], Looked::One(solved("one")), at(12))), [1]);
}

#[test]
fn captchas_whose_answers_nobody_types_need_a_fence_only_before_the_first_of_them() {
    let mut polling = with_two_fences();
    for id in 6..=9 {
        polling.open(CaptchaId(id), Method::Grid.into(), at(7), None);
    }
    polling.want_price(CaptchaId(5), Method::Image, START, false, at(7));
    let planned = calls(&mut polling, at(13));
    let batch = planned.iter().find(|call| call.form == LookForm::Batch).expect("a batch");
    assert_eq!(ids(batch), [2, 1, 4, 3, 6, 7, 8, 9]);
}

#[test]
fn no_more_typed_answers_than_there_are_fences_for_share_a_call() {
    let mut polling = with_two_fences();
    for id in 6..=9 {
        polling.open(CaptchaId(id), Method::Image.into(), at(6), None);
    }
    let planned = calls(&mut polling, at(13));
    let ids: Vec<Vec<u64>> = planned.iter().map(ids).collect();
    assert_eq!(ids, [vec![2, 1, 4, 3, 5], vec![6, 7, 8, 9]]);
}

#[test]
fn fences_are_looked_at_an_interval_apart_and_spared_when_looks_are_scarce() {
    let mut polling = with_two_fences();
    let call = calls(&mut polling, at(12)).remove(0);
    polling.postpone(call, at(13), at(12));
    let spared = polling.plan((10, 10), true, at(13)).0.remove(0);
    assert_eq!(ids(&spared), [2, 4, 5]);
    polling.postpone(spared, at(14), at(13));
    let call = calls(&mut polling, at(14)).remove(0);
    assert_eq!(ids(&call), [2, 1, 4, 3, 5], "a call that was not sent has not looked at them");
    let looked = pieces(&call, &[(1, "one-1"), (3, "three")]);
    settle(&mut polling, &call, looked, at(14));
    for id in 6..=7 {
        polling.open(CaptchaId(id), Method::Image.into(), at(8), None);
    }
    assert_eq!(ids(&calls(&mut polling, at(14))[0]), [6, 7], "the fences were looked at just now");
}

#[test]
fn a_fence_that_the_upstream_has_forgotten_is_not_used_again() {
    let mut polling = with_two_fences();
    let call = calls(&mut polling, at(12)).remove(0);
    let looked = pieces(&call, &[(3, "three"), (5, "five")]);
    assert_eq!(told(&settle(&mut polling, &call, looked, at(12))), Vec::<u64>::new());
    let planned = calls(&mut polling, at(18));
    assert_eq!(planned.iter().map(ids).collect::<Vec<_>>(), [vec![5], vec![2, 3, 4]]);
}

#[test]
fn a_fence_whose_price_is_asked_for_is_looked_at_for_itself_an_interval_after_the_call_that_it_is_in() {
    for is_sent in [true, false] {
        let mut polling = with_two_fences();
        let call = calls(&mut polling, at(12)).remove(0);
        assert_eq!(ids(&call), [2, 1, 4, 3, 5]);
        for id in [1, 3] {
            polling.want_price(CaptchaId(id), Method::Image, START, true, at(13));
        }
        assert_eq!(polling.next_at(), Timestamp::NEVER, "one look at a time");
        if is_sent {
            let looked = pieces(&call, &[(1, "one-1"), (3, "three")]);
            settle(&mut polling, &call, looked, at(14));
        } else {
            polling.postpone(call, at(14), at(14));
        }
        assert!(calls(&mut polling, at(18)).iter().all(|call| call.form != LookForm::Price));
        let planned = calls(&mut polling, at(25));
        let priced = planned.iter().filter(|call| call.form == LookForm::Price);
        let mut priced: Vec<u64> = priced.flat_map(ids).collect();
        priced.sort_unstable();
        assert_eq!(priced, [1, 3]);
        assert!(planned.iter().all(|call| call.fences.is_empty()));
    }
    let mut polling = with_two_fences();
    polling.want_price(CaptchaId(1), Method::Image, START, true, at(7));
    assert!(calls(&mut polling, at(12)).iter().all(|call| call.fences.is_empty() || call.ids.len() == 3));
}

#[test]
fn a_solved_captcha_whose_price_is_still_looked_for_is_no_fence() {
    let mut polling = opened(5);
    let call = calls(&mut polling, at(6)).remove(0);
    polling.want_price(CaptchaId(1), Method::Image, START, false, at(6));
    let known = pieces(&call, &[(1, "one-1")]);
    assert_eq!(told(&settle(&mut polling, &call, known, at(6))), [1]);
    let planned = calls(&mut polling, at(12));
    assert_eq!(planned.iter().map(ids).collect::<Vec<_>>(), [vec![1], vec![2, 3, 4, 5]]);
}

#[test]
fn an_upstream_that_sorts_its_replies_by_id_gives_nobody_anothers_answer_and_sees_no_more_fences() {
    let mut polling = with_two_fences();
    let call = calls(&mut polling, at(12)).remove(0);
    assert_eq!(ids(&call), [2, 1, 4, 3, 5]);
    let sorted = ["one-1", "two", "three", "four", "five"].map(solved).to_vec();
    let effects = settle(&mut polling, &call, Looked::Many(Batch::Pieces(sorted)), at(12));
    assert_eq!(told(&effects), Vec::<u64>::new());
    let alone = calls(&mut polling, at(18));
    assert_eq!(alone.iter().map(ids).collect::<Vec<_>>(), [[2], [4], [5]]);
    for (call, text) in alone.iter().zip(["two", "four", "five-5"]) {
        settle(&mut polling, call, Looked::One(solved(text)), at(18));
    }
    for id in 6..=8 {
        polling.open(CaptchaId(id), Method::Image.into(), at(18), None);
    }
    assert_eq!(ids(&calls(&mut polling, at(60))[0]), [6, 7, 8]);
}

#[test]
fn each_last_look_is_made_alone() {
    let mut polling = opened(2);
    polling.open(CaptchaId(3), Method::Grid.into(), START, None);
    let last = START + LIFETIME - seconds(9);
    let planned = calls(&mut polling, last);
    assert!(planned.iter().all(|call| call.form == LookForm::Plain && call.is_last));
    assert_eq!(planned.iter().map(ids).collect::<Vec<_>>(), [[1], [2], [3]]);
}

#[test]
fn a_look_after_which_none_could_follow_is_made_shortly_before_the_end() {
    let mut polling = opened(1);
    let end = 15 * 60;
    let mut last = None;
    for second in 5..end {
        for call in calls(&mut polling, START + seconds(second)) {
            last = Some(second).filter(|_| call.is_last).or(last);
            settle(&mut polling, &call, Looked::One(Look::NotReady), START + seconds(second));
        }
    }
    let second = last.expect("it was made");
    assert!(second >= end - 10 && second < end - 5, "{second}");
}

#[test]
fn a_look_that_comes_back_in_the_last_seconds_is_followed_by_the_one_that_is_kept() {
    let mut polling = opened(1);
    let call = calls(&mut polling, at(860)).remove(0);
    // It was lost, and given up after half a minute.
    settle(&mut polling, &call, Looked::Failed, at(888));
    let next = polling.next_at();
    let call = calls(&mut polling, next).remove(0);
    assert!(call.is_last);
}

/// An upstream with many bars and many short replies, and what each captcha's answer is.
struct Upstream {
    dice: Dice,
    percent: u64,
    answers: Vec<Option<String>>,
}

impl Upstream {
    fn answer(&mut self, number: usize) -> String {
        // Short texts from few letters, often the same, as people type them.
        let letters = |dice: &mut Dice| -> String {
            (0..4).map(|_| char::from(b'a' + u8::try_from(dice.roll(3)).unwrap())).collect()
        };
        if self.dice.chance(self.percent) {
            format!("{}|{}", letters(&mut self.dice), letters(&mut self.dice))
        } else {
            format!("{}{number}", letters(&mut self.dice))
        }
    }

    fn reply(&mut self, call: &LookCall) -> Looked {
        let mut pieces: Vec<String> = Vec::new();
        for id in &call.ids {
            let number = usize::try_from(id.0).unwrap();
            if self.answers[number].is_none() && self.dice.chance(30) {
                self.answers[number] = Some(self.answer(number));
            }
            pieces.push(self.answers[number].clone().unwrap_or_else(|| "CAPCHA_NOT_READY".to_owned()));
        }
        if call.form != LookForm::Batch {
            let look = |body: &str| crate::protocol::reply::read_look(body.as_bytes());
            return Looked::One(match pieces[0].as_str() {
                "CAPCHA_NOT_READY" => Look::NotReady,
                answer => look(&format!("OK|{answer}")),
            });
        }
        if self.dice.chance(self.percent) {
            for _ in 0..=self.dice.roll(3) {
                let place = self.dice.place(pieces.len());
                if pieces.len() > 1 {
                    pieces.remove(place);
                }
            }
        }
        Looked::Many(crate::protocol::reply::read_batch(pieces.join("|").as_bytes(), call.ids.len()))
    }
}

/// Plays `captchas`, some at a time; returns the wrong answers that were told, and the calls that were made.
fn play(seed: u64, captchas: usize, percent: u64) -> (usize, usize) {
    let mut polling = polling();
    let mut upstream = Upstream { dice: Dice::new(seed), percent, answers: vec![None; captchas] };
    let (mut opened, mut told, mut wrong, mut calls) = (0, 0, 0, 0);
    let mut now = START;
    while told < captchas {
        while opened < captchas.min(told + 30) {
            polling.open(CaptchaId(opened as u64), Method::Image.into(), now, None);
            opened += 1;
        }
        now = polling.next_at();
        let (planned, over) = polling.plan((1_000, 1_000), false, now);
        assert!(over.is_empty(), "none is given up: {over:?}");
        for call in planned {
            calls += 1;
            let looked = upstream.reply(&call);
            for (id, effect) in polling.settle(call, looked, Duration::ZERO, now) {
                let Effect::Solved(solution) = effect else { panic!("{effect:?}") };
                let answer = upstream.answers[usize::try_from(id.0).unwrap()].as_deref().unwrap_or("none");
                wrong += usize::from(solution.answer.plain() != answer.as_bytes());
                told += 1;
            }
        }
    }
    (wrong, calls)
}

#[test]
fn of_tens_of_thousands_of_answers_with_bars_in_short_batches_none_is_told_to_another() {
    for (percent, captchas) in [(0, 2_000), (5, 20_000), (30, 20_000)] {
        let (wrong, calls) = play(percent, captchas, percent);
        #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
        let rate = calls as f64 / captchas as f64;
        println!("{percent} % bars, {percent} % short batches: {rate:.2} calls a captcha, {wrong} wrong");
        assert_eq!(wrong, 0, "{percent} %");
    }
}
