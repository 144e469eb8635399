//! `kill -9`: the test starts itself as a second process, which keeps captchas and says so until it is killed.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use capgate::store::{SqliteStore, Store, StoreError};

use super::places::{NOON, Place, Sqlite, ids, upload};

/// Tells the second process which file is its own.
const FILE: &str = "CAPGATE_TEST_STORE_FILE";

#[tokio::test]
async fn a_killed_store_kept_all_it_said_and_its_lock_is_free() {
    let place = Sqlite::default();
    let mut said = BTreeSet::new();
    for round in 1..=5 {
        let mut keeper = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture", "contract::killed::keeps_captchas_until_killed"])
            .env(FILE, place.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(keeper.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut read = |count: usize| -> usize {
            let kept = lines.by_ref().filter_map(|line| line.strip_prefix("kept ")?.parse::<u64>().ok());
            kept.take(count).filter(|id| said.insert(*id)).count()
        };
        assert_eq!(read(37 * round), 37 * round);
        assert!(matches!(SqliteStore::open(&place.path()), Err(StoreError::InUse(_))));
        keeper.kill().unwrap();
        keeper.wait().unwrap();
        // What it still said before it died, and we had not read, counts as well.
        read(usize::MAX);
        let found: BTreeSet<_> = ids(&*place.open()).await.into_iter().collect();
        assert!(said.is_subset(&found), "lost: {:?}", said.difference(&found).collect::<Vec<_>>());
    }
}

#[tokio::test]
#[ignore = "the second process of the test above"]
async fn keeps_captchas_until_killed() {
    let Some(path) = std::env::var_os(FILE).map(PathBuf::from) else { return };
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&path).unwrap());
    let first = ids(&*store).await.last().map_or(1, |last| last + 1);
    let keepers = (0..8).map(|keeper| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            for id in (first + keeper..).step_by(8) {
                upload(&*store, id, "team-a", NOON).await;
                let mut out = std::io::stdout().lock();
                writeln!(out, "kept {id}").and_then(|()| out.flush()).unwrap();
            }
        })
    });
    futures_util::future::try_join_all(keepers).await.unwrap();
}
