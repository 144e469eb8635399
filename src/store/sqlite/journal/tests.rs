use super::*;
use crate::store::sqlite::layout;

fn tables() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    layout::migrate(&mut connection, 0).unwrap();
    connection
}

fn note(id: i64) -> Entry {
    Entry::of(Statement::NoteIntent, &[&id, &"team-a", &"image", &id]).unwrap()
}

fn accept(id: i64) -> Entry {
    let same = [0xA5_u8; 32];
    Entry::of(Statement::Accept, &[&id, &id, &same, &None::<Vec<u8>>, &id])
        .and_then(|entry| entry.and(Statement::ForgetIntent, &[&id]))
        .unwrap()
}

fn budgets(value: &str) -> Entry {
    Entry::of(Statement::KeepBudgets, &[&value]).unwrap()
}

fn count(connection: &Connection, table: &str) -> i64 {
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

fn joined(entries: &[Entry]) -> Vec<u8> {
    entries.iter().flat_map(Entry::bytes).copied().collect()
}

fn append_all(connection: &Connection, entries: &[Entry]) {
    append(connection, &joined(entries)).unwrap();
}

#[test]
fn a_row_is_folded_in_its_order_and_leaves_the_journal() {
    let mut connection = tables();
    append_all(&connection, &[note(1), note(2), accept(1)]);
    append_all(&connection, &[accept(2), note(3)]);
    assert!(!is_empty(&connection).unwrap());
    fold(&mut connection).unwrap();
    assert!(is_empty(&connection).unwrap());
    assert_eq!((count(&connection, "captchas"), count(&connection, "intents")), (2, 1));
}

#[test]
fn a_slice_ends_with_the_row_that_exceeds_it() {
    let mut connection = tables();
    let long = "x".repeat(SLICE_BYTES / 2);
    for round in 0..5 {
        append_all(&connection, &[note(round), budgets(&format!("{long}{round}"))]);
    }
    let mut intents = Vec::new();
    while fold_slice(&mut connection).unwrap() > 0 {
        intents.push(count(&connection, "intents"));
    }
    assert_eq!(intents, [2, 4, 5]);
    let kept: String = connection
        .query_row("SELECT value FROM kept_values WHERE name = 'budgets'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, format!("{long}4"), "the last budgets stay");
}

/// As the version that brought the journal wrote it: such rows are out there.
const FIRST_ROW: &[u8] = include_bytes!("../../../../tests/suite/contract/journal_row.bin");

#[test]
fn a_row_of_the_first_version_is_read_for_ever() {
    let mut connection = tables();
    append(&connection, FIRST_ROW).unwrap();
    fold(&mut connection).unwrap();
    let found = connection.query_row(
        "SELECT id, client, method, uploaded_at, solved_at, state, answer FROM captchas",
        [],
        |row| {
            let numbers: (i64, i64, i64) = (row.get(0)?, row.get(3)?, row.get(4)?);
            let texts: (String, String, String) = (row.get(1)?, row.get(2)?, row.get(5)?);
            Ok((numbers, texts, row.get::<_, Vec<u8>>(6)?))
        },
    );
    let texts = ("team-a".to_owned(), "image".to_owned(), "solved".to_owned());
    assert_eq!(found, Ok(((9, 6, 8), texts, b"Tx7".to_vec())));
    assert_eq!(count(&connection, "intents"), 0);
}

#[test]
fn a_damaged_row_is_said_to_be_and_changes_nothing() {
    let whole = joined(&[note(1), accept(1)]);
    let unknown_statement = [&[255, 0][..], &whole].concat();
    let cuts = (1..whole.len()).filter(|cut| ![note(1).0.len(), whole.len() - 11].contains(cut));
    let cuts = cuts.map(|cut| whole[..cut].to_vec());
    for damaged in cuts.chain([unknown_statement, vec![1, 1, 9]]) {
        let mut connection = tables();
        append(&connection, &damaged).unwrap();
        let error = fold(&mut connection).unwrap_err().to_string();
        assert!(error.contains("row 1 of the journal is damaged"), "{error}: {damaged:?}");
        assert_eq!((count(&connection, "intents"), count(&connection, "journal")), (0, 1));
    }
}

#[test]
fn a_change_that_contradicts_the_tables_takes_no_other_with_it() {
    let mut connection = tables();
    append_all(&connection, &[note(1), accept(1), note(1), accept(1), note(2), accept(2)]);
    fold(&mut connection).unwrap();
    assert_eq!((count(&connection, "captchas"), count(&connection, "journal")), (2, 0));
}

#[test]
fn statements_have_numbers_of_their_own_and_fit_the_tables() {
    let connection = tables();
    for statement in Statement::ALL {
        assert_eq!(Statement::numbered(statement.number()), Some(*statement));
        connection.prepare(statement.sql()).unwrap();
    }
}
