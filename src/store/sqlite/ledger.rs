//! Usage and readings in the tables: what is forgotten is counted first, in the same transaction.

use rusqlite::{Connection, OptionalExtension, Params, Row, TransactionBehavior, params};

use super::columns::{moment, number, read_method, read_moment, read_number, read_verdict};
use super::{deliveries, file, journal, readings};
use crate::clock::Timestamp;
use crate::store::solve_times::SolveTimes;
use crate::store::usage::{Outline, State, Usage, UsageKey, UsageTable};
use crate::store::{Day, Ledger};

const NUMBERS: &str = "uploads, solved, failed, unanswered, unknown, reported_good, reported_bad, priced, cost, \
    solve_times";

/// Captchas and intents from before `uploaded_before` become usage; usage and readings older than `kept_days` leave, and
/// dead deliveries in their time.
pub(super) fn forget(
    connection: &mut Connection,
    uploaded_before: Timestamp,
    kept_days: u32,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let before = moment(uploaded_before);
    let mut usage = UsageTable::default();
    add_captchas(&transaction, &mut usage, "uploaded_at < ?", before, uploaded_before)?;
    add_intents(&transaction, &mut usage, "at < ?", [before])?;
    // First, so that in a file that may not grow usage gets their place.
    for sql in ["DELETE FROM captchas WHERE uploaded_at < ?", "DELETE FROM intents WHERE at < ?"] {
        transaction.prepare_cached(sql)?.execute([before])?;
    }
    for (key, added) in usage.rows() {
        keep(&transaction, key, added)?;
    }
    let first_day = Day::of(uploaded_before).days_before(kept_days);
    transaction.prepare_cached("DELETE FROM usage WHERE day < ?")?.execute([first_day.0])?;
    readings::forget_before(&transaction, first_day)?;
    deliveries::forget(&transaction, uploaded_before)?;
    transaction.commit()
}

/// Usage of the days from `since` on, what is kept and what the captchas that are not forgotten add; and the readings.
/// What the file's journal still holds is folded in a copy of it, for whoever reads may not write.
pub(super) fn read(
    mut connection: Connection,
    since: Day,
    open_since: Timestamp,
) -> rusqlite::Result<Ledger> {
    if !journal::is_empty(&connection)? {
        connection = file::copy(&connection)?;
        journal::fold(&mut connection)?;
    }
    let snapshot = connection.unchecked_transaction()?;
    let mut usage = UsageTable::default();
    let mut kept =
        snapshot.prepare(&format!("SELECT {NUMBERS}, day, client, method FROM usage WHERE day >= ?"))?;
    let mut kept = kept.query([since.0])?;
    while let Some(row) = kept.next()? {
        let method = read_method(row.get_ref(12)?.as_str()?);
        let key = UsageKey { day: Day(row.get(10)?), client: row.get(11)?, method };
        usage.add(key, &numbers(row)?);
    }
    let start = moment(since.start());
    add_captchas(&snapshot, &mut usage, "uploaded_at >= ?", start, open_since)?;
    let still_open = moment(open_since);
    add_intents(&snapshot, &mut usage, "at >= ? AND (is_unknown OR at < ?)", [start, still_open])?;
    Ok(Ledger { usage, readings: readings::read(&snapshot, since)? })
}

/// Adds the captchas that `condition` selects; those from before `open_since` get no answer any more.
fn add_captchas(
    connection: &Connection,
    usage: &mut UsageTable,
    condition: &str,
    bound: i64,
    open_since: Timestamp,
) -> rusqlite::Result<()> {
    let mut captchas = connection.prepare_cached(&format!(
        "SELECT client, method, uploaded_at, solved_at, state, price, report FROM captchas WHERE {condition}"
    ))?;
    let mut captchas = captchas.query([bound])?;
    while let Some(row) = captchas.next()? {
        let uploaded_at = read_moment(row.get(2)?);
        let outline = Outline {
            uploaded_at,
            solved_at: row.get::<_, Option<_>>(3)?.map(read_moment),
            state: match row.get_ref(4)?.as_str()? {
                "solved" => State::Solved,
                "failed" => State::Failed,
                _ => State::Open,
            },
            price: row.get_ref(5)?.as_str_or_null()?,
            report: read_verdict(row.get_ref(6)?.as_str_or_null()?),
            is_over: uploaded_at < open_since,
        };
        usage.add(key(row, uploaded_at)?, &Usage::of(&outline));
    }
    Ok(())
}

/// Adds the intents that `condition` selects, as uploads whose fate is unknown.
fn add_intents(
    connection: &Connection,
    usage: &mut UsageTable,
    condition: &str,
    bounds: impl Params,
) -> rusqlite::Result<()> {
    let sql = format!("SELECT client, method, at FROM intents WHERE {condition}");
    let mut intents = connection.prepare_cached(&sql)?;
    let mut intents = intents.query(bounds)?;
    while let Some(row) = intents.next()? {
        usage.add(key(row, read_moment(row.get(2)?))?, &Usage::of_unknown());
    }
    Ok(())
}

fn key(row: &Row<'_>, at: Timestamp) -> rusqlite::Result<UsageKey> {
    Ok(UsageKey { day: Day::of(at), client: row.get(0)?, method: read_method(row.get_ref(1)?.as_str()?) })
}

/// Adds to what is kept under `key`.
fn keep(connection: &Connection, key: &UsageKey, added: &Usage) -> rusqlite::Result<()> {
    let place = params![key.day.0, key.client, key.method.label()];
    let sql = format!("SELECT {NUMBERS} FROM usage WHERE day = ? AND client = ? AND method = ?");
    let mut usage =
        connection.prepare_cached(&sql)?.query_row(place, numbers).optional()?.unwrap_or_default();
    usage.add(added);
    let sql = format!(
        "INSERT OR REPLACE INTO usage (day, client, method, {NUMBERS}) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    );
    connection.prepare_cached(&sql)?.execute(params![
        key.day.0,
        key.client,
        key.method.label(),
        number(usage.uploads),
        number(usage.solved),
        number(usage.failed),
        number(usage.unanswered),
        number(usage.unknown),
        number(usage.reported_good),
        number(usage.reported_bad),
        number(usage.priced),
        usage.cost.to_string(),
        usage.solve_times.to_stored(),
    ])?;
    Ok(())
}

fn numbers(row: &Row<'_>) -> rusqlite::Result<Usage> {
    let number = |column| Ok::<_, rusqlite::Error>(read_number(row.get(column)?));
    Ok(Usage {
        uploads: number(0)?,
        solved: number(1)?,
        failed: number(2)?,
        unanswered: number(3)?,
        unknown: number(4)?,
        reported_good: number(5)?,
        reported_bad: number(6)?,
        priced: number(7)?,
        cost: row.get_ref(8)?.as_str()?.parse().unwrap_or_default(),
        solve_times: SolveTimes::from_stored(row.get_ref(9)?.as_str()?),
    })
}
