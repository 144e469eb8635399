//! Readings of the account's balance in the tables.

use rusqlite::{Connection, Row};

use super::columns::{number, read_moment, read_number};
use crate::store::Day;
use crate::store::readings::{Charged, Reading};

const COLUMNS: &str = "at, account, balance, spent, charged, left_out, standing";
const HOURS_OF_DAY: u64 = 24;

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
        at: read_moment(row.get(0)?),
        account: row.get(1)?,
        balance,
        spent,
        charged: sum,
        left_out: read_number(row.get(5)?),
        standing,
    }))
}
