//! What one change does to the tables.
//!
//! **Invariant.** Only the first statement of a change can fail because of what the change says; a change that is
//! refused has therefore changed nothing, and its group goes on without it.

use rusqlite::{Connection, ErrorCode, params};

use super::{ledger, readings};
use crate::clock::Timestamp;
use crate::protocol::ids::CaptchaId;
use crate::protocol::poll::Verdict;
use crate::protocol::repeat::{IdempotencyKey, Repeat};
use crate::store::{Change, IntentId, NotAccepted, StoreError};

/// Whose fault it is.
#[derive(Debug)]
pub(super) enum Fault {
    /// The change does not follow from what is kept.
    Change(StoreError),
    /// The store's: the whole group fails.
    Store(rusqlite::Error),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig) => {
                Self::Change(StoreError::Failed(error.to_string()))
            }
            _ => Self::Store(error),
        }
    }
}

/// Applies `change` inside the transaction that `connection` is in.
pub(super) fn apply(connection: &Connection, change: &Change, usage_kept_days: u32) -> Result<(), Fault> {
    let run =
        |sql: &str, parameters: &[&dyn rusqlite::ToSql]| connection.prepare_cached(sql)?.execute(parameters);
    match change {
        Change::Submitting(intent) => run(
            "INSERT OR REPLACE INTO intents (id, client, method, at) VALUES (?, ?, ?, ?)",
            params![key(intent.id.0), intent.client, intent.method.label(), moment(intent.at)],
        )?,
        Change::Accepted { intent, id, at, repeat } => {
            return accept(connection, *intent, *id, *at, repeat.as_ref());
        }
        Change::Delivered { id } => {
            run("UPDATE captchas SET is_delivered = 1 WHERE id = ?", params![key(id.0)])?
        }
        Change::NotAccepted { intent, how: NotAccepted::Refused, .. } => {
            run("DELETE FROM intents WHERE id = ?", params![key(intent.0)])?
        }
        Change::NotAccepted { intent, how: NotAccepted::Unknown, .. } => {
            run("UPDATE intents SET is_unknown = 1 WHERE id = ?", params![key(intent.0)])?
        }
        Change::Solved { id, solution, at } => run(
            "UPDATE captchas SET state = ?, answer = ?, price = ?, solved_at = ? WHERE id = ?",
            params![
                if solution.answer.is_failed() { "failed" } else { "solved" },
                solution.answer.to_stored(),
                solution.price,
                moment(*at),
                key(id.0),
            ],
        )?,
        Change::Priced { id, price } => {
            run("UPDATE captchas SET price = ? WHERE id = ? AND state <> 'open'", params![price, key(id.0)])?
        }
        Change::Reported { id, verdict, .. } => {
            let report = match verdict {
                Verdict::Good => "good",
                Verdict::Bad => "bad",
            };
            run("UPDATE captchas SET report = ? WHERE id = ?", params![report, key(id.0)])?
        }
        Change::PingbackAdded { client, address } => {
            run("INSERT OR IGNORE INTO pingbacks (client, address) VALUES (?, ?)", params![client, address])?
        }
        Change::PingbackRemoved { client, address } => {
            run("DELETE FROM pingbacks WHERE client = ? AND address = ?", params![client, address])?
        }
        Change::PingbacksCleared { client } => {
            run("DELETE FROM pingbacks WHERE client = ?", params![client])?
        }
        Change::Budgets(value) => {
            run("INSERT OR REPLACE INTO kept_values (name, value) VALUES ('budgets', ?)", params![value])?
        }
        Change::Balance(reading) => readings::keep(connection, reading)?,
        Change::Forget { uploaded_before } => {
            ledger::forget(connection, *uploaded_before, usage_kept_days).map_err(Fault::Store)?;
            0
        }
    };
    Ok(())
}

/// An id as a column keeps it.
pub(super) const fn key(id: u64) -> i64 {
    id.cast_signed()
}

/// A moment as a column keeps it.
pub(super) fn moment(at: Timestamp) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

fn accept(
    connection: &Connection,
    intent: IntentId,
    id: CaptchaId,
    at: Timestamp,
    repeat: Option<&Repeat>,
) -> Result<(), Fault> {
    let same = repeat.map(|repeat| repeat.same.as_bytes());
    let idempotency_key = repeat.and_then(|repeat| repeat.key.as_ref()).map(IdempotencyKey::as_bytes);
    let inserted = connection
        .prepare_cached(
            "INSERT INTO captchas (id, client, method, uploaded_at, same, idempotency_key, is_delivered)
             SELECT ?, client, method, ?, ?, ?, 0 FROM intents WHERE id = ?",
        )?
        .execute(params![key(id.0), moment(at), same, idempotency_key, key(intent.0)]);
    match inserted {
        // It failed before, as far as could be seen, and had been kept all the same.
        Ok(0) if is_kept(connection, id, at, same)? => return Ok(()),
        Ok(0) => return Err(Fault::Change(StoreError::NoIntent(id))),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
            return Err(Fault::Change(StoreError::Duplicate(id)));
        }
        other => other?,
    };
    let noted = connection.prepare_cached("DELETE FROM intents WHERE id = ?")?.execute([key(intent.0)]);
    noted.map(drop).map_err(Fault::Store)
}

fn is_kept(
    connection: &Connection,
    id: CaptchaId,
    at: Timestamp,
    same: Option<&[u8; 32]>,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM captchas WHERE id = ? AND uploaded_at = ? AND same IS ?")?
        .exists(params![key(id.0), moment(at), same])
}
