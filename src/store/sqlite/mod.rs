//! A store in one SQLite file: durable, with nothing else to run.
//!
//! One thread writes. All changes that have arrived when it looks share one row of the journal and one fsync, and each
//! [`Store::commit`] returns after that fsync: the more uploads at once, the fewer fsyncs each costs. What they do to the
//! tables is done when nobody waits.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `file` | opening: the lock, the checks, the file's settings |
//! | `layout` | the tables, and how older ones become these |
//! | `writer` | the thread: groups, and what is done in silence |
//! | `known` | the ids by which a change is judged |
//! | `changes`, `statements` | what each change does to the tables |
//! | `journal` | changes that are kept, on their way into the tables |
//! | `recovered` | what is read at the start |
//! | `ledger` | usage |
//! | `readings` | the account's balance |
//! | `deliveries` | outcomes that clients want pushed |
//! | `columns` | how values stand in the tables |

mod changes;
mod columns;
mod deliveries;
mod file;
mod journal;
mod known;
mod layout;
mod ledger;
mod readings;
mod recovered;
mod statements;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::usage::USAGE_KEPT_DAYS;
use super::{Change, Day, Ledger, Recovered, Store, StoreError};
use crate::clock::Timestamp;
use changes::Prepared;
pub use writer::GROUP_MAX;
use writer::{Job, Writer};

/// Changes handed over and not yet taken into a group; whoever has one more waits for a place.
pub const CHANGES_WAITING_MAX: usize = 4_096;

/// How a file is kept.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many days of usage stay.
    pub usage_kept_days: u32,
    /// The largest size of the file, in pages of 4,096 bytes; a change beyond it fails like one on a full disk.
    pub pages_max: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self { usage_kept_days: USAGE_KEPT_DAYS, pages_max: None }
    }
}

/// Keeps changes in a file. The file is locked until this is dropped, or the process ends in any way.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
}

impl SqliteStore {
    /// Opens `path`, and makes it when it is not there.
    ///
    /// # Errors
    /// [`StoreError`], each with the path: the directory is missing, another process has the file, it is read-only,
    /// full, damaged, not ours, or was written by a newer version.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, Options::default())
    }

    /// Opens `path` as [`Self::open`] does, kept as `options` say.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(path: &Path, options: Options) -> Result<Self, StoreError> {
        let file = file::open(path, options)?;
        let path = file.path.clone();
        let writer = Writer::new(file, options).map_err(|error| file::cannot_open(&path, &error))?;
        let cannot = |error: io::Error| StoreError::CannotOpen { path: path.clone(), why: error.to_string() };
        let timer = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(cannot)?;
        let (jobs, arrived) = mpsc::channel(CHANGES_WAITING_MAX);
        let writer = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer.run(arrived, &timer))
            .map_err(cannot)?;
        Ok(Self { path, jobs: Some(jobs), writer: Some(writer) })
    }

    /// Reads what [`Store::ledger`] gives from a file that another process may have open, and write to, at the same
    /// time.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be read. No file is made.
    pub fn read_ledger(path: &Path, since: Day, open_since: Timestamp) -> Result<Ledger, StoreError> {
        let connection = file::open_to_read(path)?;
        ledger::read(connection, since, open_since).map_err(|error| file::cannot_open(path, &error))
    }

    /// Hands a job to the writer and waits until it is done.
    async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job,
    ) -> Result<T, StoreError> {
        let ended = || StoreError::Failed("its thread has ended".to_owned());
        let (done, result) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(ended)?;
        jobs.send(job(done)).await.map_err(|_| ended())?;
        result.await.map_err(|_| ended())?
    }
}

impl Store for SqliteStore {
    fn load(&self) -> BoxFuture<'_, Result<Recovered, StoreError>> {
        Box::pin(self.ask(Job::Load))
    }

    fn commit(&self, change: Change) -> BoxFuture<'_, Result<(), StoreError>> {
        let prepared = changes::prepare(&change);
        Box::pin(async move {
            match prepared.map_err(|error| StoreError::Failed(error.to_string()))? {
                Prepared::Journal(claim, entry) => self.ask(|done| Job::Commit { claim, entry, done }).await,
                Prepared::Forget(uploaded_before) => {
                    self.ask(|done| Job::Forget { uploaded_before, done }).await
                }
            }
        })
    }

    /// Reads through a connection of its own, so that no change waits for it.
    fn ledger(&self, since: Day, open_since: Timestamp) -> BoxFuture<'_, Result<Ledger, StoreError>> {
        let path = self.path.clone();
        Box::pin(async move {
            // On a full disk it stays as it is, and is read all the same.
            let _ = self.ask(Job::Fold).await;
            let read = tokio::task::spawn_blocking(move || Self::read_ledger(&path, since, open_since));
            read.await.unwrap_or_else(|error| Err(StoreError::Failed(error.to_string())))
        })
    }
}

/// What was handed over is still written; then the file is closed and its lock released.
impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.jobs = None;
        if self.writer.take().is_some_and(|writer| writer.join().is_err()) {
            tracing::error!("the store's thread had panicked");
        }
    }
}
