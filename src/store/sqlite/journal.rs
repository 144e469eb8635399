//! The journal: one row for each group of changes, appended and fsynced, and folded into the tables when there is time.
//!
//! A group costs one insert however many changes it holds; what they do to the tables costs many times as much, and
//! nobody waits for it. Folding is not fsynced: a power cut that undoes it leaves the rows of the journal as they were.
//!
//! ```text
//! entry     = edit*                  one change
//! edit      = number count value*    a statement and its parameters
//! value     = 0 | 1 integer | 2 length text | 3 length blob      little-endian, 8 and 4 bytes
//! ```
//! **Invariant.** A row leaves the journal in the transaction that brings its changes into the tables.

use rusqlite::types::{ToSqlOutput, Type, ValueRef};
use rusqlite::{Connection, Error, ErrorCode, ToSql, TransactionBehavior, params_from_iter};

use super::statements::Statement;

/// So much of the journal, and the row that exceeds it, is folded in one transaction: some milliseconds.
pub(super) const SLICE_BYTES: usize = 64 * 1024;

/// An upload's entries are shorter.
const ENTRY_BYTES_EXPECTED: usize = 128;

/// What one change does to the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry(Vec<u8>);

/// A statement of an entry, with its parameters.
#[derive(Debug, PartialEq)]
struct Edit<'row> {
    statement: Statement,
    values: Vec<ValueRef<'row>>,
}

/// A row that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("row {0} of the journal is damaged")]
struct Damaged(i64);

impl Entry {
    pub fn of(statement: Statement, values: &[&dyn ToSql]) -> rusqlite::Result<Self> {
        Self(Vec::with_capacity(ENTRY_BYTES_EXPECTED)).and(statement, values)
    }

    /// Whether the next entry of its kind leaves nothing of what it does.
    pub fn is_replaced_by_the_next(&self) -> bool {
        self.0.first().copied().and_then(Statement::numbered).is_some_and(Statement::is_replaced_by_the_next)
    }

    pub fn and(mut self, statement: Statement, values: &[&dyn ToSql]) -> rusqlite::Result<Self> {
        let count = u8::try_from(values.len()).expect("a statement has few parameters");
        self.0.extend([statement.number(), count]);
        for value in values {
            match value.to_sql()? {
                ToSqlOutput::Borrowed(value) => self.push(value)?,
                ToSqlOutput::Owned(value) => self.push(ValueRef::from(&value))?,
                _ => return Err(unkeepable("a parameter of an unknown kind")),
            }
        }
        Ok(self)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn push(&mut self, value: ValueRef<'_>) -> rusqlite::Result<()> {
        let (tag, bytes) = match value {
            ValueRef::Null => {
                self.0.push(0);
                return Ok(());
            }
            ValueRef::Integer(integer) => {
                self.0.push(1);
                self.0.extend(integer.to_le_bytes());
                return Ok(());
            }
            ValueRef::Text(text) => (2, text),
            ValueRef::Blob(blob) => (3, blob),
            ValueRef::Real(_) => return Err(unkeepable("a fraction, which no column holds")),
        };
        let length = u32::try_from(bytes.len()).map_err(|_| unkeepable("a value of more than 4 GiB"))?;
        self.0.push(tag);
        self.0.extend(length.to_le_bytes());
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

fn unkeepable(what: &str) -> Error {
    Error::ToSqlConversionFailure(what.into())
}

/// Appends a group's entries, one after the other. With the file's settings it is on disk when this returns.
pub(super) fn append(connection: &Connection, entries: &[u8]) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT INTO journal (entries) VALUES (?)")?.execute([entries])?;
    Ok(())
}

/// Whether some changes are not in the tables yet.
pub(super) fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.prepare_cached("SELECT 1 FROM journal")?.exists([]).map(|found| !found)
}

/// Brings all of the journal into the tables.
pub(super) fn fold(connection: &mut Connection) -> rusqlite::Result<()> {
    while fold_slice(connection)? > 0 {}
    Ok(())
}

/// Brings the oldest part of the journal into the tables, in one transaction. Returns its size; 0: nothing was left.
pub(super) fn fold_slice(connection: &mut Connection) -> rusqlite::Result<usize> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let rows = oldest(&transaction)?;
    let Some((last, _)) = rows.last() else { return Ok(0) };
    // First, so that in a file that may not grow the tables get the journal's place.
    transaction.prepare_cached("DELETE FROM journal WHERE sequence <= ?")?.execute([last])?;
    let mut replaced_by_the_next: Option<Edit<'_>> = None;
    for (sequence, entries) in &rows {
        let mut rest = &entries[..];
        while !rest.is_empty() {
            let edit = Edit::read(&mut rest)
                .ok_or_else(|| Error::FromSqlConversionFailure(1, Type::Blob, Damaged(*sequence).into()))?;
            if edit.statement.is_replaced_by_the_next() {
                replaced_by_the_next = Some(edit);
            } else {
                edit.carry_out(&transaction)?;
            }
        }
    }
    if let Some(edit) = replaced_by_the_next {
        edit.carry_out(&transaction)?;
    }
    transaction.commit()?;
    Ok(rows.iter().map(|(_, entries)| entries.len()).sum())
}

/// The rows of the next slice.
fn oldest(connection: &Connection) -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
    let mut statement =
        connection.prepare_cached("SELECT sequence, entries FROM journal ORDER BY sequence")?;
    let mut found = statement.query([])?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while bytes <= SLICE_BYTES
        && let Some(row) = found.next()?
    {
        let entries: Vec<u8> = row.get(1)?;
        bytes += entries.len();
        rows.push((row.get(0)?, entries));
    }
    Ok(rows)
}

impl<'row> Edit<'row> {
    /// The first of `rest`, which then begins after it; none when it is damaged.
    fn read(rest: &mut &'row [u8]) -> Option<Self> {
        let [number, count] = take(rest)?;
        let statement = Statement::numbered(number)?;
        let values = (0..count).map(|_| value(rest)).collect::<Option<_>>()?;
        Some(Self { statement, values })
    }

    fn carry_out(&self, connection: &Connection) -> rusqlite::Result<()> {
        let values = self.values.iter().map(|value| ToSqlOutput::Borrowed(*value));
        let done = connection.prepare_cached(self.statement.sql())?.execute(params_from_iter(values));
        match done {
            // It was looked at before it was kept, so this is a fault of ours; the others are worth more than a halt.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                tracing::error!(%error, statement = ?self.statement, "a change that was kept contradicts the tables");
                Ok(())
            }
            other => other.map(drop),
        }
    }
}

fn value<'row>(rest: &mut &'row [u8]) -> Option<ValueRef<'row>> {
    let [tag] = take(rest)?;
    match tag {
        0 => return Some(ValueRef::Null),
        1 => return Some(ValueRef::Integer(i64::from_le_bytes(take(rest)?))),
        _ => {}
    }
    let length = usize::try_from(u32::from_le_bytes(take(rest)?)).ok()?;
    let (bytes, after) = rest.split_at_checked(length)?;
    *rest = after;
    match tag {
        2 => Some(ValueRef::Text(bytes)),
        3 => Some(ValueRef::Blob(bytes)),
        _ => None,
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests;
