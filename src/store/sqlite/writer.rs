//! The one thread that writes.
//!
//! ```text
//! wait for a job -> take all that have arrived -> one transaction, one fsync -> tell each -> give space back
//! ```
//! **Invariant.** Who is told `Ok` has its change on disk. When the transaction fails, all of its changes fail and none
//! is kept; the next group is tried anew, so a store that was full or read-only works again as soon as it can.

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::changes::{self, Fault};
use super::file::StoreFile;
use super::{Options, recovered};
use crate::store::{Change, Recovered, StoreError};

/// Most changes in one transaction, so that none waits for ever longer ones.
pub const GROUP_MAX: usize = 1_024;
/// Free pages that stay in the file, to be used again.
const FREE_PAGES_KEPT: u32 = 1_024;
/// Most pages that are given back at once: it delays the next group.
const PAGES_GIVEN_BACK_MAX: u32 = 2_048;

type Told<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    Commit { change: Change, done: Told<()> },
    Load(Told<Recovered>),
}

#[derive(Debug)]
pub(super) struct Writer {
    file: StoreFile,
    options: Options,
}

impl Writer {
    pub const fn new(file: StoreFile, options: Options) -> Self {
        Self { file, options }
    }

    /// Works until nobody is left who could ask.
    pub fn run(mut self, mut arrived: mpsc::Receiver<Job>) {
        let mut jobs = Vec::with_capacity(GROUP_MAX);
        while arrived.blocking_recv_many(&mut jobs, GROUP_MAX) > 0 {
            let (mut group, mut told, mut loads) = (Vec::new(), Vec::new(), Vec::new());
            for job in jobs.drain(..) {
                match job {
                    Job::Commit { change, done } => {
                        group.push(change);
                        told.push(done);
                    }
                    Job::Load(done) => loads.push(done),
                }
            }
            if !group.is_empty() {
                self.commit(&group, told);
            }
            for done in loads {
                // Whoever asked may have gone; so below.
                let _ = done.send(recovered::read(&mut self.file.connection).map_err(failed));
            }
        }
    }

    fn commit(&mut self, group: &[Change], told: Vec<Told<()>>) {
        let outcomes = self.apply(group).unwrap_or_else(|error| {
            let error = failed(error);
            vec![Err(error); group.len()]
        });
        for (done, outcome) in told.into_iter().zip(outcomes) {
            let _ = done.send(outcome);
        }
        if group.iter().any(|change| matches!(change, Change::Forget { .. }))
            && let Err(error) = give_space_back(&self.file.connection)
        {
            tracing::debug!(%error, "the store could not give space back; it is tried again");
        }
    }

    /// Applies a group in one transaction. An error is all of the group's; an outcome is one change's.
    fn apply(&mut self, group: &[Change]) -> rusqlite::Result<Vec<Result<(), StoreError>>> {
        let transaction = self.file.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let last_budgets = group.iter().rposition(|change| matches!(change, Change::Budgets(_)));
        let mut outcomes = Vec::with_capacity(group.len());
        for (index, change) in group.iter().enumerate() {
            // Only the last value stays, so the ones before it need not be written.
            if matches!(change, Change::Budgets(_)) && Some(index) != last_budgets {
                outcomes.push(Ok(()));
                continue;
            }
            match changes::apply(&transaction, change, self.options.usage_kept_days) {
                Ok(()) => outcomes.push(Ok(())),
                Err(Fault::Change(error)) => outcomes.push(Err(error)),
                Err(Fault::Store(error)) => return Err(error),
            }
        }
        transaction.commit()?;
        Ok(outcomes)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is called by map_err")]
fn failed(error: rusqlite::Error) -> StoreError {
    StoreError::Failed(error.to_string())
}

/// Shortens the file when much of it is free.
fn give_space_back(connection: &Connection) -> rusqlite::Result<()> {
    let free: u32 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    let too_many = free.saturating_sub(FREE_PAGES_KEPT).min(PAGES_GIVEN_BACK_MAX);
    if too_many > 0 {
        // Each step gives one page back.
        connection.pragma(None, "incremental_vacuum", too_many, |_| Ok(()))?;
    }
    Ok(())
}
