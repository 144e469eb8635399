//! A store's file: who may open it, what is said when it cannot be opened, and what a damaged one gives.

use std::fs;
use std::path::Path;

use capgate::clock::Timestamp;
use capgate::protocol::methods::Method;
use capgate::store::{Change, Day, SqliteStore, StoreError};

use super::places::{
    NOON, Place, Sqlite, accepted, captchas, commit_all, ids, solved, submitting, text, upload,
};
use super::readings::reading;

fn error(path: &Path) -> StoreError {
    SqliteStore::open(path).err().unwrap_or_else(|| panic!("{} was opened", path.display()))
}

#[tokio::test]
async fn a_second_store_on_one_file_refuses_until_the_first_is_gone() {
    let place = Sqlite::default();
    let first = place.open();
    let path = place.path().canonicalize().unwrap();
    assert_eq!(error(&place.path()), StoreError::InUse(path.clone()));
    let link = place.path().with_file_name("link.db");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(error(&link), StoreError::InUse(path), "a link is the same file");
    }
    upload(&*first, 1, "team-a", NOON).await;
    drop(first);
    assert_eq!(ids(&*place.open()).await, [1]);
}

#[tokio::test]
async fn usage_can_be_read_while_a_store_is_open_and_after() {
    let place = Sqlite::default();
    let uploads = || {
        let ledger = SqliteStore::read_ledger(&place.path(), Day(0), Timestamp(0));
        ledger.map(|ledger| ledger.usage.total().uploads)
    };
    assert_eq!(uploads(), Err(StoreError::Missing(place.path())));
    assert!(!place.path().exists(), "reading makes no file");
    let store = place.open();
    assert_eq!(uploads(), Ok(0));
    upload(&*store, 1, "team-a", NOON).await;
    assert_eq!(uploads(), Ok(1));
    drop(store);
    assert_eq!(uploads(), Ok(1));
}

/// A row of the journal as the first version with one wrote it: captcha 9 of team-a is noted, accepted and solved.
const JOURNAL_ROW: &[u8] = include_bytes!("journal_row.bin");

#[tokio::test]
async fn what_a_killed_gateway_left_in_the_journal_is_in_the_usage_and_in_the_next_start() {
    let place = Sqlite::default();
    drop(place.open());
    let file = rusqlite::Connection::open(place.path()).unwrap();
    file.execute("INSERT INTO journal (entries) VALUES (?)", [JOURNAL_ROW]).unwrap();
    for _ in 0..2 {
        let total = SqliteStore::read_ledger(&place.path(), Day(0), Timestamp(0)).unwrap().usage.total();
        assert_eq!((total.uploads, total.solved), (1, 1));
    }
    let rows = || file.query_row("SELECT count(*) FROM journal", [], |row| row.get::<_, u32>(0));
    assert_eq!(rows(), Ok(1), "who reads changes nothing");
    let store = place.open();
    assert_eq!(rows(), Ok(0));
    assert_eq!(ids(&*store).await, [9]);
    drop(store);
    file.execute("INSERT INTO journal (entries) VALUES (?)", [&JOURNAL_ROW[1..]]).unwrap();
    assert!(matches!(error(&place.path()), StoreError::Corrupt { .. }));
    let read = SqliteStore::read_ledger(&place.path(), Day(0), Timestamp(0));
    assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{read:?}");
}

#[test]
fn what_cannot_be_opened_says_why() {
    let place = Sqlite::default();
    let beside = |name: &str| place.path().with_file_name(name);
    let missing = beside("missing").join("capgate.db");
    assert_eq!(error(&missing), StoreError::NoDirectory(missing));
    fs::create_dir(beside("folder")).unwrap();
    assert!(matches!(error(&beside("folder")), StoreError::CannotOpen { .. }));
    fs::write(beside("letter"), "Dear colleague, this is not a database. ".repeat(200)).unwrap();
    assert!(matches!(error(&beside("letter")), StoreError::Corrupt { .. }));
    let others = rusqlite::Connection::open(beside("others.db")).unwrap();
    others.execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(matches!(error(&beside("others.db")), StoreError::NotOurs(_)));
}

#[test]
fn a_newer_layout_is_refused_and_left_as_it_is() {
    let place = Sqlite::default();
    drop(place.open());
    let version = |to: Option<u32>| {
        let file = rusqlite::Connection::open(place.path()).unwrap();
        if let Some(to) = to {
            file.pragma_update(None, "user_version", to).unwrap();
        }
        file.pragma_query_value(None, "user_version", |row| row.get::<_, u32>(0)).unwrap()
    };
    let present = version(None);
    version(Some(present + 1));
    let newer = error(&place.path());
    assert!(matches!(newer, StoreError::Newer { found, known, .. } if found == known + 1), "{newer}");
    assert_eq!(version(Some(present)), present);
    drop(place.open());
}

/// As the first version left it: captchas with and without an answer, an upload without an outcome, usage, budgets.
const LAYOUT_1: &str = include_str!("layout_1.sql");

#[tokio::test]
async fn a_file_of_the_first_layout_becomes_one_of_the_present_layout_and_loses_nothing() {
    let place = Sqlite::default();
    rusqlite::Connection::open(place.path()).unwrap().execute_batch(LAYOUT_1).unwrap();
    let early = SqliteStore::read_ledger(&place.path(), Day(0), Timestamp(0)).unwrap_err().to_string();
    assert!(early.contains("layout is number 1") && early.contains("start of the gateway"), "{early}");

    let store = place.open();
    let recovered = store.load().await.unwrap();
    assert_eq!(recovered.captchas.len(), 2);
    let solution = recovered.captchas[0].solution.as_ref().unwrap();
    assert_eq!((solution.answer.plain().as_ref(), solution.price.as_deref()), (&b"x7k"[..], Some("0.00085")));
    assert_eq!(recovered.unknown.len(), 1);
    assert_eq!((recovered.budgets.as_deref(), recovered.reading), (Some("{}"), None));
    // Nobody had asked whose address it is, and nothing was pushed to it.
    assert_eq!(recovered.pingbacks, []);
    let total = store.ledger(Day(0), Timestamp(0)).await.unwrap().usage.total();
    assert_eq!((total.uploads, total.solved, total.unknown, total.priced), (12, 10, 1, 4));
    assert_eq!(total.cost.to_string(), "0.00385");

    let noon = reading(NOON, "10");
    commit_all(&*store, [Change::Balance(noon.clone())]).await;
    drop(store);
    assert_eq!(place.open().load().await.unwrap().reading, Some(noon));
}

#[tokio::test]
async fn a_read_only_file_is_refused() {
    let place = Sqlite::default();
    upload(&*place.open(), 1, "team-a", NOON).await;
    let writable = fs::metadata(place.path()).unwrap().permissions();
    let mut permissions = writable.clone();
    permissions.set_readonly(true);
    fs::set_permissions(place.path(), permissions).unwrap();
    assert!(matches!(error(&place.path()), StoreError::ReadOnly(_)));
    fs::set_permissions(place.path(), writable).unwrap();
    assert_eq!(ids(&*place.open()).await, [1]);
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let place = Sqlite::default();
    let _store = place.open();
    for entry in fs::read_dir(place.path().parent().unwrap()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", entry.path().display());
    }
}

#[tokio::test]
async fn a_damaged_page_is_found_at_the_start() {
    let place = Sqlite::default();
    let store = place.open();
    for id in 1..=100 {
        upload(&*store, id, "team-a", NOON).await;
        commit_all(&*store, [solved(id, text(vec![b'x'; 900]), NOON)]).await;
    }
    drop(store);
    let mut bytes = fs::read(place.path()).unwrap();
    let middle = bytes.len() / 2 / 4_096 * 4_096;
    bytes[middle..middle + 4_096].fill(0xA5);
    fs::write(place.path(), bytes).unwrap();
    assert!(matches!(error(&place.path()), StoreError::Corrupt { .. }));
}

#[tokio::test]
async fn a_log_cut_anywhere_gives_all_changes_before_the_cut() {
    const CAPTCHAS: u64 = 30;
    let place = Sqlite::default();
    let store = place.open();
    for id in 1..=CAPTCHAS {
        commit_all(&*store, [submitting(id, "team-a", Method::Image, NOON)]).await;
        commit_all(&*store, [accepted(id, NOON), solved(id, text(id.to_string()), NOON + 1)]).await;
    }
    // As a power cut leaves them: the store is still open.
    let file = fs::read(place.path()).unwrap();
    let log = fs::read(place.path().with_file_name("capgate.db-wal")).unwrap();
    let mut counts = Vec::new();
    for cut in (0..=20).map(|part| log.len() * part / 20) {
        let after = Sqlite::default();
        fs::write(after.path(), &file).unwrap();
        fs::write(after.path().with_file_name("capgate.db-wal"), &log[..cut]).unwrap();
        let found = captchas(&*after.open()).await;
        let count = found.len() as u64;
        for (id, captcha) in (1..).zip(&found) {
            assert_eq!(captcha.id.0, id);
            assert!(captcha.solution.is_some() || id == count, "captcha {id} of {count} lost its answer");
        }
        counts.push(count);
    }
    assert!(counts.is_sorted(), "{counts:?}");
    assert_eq!(counts.last(), Some(&CAPTCHAS));
}
