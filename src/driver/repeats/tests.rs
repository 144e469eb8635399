use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use crate::protocol::errors::ErrorCode;
use crate::protocol::methods::Method;
use crate::protocol::repeat::{IdempotencyKey, Sameness};

const START: Timestamp = Timestamp(1_800_000_000_000);

fn repeats() -> (Clock, Repeats) {
    let clock = Clock::starting_at(START);
    (clock, Repeats::new(clock))
}

fn number(number: usize) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
    bytes
}

fn unnamed(content: usize) -> Repeat {
    Repeat { same: Sameness::from_bytes(number(content)), key: None }
}

fn named(key: usize, content: usize) -> Repeat {
    Repeat { key: Some(IdempotencyKey::from_bytes(number(key))), ..unnamed(content) }
}

/// Begins an upload that must be new.
async fn new(repeats: &Repeats, repeat: Repeat, hung_up: &HungUp) -> Attempt {
    match repeats.begin(repeat, hung_up).await.unwrap() {
        Begun::New(attempt) => attempt,
        Begun::Again(parcel) => panic!("it came before: {}", parcel.id),
    }
}

async fn sent(repeats: &Repeats, repeat: Repeat, hung_up: &HungUp) -> Attempt {
    let mut attempt = new(repeats, repeat, hung_up).await;
    attempt.sent();
    attempt
}

/// The id that an upload which came before is told.
async fn again(repeats: &Repeats, repeat: Repeat) -> Option<CaptchaId> {
    match repeats.begin(repeat, &HungUp::default()).await.unwrap() {
        Begun::New(_) => None,
        Begun::Again(parcel) => {
            let id = parcel.id;
            assert!(parcel.is_again());
            let _ = parcel.delivered();
            Some(id)
        }
    }
}

fn gone() -> HungUp {
    HungUp::new(|| true)
}

#[tokio::test(start_paused = true)]
async fn an_id_without_a_reader_is_given_once_and_for_a_minute() {
    let (clock, repeats) = repeats();
    for (after, found) in [(59_999, Some(CaptchaId(7))), (60_000, None)] {
        let attempt = sent(&repeats, unnamed(1), &HungUp::default()).await;
        drop(attempt.bought(CaptchaId(7), clock.now()));
        clock.sleep(Duration::from_millis(after)).await;
        assert_eq!(again(&repeats, unnamed(2)).await, None, "another upload");
        assert_eq!(again(&repeats, unnamed(1)).await, found, "after {after} ms");
        assert_eq!(again(&repeats, unnamed(1)).await, None, "it was told");
    }
}

#[tokio::test(start_paused = true)]
async fn an_id_that_was_told_is_not_given_to_another() {
    let (clock, repeats) = repeats();
    let attempt = sent(&repeats, unnamed(1), &HungUp::default()).await;
    let parcel = attempt.bought(CaptchaId(7), clock.now());
    assert!(!parcel.is_again() && parcel.delivered(), "the store must know that it was told");
    assert_eq!(again(&repeats, unnamed(1)).await, None);
}

#[tokio::test(start_paused = true)]
async fn ids_of_the_same_upload_are_all_given_each_to_one() {
    let (clock, repeats) = repeats();
    for id in 1..=3 {
        let attempt = sent(&repeats, unnamed(1), &HungUp::default()).await;
        let later = sent(&repeats, unnamed(1), &HungUp::default()).await;
        drop(attempt.bought(CaptchaId(id), clock.now()));
        drop(later);
        assert_eq!(again(&repeats, unnamed(1)).await, Some(CaptchaId(id)));
    }
    for id in 1..=3 {
        repeats.undelivered.offer(unnamed(1).same, CaptchaId(id), clock.now());
    }
    for id in 1..=3 {
        assert_eq!(again(&repeats, unnamed(1)).await, Some(CaptchaId(id)));
    }
    assert_eq!(again(&repeats, unnamed(1)).await, None);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_sent_is_waited_for_by_one_and_only_when_its_client_has_gone() {
    let (clock, repeats) = repeats();
    let has_gone = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&has_gone);
    let orphan = sent(&repeats, unnamed(1), &HungUp::new(move || seen.load(Ordering::Relaxed))).await;
    drop(new(&repeats, unnamed(1), &HungUp::default()).await);
    has_gone.store(true, Ordering::Relaxed);
    let wait = again(&repeats, unnamed(1));
    let mut wait = std::pin::pin!(wait);
    assert!(futures_util::poll!(wait.as_mut()).is_pending());
    assert_eq!(again(&repeats, unnamed(1)).await, None, "one waits already, and there is one id");
    drop(orphan.bought(CaptchaId(7), clock.now()));
    assert_eq!(wait.await, Some(CaptchaId(7)));
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_waiting_leaves_its_place_to_another() {
    let (clock, repeats) = repeats();
    let orphan = sent(&repeats, unnamed(1), &gone()).await;
    {
        let mut first = std::pin::pin!(again(&repeats, unnamed(1)));
        assert!(futures_util::poll!(first.as_mut()).is_pending());
    }
    let mut second = std::pin::pin!(again(&repeats, unnamed(1)));
    assert!(futures_util::poll!(second.as_mut()).is_pending());
    drop(orphan.bought(CaptchaId(7), clock.now()));
    assert_eq!(second.await, Some(CaptchaId(7)));
}

#[tokio::test(start_paused = true)]
async fn one_that_still_waits_for_its_turn_or_got_no_id_holds_nobody_up() {
    let (_, repeats) = repeats();
    let queued = new(&repeats, unnamed(1), &gone()).await;
    assert_eq!(again(&repeats, unnamed(1)).await, None);
    drop(queued);
    let orphan = sent(&repeats, unnamed(1), &gone()).await;
    let mut wait = std::pin::pin!(again(&repeats, unnamed(1)));
    assert!(futures_util::poll!(wait.as_mut()).is_pending());
    orphan.refused(&Refusal::Unknown);
    assert_eq!(wait.await, None);
}

#[tokio::test(start_paused = true)]
async fn one_whose_client_was_told_that_there_is_no_slot_is_waited_for() {
    let (clock, repeats) = repeats();
    let attempt = sent(&repeats, unnamed(1), &HungUp::default()).await;
    attempt.given_up();
    let mut wait = std::pin::pin!(again(&repeats, unnamed(1)));
    assert!(futures_util::poll!(wait.as_mut()).is_pending());
    drop(attempt.bought(CaptchaId(7), clock.now()));
    assert_eq!(wait.await, Some(CaptchaId(7)));
}

#[tokio::test(start_paused = true)]
async fn whoever_has_gone_takes_no_id() {
    let (clock, repeats) = repeats();
    repeats.undelivered.offer(unnamed(1).same, CaptchaId(7), clock.now());
    drop(new(&repeats, unnamed(1), &gone()).await);
    assert_eq!(again(&repeats, unnamed(1)).await, Some(CaptchaId(7)));
}

#[tokio::test(start_paused = true)]
async fn so_many_ids_wait_and_not_one_more() {
    let (clock, repeats) = repeats();
    let offer = |content| repeats.undelivered.offer(unnamed(content).same, CaptchaId(7), clock.now());
    (0..IDS_MAX).for_each(offer);
    assert_eq!(again(&repeats, unnamed(0)).await, Some(CaptchaId(7)));
    offer(0);
    offer(IDS_MAX);
    assert_eq!(again(&repeats, unnamed(1)).await, None, "the oldest makes room");
    assert_eq!(again(&repeats, unnamed(2)).await, Some(CaptchaId(7)));
    assert_eq!(again(&repeats, unnamed(IDS_MAX)).await, Some(CaptchaId(7)));
}

#[tokio::test(start_paused = true)]
async fn a_name_gets_the_same_id_for_as_long_as_the_captcha_lives() {
    let (clock, repeats) = repeats();
    let attempt = sent(&repeats, named(1, 1), &HungUp::default()).await;
    let parcel = attempt.bought(CaptchaId(7), clock.now());
    assert!(!parcel.delivered(), "it can be asked for at any time: nothing to remember");
    for after in [0, 1, 899_998] {
        clock.sleep(Duration::from_millis(after)).await;
        assert_eq!(again(&repeats, named(1, 1)).await, Some(CaptchaId(7)));
    }
    assert_eq!(again(&repeats, named(2, 1)).await, None, "another name is another captcha");
    assert_eq!(again(&repeats, unnamed(1)).await, None, "so is none");
    clock.sleep(Duration::from_millis(1)).await;
    let attempt = new(&repeats, named(1, 2), &HungUp::default()).await;
    let _ = attempt.bought(CaptchaId(8), clock.now());
    assert_eq!(again(&repeats, named(1, 2)).await, Some(CaptchaId(8)));
}

#[tokio::test(start_paused = true)]
async fn a_name_is_one_uploads_whether_it_is_under_way_or_bought() {
    let (clock, repeats) = repeats();
    let attempt = sent(&repeats, named(1, 1), &HungUp::default()).await;
    let other = async || match repeats.begin(named(1, 2), &HungUp::default()).await {
        Err(Refusal::Wrong(wrong)) => wrong.code,
        other => panic!("{other:?}"),
    };
    assert_eq!(other().await, ErrorCode::BadParameters);
    let _ = attempt.bought(CaptchaId(7), clock.now());
    assert_eq!(other().await, ErrorCode::BadParameters);
}

#[tokio::test(start_paused = true)]
async fn the_same_name_shares_the_outcome_of_the_one_under_way() {
    let (clock, repeats) = repeats();
    let attempt = sent(&repeats, named(1, 1), &HungUp::default()).await;
    let stays = HungUp::default();
    let mut first = std::pin::pin!(repeats.begin(named(1, 1), &stays));
    let mut second = std::pin::pin!(repeats.begin(named(1, 1), &stays));
    assert!(futures_util::poll!(first.as_mut()).is_pending());
    assert!(futures_util::poll!(second.as_mut()).is_pending());
    let _ = attempt.bought(CaptchaId(7), clock.now());
    for told in [first.await, second.await] {
        let Ok(Begun::Again(parcel)) = told else { panic!("{told:?}") };
        assert_eq!(parcel.id(), CaptchaId(7));
    }
    let attempt = sent(&repeats, named(2, 1), &HungUp::default()).await;
    let mut third = std::pin::pin!(repeats.begin(named(2, 1), &stays));
    assert!(futures_util::poll!(third.as_mut()).is_pending());
    attempt.refused(&Refusal::Unknown);
    assert_eq!(third.await.unwrap_err(), Refusal::Unknown);
    drop(new(&repeats, named(2, 2), &HungUp::default()).await);
}

#[tokio::test(start_paused = true)]
async fn when_the_one_under_way_is_given_up_one_of_the_others_takes_its_place() {
    let (_, repeats) = repeats();
    for how in [Some(Refusal::HungUp), None] {
        let attempt = new(&repeats, named(1, 1), &HungUp::default()).await;
        let stays = HungUp::default();
        let mut other = std::pin::pin!(repeats.begin(named(1, 1), &stays));
        assert!(futures_util::poll!(other.as_mut()).is_pending());
        match how {
            Some(refusal) => attempt.refused(&refusal),
            None => drop(attempt),
        }
        assert!(matches!(other.await, Ok(Begun::New(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn so_many_names_are_remembered_and_one_more_is_refused_until_one_is_forgotten() {
    let (clock, repeats) = repeats();
    for key in 0..KEYS_MAX {
        let attempt = new(&repeats, named(key, 1), &HungUp::default()).await;
        let _ = attempt.bought(CaptchaId(key as u64), clock.now());
        if key == 0 {
            clock.sleep(Duration::from_secs(1)).await;
        }
    }
    let full = repeats.begin(named(KEYS_MAX, 1), &HungUp::default()).await;
    assert_eq!(full.unwrap_err(), Refusal::KeysFull);
    assert_eq!(again(&repeats, named(0, 1)).await, Some(CaptchaId(0)));
    clock.sleep_until(START + crate::engine::captcha::LIFETIME).await;
    drop(new(&repeats, named(KEYS_MAX, 1), &HungUp::default()).await);
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_names_are_known_and_ids_that_were_told_are_not_offered() {
    let (_, repeats) = repeats();
    let captcha = |id, repeat, is_delivered, age_seconds| CaptchaRecord {
        id: CaptchaId(id),
        client: "team-a".into(),
        method: Method::Text,
        uploaded_at: START - Duration::from_secs(age_seconds),
        solution: None,
        solved_at: None,
        report: None,
        repeat,
        is_delivered,
    };
    for captcha in [
        captcha(1, Some(named(1, 1)), false, 800),
        captcha(2, Some(unnamed(2)), false, 60),
        captcha(3, Some(unnamed(3)), false, 59),
        captcha(4, Some(unnamed(4)), true, 1),
        captcha(5, None, true, 1),
    ] {
        repeats.recover(&captcha);
    }
    assert_eq!(again(&repeats, named(1, 1)).await, Some(CaptchaId(1)));
    assert_eq!(again(&repeats, unnamed(2)).await, None, "more than a minute ago");
    assert_eq!(again(&repeats, unnamed(3)).await, Some(CaptchaId(3)));
    assert_eq!(again(&repeats, unnamed(4)).await, None, "its client was told");
}
