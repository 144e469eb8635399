//! A captcha's life in a store, and what is kept beside it.

use std::sync::Arc;

use capgate::clock::Timestamp;
use capgate::protocol::ErrorCode;
use capgate::protocol::answer::Answer;
use capgate::protocol::ids::CaptchaId;
use capgate::protocol::methods::Method;
use capgate::protocol::poll::Verdict;
use capgate::protocol::repeat::{IdempotencyKey, Repeat, Sameness};
use capgate::store::{Change, IntentId, NotAccepted, Store, StoreError};
use serde_json::value::RawValue;

use super::places::{
    NOON, Place, accepted, captchas, commit_all, ids, priced, solved, submitting, text, upload,
};

pub async fn an_upload_becomes_a_captcha_and_has_an_answer(place: &impl Place) {
    let store = place.open();
    let uploads = [submitting(1, "team \"a\"; é", Method::Hcaptcha, NOON), accepted(1, NOON + 40)];
    commit_all(&*store, uploads).await;
    upload(&*store, 2, "team-b", NOON).await;
    commit_all(&*store, [solved(1, text("token"), NOON + 15_000)]).await;
    drop(store);

    let found = captchas(&*place.open()).await;
    let [one, two] = &found[..] else { panic!("{found:?}") };
    assert_eq!((one.client.as_str(), one.method), ("team \"a\"; é", Method::Hcaptcha));
    assert_eq!((one.uploaded_at, one.solved_at), (Timestamp(NOON + 40), Some(Timestamp(NOON + 15_000))));
    let solution = one.solution.as_ref().unwrap();
    assert_eq!((solution.answer.plain().as_ref(), &solution.price), (&b"token"[..], &None));
    assert_eq!((two.client.as_str(), two.method, two.report), ("team-b", Method::Image, None));
    assert!(two.solution.is_none() && two.solved_at.is_none());
}

pub async fn an_id_without_an_upload_or_given_twice_is_refused_and_changes_nothing(place: &impl Place) {
    let store = place.open();
    assert_eq!(store.commit(accepted(1, NOON)).await, Err(StoreError::NoIntent(CaptchaId(1))));
    upload(&*store, 2, "team-a", NOON).await;
    commit_all(&*store, [submitting(3, "team-b", Method::Image, NOON)]).await;
    let again =
        Change::Accepted { intent: IntentId(3), id: CaptchaId(2), at: Timestamp(NOON + 9), repeat: None };
    assert_eq!(store.commit(again).await, Err(StoreError::Duplicate(CaptchaId(2))));
    drop(store);

    let recovered = place.open().load().await.unwrap();
    assert_eq!((recovered.captchas.len(), recovered.captchas[0].client.as_str()), (1, "team-a"));
    assert_eq!(recovered.unknown.len(), 1, "the second upload is unknown, not gone");
}

/// A store can fail after it has written.
pub async fn an_upload_that_was_kept_already_is_not_refused(place: &impl Place) {
    let store = place.open();
    commit_all(&*store, [submitting(1, "team-a", Method::Image, NOON)]).await;
    let accepted = |at, same| Change::Accepted {
        intent: IntentId(1),
        id: CaptchaId(1),
        at: Timestamp(at),
        repeat: Some(repeat(same, None)),
    };
    commit_all(&*store, [accepted(NOON, 1), solved(1, text("x"), NOON), accepted(NOON, 1)]).await;
    for other in [accepted(NOON, 2), accepted(NOON + 1, 1)] {
        assert_eq!(store.commit(other).await, Err(StoreError::NoIntent(CaptchaId(1))));
    }
    assert!(captchas(&*store).await[0].solution.is_some(), "nothing is undone");
}

pub async fn by_what_an_upload_is_known_again_and_whether_its_id_was_told_is_kept(place: &impl Place) {
    let store = place.open();
    let kept = [Some(repeat(1, None)), Some(repeat(2, Some(3))), None];
    for (id, repeat) in (1..).zip(kept) {
        let at = Timestamp(NOON);
        let accepted = Change::Accepted { intent: IntentId(id), id: CaptchaId(id), at, repeat };
        commit_all(&*store, [submitting(id, "team-a", Method::Image, NOON), accepted]).await;
    }
    commit_all(&*store, [2, 9].map(|id| Change::Delivered { id: CaptchaId(id) })).await;
    drop(store);

    let found = captchas(&*place.open()).await;
    assert_eq!(found.iter().map(|captcha| captcha.repeat).collect::<Vec<_>>(), kept);
    assert_eq!(found.iter().map(|captcha| captcha.is_delivered).collect::<Vec<_>>(), [false, true, false]);
}

fn repeat(same: u8, key: Option<u8>) -> Repeat {
    let key = key.map(|key| IdempotencyKey::from_bytes([key; 32]));
    Repeat { same: Sameness::from_bytes([same; 32]), key }
}

pub async fn an_upload_without_an_outcome_is_unknown_after_a_restart(place: &impl Place) {
    let store = place.open();
    let ended = |id, how| Change::NotAccepted { intent: IntentId(id), how, at: Timestamp(NOON + 5) };
    commit_all(&*store, (1..=4).map(|id| submitting(id, "team-a", Method::Geetest, NOON + id))).await;
    let outcomes = [accepted(1, NOON), ended(2, NotAccepted::Refused), ended(3, NotAccepted::Unknown)];
    commit_all(&*store, outcomes).await;
    drop(store);

    for _ in 0..2 {
        let mut unknown = place.open().load().await.unwrap().unknown;
        unknown.sort_by_key(|intent| intent.id);
        let numbers: Vec<_> = unknown.iter().map(|intent| intent.id.0).collect();
        assert_eq!(numbers, [3, 4]);
        let last = &unknown[1];
        let told = (last.client.as_str(), last.method, last.at);
        assert_eq!(told, ("team-a", Method::Geetest, Timestamp(NOON + 4)));
    }
}

pub async fn an_outcome_that_comes_after_a_restart_is_kept_all_the_same(place: &impl Place) {
    commit_all(&*place.open(), [submitting(1, "team-a", Method::Image, NOON)]).await;
    let store = place.open();
    assert_eq!(store.load().await.unwrap().unknown.len(), 1);
    commit_all(&*store, [accepted(1, NOON)]).await;
    assert_eq!((ids(&*store).await, store.load().await.unwrap().unknown.len()), (vec![1], 0));
}

pub async fn a_price_needs_an_answer_and_the_last_report_stays(place: &impl Place) {
    let store = place.open();
    let report = |verdict| Change::Reported { id: CaptchaId(1), verdict, at: Timestamp(NOON + 9) };
    upload(&*store, 1, "team-a", NOON).await;
    upload(&*store, 2, "team-a", NOON).await;
    commit_all(&*store, [priced(1, "0.5"), solved(1, text("x"), NOON + 5), priced(2, "0.7")]).await;
    assert_eq!(captchas(&*store).await[0].solution.as_ref().unwrap().price, None, "it came too early");
    let later = [priced(1, "0.00299"), report(Verdict::Good), report(Verdict::Bad)];
    commit_all(&*store, later).await;
    drop(store);

    let found = captchas(&*place.open()).await;
    assert_eq!(found[0].solution.as_ref().unwrap().price.as_deref(), Some("0.00299"));
    assert_eq!((found[0].report, found[1].report), (Some(Verdict::Bad), None));
    assert!(found[1].solution.is_none());
}

pub async fn answers_of_any_bytes_come_back_as_they_were(place: &impl Place) {
    let json = |text: &str| RawValue::from_string(text.to_owned()).unwrap();
    let answers = [
        text((0..=255).collect::<Vec<u8>>()),
        text("'; DROP TABLE captchas; --"),
        text(""),
        text(vec![b'z'; 1_000_000]),
        Answer::Failed(ErrorCode::Unsolvable.into()),
        Answer::Json {
            request: json(r#"{"b": 1.50, "a":"x|\u0000"}"#),
            extras: vec![("useragent".into(), json("\"é\""))],
        },
    ];
    let store = place.open();
    for (id, answer) in (1..).zip(&answers) {
        upload(&*store, id, "team-a", NOON).await;
        commit_all(&*store, [solved(id, answer.clone(), NOON + 1)]).await;
    }
    drop(store);

    let found = captchas(&*place.open()).await;
    assert_eq!(found.len(), answers.len());
    for (captcha, answer) in found.iter().zip(&answers) {
        let stored = captcha.solution.as_ref().unwrap().answer.to_stored();
        assert!(stored == answer.to_stored(), "captcha {}", captcha.id);
    }
}

pub async fn ids_are_as_large_as_the_upstream_makes_them(place: &impl Place) {
    let largest = [0, 51_555_263_943, 1 << 63, u64::MAX];
    let store = place.open();
    for id in largest {
        upload(&*store, id, "team-a", NOON).await;
    }
    drop(store);
    assert_eq!(ids(&*place.open()).await, largest);
}

pub async fn what_is_said_of_unknown_captchas_is_passed_over(place: &impl Place) {
    let store = place.open();
    let (id, at) = (CaptchaId(7), Timestamp(NOON));
    let said = [
        solved(7, text("x"), NOON),
        priced(7, "1"),
        Change::Reported { id, verdict: Verdict::Good, at },
        Change::NotAccepted { intent: IntentId(7), how: NotAccepted::Unknown, at },
        Change::NotAccepted { intent: IntentId(7), how: NotAccepted::Refused, at },
        Change::PingbackRemoved { client: "team-a".into(), address: "nowhere".into() },
    ];
    commit_all(&*store, said).await;
    let recovered = store.load().await.unwrap();
    assert!(recovered.captchas.is_empty() && recovered.unknown.is_empty() && recovered.pingbacks.is_empty());
}

pub async fn pingback_addresses_belong_to_their_client(place: &impl Place) {
    let store = place.open();
    let added = |client: &str, address: &str| Change::PingbackAdded {
        client: client.into(),
        address: address.into(),
    };
    let changes = [
        added("team-a", "a.example/1"),
        added("team-a", "a.example/1"),
        added("team-a", "a.example/2"),
        added("team-b", "a.example/1"),
        added("team-c", "c.example"),
        Change::PingbackRemoved { client: "team-b".into(), address: "a.example/2".into() },
        Change::PingbackRemoved { client: "team-a".into(), address: "a.example/1".into() },
        Change::PingbacksCleared { client: "team-c".into() },
    ];
    commit_all(&*store, changes).await;
    drop(store);
    let mut pingbacks = place.open().load().await.unwrap().pingbacks;
    pingbacks.sort();
    let pair = |client: &str, address: &str| (client.to_owned(), address.to_owned());
    assert_eq!(pingbacks, [pair("team-a", "a.example/2"), pair("team-b", "a.example/1")]);
}

pub async fn the_last_budgets_stay(place: &impl Place) {
    let store = place.open();
    assert_eq!(store.load().await.unwrap().budgets, None);
    // All at once: joined futures are first polled, and so handed over, in this order.
    let changes = (0..100).map(|number| store.commit(Change::Budgets(format!("{{\"now\":{number}}}"))));
    futures_util::future::join_all(changes).await.into_iter().for_each(|kept| kept.unwrap());
    drop(store);
    assert_eq!(place.open().load().await.unwrap().budgets.as_deref(), Some("{\"now\":99}"));
}

pub async fn many_commits_at_once_are_all_kept_and_a_wrong_one_fails_alone(place: &impl Place) {
    const CLIENTS: u64 = 64;
    const ROUNDS: u64 = 10;
    let store = place.open();
    let clients = (0..CLIENTS).map(|client| {
        let store: Arc<dyn Store> = Arc::clone(&store);
        tokio::spawn(async move {
            for id in (0..ROUNDS).map(|round| round * CLIENTS + client) {
                upload(&*store, id, &format!("client-{client}"), NOON).await;
                let wrong = accepted(id, NOON + 1);
                assert!(store.commit(wrong).await.is_err(), "captcha {id} was accepted twice");
                commit_all(&*store, [solved(id, text(id.to_string()), NOON + 5)]).await;
            }
        })
    });
    futures_util::future::try_join_all(clients).await.unwrap();
    drop(store);

    let found = captchas(&*place.open()).await;
    assert_eq!(found.len() as u64, CLIENTS * ROUNDS);
    for captcha in found {
        assert_eq!(captcha.client, format!("client-{}", captcha.id.0 % CLIENTS));
        assert_eq!(captcha.solution.unwrap().answer.plain(), captcha.id.to_string());
    }
}

pub async fn a_client_that_an_operator_stopped_is_stopped_until_it_may_go_on(place: &impl Place) {
    let stopped = |client: &str, is_stopped| Change::ClientStopped { client: client.to_owned(), is_stopped };
    let store = place.open();
    for change in [stopped("b", true), stopped("a", true), stopped("b", true), stopped("c", false)] {
        store.commit(change).await.unwrap();
    }
    drop(store);
    let store = place.open();
    assert_eq!(store.load().await.unwrap().stopped, ["a", "b"]);
    store.commit(stopped("a", false)).await.unwrap();
    drop(store);
    assert_eq!(place.open().load().await.unwrap().stopped, ["b"]);
}
