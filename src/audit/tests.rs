use serde_json::{Value, json};

use super::*;

fn settings(folder: &tempfile::TempDir) -> config::Audit {
    config::Audit { file: Some(folder.path().join("audit.jsonl")), ..config::Audit::default() }
}

fn start(folder: &tempfile::TempDir) -> Audit {
    let clock = Clock::starting_at(Timestamp(1_480_000_000_123));
    Audit::start(&settings(folder), clock, Arc::default()).unwrap()
}

const STOPPED: Event = Event::Stopped { why: "signal" };

fn started() -> Event {
    Event::Started { version: "1" }
}

fn lines(folder: &tempfile::TempDir) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    assert!(text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn each_line_is_an_object_with_a_number_and_a_time_and_the_end_waits_for_all_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let audit = start(&folder);
    audit.note(started);
    for _ in 0..1_000 {
        audit.note(started);
    }
    audit.close(STOPPED);
    let lines = lines(&folder);
    assert_eq!(
        lines[0],
        json!({"n": 1, "at": "2016-11-24T15:06:40.123Z", "event": "started", "version": "1"})
    );
    let numbers: Vec<u64> = lines.iter().filter_map(|line| line["n"].as_u64()).collect();
    assert_eq!(numbers, (1..=1_002).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_restart_goes_on_with_the_numbers_and_changes_nothing_that_was_written() {
    let folder = tempfile::tempdir().unwrap();
    for run in 1..=3 {
        let before = std::fs::read(folder.path().join("audit.jsonl")).unwrap_or_default();
        let audit = start(&folder);
        audit.note(started);
        audit.close(STOPPED);
        assert!(std::fs::read(folder.path().join("audit.jsonl")).unwrap().starts_with(&before));
        assert_eq!(lines(&folder).last().unwrap()["n"], 2 * run);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_again_and_again_has_one_line_and_the_count() {
    let folder = tempfile::tempdir().unwrap();
    let audit = start(&folder);
    for _ in 0..500 {
        audit.refused("team-a", "pages", || Event::Refused {
            client: "team-a".into(),
            rule: "pages",
            method: Some("turnstile"),
            pages: vec!["evil.example".into()],
        });
    }
    audit.close(STOPPED);
    let lines = lines(&folder);
    let told: Vec<_> = lines.iter().map(|line| (line["event"].as_str().unwrap(), &line["times"])).collect();
    assert_eq!(
        told,
        [("refused", &Value::Null), ("refused_again", &json!(499)), ("stopped", &Value::Null)],
        "the end comes last"
    );
    assert_eq!(lines[1]["since"], "2016-11-24T15:06:40.123Z");
}

#[test]
fn without_a_file_nothing_is_made_or_kept() {
    let audit = Audit::start(&config::Audit::default(), Clock::system(), Arc::default()).unwrap();
    audit.note(|| unreachable!("nobody reads it"));
    audit.refused("a", "pages", || unreachable!("nobody reads it"));
    audit.close(STOPPED);
    assert!(!audit.is_on());
}
