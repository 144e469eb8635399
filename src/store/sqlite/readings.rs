//! Readings of the account's balance in the tables.

use rusqlite::{Connection, Row, params};

use super::changes;
use super::recovered::moment;
use crate::store::Day;
use crate::store::readings::{Charged, Reading};

const COLUMNS: &str = "at, account, balance, spent, charged, left_out, standing";
const HOURS_OF_DAY: u64 = 24;

/// Of each hour, the first reading stays and the last.
pub(super) fn keep(connection: &Connection, reading: &Reading) -> rusqlite::Result<usize> {
    let sql = format!(
        "INSERT OR REPLACE INTO readings (hour, place, {COLUMNS}) \
         VALUES (?1, EXISTS (SELECT 1 FROM readings WHERE hour = ?1 AND place = 0), ?, ?, ?, ?, ?, ?, ?)"
    );
    connection.prepare_cached(&sql)?.execute(params![
        number(reading.hour()),
        changes::moment(reading.at),
        reading.account,
        reading.balance.to_string(),
        reading.spent.to_string(),
        reading.charged.to_stored(),
        number(reading.left_out),
        reading.standing.to_stored(),
    ])
}

/// The readings of the days from `since` on, in the order of time.
pub(super) fn read(connection: &Connection, since: Day) -> rusqlite::Result<Vec<Reading>> {
    let sql = format!("SELECT {COLUMNS} FROM readings WHERE hour >= ? ORDER BY hour, place");
    let mut readings = connection.prepare(&sql)?;
    let readings = readings.query_map([first_hour(since)], reading)?;
    readings.filter_map(Result::transpose).collect()
}

/// The last reading.
pub(super) fn last(connection: &Connection) -> rusqlite::Result<Option<Reading>> {
    let sql = format!("SELECT {COLUMNS} FROM readings ORDER BY hour DESC, place DESC LIMIT 1");
    let mut last = connection.prepare(&sql)?;
    let mut last = last.query_map([], reading)?;
    last.next().transpose().map(Option::flatten)
}

/// Those of the days before `day` leave.
pub(super) fn forget_before(connection: &Connection, day: Day) -> rusqlite::Result<()> {
    connection.prepare_cached("DELETE FROM readings WHERE hour < ?")?.execute([first_hour(day)])?;
    Ok(())
}

fn first_hour(day: Day) -> i64 {
    number(u64::from(day.0) * HOURS_OF_DAY)
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A reading; one that is damaged is none.
fn reading(row: &Row<'_>) -> rusqlite::Result<Option<Reading>> {
    let amount = |column| Ok::<_, rusqlite::Error>(row.get_ref(column)?.as_str()?.parse().ok());
    let charged = |column| Ok::<_, rusqlite::Error>(Charged::from_stored(row.get_ref(column)?.as_str()?));
    let (Some(balance), Some(spent), Some(sum), Some(standing)) =
        (amount(2)?, amount(3)?, charged(4)?, charged(6)?)
    else {
        tracing::warn!("a stored reading of the balance is damaged; it is passed over");
        return Ok(None);
    };
    Ok(Some(Reading {
        at: moment(row.get(0)?),
        account: row.get(1)?,
        balance,
        spent,
        charged: sum,
        left_out: row.get::<_, i64>(5)?.unsigned_abs(),
        standing,
    }))
}
