//! The one thread that writes.
//!
//! ```text
//! wait for a job -> take all that have arrived -> judge each -> one row of the journal, one fsync -> tell each
//! silence        -> fold a slice of the journal into the tables, look for a job, and so on
//! ```
//! **Invariant.** Who is told `Ok` has its change on disk. When the row is not written, all of its changes fail and none
//! is kept; the next group is tried anew, so a store that was full or read-only works again as soon as it can.

use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

use super::file::{self, StoreFile};
use super::journal::{self, Entry, SLICE_BYTES};
use super::known::{Claim, Known, Right, Undo};
use super::{Options, ledger, recovered};
use crate::clock::Timestamp;
use crate::store::{Recovered, StoreError};

/// Most changes in one group, so that none waits for ever longer ones.
pub const GROUP_MAX: usize = 1_024;
/// A row of the journal is not made longer than this and one change more.
const ROW_BYTES_MAX: usize = 1024 * 1024;
/// How long nothing must arrive before a journal of a slice or more is folded.
const FOLD_AFTER: Duration = Duration::from_millis(20);
/// The same for a smaller one: to fold a few changes costs nearly as much as to fold a slice of them.
const FOLD_FEW_AFTER: Duration = Duration::from_secs(1);
/// The same, after it could not be folded.
const FOLD_AGAIN_AFTER: Duration = Duration::from_secs(1);
/// A journal of this size is folded at once: a start would have to do it, and a start must be short.
const JOURNAL_BYTES_MAX: usize = 4 * 1024 * 1024;
/// After so much was folded, silence is used to bring SQLite's log into the file too.
const CHECKPOINT_BYTES: usize = 1024 * 1024;

type Told<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    Commit { claim: Claim, entry: Entry, done: Told<()> },
    Forget { uploaded_before: Timestamp, done: Told<()> },
    Fold(Told<()>),
    Load(Told<Recovered>),
}

#[derive(Debug)]
pub(super) struct Writer {
    file: StoreFile,
    options: Options,
    known: Known,
    /// The journal's size.
    journal_bytes: usize,
    /// The journal could not be folded.
    is_stuck: bool,
    /// What was folded since SQLite's log was last brought into the file.
    folded_bytes: usize,
}

/// Changes that share one fsync.
#[derive(Default)]
struct Group {
    entries: Vec<u8>,
    /// Of several budgets the last alone has an effect.
    budgets: Option<Entry>,
    undo: Vec<Undo>,
    /// Who waits for the fsync.
    told: Vec<Told<()>>,
}

enum Next {
    Jobs,
    Silence,
    End,
}

impl Writer {
    /// Brings the tables up to date first.
    pub fn new(mut file: StoreFile, options: Options) -> rusqlite::Result<Self> {
        journal::fold(&mut file.connection)?;
        let known = Known::read(&file.connection)?;
        Ok(Self { file, options, known, journal_bytes: 0, is_stuck: false, folded_bytes: 0 })
    }

    /// Works until nobody is left who could ask.
    pub fn run(mut self, mut arrived: mpsc::Receiver<Job>, timer: &Runtime) {
        let mut jobs = Vec::with_capacity(GROUP_MAX);
        let mut silence = None;
        loop {
            match timer.block_on(next(&mut arrived, &mut jobs, silence)) {
                Next::Jobs => {
                    self.work(jobs.drain(..));
                    silence = match self.journal_bytes {
                        0 => None,
                        1..SLICE_BYTES => Some(FOLD_FEW_AFTER),
                        SLICE_BYTES.. => Some(FOLD_AFTER),
                    };
                }
                Next::Silence => silence = self.tidy(),
                Next::End => break,
            }
        }
        if let Err(error) = self.fold() {
            tracing::debug!(%error, "the journal is left to the next start");
        }
    }

    /// In the order in which the jobs came.
    fn work(&mut self, jobs: impl Iterator<Item = Job>) {
        let mut group = Group::default();
        for job in jobs {
            if !matches!(job, Job::Commit { .. }) || group.entries.len() > ROW_BYTES_MAX {
                self.commit(std::mem::take(&mut group));
            }
            // Whoever asked may have gone.
            let _: Result<(), Result<(), StoreError>> = match job {
                Job::Commit { claim, entry, done } => match self.known.learn(claim) {
                    Ok(right) => {
                        group.add(right, entry, done);
                        Ok(())
                    }
                    Err(error) => done.send(Err(error)),
                },
                Job::Forget { uploaded_before, done } => {
                    done.send(self.forget(uploaded_before).map_err(|error| self.failed(&error)))
                }
                Job::Fold(done) => done.send(self.fold().map_err(|error| self.failed(&error))),
                Job::Load(done) => {
                    let recovered = self.fold().and_then(|()| recovered::read(&mut self.file.connection));
                    done.send(recovered.map_err(|error| self.failed(&error)))
                        .map_err(|unread| unread.map(drop))
                }
            };
        }
        self.commit(group);
        // More than silence can take: then whoever writes so much waits for it.
        while self.journal_bytes > JOURNAL_BYTES_MAX && self.fold_slice().is_ok() {}
    }

    fn commit(&mut self, mut group: Group) {
        if let Some(budgets) = group.budgets.take() {
            group.entries.extend_from_slice(budgets.bytes());
        }
        let written = if group.entries.is_empty() { Ok(()) } else { self.append(&group.entries) };
        let outcome = written.map_err(|error| self.failed(&error));
        if outcome.is_err() {
            group.undo.into_iter().rev().for_each(|undo| self.known.take_back(undo));
        }
        for done in group.told {
            let _ = done.send(outcome.clone());
        }
    }

    fn append(&mut self, entries: &[u8]) -> rusqlite::Result<()> {
        // What can be kept and never used is not kept.
        if self.is_stuck {
            self.fold_slice()?;
        }
        self.file.sync_each_commit(true)?;
        journal::append(&self.file.connection, entries)?;
        self.journal_bytes += entries.len();
        Ok(())
    }

    fn failed(&self, error: &rusqlite::Error) -> StoreError {
        file::failed(&self.file.path, error)
    }

    /// Nobody has asked for a while. Returns how long to wait before the next call if that goes on; none when all is
    /// done.
    fn tidy(&mut self) -> Option<Duration> {
        if self.journal_bytes > 0 {
            return Some(self.fold_slice().map_or(FOLD_AGAIN_AFTER, |()| Duration::ZERO));
        }
        if self.folded_bytes > CHECKPOINT_BYTES {
            self.folded_bytes = 0;
            if let Err(error) = self.file.checkpoint() {
                tracing::debug!(%error, "the write-ahead log could not be brought into the file");
            }
        }
        None
    }

    /// One slice; a power cut may undo it, for then the journal is as it was.
    fn fold_slice(&mut self) -> rusqlite::Result<()> {
        let folded =
            self.file.sync_each_commit(false).and_then(|()| journal::fold_slice(&mut self.file.connection));
        let was_stuck = std::mem::replace(&mut self.is_stuck, folded.is_err());
        match folded {
            Ok(0) => self.journal_bytes = 0,
            Ok(bytes) => {
                self.journal_bytes = self.journal_bytes.saturating_sub(bytes);
                self.folded_bytes += bytes;
            }
            Err(error) => {
                if !was_stuck {
                    tracing::warn!(%error, "the store's journal could not be folded; nothing more is kept until it is");
                }
                return Err(error);
            }
        }
        Ok(())
    }

    fn fold(&mut self) -> rusqlite::Result<()> {
        while self.journal_bytes > 0 {
            self.fold_slice()?;
        }
        Ok(())
    }

    fn forget(&mut self, uploaded_before: Timestamp) -> rusqlite::Result<()> {
        self.fold()?;
        self.file.sync_each_commit(true)?;
        ledger::forget(&mut self.file.connection, uploaded_before, self.options.usage_kept_days)?;
        self.known.forget(uploaded_before);
        self.file.sync_each_commit(false)?;
        if let Err(error) = self.file.give_space_back() {
            tracing::debug!(%error, "the store could not give space back; it is tried again");
        }
        Ok(())
    }
}

impl Group {
    fn add(&mut self, right: Right, entry: Entry, done: Told<()>) {
        self.told.push(done);
        match right {
            Right::KeptAlready => return,
            Right::New(undo) => self.undo.extend(undo),
        }
        if entry.is_replaced_by_the_next() {
            self.budgets = Some(entry);
        } else {
            self.entries.extend_from_slice(entry.bytes());
        }
    }
}

/// Takes all jobs that have arrived, or the next one that does, unless there is silence before.
async fn next(arrived: &mut mpsc::Receiver<Job>, jobs: &mut Vec<Job>, silence: Option<Duration>) -> Next {
    let taken = arrived.recv_many(jobs, GROUP_MAX);
    let taken = match silence {
        Some(silence) => match tokio::time::timeout(silence, taken).await {
            Ok(taken) => taken,
            Err(_) => return Next::Silence,
        },
        None => taken.await,
    };
    if taken == 0 { Next::End } else { Next::Jobs }
}
