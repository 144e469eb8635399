//! The audit trail: what is in it, what never is, and what becomes of it when its file takes no lines.

use std::fs;
use std::path::{Path, PathBuf};

use capgate::audit::LINES_WAITING_MAX;
use capgate::config::Config;
use serde_json::{Value, json};

use crate::support::{ADMIN_TOKEN, Recorder, Say, Setup, TestGateway, client_key, wait_until};

const PAGE: &str = "https://shop.example.com/basket?session=of-somebody";

fn in_folder(folder: &Path) -> impl FnOnce(&mut Config) + use<> {
    let file = folder.join("audit.jsonl");
    move |config| config.audit.file = Some(file)
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("a trail");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// The lines of a trail without their numbers and times, which are as they should be.
fn told(file: &Path) -> Vec<Value> {
    let mut lines = lines(file);
    for (at, line) in lines.iter_mut().enumerate() {
        let line = line.as_object_mut().expect("an object");
        assert_eq!(line.remove("n"), Some(json!(at + 1)), "no gap");
        let time = line.remove("at").expect("a time");
        assert!(time.as_str().is_some_and(|time| time.ends_with('Z')), "{time}");
    }
    lines
}

#[test]
fn who_did_what_is_written_down_from_the_start_to_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = TestGateway::builder()
        .clients(2)
        .settings(in_folder(folder.path()))
        .settings(|config| config.clients[1].pages = vec!["shop.example.com".parse().expect("a host")])
        .start();
    let fields =
        |page| [("method", "turnstile"), ("sitekey", "k"), ("pageurl", page), ("proxy", "user:secret@h:1")];
    let id = gateway.upload(&fields(PAGE)).id();
    gateway.answer(&format!("action=get&id={id}"));
    let cheap = gateway.upload(&[("textcaptcha", "one and one")]).id();
    let answer = gateway.answer(&format!("action=get2&id={cheap}")).text().to_owned();
    let price = answer.rsplit('|').next().expect("a price");
    gateway.res(&format!("action=reportbad&id={id}"));
    for _ in 0..5 {
        gateway.upload_as(2, &fields("https://evil.example/"));
    }
    gateway.act("/clients/client-1/stop");
    gateway.act("/clients/nobody/stop");
    gateway.act_with("/drain", "");
    gateway.res("action=getbalance");
    gateway.act("/drain");
    drop(gateway);
    let (id, cheap) = (id.parse::<u64>().expect("digits"), cheap.parse::<u64>().expect("digits"));
    let mut told = told(&folder.path().join("audit.jsonl"));
    // What was counted comes before the end, in no order.
    let counted = told.extract_if(.., |line| line["event"] == "refused_again").collect::<Vec<_>>();
    assert_eq!(
        (counted.len(), &counted[0]["client"], &counted[0]["times"]),
        (1, &json!("client-2"), &json!(4))
    );
    let expected = [
        json!({"event": "started", "version": env!("CARGO_PKG_VERSION")}),
        json!({"event": "uploaded", "client": "client-1", "captcha": id, "method": "turnstile", "pages": ["shop.example.com"]}),
        json!({"event": "ended", "client": "client-1", "captcha": id, "method": "turnstile", "outcome": "solved", "cost": {"usd": "0.00299", "estimated": true}}),
        json!({"event": "uploaded", "client": "client-1", "captcha": cheap, "method": "text", "pages": []}),
        json!({"event": "ended", "client": "client-1", "captcha": cheap, "method": "text", "outcome": "solved", "cost": {"usd": price}}),
        json!({"event": "reported", "client": "client-1", "captcha": id, "verdict": "reportbad", "outcome": "recorded"}),
        json!({"event": "refused", "client": "client-2", "rule": "pages", "method": "turnstile", "pages": ["evil.example"]}),
        json!({"event": "operator", "action": "stop", "client": "client-1", "outcome": "done", "from": "127.0.0.1"}),
        json!({"event": "operator", "action": "stop", "outcome": "no_client", "from": "127.0.0.1"}),
        json!({"event": "operator_refused", "reason": "token", "from": "127.0.0.1"}),
        json!({"event": "refused", "client": "client-1", "rule": "stopped"}),
        json!({"event": "operator", "action": "drain", "outcome": "done", "from": "127.0.0.1"}),
        json!({"event": "stopped", "why": "operator"}),
    ];
    for (told, expected) in told.iter().zip(&expected) {
        assert_eq!(told, expected);
    }
    assert_eq!(told.len(), expected.len());
    let text = fs::read_to_string(folder.path().join("audit.jsonl")).expect("a trail");
    for never in ["secret", "basket", "of-somebody", "one and one", &client_key(1), ADMIN_TOKEN, "sitekey"] {
        assert!(!text.contains(never), "{never}");
    }
}

#[test]
fn what_may_have_been_paid_for_is_written_down_and_so_is_a_captcha_that_cost_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = Recorder::start(|call| match call.path() {
        "/in.php" if call.contains("lost") => Say::Close,
        "/in.php" => Say::Text("OK|51555263943".into()),
        _ if call.query().contains("action=getbalance") => Say::Text("1.5".into()),
        _ => Say::Text("ERROR_CAPTCHA_UNSOLVABLE".into()),
    });
    let gateway = TestGateway::builder().upstream(&upstream.url()).settings(in_folder(folder.path())).start();
    // A key that was never answered would have its next call wait.
    gateway.res("action=getbalance");
    gateway.upload(&[("textcaptcha", "lost")]);
    let id = gateway.upload(&[("textcaptcha", "told")]).id();
    gateway.answer(&format!("action=get&id={id}"));
    drop(gateway);
    let told = told(&folder.path().join("audit.jsonl"));
    assert_eq!(told[1], json!({"event": "unknown", "client": "client-1", "method": "text", "pages": []}));
    assert_eq!((&told[3]["outcome"], &told[3]["cost"]), (&json!("failed"), &json!({"usd": "0"})));
}

#[test]
fn reloads_of_the_program_are_written_down_and_a_killed_one_leaves_a_start_without_an_end() {
    let settings = |weight: &str| {
        let file = "[audit]\nfile = \"audit.jsonl\"\nfile_bytes_max = 4096\nfiles_kept = 2\n";
        format!("{file}[[client]]\nname = \"team-a\"\nkey = \"{}\"\nweight = {weight}\n", client_key(1))
    };
    let mut program = Setup::new().file(&settings("1")).start();
    let file = program.folder.path().join("audit.jsonl");
    let reloads = |outcome: &str| lines(&file).iter().filter(|line| line["outcome"] == outcome).count();
    for (weight, outcome) in [("2", "applied"), ("2", "unchanged"), ("none", "faulty")] {
        program.write(&settings(weight));
        program.signal("HUP");
        wait_until("the reload is written down", || reloads(outcome) == 1);
    }
    let applied = lines(&file).into_iter().find(|line| line["outcome"] == "applied").expect("a reload");
    assert_eq!(applied["changed"], json!(["client team-a: weight"]));
    program.write(&settings("2"));
    program.kill();
    program.start_again();
    wait_until("a file is put beside", || {
        program.signal("HUP");
        file.with_extension("jsonl.1").exists()
    });
    program.stop();
    let mut all = lines(&file.with_extension("jsonl.1"));
    all.extend(lines(&file));
    let numbers: Vec<u64> = all.iter().filter_map(|line| line["n"].as_u64()).collect();
    assert!(numbers.windows(2).all(|two| two[0] + 1 == two[1]), "across files and starts: {numbers:?}");
    assert_eq!(all.last().map(|line| &line["event"]), Some(&json!("stopped")));
    assert!(fs::metadata(file.with_extension("jsonl.1")).expect("a file").len() <= 4_096);
}

/// A path whose file takes no byte, until it is healed.
fn full(folder: &Path) -> PathBuf {
    let file = folder.join("audit.jsonl");
    std::os::unix::fs::symlink("/dev/full", &file).expect("a link");
    file
}

#[test]
fn while_the_file_takes_no_lines_so_many_wait_and_one_more_is_lost_and_told() {
    use capgate::audit::{Audit, Event};
    use capgate::clock::Clock;
    use capgate::metrics::Metrics;
    use std::sync::Arc;

    let folder = tempfile::tempdir().expect("a folder");
    let file = full(folder.path());
    let metrics = Arc::new(Metrics::default());
    let is = |line: &str| metrics.text().expect("it can be written").contains(line);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _clocks_need_one = runtime.enter();
    let mut config = Config::default();
    in_folder(folder.path())(&mut config);
    let audit = Audit::start(&config.audit, Clock::system(), Arc::clone(&metrics)).expect("it opens");
    let note = || audit.note(|| Event::Started { version: "1" });
    note();
    wait_until("the file has not taken the first", || is("capgate_audit_up 0"));
    (0..LINES_WAITING_MAX).for_each(|_| note());
    assert!(is("capgate_audit_lines_lost_total 0"), "as many as may wait");
    note();
    assert!(is("capgate_audit_lines_lost_total 1"), "and one more");
    fs::remove_file(&file).expect("a link");
    wait_until("it is written when there is room", || {
        is("capgate_audit_up 1") && is(&format!("capgate_audit_lines_total {}", LINES_WAITING_MAX + 1))
    });
    audit.close(Event::Stopped { why: "signal" });
    let lines = lines(&file);
    let numbers: Vec<u64> = lines.iter().filter_map(|line| line["n"].as_u64()).collect();
    let waited = LINES_WAITING_MAX as u64 + 1;
    let expected: Vec<u64> = (1..=waited).chain([waited + 2, waited + 3]).collect();
    assert_eq!(numbers, expected, "the lost line's number is missing");
    let lost = &lines[LINES_WAITING_MAX + 1];
    assert_eq!((&lost["event"], &lost["lines"]), (&json!("lost"), &json!(1)));
}

#[test]
fn uploads_go_on_while_the_trail_takes_no_lines_and_the_end_does_not_wait_for_it() {
    let setup = Setup::new();
    let file = full(setup.folder.path());
    let mut program = setup.set("AUDIT__FILE", file.to_str().expect("a path")).start();
    wait_until("the file has not taken the first", || program.metric("capgate_audit_up", "") < 0.5);
    let id = program.upload_as(1, "one+and+one").id();
    assert!(program.answer_as(1, &id).starts_with("OK|"));
    let (_, logged) = program.stop();
    assert!(logged.contains("the audit trail's file takes no lines"), "{logged}");
    assert!(logged.contains("the last lines of the audit trail are lost"), "{logged}");
}

#[test]
fn a_trail_that_cannot_be_opened_keeps_the_gateway_from_starting() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = |file: &str| {
        let env = [
            ("CAPGATE_AUDIT__FILE", file),
            ("CAPGATE_LISTEN__CLIENTS", "127.0.0.1:0"),
            ("CAPGATE_LISTEN__ADMIN", "127.0.0.1:0"),
            ("CAPGATE_UPSTREAM__KEY", capgate::simulator::DEFAULT_KEY),
            ("CAPGATE_AUTH__MODE", "open"),
        ];
        let ended = crate::support::run(folder.path(), &["serve"], &env);
        (ended.status.success(), String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    let (is_well, said) = start("no-such-folder/audit.jsonl");
    assert!(!is_well && said.contains("audit.file: "), "{said}");
    let taken = fs::File::create(folder.path().join("taken")).expect("a file");
    taken.try_lock().expect("nobody else has it");
    let (is_well, said) = start("taken");
    assert!(!is_well && said.contains("audit.file: another process writes to it"), "{said}");
}
