//! The file is not as it was left, or cannot be opened: one line says so, with the file and what to do; what is whole is
//! served.

use std::fs;
use std::path::{Path, PathBuf};

use super::{answer_to, assert_never_blocked};
use crate::support::{Setup, TestProgram};

/// A page of the file, bytes.
const PAGE: usize = 4_096;

fn file(program: &TestProgram, name: &str) -> PathBuf {
    program.folder.path().join(name)
}

/// Uploads questions and waits for the answers; with the ids.
fn questions(program: &TestProgram, first: usize, count: usize) -> Vec<(String, String)> {
    let texts: Vec<String> = (first..first + count).map(|number| format!("question-{number}")).collect();
    let told: Vec<_> =
        texts.into_iter().map(|text| (text.clone(), program.upload_as(1, &text).id())).collect();
    for (text, id) in &told {
        assert_eq!(program.answer_as(1, id), answer_to(text));
    }
    told
}

/// Damage to a page that is not in use means nothing.
fn first_page_of_captchas(path: &Path) -> usize {
    let file = rusqlite::Connection::open(path).unwrap();
    let page = "SELECT rootpage FROM sqlite_schema WHERE name = 'captchas'";
    usize::try_from(file.query_row(page, [], |row| row.get::<_, u32>(0)).unwrap()).unwrap()
}

fn setup() -> Setup {
    Setup::new().simulator(&["--solve-times", "fast"]).set("BUDGET__UPLOAD_GAP", "0s")
}

#[test]
fn a_log_that_was_cut_or_garbled_gives_what_is_whole_and_never_a_wrong_answer() {
    let mut program = setup().start();
    let told = questions(&program, 0, 12);
    program.kill();
    let database = fs::read(file(&program, "capgate.db")).unwrap();
    let log = fs::read(file(&program, "capgate.db-wal")).unwrap();
    assert!(log.len() > 100_000, "{} bytes", log.len());
    let mut garbled = log.clone();
    let early = log.len() / 8;
    garbled[early..early + 64].fill(0xA5);
    let cuts = [0, 1, 3, 4].map(|quarters| log[..log.len() * quarters / 4].to_vec());
    let mut known = Vec::new();
    for log in cuts.into_iter().chain([garbled]) {
        fs::write(file(&program, "capgate.db"), &database).unwrap();
        fs::write(file(&program, "capgate.db-wal"), log).unwrap();
        fs::remove_file(file(&program, "capgate.db-shm")).ok();
        program.start_again();
        let answers: Vec<String> = told.iter().map(|(_, id)| program.answer_as(1, id)).collect();
        let is_right = |((text, _), answer): &(&(String, String), &String)| **answer == answer_to(text);
        let right = told.iter().zip(&answers).filter(is_right).count();
        let lost = answers.iter().filter(|answer| *answer == "ERROR_WRONG_CAPTCHA_ID").count();
        assert_eq!(right + lost, told.len(), "{answers:?}");
        known.push(right);
        questions(&program, 100 * known.len(), 1);
        program.kill();
    }
    let (garbled, cuts) = known.split_last().unwrap();
    assert!(cuts.is_sorted(), "{known:?}");
    assert_eq!((cuts[0], cuts.last()), (0, Some(&told.len())), "nothing of the log, and all of it");
    assert!(*garbled <= cuts[1], "nothing after the damage counts: {known:?}");
    assert_never_blocked(&program);
}

#[test]
fn a_second_gateway_on_one_file_does_not_start_and_the_first_goes_on() {
    let program = setup().start();
    let refused = program.refused_start(&[]);
    assert!(refused.contains("capgate.db: another capgate has it open; stop that one"), "{refused}");
    questions(&program, 0, 1);
}

#[test]
fn a_file_that_was_made_read_only_is_refused_and_served_again_when_it_is_writable() {
    let mut program = setup().start();
    let told = questions(&program, 0, 2);
    program.kill();
    let path = file(&program, "capgate.db");
    let writable = fs::metadata(&path).unwrap().permissions();
    let mut permissions = writable.clone();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    let refused = program.refused_start(&[]);
    assert!(refused.contains("capgate.db: it is read-only; let this user write it"), "{refused}");
    fs::set_permissions(&path, writable).unwrap();
    program.start_again();
    for (text, id) in told {
        assert_eq!(program.answer_as(1, &id), answer_to(&text));
    }
}

#[test]
fn whatever_else_is_wrong_with_the_file_is_one_line_that_names_it_and_says_what_to_do() {
    let mut program = setup().start();
    questions(&program, 0, 5);
    program.stop();
    let path = file(&program, "capgate.db");
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    let page = first_page_of_captchas(&path);
    damaged[(page - 1) * PAGE..page * PAGE].fill(0xA5);
    let refused_with = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        program.refused_start(&[])
    };
    for (content, parts) in [
        (&damaged[..], ["damaged", "put a backup in its place"]),
        (&whole[..whole.len() / 2], ["damaged", "put a backup in its place"]),
        (
            &b"Dear colleague, this is not a database. ".repeat(200)[..],
            ["damaged", "put a backup in its place"],
        ),
    ] {
        let line = refused_with(content);
        assert!(line.contains("store.url: ") && line.contains("capgate.db: "), "{line}");
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let line = program.refused_start(&[]);
    assert!(line.contains("capgate.db: it cannot be opened: "), "{line}");
    fs::remove_dir(&path).unwrap();

    program.set("STORE__URL", "sqlite:no/such/place.db");
    let line = program.refused_start(&[]);
    assert!(line.contains("no/such/place.db: its directory is missing; make it"), "{line}");
    let others = rusqlite::Connection::open(file(&program, "others.db")).unwrap();
    others.execute_batch("CREATE TABLE theirs (x)").unwrap();
    program.set("STORE__URL", "sqlite:others.db");
    let line = program.refused_start(&[]);
    assert!(line.contains("others.db: it is a database, but not of capgate; name another file"), "{line}");
}
