//! The tables, and how the layout of an older version becomes the present one.
//!
//! `PRAGMA user_version` is the layout's number. A step in [`STEPS`] is never changed once released: a new one follows.
//! Moments are milliseconds since 1970.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::file::cannot_open;
use crate::store::StoreError;

/// Marks the file as capgate's: "capg".
const APPLICATION_ID: i32 = 0x6361_7067;

/// Step `n` makes layout `n + 1` of layout `n`.
const STEPS: &[&str] = &[
    "
    CREATE TABLE captchas (
        id          INTEGER PRIMARY KEY,
        client      TEXT NOT NULL,
        method      TEXT NOT NULL,
        uploaded_at INTEGER NOT NULL,
        solved_at   INTEGER,
        state       TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'solved', 'failed')),
        price       TEXT,
        report      TEXT CHECK (report IN ('good', 'bad')),
        answer      BLOB
    ) STRICT;
    CREATE INDEX captchas_by_upload ON captchas (uploaded_at);

    CREATE TABLE intents (
        id          INTEGER PRIMARY KEY,
        client      TEXT NOT NULL,
        method      TEXT NOT NULL,
        at          INTEGER NOT NULL,
        is_unknown  INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    CREATE TABLE pingbacks (
        client      TEXT NOT NULL,
        address     TEXT NOT NULL,
        PRIMARY KEY (client, address)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE kept_values (
        name        TEXT PRIMARY KEY,
        value       TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE usage (
        day         INTEGER NOT NULL,
        client      TEXT NOT NULL,
        method      TEXT NOT NULL,
        uploads     INTEGER NOT NULL,
        solved      INTEGER NOT NULL,
        failed      INTEGER NOT NULL,
        unanswered  INTEGER NOT NULL,
        unknown     INTEGER NOT NULL,
        reported_good INTEGER NOT NULL,
        reported_bad  INTEGER NOT NULL,
        priced      INTEGER NOT NULL,
        cost        TEXT NOT NULL,
        solve_times TEXT NOT NULL,
        PRIMARY KEY (day, client, method)
    ) STRICT, WITHOUT ROWID;
",
    "
    -- Readings of the account's balance: of each hour, the first (place 0) and the last (place 1).
    CREATE TABLE readings (
        hour        INTEGER NOT NULL,
        place       INTEGER NOT NULL CHECK (place IN (0, 1)),
        at          INTEGER NOT NULL,
        account     TEXT NOT NULL,
        balance     TEXT NOT NULL,
        spent       TEXT NOT NULL,
        charged     TEXT NOT NULL,
        left_out    INTEGER NOT NULL,
        standing    TEXT NOT NULL,
        PRIMARY KEY (hour, place)
    ) STRICT, WITHOUT ROWID;
    ",
    "
    -- What came before is not offered again: whether it was read is not known.
    ALTER TABLE captchas ADD COLUMN same BLOB;
    ALTER TABLE captchas ADD COLUMN idempotency_key BLOB;
    ALTER TABLE captchas ADD COLUMN is_delivered INTEGER NOT NULL DEFAULT 1;
",
    "
    -- Changes that are kept and not in the tables yet, a group of them in each row.
    CREATE TABLE journal (
        sequence    INTEGER PRIMARY KEY,
        entries     BLOB NOT NULL
    ) STRICT;
    ",
    "
    -- Outcomes that clients want pushed; without a code while the captcha is open.
    CREATE TABLE deliveries (
        id          INTEGER PRIMARY KEY,
        client      TEXT NOT NULL,
        target      TEXT NOT NULL,
        since       INTEGER NOT NULL,
        code        BLOB,
        dead_at     INTEGER,
        why         TEXT
    ) STRICT;
    -- Until now nothing was pushed and nobody was asked whose address it is: they are registered anew.
    DELETE FROM pingbacks;
    ",
];

/// The present layout's number.
pub(super) const VERSION: u32 = 5;
const _: () = assert!(STEPS.len() == VERSION as usize, "every layout has its step");

/// The number of the layout that the file has; 0 for an empty file.
pub(super) fn found(connection: &Connection, path: &Path) -> Result<u32, StoreError> {
    let cannot = |error: rusqlite::Error| cannot_open(path, &error);
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get(0)).map_err(cannot);
    let (application, found): (i32, i32) = (number("application_id")?, number("user_version")?);
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(cannot)?;
    match u32::try_from(found) {
        Ok(0) if tables == 0 => Ok(0),
        Ok(found) if application != APPLICATION_ID || found == 0 => Err(StoreError::NotOurs(path.to_owned())),
        Ok(found) if found > VERSION => {
            Err(StoreError::Newer { path: path.to_owned(), found, known: VERSION })
        }
        Ok(found) => Ok(found),
        Err(_) => Err(StoreError::NotOurs(path.to_owned())),
    }
}

/// Takes the steps that are missing, all or none. Writes in any case: a disk that takes no change is found out here.
pub(super) fn migrate(connection: &mut Connection, found: u32) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in &STEPS[found as usize..] {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.execute(
        "INSERT OR REPLACE INTO kept_values (name, value) VALUES ('last_opened_by', ?)",
        [env!("CARGO_PKG_VERSION")],
    )?;
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_lead_from_an_empty_file_to_the_present_layout_once() {
        let mut connection = Connection::open_in_memory().unwrap();
        let path = Path::new("x.db");
        assert_eq!(found(&connection, path), Ok(0));
        migrate(&mut connection, 0).unwrap();
        assert_eq!(found(&connection, path), Ok(VERSION));
        migrate(&mut connection, VERSION).unwrap();
        assert_eq!(found(&connection, path), Ok(VERSION));
    }

    #[test]
    fn what_the_first_layout_held_is_there_in_the_present_one() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(STEPS[0]).unwrap();
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection
            .execute_batch(
                "INSERT INTO captchas (id, client, method, uploaded_at) VALUES (7, 'team-a', 'image', 5);
                 INSERT INTO intents (id, client, method, at) VALUES (8, 'team-b', 'text', 6);",
            )
            .unwrap();
        assert_eq!(found(&connection, Path::new("x.db")), Ok(1));
        migrate(&mut connection, 1).unwrap();
        let recovered = crate::store::sqlite::recovered::read(&mut connection).unwrap();
        let [captcha] = &recovered.captchas[..] else { panic!("{recovered:?}") };
        assert_eq!((captcha.id.0, captcha.client.as_str(), captcha.uploaded_at.0), (7, "team-a", 5));
        assert_eq!((captcha.repeat, captcha.is_delivered), (None, true));
        assert_eq!(recovered.unknown.len(), 1);
    }

    #[test]
    fn a_newer_layout_and_somebody_elses_file_are_refused() {
        let connection = Connection::open_in_memory().unwrap();
        let path = Path::new("x.db");
        connection.execute_batch("CREATE TABLE t (x)").unwrap();
        assert_eq!(found(&connection, path), Err(StoreError::NotOurs(path.to_owned())));
        connection.pragma_update(None, "user_version", VERSION + 1).unwrap();
        assert_eq!(found(&connection, path), Err(StoreError::NotOurs(path.to_owned())));
        connection.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        let newer = StoreError::Newer { path: path.to_owned(), found: VERSION + 1, known: VERSION };
        assert_eq!(found(&connection, path), Err(newer));
    }
}
