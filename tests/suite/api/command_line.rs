//! The program as its operators start it.

use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use capgate::simulator::Scenario;

use crate::support::{Recorder, Say, TestBinary, client_key, expected, run, send};

const UPSTREAM_KEY: &str = "upstream-key-that-nobody-may-see";

pub(super) fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

pub(super) fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("the folder takes files");
}

pub(super) fn errors(output: &Output) -> Vec<String> {
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stderr.clone()).expect("text");
    text.lines().map(str::to_owned).collect()
}

/// The one line that `capgate serve` ends with.
#[track_caller]
fn one_line(folder: &Path, settings: &str) -> String {
    write(folder, "capgate.toml", settings);
    let lines = errors(&run(folder, &["serve", "--config", "capgate.toml"], &[]));
    assert!(!lines.iter().any(|line| line.contains("panicked")), "{lines:?}");
    // Warnings about the settings may stand before it.
    let faults: Vec<&String> = lines.iter().filter(|line| line.starts_with("capgate: ")).collect();
    assert_eq!(faults.len(), 1, "{lines:?}");
    faults[0].clone()
}

/// Settings that are right, with any free ports.
fn settings(more: &str) -> String {
    let key = client_key(1);
    format!(
        "listen.clients = \"127.0.0.1:0\"\nlisten.admin = \"127.0.0.1:0\"\nupstream.key = \"{UPSTREAM_KEY}\"\n\
         store.url = \"memory:\"\n{more}\n[[client]]\nname = \"team-a\"\nkey = \"{key}\"\n"
    )
}

#[test]
fn check_config_reports_every_fault_with_its_place() {
    let folder = folder();
    let file = "[polling]\ninterval = \"5 parsecs\"\nfirst_lok = \"5s\"\nmax_ids = 0\n\n[upstream]\nurl = \"gopher://x\"\n\n\
                [[client]]\nname = \"a b\"\nkey = \"too-short-and-secret\"\n";
    write(folder.path(), "capgate.toml", file);
    let env = [("CAPGATE_LISTEN__ADMIN", "nowhere"), ("CAPGATE_UPLOADS__HOLD", "90s")];
    let lines = errors(&run(folder.path(), &["check-config", "--config", "capgate.toml"], &env));
    for (place, what) in [
        ("capgate.toml:2:", "polling.interval"),
        ("capgate.toml:3:", "did you mean polling.first_look"),
        ("capgate.toml:4:", "polling.max_ids"),
        ("capgate.toml:7:", "upstream.url"),
        ("capgate.toml:10:", "client.0.name"),
        ("capgate.toml:11:", "client.0.key"),
        ("CAPGATE_LISTEN__ADMIN", "listen.admin"),
        ("CAPGATE_UPLOADS__HOLD", "a time from"),
        ("", "upstream.key: missing"),
    ] {
        assert!(
            lines.iter().any(|line| line.contains(place) && line.contains(what)),
            "{place} {what}: {lines:#?}"
        );
    }
    assert!(!lines.concat().contains("too-short-and-secret"));
}

#[test]
fn check_config_prints_the_settings_in_force_without_secrets() {
    let folder = folder();
    write(folder.path(), "capgate.toml", &settings(""));
    let env = [("CAPGATE_POLLING__HOLD", "1s"), ("CAPGATE_CONFIG", "capgate.toml")];
    let output = run(folder.path(), &["check-config"], &env);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.contains("hold = \"1s\"") && text.contains("name = \"team-a\""), "{text}");
    assert!(text.contains("***") && !text.contains(UPSTREAM_KEY) && !text.contains(&client_key(1)), "{text}");
}

#[test]
fn whatever_keeps_it_from_starting_is_one_clear_line() {
    let folder = folder();
    write(folder.path(), "a.key", "-----BEGIN PRIVATE KEY-----");
    write(folder.path(), "no.pem", "nothing of the kind");
    for (settings, parts) in [
        (
            settings("polling.intervall = \"5s\""),
            &["polling.intervall", "unknown setting", "polling.interval?"][..],
        ),
        (settings("").replace("upstream.key", "#"), &["upstream.key", "missing", "32 symbols"]),
        (
            settings("").replace(&format!("key = \"{UPSTREAM_KEY}"), "key_file = \"no-such-key"),
            &["upstream.key_file", "no-such-key", "No such file"],
        ),
        (settings("upstream.ca_file = \"no-such.pem\""), &["upstream.ca_file", "no-such.pem"]),
        (settings("upstream.ca_file = \"no.pem\""), &["upstream.ca_file", "no.pem", "certificate"]),
        (settings("this is no TOML"), &["capgate.toml:5", "not TOML"]),
        (
            settings("listen.tls = \"127.0.0.1:0\"\nlisten.tls_cert = \"a.pem\"\nlisten.tls_key = \"a.key\""),
            &["listen.tls_cert", "a.pem", "cannot be read"],
        ),
    ] {
        let line = one_line(folder.path(), &settings);
        assert!(parts.iter().all(|part| line.contains(part)), "{parts:?}: {line}");
        assert!(!line.contains(UPSTREAM_KEY), "{line}");
    }
    let no_file = errors(&run(folder.path(), &["serve", "--config", "no-such-file.toml"], &[]));
    assert!(no_file.len() == 1 && no_file[0].contains("no-such-file.toml"), "{no_file:?}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let folder = folder();
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = holder.local_addr().expect("it listens").to_string();
    let line = one_line(folder.path(), &settings("").replacen("127.0.0.1:0", &address, 1));
    assert!(line.contains("listen.clients") && line.contains(&address) && line.contains("in use"), "{line}");
    let simulate = errors(&run(folder.path(), &["simulate", "--listen", &address], &[]));
    assert_eq!(simulate.len(), 1, "{simulate:?}");
}

/// Address that stands in a line after `http://`.
pub(super) fn address_in(line: &str) -> std::net::SocketAddr {
    let (_, rest) = line.split_once("http://").expect("an address");
    let end = rest.find(|symbol: char| !symbol.is_ascii_digit() && symbol != '.' && symbol != ':');
    rest[..end.unwrap_or(rest.len())].parse().expect("an address")
}

pub(super) fn get(address: std::net::SocketAddr, target: &str) -> String {
    let call = format!("GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    send(address, call.as_bytes()).text().to_owned()
}

#[test]
fn new_key_makes_a_client_that_works_and_healthcheck_finds_it_ready() {
    let folder = folder();
    let made = run(folder.path(), &["new-key", "team-b"], &[]);
    assert!(made.status.success());
    let text = String::from_utf8(made.stdout).expect("text");
    let (key, lines) = text.split_once('\n').expect("the key, then the settings");
    assert_eq!(key.len(), 32);
    assert!(!lines.contains(key));

    let simulator = TestBinary::start(
        folder.path(),
        &["simulate", "--listen", "127.0.0.1:0", "--solve-times", "fast"],
        &[],
    );
    let upstream = address_in(&simulator.line_with("simulated upstream on"));
    let key_file = capgate::simulator::DEFAULT_KEY;
    write(folder.path(), "upstream-key", &format!("{key_file}\n"));
    let file = format!(
        "[listen]\nclients = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n\n[upstream]\nurl = \"http://{upstream}\"\n\
         key_file = \"upstream-key\"\n\n[polling]\ninterval = \"100ms\"\nfirst_look = \"100ms\"\n\n\
         [store]\nurl = \"memory:\"\n{lines}"
    );
    write(folder.path(), "capgate.toml", &file);
    let gateway = TestBinary::start(folder.path(), &["serve", "--config", "capgate.toml"], &[]);
    let clients = address_in(&gateway.line_with("for clients"));
    let admin = address_in(&gateway.line_with("for operators"));
    let accepted = get(clients, &format!("/in.php?key={key}&textcaptcha=made+by+new-key"));
    let id = accepted.strip_prefix("OK|").expect("accepted");
    let answer = get(clients, &format!("/res.php?key={key}&action=get&id={id}"));
    assert_eq!(answer, format!("OK|{}", expected(&[("textcaptcha", "made by new-key")], 0.0).plain));

    let admin = format!("http://{admin}");
    let healthy = run(folder.path(), &["healthcheck", "--url", &admin], &[]);
    assert!(healthy.status.success(), "{}", String::from_utf8_lossy(&healthy.stderr));
    gateway.stop();
    simulator.stop();
    let gone = errors(&run(folder.path(), &["healthcheck", "--url", &admin], &[]));
    assert!(gone.len() == 1 && gone[0].contains("not ready"), "{gone:?}");
}

#[test]
fn a_name_that_is_none_gets_no_key() {
    let lines = errors(&run(folder().path(), &["new-key", "team b"], &[]));
    assert!(lines.len() == 1 && lines[0].contains("letters"), "{lines:?}");
}

#[test]
fn certificates_are_not_overwritten_by_accident() {
    let folder = folder();
    let made = run(folder.path(), &["cert", "--host", "gw.example"], &[]);
    assert!(made.status.success());
    let key = std::fs::read(folder.path().join("server.key")).expect("it was made");
    let lines = errors(&run(folder.path(), &["cert", "--host", "gw.example"], &[]));
    assert!(lines.len() == 1 && lines[0].contains("--force"), "{lines:?}");
    assert_eq!(std::fs::read(folder.path().join("server.key")).expect("it is there"), key);
}

#[test]
fn simulate_answers_on_every_page() {
    let simulator = TestBinary::start(
        folder().path(),
        &["simulate", "--listen", "127.0.0.1:0", "--solve-times", "1-1"],
        &[],
    );
    let address = address_in(&simulator.line_with("simulated upstream on"));
    let key = Scenario::default().key.0;
    let accepted = get(address, &format!("/in.php?key={key}&textcaptcha=two+and+two"));
    let id = accepted.strip_prefix("OK|").expect("accepted").to_owned();
    let mut answer = String::new();
    crate::support::wait_until("an answer", || {
        answer = get(address, &format!("/res.php?key={key}&action=get&id={id}"));
        answer != "CAPCHA_NOT_READY"
    });
    assert_eq!(answer, format!("OK|{}", expected(&[("textcaptcha", "two and two")], 0.0).plain));
    assert!(get(address, "/load.php").contains("<load>"));
    assert!(get(address, "/state").contains("\"C\":1"));
    let (said, logged) = simulator.stop();
    assert!(!said.contains(&key) && !logged.contains(&key));
}

#[test]
fn healthcheck_takes_no_status_but_200_for_ready() {
    let folder = folder();
    let server = Recorder::start(|call| match call.path() {
        "/readyz" => Say::Page(503, "not ready"),
        _ => Say::Text("ready".into()),
    });
    let said = errors(&run(folder.path(), &["healthcheck", "--url", &server.url()], &[]));
    assert!(matches!(&said[..], [line] if line.contains("status 503")), "{said:?}");
}
