//! What is promised to receivers across a `kill -9`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::told;
use crate::support::{Recorder, Say, Setup, TestProgram, client_key, expected, urlencoded, wait_until};

/// A gateway as a process, on a file, whose client has registered this machine.
fn program(solve_times: &str) -> TestProgram {
    let program = Setup::new()
        .simulator(&["--solve-times", solve_times])
        .set("PINGBACK__ALLOW", "127.0.0.1")
        .set("PINGBACK__RETRY_AFTER", "50ms")
        .start();
    let query = urlencoded(&[("key", &client_key(1)), ("action", "add_pingback"), ("addr", "127.0.0.1")]);
    assert_eq!(program.get(&format!("/res.php?{query}")).text(), "OK");
    program
}

fn upload(program: &TestProgram, text: &str, target: &str) -> String {
    let fields = urlencoded(&[("key", &client_key(1)), ("textcaptcha", text), ("pingback", target)]);
    program.get(&format!("/in.php?{fields}")).id()
}

#[test]
fn what_was_not_taken_before_a_kill_is_pushed_after_it() {
    let is_well = Arc::new(AtomicBool::new(false));
    let heals = Arc::clone(&is_well);
    let receiver = Recorder::start(move |_| {
        if heals.load(Ordering::Relaxed) { Say::Text("OK".into()) } else { Say::Page(500, "") }
    });
    let mut program = program("fast");
    let id = upload(&program, "killed", &receiver.url());
    wait_until("an attempt has failed", || !receiver.calls().is_empty());
    program.kill();

    is_well.store(true, Ordering::Relaxed);
    let before = receiver.calls().len();
    program.start_again();
    wait_until("it is taken", || program.metric("capgate_pingbacks_total", "outcome=\"delivered\"") > 0.0);
    let pushed = (id, expected(&[("textcaptcha", "killed")], 0.0).plain);
    assert_eq!(told(&receiver)[before..], [pushed]);
    // What was taken is over: nothing is pushed by the next process.
    program.stop();
    program.start_again();
    let last = upload(&program, "the next", &receiver.url());
    wait_until("the next is taken", || told(&receiver).iter().any(|(id, _)| *id == last));
    assert_eq!(receiver.calls().len(), before + 2);
}

#[test]
fn a_captcha_that_was_open_when_the_process_was_killed_is_pushed_when_it_is_solved() {
    let receiver = super::receiver();
    let mut program = program("1500-1500");
    let id = upload(&program, "open", &receiver.url());
    program.kill();
    assert!(receiver.calls().is_empty());
    program.start_again();
    wait_until("the receiver is told", || !receiver.calls().is_empty());
    assert_eq!(told(&receiver), [(id, expected(&[("textcaptcha", "open")], 0.0).plain)]);
}

#[test]
fn a_registered_host_whose_address_may_no_longer_be_called_is_not_called() {
    let receiver = super::receiver();
    let mut program = program("1500-1500");
    upload(&program, "forbidden", &receiver.url());
    program.kill();
    program.set("PINGBACK__ALLOW", "10.0.0.0/8");
    program.start_again();
    wait_until("it is refused twice", || {
        program.metric("capgate_pingback_attempts_total", "outcome=\"forbidden\"") > 1.0
    });
    assert!(receiver.calls().is_empty());
}
