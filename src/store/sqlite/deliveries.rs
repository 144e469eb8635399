//! Outcomes that clients want pushed.

use bytes::Bytes;
use rusqlite::{Connection, Row, params};

use super::columns::{moment, read_key, read_moment};
use crate::clock::Timestamp;
use crate::protocol::ids::CaptchaId;
use crate::store::deliveries::DEAD_KEPT;
use crate::store::{Dead, Delivery};

/// All of them, the dead too.
pub(super) fn read(connection: &Connection) -> rusqlite::Result<Vec<Delivery>> {
    connection
        .prepare("SELECT id, client, target, since, code, dead_at, why FROM deliveries")?
        .query_map([], delivery)?
        .collect()
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let (dead_at, why): (Option<i64>, Option<String>) = (row.get(5)?, row.get(6)?);
    let dead = dead_at.map(|at| Dead { at: read_moment(at), why: why.unwrap_or_default() });
    Ok(Delivery {
        id: CaptchaId(read_key(row.get(0)?)),
        client: row.get(1)?,
        target: row.get(2)?,
        since: read_moment(row.get(3)?),
        code: row.get_ref(4)?.as_blob_or_null()?.map(Bytes::copy_from_slice),
        dead,
    })
}

/// Dead ones leave in their time.
pub(super) fn forget(connection: &Connection, uploaded_before: Timestamp) -> rusqlite::Result<()> {
    let sql = "DELETE FROM deliveries WHERE dead_at < ?";
    connection.prepare_cached(sql)?.execute(params![moment(uploaded_before - DEAD_KEPT)]).map(drop)
}
