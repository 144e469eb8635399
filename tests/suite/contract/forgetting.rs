//! What is too old leaves, and stays as usage.

use std::time::Duration;

use capgate::clock::Timestamp;
use capgate::protocol::ErrorCode;
use capgate::protocol::answer::Answer;
use capgate::protocol::ids::CaptchaId;
use capgate::protocol::methods::Method;
use capgate::protocol::poll::Verdict;
use capgate::store::{Change, Day, IntentId, NotAccepted, Store, Usage, UsageTable};

use super::places::{
    DAY, NOON, Place, accepted, commit_all, forget, ids, priced, solved, submitting, text, upload,
};

/// Usage from `since` on, where every captcha is still young.
async fn usage(store: &dyn Store, since: Day) -> UsageTable {
    store.ledger(since, Timestamp(0)).await.unwrap().usage
}

async fn total(store: &dyn Store) -> Usage {
    usage(store, Day(0)).await.total()
}

/// Six uploads: solved twice, failed, open, unknown, and about to be sent.
async fn six_uploads(store: &dyn Store) {
    for id in 1..=4 {
        upload(store, id, "team-a", NOON + id).await;
    }
    let reported = |id, verdict| Change::Reported { id: CaptchaId(id), verdict, at: Timestamp(NOON) };
    let changes = [
        solved(1, text("x"), NOON + 10_001),
        solved(2, text("y"), NOON + 20_002),
        solved(3, Answer::Failed(ErrorCode::Unsolvable.into()), NOON + 30_000),
        priced(1, "0.00050"),
        priced(2, "0.00299"),
        reported(1, Verdict::Good),
        reported(2, Verdict::Bad),
        submitting(5, "team-a", Method::Image, NOON),
        Change::NotAccepted { intent: IntentId(5), how: NotAccepted::Unknown, at: Timestamp(NOON) },
        submitting(6, "team-a", Method::Image, NOON + 60_000),
    ];
    commit_all(store, changes).await;
}

pub async fn what_is_forgotten_stays_as_usage(place: &impl Place) {
    let store = place.open();
    six_uploads(&*store).await;
    commit_all(&*store, [forget(NOON + 4)]).await;
    assert_eq!(ids(&*store).await, [4], "what was uploaded at that moment stays");
    commit_all(&*store, [forget(NOON + 5)]).await;
    assert!(ids(&*store).await.is_empty());
    drop(store);

    let store = place.open();
    let usage = total(&*store).await;
    assert_eq!((usage.uploads, usage.solved, usage.failed, usage.unanswered), (4, 2, 1, 1));
    assert_eq!((usage.unknown, usage.reported_good, usage.reported_bad, usage.priced), (2, 1, 1, 2));
    assert_eq!(usage.cost.to_string(), "0.00349");
    let near = |found: Option<Duration>, ms: u128| found.unwrap().as_millis().abs_diff(ms) * 25 <= ms;
    assert!(near(usage.solve_times.median(), 10_000) && near(usage.solve_times.p95(), 20_000), "{usage:?}");
    assert_eq!(store.load().await.unwrap().unknown.len(), 1, "younger than that");
    commit_all(&*store, [forget(NOON + 60_001)]).await;
    assert!(store.load().await.unwrap().unknown.is_empty());
    assert_eq!(total(&*store).await.unknown, 2);
}

pub async fn usage_is_the_same_before_and_after_forgetting(place: &impl Place) {
    let store = place.open();
    six_uploads(&*store).await;
    let before = total(&*store).await;
    assert_eq!((before.uploads, before.unanswered, before.unknown), (4, 0, 1), "two are open yet");
    commit_all(&*store, [forget(NOON + 4)]).await;
    assert_eq!(total(&*store).await, before);
    commit_all(&*store, [forget(NOON + 60_001), forget(NOON + 60_001)]).await;
    assert_eq!(total(&*store).await, Usage { unanswered: 1, unknown: 2, ..before });
}

pub async fn usage_adds_up_by_client_method_and_day(place: &impl Place) {
    let store = place.open();
    let midnight = NOON + DAY / 2;
    let mut id = 0;
    for _ in 0..3 {
        for client in ["team-b", "team-a"] {
            for (method, at) in
                [(Method::Image, midnight - 1), (Method::Image, midnight), (Method::Hcaptcha, midnight)]
            {
                id += 1;
                commit_all(&*store, [submitting(id, client, method, at), accepted(id, at)]).await;
            }
        }
        commit_all(&*store, [forget(midnight + 1)]).await;
    }
    let rows = |table: UsageTable| -> Vec<_> {
        let row = |key: &capgate::store::UsageKey, usage: &Usage| {
            (key.day.0, key.client.clone(), key.method, usage.uploads)
        };
        table.rows().map(|(key, usage)| row(key, usage)).collect()
    };
    let second_day = [
        (20_001, "team-a".to_owned(), Method::Image, 3),
        (20_001, "team-a".to_owned(), Method::Hcaptcha, 3),
        (20_001, "team-b".to_owned(), Method::Image, 3),
        (20_001, "team-b".to_owned(), Method::Hcaptcha, 3),
    ];
    assert_eq!(rows(usage(&*store, Day(20_001)).await), second_day);
    assert_eq!(rows(usage(&*store, Day(20_000)).await).len(), 6);
    assert_eq!(rows(usage(&*store, Day(20_002)).await), []);
}

pub async fn usage_stays_400_days_and_not_one_more(place: &impl Place) {
    let store = place.open();
    upload(&*store, 1, "team-a", NOON).await;
    commit_all(&*store, [forget(NOON + 1)]).await;
    commit_all(&*store, [forget(NOON + 400 * DAY)]).await;
    assert_eq!(total(&*store).await.uploads, 1);
    commit_all(&*store, [forget(NOON + 401 * DAY)]).await;
    assert_eq!(total(&*store).await.uploads, 0);
}

pub async fn usage_stays_as_many_days_as_the_store_was_told_and_not_one_more<P: Place>(_: &P) {
    let place = P::keeping(7);
    let store = place.open();
    upload(&*store, 1, "team-a", NOON).await;
    commit_all(&*store, [forget(NOON + 7 * DAY)]).await;
    assert_eq!(total(&*store).await.uploads, 1);
    commit_all(&*store, [forget(NOON + 8 * DAY)]).await;
    assert_eq!(total(&*store).await.uploads, 0);
}

pub async fn what_can_have_no_answer_any_more_is_not_open(place: &impl Place) {
    let store = place.open();
    upload(&*store, 1, "team-a", NOON).await;
    commit_all(&*store, [submitting(2, "team-a", Method::Image, NOON)]).await;
    let at = async |open_since| {
        let total = store.ledger(Day(0), Timestamp(open_since)).await.unwrap().usage.total();
        (total.open(), total.unanswered, total.unknown)
    };
    assert_eq!(at(NOON).await, (1, 0, 0));
    assert_eq!(at(NOON + 1).await, (0, 1, 1));
    commit_all(&*store, [solved(1, text("x"), NOON + 5_000)]).await;
    assert_eq!(at(NOON + 1).await, (0, 0, 1), "an answer that came is one");
    commit_all(&*store, [forget(NOON + 1)]).await;
    assert_eq!(at(NOON + 1).await, (0, 0, 1));
}

pub async fn only_an_answer_costs_anything(place: &impl Place) {
    let store = place.open();
    for id in 1..=3 {
        upload(&*store, id, "team-a", NOON).await;
    }
    let failed = Answer::Failed(ErrorCode::Unsolvable.into());
    let changes = [solved(1, text("x"), NOON), solved(2, failed, NOON), priced(1, "0.1"), priced(2, "0.2")];
    commit_all(&*store, changes).await;
    let before = total(&*store).await;
    assert_eq!((before.priced, before.unpriced(), before.cost.to_string().as_str()), (1, 0, "0.1"));
    commit_all(&*store, [forget(NOON + 1)]).await;
    assert_eq!(total(&*store).await, Usage { unanswered: 1, ..before });
}
