//! Settings and secrets that change while the gateway runs: all of them or none, and no call is dropped.

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::Path;

use capgate::simulator::DEFAULT_KEY;

use super::https::{certificates, connect, private_ca};
use crate::support::{Setup, TestProgram, client_key, read_reply, wait_until};

/// `[[client]]`s with the keys of these numbers.
fn clients(those: &[(&str, usize)]) -> String {
    let client = |(name, number): &(&str, usize)| {
        format!("[[client]]\nname = \"{name}\"\nkey = \"{}\"\n", client_key(*number))
    };
    those.iter().map(client).collect()
}

/// Tells the gateway to read its settings again, and waits until it has; how that ended.
#[track_caller]
fn reload(program: &TestProgram, outcome: &str) {
    let label = format!("outcome=\"{outcome}\"");
    let reloads = || program.metric("capgate_config_reloads_total", &label);
    let before = reloads();
    program.signal("HUP");
    wait_until(&format!("the reload is {outcome}"), || reloads() > before);
}

fn upload_and_wait(program: &TestProgram, client: usize, text: &str) -> TcpStream {
    let target = format!("/in.php?key={}&textcaptcha={text}", client_key(client));
    let mut stream = TcpStream::connect(program.clients()).unwrap();
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: gateway\r\n\r\n").as_bytes()).unwrap();
    stream
}

#[test]
fn sighup_changes_what_the_file_changes_and_a_fault_changes_nothing() {
    let before = clients(&[("team-a", 1), ("team-b", 2)]);
    let mut program = Setup::new().simulator(&["--solve-times", "fast"]).file(&before).start();
    let id = program.upload_as(2, "before").id();
    // The variable that sets listen.admin goes over the file, so a variable does not need a restart.
    let settings = "[log]\nlevel = \"warn\"\n[store]\nusage_days = 8\n[listen]\nadmin = \"127.0.0.1:1\"\n";
    program.write(&format!("{settings}{}", clients(&[("team-a", 1), ("team-c", 3)])));
    reload(&program, "applied");
    program.upload_as(3, "after").id();
    assert_eq!(program.upload_as(2, "after").text(), "ERROR_KEY_DOES_NOT_EXIST");
    let poll = format!("/res.php?key={}&action=get&id={id}", client_key(2));
    assert_eq!(program.get(&poll).text(), "ERROR_KEY_DOES_NOT_EXIST");

    let faulty =
        format!("[polling]\ninterval = \"1ms\"\n[[client]]\nname = \"team-d\"\n{}", clients(&[("b", 4)]));
    program.write(&faulty);
    reload(&program, "faulty");
    assert!(program.metric("capgate_config_last_reload_successful", "") < 1.0);
    program.upload_as(3, "as+before").id();
    assert_eq!(program.upload_as(4, "not+in+force").text(), "ERROR_KEY_DOES_NOT_EXIST");

    program.write(&before);
    reload(&program, "applied");
    reload(&program, "unchanged");
    assert!(program.metric("capgate_config_last_reload_successful", "") > 0.0);
    assert!(program.answer_as(2, &id).starts_with("OK|"), "what it paid for was kept for it");
    let (_, logged) = program.stop();
    let log = |part: &str| assert!(logged.contains(part), "{part} is not in\n{logged}");
    log("client team-b removed; client team-c added");
    log("setting=store.usage_days");
    log("polling.interval: found \"1ms\"");
    log("client.0.key: missing");
    assert_eq!(
        logged.matches("upload accepted").count(),
        1,
        "nothing less than a warning after the first reload"
    );
    for number in 1..=4 {
        assert!(!logged.contains(&client_key(number)), "{logged}");
    }
}

#[test]
fn a_client_that_is_removed_waits_for_nothing_and_limits_change_for_those_who_wait() {
    let settings = |gap: &str, first_look: &str, queue_max: u32| {
        format!(
            "[budget]\nupload_gap = \"{gap}\"\n[uploads]\nhold = \"1m\"\nqueue_max = {queue_max}\n\
             [polling]\nfirst_look_token = \"50ms\"\nfirst_look = \"{first_look}\"\ninterval = \"50ms\"\n"
        )
    };
    let before = format!("{}{}", settings("1m", "5m", 10), clients(&[("team-a", 1), ("team-b", 2)]));
    let program = Setup::new().simulator(&["--solve-times", "fast"]).without("POLLING").file(&before).start();
    program.upload_as(1, "first").id();
    let (kept, removed) = (upload_and_wait(&program, 1, "kept"), upload_and_wait(&program, 2, "removed"));
    wait_until("both wait", || program.metric("capgate_uploads_waiting", "") >= 2.0);
    program.write(&format!("{}{}", settings("1m", "5m", 20), clients(&[("team-a", 1)])));
    reload(&program, "applied");
    assert_eq!(read_reply(&removed).text(), "ERROR_KEY_DOES_NOT_EXIST");
    wait_until("the other still waits", || {
        let [waiting, limit] =
            ["capgate_uploads_waiting", "capgate_uploads_waiting_limit"].map(|name| program.metric(name, ""));
        (waiting, limit) == (1.0, 20.0)
    });
    program.write(&format!("{}{}", settings("0s", "50ms", 20), clients(&[("team-a", 1)])));
    reload(&program, "applied");
    let id = read_reply(&kept).id();
    assert!(program.answer_as(1, &id).starts_with("OK|"), "its first look comes by the new setting");
}

#[test]
fn a_key_file_that_changes_is_read_by_itself() {
    let setup = Setup::new().without("UPSTREAM__KEY");
    let at = |name: &str| setup.folder.path().join(name);
    let path = |name: &str| at(name).to_str().unwrap().to_owned();
    fs::write(at("account"), "wrong-upstream-key-0000000000000\n").unwrap();
    // As clusters mount secrets: a link to a link, of which one is put elsewhere.
    for (version, number) in [("..first", 1), ("..second", 2)] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("team-a"), client_key(number)).unwrap();
    }
    symlink("..first", at("..data")).unwrap();
    symlink("..data/team-a", at("team-a")).unwrap();
    let file = format!(
        "[upstream]\nkey_file = \"{}\"\n[[client]]\nname = \"team-a\"\nkey_file = \"{}\"\n",
        path("account"),
        path("team-a")
    );
    let links = at("..data");
    let (new, account) = (at("..new"), at("account"));
    let mut program = setup.file(&file).start();
    assert_eq!(program.upload_as(1, "first").text(), "ERROR_NO_SLOT_AVAILABLE");
    wait_until("the account's key is refused", || program.get_admin("/readyz").status == 503);
    fs::write(account, DEFAULT_KEY).unwrap();
    wait_until("the key is another one", || program.get_admin("/readyz").status == 200);
    program.upload_as(1, "second").id();

    symlink("..second", &new).unwrap();
    fs::rename(new, links).unwrap();
    wait_until("the client has another key", || {
        let refused = program.upload_as(1, "third");
        refused.text() == "ERROR_KEY_DOES_NOT_EXIST"
    });
    program.upload_as(2, "fourth").id();
    let (_, logged) = program.stop();
    assert!(logged.contains("upstream.key") && logged.contains("client team-a: key"), "{logged}");
}

#[test]
fn a_new_certificate_is_shown_to_new_connections_and_no_connection_is_dropped() {
    let setup = Setup::new();
    let folder = setup.folder.path().to_owned();
    certificates(&folder);
    let old_ca = private_ca(&folder);
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let program = setup
        .set("LISTEN__TLS", "127.0.0.1:0")
        .set("LISTEN__TLS_CERT", path("server.pem"))
        .set("LISTEN__TLS_KEY", path("server.key"))
        .start();
    let call = |stream: &mut dyn Write| stream.write_all(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let mut old = connect(program.tls(), "localhost", old_ca.clone());
    call(&mut old).unwrap();
    read_reply(&mut old);

    let other = tempfile::tempdir().unwrap();
    certificates(other.path());
    for name in ["server.pem", "server.key"] {
        fs::copy(other.path().join(name), Path::new(&path(name))).unwrap();
    }
    let is_shown = || call(&mut connect(program.tls(), "localhost", private_ca(other.path()))).is_ok();
    wait_until("the new certificate is shown", is_shown);
    assert!(call(&mut connect(program.tls(), "localhost", old_ca.clone())).is_err(), "the old one is not");
    call(&mut old).unwrap();
    assert_eq!(read_reply(&mut old).status, 404, "a connection that stands goes on");

    fs::write(path("server.key"), "-----BEGIN PRIVATE KEY-----\nnone\n-----END PRIVATE KEY-----\n").unwrap();
    reload(&program, "faulty");
    assert!(is_shown(), "a fault changes nothing");
}
