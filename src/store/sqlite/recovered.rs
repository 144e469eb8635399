//! What is read at the start.

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior};

use super::columns::{read_key, read_method, read_moment, read_verdict};
use super::{deliveries, readings};
use crate::protocol::answer::{Answer, Solution};
use crate::protocol::ids::CaptchaId;
use crate::protocol::repeat::{IdempotencyKey, Repeat, Sameness};
use crate::store::{CaptchaRecord, Intent, IntentId, Recovered};

/// Everything in the tables, into which the journal must have been folded; uploads without an outcome become unknown.
pub(super) fn read(connection: &mut Connection) -> rusqlite::Result<Recovered> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("UPDATE intents SET is_unknown = 1 WHERE is_unknown = 0", [])?;
    let recovered = Recovered {
        captchas: rows(
            &transaction,
            "SELECT id, client, method, uploaded_at, solved_at, price, report, answer, same, idempotency_key, \
             is_delivered FROM captchas",
            captcha,
        )?,
        unknown: rows(&transaction, "SELECT id, client, method, at FROM intents", intent)?,
        pingbacks: rows(&transaction, "SELECT client, address FROM pingbacks", |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?,
        deliveries: deliveries::read(&transaction)?,
        stopped: rows(
            &transaction,
            "SELECT substr(name, 9) FROM kept_values WHERE name LIKE 'stopped %' ORDER BY name",
            |row| row.get(0),
        )?,
        budgets: transaction
            .query_row("SELECT value FROM kept_values WHERE name = 'budgets'", [], |row| row.get(0))
            .optional()?,
        reading: readings::last(&transaction)?,
    };
    transaction.commit()?;
    Ok(recovered)
}

fn rows<T>(
    connection: &Connection,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Vec<T>> {
    connection.prepare(sql)?.query_map([], read)?.collect()
}

fn captcha(row: &Row<'_>) -> rusqlite::Result<CaptchaRecord> {
    let id = CaptchaId(read_key(row.get(0)?));
    let price = row.get(5)?;
    let answer = row.get_ref(7)?.as_blob_or_null()?.and_then(|stored| {
        let answer = Answer::from_stored(stored);
        if answer.is_none() {
            // Asking the upstream again costs a look; a damaged answer told to a client costs the captcha.
            tracing::warn!(captcha = %id, "a stored answer is damaged; it is fetched anew");
        }
        answer
    });
    let key = row.get::<_, Option<_>>(9)?.map(IdempotencyKey::from_bytes);
    Ok(CaptchaRecord {
        id,
        client: row.get(1)?,
        method: read_method(row.get_ref(2)?.as_str()?),
        uploaded_at: read_moment(row.get(3)?),
        solved_at: row.get::<_, Option<_>>(4)?.filter(|_| answer.is_some()).map(read_moment),
        report: read_verdict(row.get_ref(6)?.as_str_or_null()?),
        solution: answer.map(|answer| Solution { answer, price }),
        repeat: row.get::<_, Option<_>>(8)?.map(Sameness::from_bytes).map(|same| Repeat { same, key }),
        is_delivered: row.get(10)?,
    })
}

fn intent(row: &Row<'_>) -> rusqlite::Result<Intent> {
    Ok(Intent {
        id: IntentId(read_key(row.get(0)?)),
        client: row.get(1)?,
        method: read_method(row.get_ref(2)?.as_str()?),
        at: read_moment(row.get(3)?),
    })
}
