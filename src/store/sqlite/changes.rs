//! What each change claims, and what it does to the tables, as the journal keeps it.

use rusqlite::params;

use super::columns::{key, moment, number, verdict};
use super::journal::Entry;
use super::known::Claim;
use super::statements::Statement;
use crate::clock::Timestamp;
use crate::protocol::ids::CaptchaId;
use crate::protocol::repeat::{IdempotencyKey, Repeat};
use crate::store::deliveries::DEAD_MAX;
use crate::store::{Change, IntentId, NotAccepted, Reading};

/// A change, as the one thread that writes takes it: made where the change comes from, so that it has less to do.
#[derive(Debug)]
pub(super) enum Prepared {
    Journal(Claim, Entry),
    /// What was uploaded before this moment leaves the tables.
    Forget(Timestamp),
}

pub(super) fn prepare(change: &Change) -> rusqlite::Result<Prepared> {
    let entry = match change {
        Change::Forget { uploaded_before } => return Ok(Prepared::Forget(*uploaded_before)),
        Change::Submitting(intent) => Entry::of(
            Statement::NoteIntent,
            params![key(intent.id.0), intent.client, intent.method.label(), moment(intent.at)],
        ),
        Change::Accepted { intent, id, at, repeat } => accepted(*intent, *id, moment(*at), repeat.as_ref()),
        Change::Delivered { id } => Entry::of(Statement::Deliver, params![key(id.0)]),
        Change::NotAccepted { intent, how, .. } => {
            let statement = match how {
                NotAccepted::Refused => Statement::ForgetIntent,
                NotAccepted::Unknown => Statement::IntentIsUnknown,
            };
            Entry::of(statement, params![key(intent.0)])
        }
        Change::Solved { id, solution, at } => {
            let state = if solution.answer.is_failed() { "failed" } else { "solved" };
            let answer = solution.answer.to_stored();
            Entry::of(Statement::Solve, params![state, answer, solution.price, moment(*at), key(id.0)])
        }
        Change::Priced { id, price } => Entry::of(Statement::Price, params![price, key(id.0)]),
        Change::Reported { id, verdict: told, .. } => {
            Entry::of(Statement::Report, params![verdict(*told), key(id.0)])
        }
        Change::PingbackAdded { client, address } => {
            Entry::of(Statement::AddPingback, params![client, address])
        }
        Change::PingbackRemoved { client, address } => {
            Entry::of(Statement::RemovePingback, params![client, address])
        }
        Change::PingbacksCleared { client } => Entry::of(Statement::ClearPingbacks, params![client]),
        Change::DeliveryWanted { id, client, target, at } => {
            Entry::of(Statement::WantDelivery, params![key(id.0), client, target, moment(*at)])
        }
        Change::DeliveryDue { id, client, target, code, at } => {
            Entry::of(Statement::DeliveryIsDue, params![key(id.0), client, target, moment(*at), &code[..]])
        }
        Change::DeliveryOver { id } => Entry::of(Statement::DeliveryIsOver, params![key(id.0)]),
        Change::DeliveryDead { id, why, at } => {
            Entry::of(Statement::BuryDelivery, params![moment(*at), why, key(id.0)])?
                .and(Statement::KeepDead, params![number(DEAD_MAX as u64)])
        }
        Change::ClientStopped { client, is_stopped } => {
            let statement = if *is_stopped { Statement::StopClient } else { Statement::ResumeClient };
            Entry::of(statement, params![client])
        }
        Change::Budgets(value) => Entry::of(Statement::KeepBudgets, params![value]),
        Change::Balance(reading) => balance(reading),
    }?;
    Ok(Prepared::Journal(Claim::of(change), entry))
}

fn accepted(intent: IntentId, id: CaptchaId, at: i64, repeat: Option<&Repeat>) -> rusqlite::Result<Entry> {
    let same = repeat.map(|repeat| repeat.same.as_bytes());
    let idempotency_key = repeat.and_then(|repeat| repeat.key.as_ref()).map(IdempotencyKey::as_bytes);
    Entry::of(Statement::Accept, params![key(id.0), at, same, idempotency_key, key(intent.0)])?
        .and(Statement::ForgetIntent, params![key(intent.0)])
}

fn balance(reading: &Reading) -> rusqlite::Result<Entry> {
    Entry::of(
        Statement::KeepReading,
        params![
            number(reading.hour()),
            moment(reading.at),
            reading.account,
            reading.balance.to_string(),
            reading.spent.to_string(),
            reading.charged.to_stored(),
            number(reading.left_out),
            reading.standing.to_stored(),
        ],
    )
}
