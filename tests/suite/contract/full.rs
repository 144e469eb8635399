//! A store's file that may not grow, and one that must not.

use std::fs;
use std::path::Path;

use capgate::protocol::methods::Method;
use capgate::store::sqlite::{CHANGES_WAITING_MAX, Options};
use capgate::store::{Change, SqliteStore, Store, StoreError};
use futures_util::future::join_all;

use super::places::{
    NOON, Place, Sqlite, accepted, commit_all, forget, ids, solved, submitting, text, upload,
};

/// A page of the file, bytes.
const PAGE: u64 = 4_096;

#[tokio::test]
async fn a_full_disk_fails_commits_and_keeps_the_others() {
    let place = Sqlite::default();
    let options = Options { pages_max: Some(100), ..Options::default() };
    let store = SqliteStore::open_with(&place.path(), options).unwrap();
    let (mut kept, mut refused) = (Vec::new(), 0_u64);
    for group in 0..20 {
        let names = format!("client-{}", "x".repeat(1_000));
        let group: Vec<u64> = (group * 20..(group + 1) * 20).collect();
        let noted = group.iter().map(|id| store.commit(submitting(*id, &names, Method::Image, NOON)));
        let noted = join_all(noted).await;
        let sent = group.iter().map(|id| store.commit(accepted(*id, NOON)));
        for ((id, noted), outcome) in group.iter().zip(noted).zip(join_all(sent).await) {
            match outcome {
                Ok(()) => kept.push(*id),
                Err(StoreError::Failed(_)) => refused += 1,
                Err(StoreError::NoIntent(_)) if noted.is_err() => refused += 1,
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert!(!kept.is_empty() && refused > 0, "{} kept, {refused} refused", kept.len());
    // The tables may have no place for all that the journal holds; it stays there until they have.
    drop(store);
    let store = place.open();
    assert_eq!(ids(&*store).await, kept);
    commit_all(&*store, [forget(NOON + 1)]).await;
    upload(&*store, 1_000, "team-a", NOON + 1).await;
    assert_eq!(ids(&*store).await, [1_000]);
}

#[tokio::test]
async fn a_store_that_takes_nothing_takes_changes_again_as_soon_as_it_can() {
    let place = Sqlite::default();
    let store = place.open();
    upload(&*store, 1, "team-a", NOON).await;
    let other = rusqlite::Connection::open(place.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let noted = store.commit(submitting(2, "team-a", Method::Image, NOON)).await;
    assert!(matches!(noted, Err(StoreError::Failed(_))), "{noted:?}");
    other.execute_batch("ROLLBACK").unwrap();
    upload(&*store, 4, "team-a", NOON).await;
    drop(store);
    assert_eq!(place.open().load().await.unwrap().unknown.len(), 0);
    assert_eq!(ids(&*place.open()).await, [1, 4]);
}

#[tokio::test]
async fn what_cannot_get_into_the_tables_stays_in_the_journal_and_stops_what_comes_after() {
    let place = Sqlite::default();
    let store = place.open();
    upload(&*store, 1, "team-a", NOON).await;
    assert_eq!(ids(&*store).await, [1]);
    let other = rusqlite::Connection::open(place.path()).unwrap();
    other.execute_batch("ALTER TABLE captchas RENAME TO elsewhere").unwrap();
    commit_all(&*store, [submitting(2, "team-a", Method::Image, NOON), accepted(2, NOON)]).await;
    assert!(store.load().await.is_err());
    let refused = store.commit(submitting(3, "team-a", Method::Image, NOON)).await;
    assert!(matches!(&refused, Err(StoreError::Failed(why)) if why.contains("capgate.db")), "{refused:?}");
    other.execute_batch("ALTER TABLE elsewhere RENAME TO captchas").unwrap();
    upload(&*store, 4, "team-a", NOON).await;
    assert_eq!(ids(&*store).await, [1, 2, 4]);
}

#[tokio::test]
async fn a_start_on_a_full_disk_is_refused() {
    let place = Sqlite::default();
    let options = Options { pages_max: Some(3), ..Options::default() };
    let full = SqliteStore::open_with(&place.path(), options).unwrap_err();
    assert!(matches!(full, StoreError::Full(_)), "{full}");
    drop(place.open());
}

#[tokio::test]
async fn more_changes_than_may_wait_take_turns() {
    let store = Sqlite::default();
    let store = store.open();
    let changes = (0..=CHANGES_WAITING_MAX).map(|number| store.commit(Change::Budgets(number.to_string())));
    assert!(join_all(changes).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn the_file_stays_small_and_shrinks_when_what_filled_it_is_forgotten() {
    let place = Sqlite::default();
    let store = place.open();
    let mut largest = Vec::new();
    for round in 0..10 {
        fill(&*store, round, 1_000, 3_000).await;
        largest.push(bytes_of(&place.path()));
        commit_all(&*store, [forget(NOON + round * 60_000)]).await;
    }
    assert!(largest[9] <= largest[2] * 5 / 4, "{largest:?}");
    // Space is given back a part at a time, with each forgetting.
    commit_all(&*store, (0..5).map(|_| forget(NOON + 600_000))).await;
    let smallest = fs::metadata(place.path()).map_or(u64::MAX, |file| file.len());
    drop(store);
    let closed = bytes_of(&place.path());
    assert!(closed <= 1_200 * PAGE, "{closed} bytes, of which {smallest} in the file before it was closed");
}

/// Captchas of one round, with answers of `answer_bytes`.
async fn fill(store: &dyn Store, round: u64, captchas: u64, answer_bytes: usize) {
    let (at, ids) = (NOON + round * 60_000, round * captchas..(round + 1) * captchas);
    let all = |change: fn(u64, u64, usize) -> Change| {
        join_all(ids.clone().map(move |id| store.commit(change(id, at, answer_bytes))))
    };
    let steps: [fn(u64, u64, usize) -> Change; 3] = [
        |id, at, _| submitting(id, "team-a", Method::RecaptchaV2, at),
        |id, at, _| accepted(id, at),
        |id, at, bytes| solved(id, text(vec![b'x'; bytes]), at + 20_000),
    ];
    for step in steps {
        all(step).await.into_iter().for_each(|kept| kept.unwrap());
    }
}

/// The file, its log and its index.
fn bytes_of(path: &Path) -> u64 {
    let files = fs::read_dir(path.parent().unwrap()).unwrap();
    files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
}
