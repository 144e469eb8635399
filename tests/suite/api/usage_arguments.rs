//! What `capgate usage` takes for an answer: how far back, and why there is none.

use std::path::Path;

use capgate::clock::Clock;
use capgate::protocol::answer::{Answer, Solution};
use capgate::protocol::ids::CaptchaId;
use capgate::protocol::methods::Method;
use capgate::store::{Change, Day, Intent, IntentId, SqliteStore, Store};

use super::command_line::{errors, folder, write};
use super::usage::usage;
use crate::support::run;

/// A file with an image answered each of so many days ago.
async fn images_answered(file: &Path, days_ago: &[u32]) -> Vec<Day> {
    let store = SqliteStore::open(file).expect("a new file");
    let mut days = Vec::new();
    for (id, ago) in (1..).zip(days_ago) {
        let day = Day::of(Clock::system().now()).days_before(*ago);
        let at = day.start();
        let intent = Intent { id: IntentId(id), client: "team-a".into(), method: Method::Image, at };
        let solution = Solution { answer: Answer::Text("x".into()), price: Some("0.001".into()) };
        for change in [
            Change::Submitting(intent),
            Change::Accepted { intent: IntentId(id), id: CaptchaId(id), at, repeat: None },
            Change::Solved { id: CaptchaId(id), solution, at },
        ] {
            store.commit(change).await.expect("it is kept");
        }
        days.push(day);
    }
    days
}

#[tokio::test]
async fn since_takes_whole_days() {
    let folder = folder();
    let folder = folder.path();
    write(folder, "capgate.toml", "store.url = \"sqlite:capgate.db\"\n");
    let days = images_answered(&folder.join("capgate.db"), &[60, 3]).await;
    let of = |since: &str| -> Vec<String> {
        let csv = usage(folder, &["--by", "day", "--format", "csv", "--since", since]);
        csv.lines().skip(1).map(|line| line.split(',').next().unwrap_or_default().to_owned()).collect()
    };
    let names: Vec<String> = days.iter().map(ToString::to_string).collect();
    assert_eq!(of("7d"), names[1..]);
    assert_eq!(of("1000h"), names[1..]);
    assert_eq!(of("90d"), names);
    assert_eq!(of("4294967295d"), names);
    assert_eq!(of("24h"), Vec::<String>::new());
    assert_eq!(of("30m"), Vec::<String>::new());
    assert!(usage(folder, &["--since", "30m"]).contains("No captchas."));
}

#[test]
fn what_cannot_be_reported_is_one_clear_line_and_makes_no_file() {
    let folder = folder();
    let folder = folder.path();
    write(folder, "capgate.toml", "store.url = \"sqlite:none.db\"\n");
    let fault = |arguments: &[&str], env: &[(&str, &str)]| {
        let output = run(folder, &[&["usage", "--config", "capgate.toml"], arguments].concat(), env);
        let lines = errors(&output);
        assert!(output.stdout.is_empty() && lines.len() == 1, "{lines:?}");
        lines[0].clone()
    };
    let missing = fault(&[], &[]);
    assert!(missing.contains("none.db") && missing.contains("no such file"), "{missing}");
    let names: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["capgate.toml"], "nothing was made");

    let memory = fault(&[], &[("CAPGATE_STORE__URL", "memory:")]);
    assert!(memory.contains("store.url") && memory.contains("memory"), "{memory}");
    for wrong in ["7", "0d", "a week", "1.5h", "", "99999999999d"] {
        let line = fault(&[&format!("--since={wrong}")], &[]);
        assert!(line.contains("--since") && line.contains("7d"), "{line}");
    }
    let price = fault(&[], &[("CAPGATE_PRICES__HCAPTCHA", "-1")]);
    assert!(price.contains("prices.hcaptcha") && price.contains("from 0 to 10000"), "{price}");
    write(
        folder,
        "none.db",
        "Dear colleague, this is no database, although it is about as long as one ought to be.",
    );
    let letter = fault(&[], &[]);
    assert!(letter.contains("none.db") && letter.contains("damaged"), "{letter}");
    for wrong in [["--by", "team"], ["--format", "xml"]] {
        let output = run(folder, &[&["usage"][..], &wrong].concat(), &[]);
        assert!(!output.status.success() && output.stdout.is_empty());
        assert!(String::from_utf8_lossy(&output.stderr).contains("possible values"));
    }
}
