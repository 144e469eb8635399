use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::protocol::answer::Answer;

const ID: CaptchaId = CaptchaId(7);

fn answers() -> (Clock, Answers) {
    let clock = Clock::starting_at(Timestamp(1_000_000_000));
    let answers = Answers::new(clock);
    assert!(answers.add(ID, "team-a".into(), Method::Image, clock.now(), None, None));
    (clock, answers)
}

fn solution(text: &'static str, price: Option<&str>) -> Solution {
    Solution { answer: Answer::Text(Bytes::from_static(text.as_bytes())), price: price.map(str::to_owned) }
}

fn told(found: &Found) -> String {
    match found {
        Found::Solved(solution) => String::from_utf8_lossy(&solution.answer.plain()).into_owned(),
        other => format!("{other:?}").split(' ').next().unwrap_or_default().to_owned(),
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_owner_finds_a_captcha() {
    let (_, answers) = answers();
    assert_eq!(told(&answers.find(ID, "team-a", false)), "NotReady");
    assert_eq!(told(&answers.find(ID, "team-b", false)), "Nothing");
    assert_eq!(told(&answers.find(CaptchaId(8), "team-a", false)), "Nothing");
    assert!(answers.begin_report(ID, "team-b").is_err());
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_served_as_often_as_it_is_asked_for_until_15_minutes_after_the_upload() {
    let (clock, answers) = answers();
    answers.solve(ID, solution("abc", None)).unwrap();
    clock.sleep_until(clock.now() + LIFETIME - Duration::from_millis(1)).await;
    for _ in 0..3 {
        assert_eq!(told(&answers.find(ID, "team-a", false)), "abc");
    }
    clock.sleep(Duration::from_millis(1)).await;
    assert_eq!(told(&answers.find(ID, "team-a", false)), "Nothing");
}

#[tokio::test(start_paused = true)]
async fn the_first_answer_stays() {
    let (_, answers) = answers();
    assert!(answers.solve(ID, solution("abc", None)).is_some());
    assert!(answers.solve(ID, solution("xyz", None)).is_none());
    assert_eq!(told(&answers.find(ID, "team-a", false)), "abc");
}

#[tokio::test(start_paused = true)]
async fn an_id_that_the_upstream_gives_twice_stays_with_its_first_owner() {
    let (clock, answers) = answers();
    assert!(!answers.add(ID, "team-b".into(), Method::Image, clock.now(), None, None));
    assert_eq!(told(&answers.find(ID, "team-b", false)), "Nothing");
    clock.sleep(LIFETIME).await;
    assert!(answers.add(ID, "team-b".into(), Method::Image, clock.now(), None, None), "the old one is over");
    assert_eq!(told(&answers.find(ID, "team-b", false)), "NotReady");
}

#[tokio::test(start_paused = true)]
async fn a_price_holds_back_only_those_who_ask_for_it() {
    let (_, answers) = answers();
    assert_eq!(told(&answers.find(ID, "team-a", true)), "PriceMissing");
    assert!(answers.ask_price(ID) && !answers.ask_price(ID));
    answers.solve(ID, solution("abc", None));
    assert_eq!(told(&answers.find(ID, "team-a", true)), "PriceMissing");
    assert_eq!(told(&answers.find(ID, "team-a", false)), "abc");
    assert!(answers.price(ID, Some("0.1".into())).is_some(), "its cost has waited");
    let Found::Solved(found) = answers.find(ID, "team-a", true) else { panic!("the price is known") };
    assert_eq!(found.price.as_deref(), Some("0.1"));
}

#[tokio::test(start_paused = true)]
async fn a_cost_waits_for_a_price_that_was_asked_for_before_the_answer_and_for_no_other() {
    let (_, answers) = answers();
    let solved = answers.solve(ID, solution("abc", None)).unwrap();
    assert!(!solved.price_is_missing && answers.ask_price(ID));
    assert!(answers.price(ID, Some("0.1".into())).is_none(), "it was counted with the answer");
    let (_, answers) = self::answers();
    assert!(
        answers.ask_price(ID) && answers.price(ID, Some("0.1".into())).is_none(),
        "there is no answer yet"
    );
    assert!(!answers.solve(ID, solution("abc", None)).unwrap().price_is_missing);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_is_woken_by_the_answer() {
    let (_, answers) = answers();
    let mut changes = answers.changes(ID).unwrap();
    answers.solve(ID, solution("abc", None));
    assert!(changes.changed().await.is_err(), "the channel closed: there is nothing more to wait for");
}

#[tokio::test(start_paused = true)]
async fn a_captcha_is_reported_once_unless_the_report_came_to_nothing() {
    let (_, answers) = answers();
    assert_eq!(answers.begin_report(ID, "team-a"), Ok(()));
    assert_eq!(answers.begin_report(ID, "team-a"), Err(Some(Report::Sending)));
    answers.end_report(ID, None);
    assert_eq!(answers.begin_report(ID, "team-a"), Ok(()));
    answers.end_report(ID, Some(Report::Recorded(Verdict::Bad)));
    assert_eq!(answers.begin_report(ID, "team-a"), Err(Some(Report::Recorded(Verdict::Bad))));
}

#[tokio::test(start_paused = true)]
async fn what_is_old_is_forgotten_and_nothing_else() {
    let (clock, answers) = answers();
    clock.sleep(Duration::from_mins(1)).await;
    answers.add(CaptchaId(8), "team-a".into(), Method::Image, clock.now(), None, None);
    answers.forget(clock.now());
    assert_eq!(
        (answers.len(), told(&answers.find(CaptchaId(8), "team-a", false))),
        (1, "NotReady".to_owned())
    );
}

#[test]
fn what_there_is_of_every_captcha_is_small() {
    assert_eq!(size_of::<Kept>(), 80);
}
