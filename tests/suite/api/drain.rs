//! The end of the program: what clients were promised is kept, whoever tells it to stop and when.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::JoinHandle;

use crate::support::{Setup, TestProgram, client_key, read_reply, wait_until};

/// Sends a call and leaves its reply to a thread.
fn call(program: &TestProgram, target: &str) -> JoinHandle<String> {
    let mut stream = TcpStream::connect(program.clients()).unwrap();
    stream.write_all(format!("GET {target} HTTP/1.1\r\nHost: gateway\r\n\r\n").as_bytes()).unwrap();
    std::thread::spawn(move || read_reply(stream).text().to_owned())
}

fn upload(program: &TestProgram, text: &str) -> JoinHandle<String> {
    call(program, &format!("/in.php?key={}&textcaptcha={text}", client_key(1)))
}

fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

fn in_flight(program: &TestProgram) -> f64 {
    program.metric("capgate_client_connections", "")
}

#[test]
fn sigterm_answers_what_is_held_and_loses_nothing() {
    let mut program = Setup::new()
        // The upstream takes a second for each upload, and the second upload waits a second for its turn.
        .simulator(&["--fault", "slow@in=1", "--slow-ms", "1000-1000", "--solve-times", "1500-1500"])
        .set("BUDGET__UPLOAD_GAP", "1s")
        .set("UPLOADS__HOLD", "10s")
        .set("POLLING__HOLD", "1m")
        .start();
    let first = program.upload_as(1, "first").id();
    let key = client_key(1);
    let held = call(&program, &format!("/res.php?key={key}&action=get&id={first}"));
    let uploads: Vec<_> = ["second", "third"].map(|text| upload(&program, text)).into();
    wait_until("all are under way", || {
        in_flight(&program) >= 3.0 && program.metric("capgate_uploads_waiting", "") >= 1.0
    });
    program.signal("TERM");
    wait_until("load balancers are told", || program.get_admin("/readyz").status == 503);
    assert_eq!(program.get_admin("/readyz").json()["state"], "draining");
    assert_eq!(held.join().unwrap(), "CAPCHA_NOT_READY", "it was to be held for a minute");
    wait_until("nobody new gets in", || is_refused(program.clients()));
    let ids: Vec<_> = uploads.into_iter().map(|upload| upload.join().unwrap()).collect();
    let (is_well, logged) = program.ended();
    assert!(is_well, "{logged}");
    program.start_again();
    for accepted in ids {
        let id = accepted.strip_prefix("OK|").unwrap_or_else(|| panic!("{accepted} for an upload under way"));
        assert!(program.answer_as(1, id).starts_with("OK|"));
    }
    assert!(program.answer_as(1, &first).starts_with("OK|"));
}

#[test]
fn sigterm_releases_every_held_poll_at_once() {
    let mut program = Setup::new().simulator(&["--solve-times", "600000-600000"]).start();
    let (id, key) = (program.upload_as(1, "held").id(), client_key(1));
    let held: Vec<_> = (0..60)
        .map(|number| {
            let which = if number % 3 == 0 { "ids" } else { "id" };
            call(&program, &format!("/res.php?key={key}&action=get&{which}={id}&wait=300"))
        })
        .collect();
    wait_until("all are held", || program.metric("capgate_polls_held", "") >= 60.0);
    program.signal("TERM");
    for poll in held {
        assert_eq!(poll.join().unwrap(), "CAPCHA_NOT_READY", "it was to be held for five minutes");
    }
    let (is_well, logged) = program.ended();
    assert!(is_well, "{logged}");
}

#[test]
fn an_upload_that_cannot_end_in_time_is_told_so_and_is_never_forgotten() {
    let mut program = Setup::new()
        .simulator(&["--fault", "hang@in=1"])
        .set("LISTEN__DRAIN", "1500ms")
        .set("BUDGET__UPLOAD_GAP", "30s")
        .set("UPLOADS__HOLD", "1m")
        .start();
    let never_answered = upload(&program, "first");
    wait_until("it is on its way", || program.metric("capgate_upload_wait_seconds_count", "") >= 1.0);
    let waiting = upload(&program, "second");
    wait_until("it waits", || program.metric("capgate_uploads_waiting", "") >= 1.0);
    program.signal("TERM");
    assert_eq!(waiting.join().unwrap(), "ERROR_NO_SLOT_AVAILABLE");
    let (is_well, logged) = program.ended();
    assert!(is_well && logged.contains("did not end in time"), "{logged}");
    assert_eq!(
        never_answered.join().unwrap(),
        "ERROR_NO_SLOT_AVAILABLE",
        "as for every reply that never came"
    );
    program.start_again();
    let (_, logged) = program.stop();
    assert!(logged.contains("unknown=1"), "the next start knows that it may have been paid for:\n{logged}");
}

#[test]
fn a_second_sigterm_ends_at_once() {
    let mut program = Setup::new().simulator(&["--fault", "hang@in=1"]).set("LISTEN__DRAIN", "10m").start();
    let _cut_off = upload(&program, "first");
    wait_until("it is under way", || in_flight(&program) >= 1.0);
    program.signal("TERM");
    wait_until("it is stopping", || is_refused(program.clients()));
    program.signal("TERM");
    let (is_well, logged) = program.ended();
    assert!(!is_well && logged.contains("a second time"), "{logged}");
}

#[test]
fn new_connections_are_taken_for_as_long_as_load_balancers_need() {
    let mut program = Setup::new().set("LISTEN__DRAIN", "10m").set("LISTEN__DRAIN_DELAY", "1m").start();
    program.signal("TERM");
    wait_until("load balancers are told", || program.get_admin("/readyz").status == 503);
    let reply = program.get(&format!("/res.php?key={}&action=getbalance", client_key(1)));
    assert!(reply.text().parse::<f64>().is_ok(), "{}", reply.text());
    let mut kept = TcpStream::connect(program.clients()).unwrap();
    kept.write_all(b"GET /nothing HTTP/1.1\r\nHost: gateway\r\n\r\n").unwrap();
    assert_eq!(read_reply(&kept).header("connection"), Some("close"), "the next call finds another gateway");
    program.signal("TERM");
    program.ended();
}
