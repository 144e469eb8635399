//! Where stores live, so that a test can leave one and come back; and the changes that tests are made of.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use capgate::clock::Timestamp;
use capgate::protocol::answer::{Answer, Solution};
use capgate::protocol::ids::CaptchaId;
use capgate::protocol::methods::Method;
use capgate::store::sqlite::Options;
use capgate::store::{CaptchaRecord, Change, Intent, IntentId, MemoryStore, SqliteStore, Store};

/// A day in milliseconds.
pub const DAY: u64 = 86_400_000;
/// Noon of a day.
pub const NOON: u64 = 20_000 * DAY + DAY / 2;

/// A place where a store can be opened, again and again: it holds what the one before it kept.
pub trait Place: Default {
    /// A place whose stores keep so many days of usage.
    fn keeping(usage_kept_days: u32) -> Self;

    fn open(&self) -> Arc<dyn Store>;
}

#[derive(Default)]
pub struct Memory(Arc<MemoryStore>);

impl Place for Memory {
    fn keeping(usage_kept_days: u32) -> Self {
        Self(Arc::new(MemoryStore::keeping(usage_kept_days)))
    }

    fn open(&self) -> Arc<dyn Store> {
        Arc::<MemoryStore>::clone(&self.0)
    }
}

pub struct Sqlite {
    folder: tempfile::TempDir,
    options: Options,
}

impl Sqlite {
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("capgate.db")
    }
}

impl Default for Sqlite {
    fn default() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), options: Options::default() }
    }
}

impl Place for Sqlite {
    fn keeping(usage_kept_days: u32) -> Self {
        Self { options: Options { usage_kept_days, ..Options::default() }, ..Self::default() }
    }

    fn open(&self) -> Arc<dyn Store> {
        Arc::new(SqliteStore::open_with(&self.path(), self.options).unwrap())
    }
}

/// An upload about to be sent; its intent has the number that its captcha will have.
pub fn submitting(id: u64, client: &str, method: Method, at: u64) -> Change {
    Change::Submitting(Intent { id: IntentId(id), client: client.to_owned(), method, at: Timestamp(at) })
}

pub fn accepted(id: u64, at: u64) -> Change {
    Change::Accepted { intent: IntentId(id), id: CaptchaId(id), at: Timestamp(at), repeat: None }
}

pub fn solved(id: u64, answer: Answer, at: u64) -> Change {
    Change::Solved { id: CaptchaId(id), solution: Solution::from(answer), at: Timestamp(at) }
}

pub fn priced(id: u64, price: &str) -> Change {
    Change::Priced { id: CaptchaId(id), price: price.to_owned() }
}

pub fn forget(before: u64) -> Change {
    Change::Forget { uploaded_before: Timestamp(before) }
}

pub fn text(answer: impl Into<Bytes>) -> Answer {
    Answer::Text(answer.into())
}

/// Commits one after the other; each must be kept.
pub async fn commit_all(store: &dyn Store, changes: impl IntoIterator<Item = Change>) {
    for change in changes {
        store.commit(change).await.unwrap();
    }
}

/// An image that `client` uploaded at `at`.
pub async fn upload(store: &dyn Store, id: u64, client: &str, at: u64) {
    commit_all(store, [submitting(id, client, Method::Image, at - 1), accepted(id, at)]).await;
}

/// The captchas that are kept, by id.
pub async fn captchas(store: &dyn Store) -> Vec<CaptchaRecord> {
    let mut captchas = store.load().await.unwrap().captchas;
    captchas.sort_by_key(|captcha| captcha.id);
    captchas
}

/// The ids of the captchas that are kept, in order.
pub async fn ids(store: &dyn Store) -> Vec<u64> {
    captchas(store).await.iter().map(|captcha| captcha.id.0).collect()
}
