//! An upload is sent again only when it was certainly not received; nothing is paid for twice.

use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Recorder, Say, TestGateway, expected, wait_until};

/// What can happen to an upload's reply, and whether the upstream then has taken (and charged) it.
const FAULTS: &[(&str, bool)] = &[
    ("html", false),
    ("html_500", false),
    ("html_502", false),
    ("html_521", false),
    ("reset_before", false),
    ("endless", false),
    ("reset_after", true),
    ("garbage", true),
    ("empty", true),
    ("truncated", true),
    ("hang", true),
];

#[test]
fn an_upload_whose_reply_was_lost_is_never_sent_again() {
    let taken = FAULTS.iter().filter(|(_, is_taken)| *is_taken).count();
    let gateway = TestGateway::builder()
        .loses(taken)
        .scenario(json!({"solve_times": "1-1"}))
        .settings(|config| config.upstream.timeout = Duration::from_millis(250))
        .start();
    assert_eq!(gateway.res("action=getbalance").text(), "1000.00000", "the key is confirmed");
    for (number, (fault, _)) in FAULTS.iter().enumerate() {
        let switch = format!("{fault}@in");
        gateway.simulator().change(&json!({"faults": {switch: "next 1"}})).expect("a switch");
        let reply = gateway.upload(&[("textcaptcha", fault)]);
        assert_eq!((reply.status, reply.text()), (200, "ERROR_NO_SLOT_AVAILABLE"), "{fault}");
        let reason = reply.header("X-Capgate-Reason").unwrap_or_default();
        assert!(reason.contains("not sent again"), "{fault}: {reason}");
        let state = gateway.simulator().state();
        assert_eq!(state.faults.get(*fault), Some(&1), "{fault}");
        assert_eq!(state.counts.in_php_calls, u64::try_from(number + 1).expect("few"), "{fault}");
        gateway.simulator().change(&json!({"faults": Value::Null})).expect("a switch");
    }
    let unknown = gateway.metric("capgate_uploads_total", "outcome=\"unknown\"");
    let all = f64::from(u32::try_from(FAULTS.len()).expect("few"));
    assert!((unknown - all).abs() < f64::EPSILON, "{unknown}");
    let fields = [("textcaptcha", "and then all is well")];
    let id = gateway.upload(&fields).id();
    assert_eq!(
        gateway.answer(&format!("action=get&id={id}")).text(),
        format!("OK|{}", expected(&fields, 0.0).plain)
    );
}

/// An address at which nobody listens now.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it listens")
}

#[test]
fn an_upload_that_nobody_received_is_sent_once_the_upstream_is_there() {
    let address = free_address();
    let gateway = TestGateway::fronting(&format!("http://{address}"));
    std::thread::scope(|scope| {
        let upload = scope.spawn(|| gateway.upload(&[("textcaptcha", "two and two")]));
        wait_until("a refused connection", || {
            gateway.metric("capgate_upstream_calls_total", "call=\"submit\",outcome=\"not_sent\"") > 0.0
        });
        let upstream = Recorder::start_on(address, |call| match call.path() {
            "/in.php" => Say::Text("OK|51555263943".into()),
            _ => Say::Text("CAPCHA_NOT_READY".into()),
        });
        let reply = upload.join().expect("it was answered");
        assert_eq!(reply.text(), "OK|51555263943");
        assert_eq!(upstream.uploads().len(), 1);
    });
}

#[test]
fn an_upload_that_nobody_receives_in_time_is_told_that_there_is_no_slot() {
    let gateway = TestGateway::builder()
        .upstream(&format!("http://{}", free_address()))
        .settings(|config| config.uploads.hold = Duration::from_millis(200))
        .start();
    let reply = gateway.upload(&[("textcaptcha", "two and two")]);
    assert_eq!((reply.status, reply.text()), (200, "ERROR_NO_SLOT_AVAILABLE"));
    assert!(
        gateway.metric("capgate_uploads_total", "outcome=\"unknown\"") < 1.0,
        "it is known not to be taken"
    );
}

#[test]
fn an_upload_on_a_connection_whose_tls_handshake_is_never_answered_is_known_not_to_be_sent() {
    // The kernel takes connections; nobody ever says a word on them.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("https://{}", silent.local_addr().expect("it listens"));
    let gateway = TestGateway::builder()
        .upstream(&url)
        .settings(|config| {
            config.upstream.timeout = Duration::from_secs(1);
            config.uploads.hold = Duration::from_millis(100);
        })
        .start();
    let reply = gateway.upload(&[("textcaptcha", "two and two")]);
    assert_eq!((reply.status, reply.text()), (200, "ERROR_NO_SLOT_AVAILABLE"));
    let calls = |outcome: &str| {
        gateway.metric("capgate_upstream_calls_total", &format!("call=\"submit\",outcome=\"{outcome}\""))
    };
    assert!(calls("not_sent") >= 1.0, "the connection's time is over before the call's");
    assert!(calls("lost") < 1.0);
    assert!(gateway.metric("capgate_uploads_total", "outcome=\"unknown\"") < 1.0);
    drop(silent);
}

#[test]
fn a_connection_that_the_upstream_has_closed_meanwhile_costs_no_upload() {
    let ids = AtomicUsize::new(1);
    let upstream = Recorder::start(move |call| match call.path() {
        "/in.php" => Say::TextAndClose(format!("OK|{}", ids.fetch_add(1, Ordering::Relaxed))),
        _ => Say::Text("CAPCHA_NOT_READY".into()),
    });
    let gateway = TestGateway::fronting(&upstream.url());
    for number in 1..=10 {
        assert_eq!(gateway.upload(&[("textcaptcha", "two and two")]).text(), format!("OK|{number}"));
    }
    assert_eq!(upstream.uploads().len(), 10);
}

fn a_reply_cut_by(cut: fn(String) -> Say) {
    // Half of this would be another captcha's id.
    let upstream = Recorder::start(move |call| match call.path() {
        "/in.php" => cut("OK|5155526394351555263943".into()),
        _ => Say::Text("12.5".into()),
    });
    let gateway = TestGateway::fronting(&upstream.url());
    assert_eq!(gateway.res("action=getbalance").text(), "12.5");
    assert_eq!(gateway.upload(&[("textcaptcha", "two and two")]).text(), "ERROR_NO_SLOT_AVAILABLE");
    assert_eq!(upstream.uploads().len(), 1);
}

#[test]
fn a_reply_that_breaks_off_is_a_lost_one() {
    a_reply_cut_by(Say::HalfOf);
}

#[test]
fn a_reply_that_breaks_off_between_chunks_is_a_lost_one() {
    a_reply_cut_by(Say::HalfOfChunks);
}

#[test]
fn a_reply_of_no_announced_length_ends_with_its_connection() {
    let upstream = Recorder::start(|call| match call.path() {
        "/in.php" => Say::UntilClosed("OK|51555".into()),
        _ => Say::Text("CAPCHA_NOT_READY".into()),
    });
    let gateway = TestGateway::fronting(&upstream.url());
    assert_eq!(gateway.upload(&[("textcaptcha", "two and two")]).text(), "OK|51555");
}

#[test]
fn the_first_upload_of_all_is_not_sent_again_either() {
    let upstream = Recorder::start(|call| match call.path() {
        "/in.php" => Say::Close,
        _ => Say::Text("12.5".into()),
    });
    let gateway = TestGateway::builder()
        .upstream(&upstream.url())
        .settings(|config| config.uploads.hold = Duration::from_millis(500))
        .start();
    assert_eq!(gateway.upload(&[("textcaptcha", "two and two")]).text(), "ERROR_NO_SLOT_AVAILABLE");
    assert_eq!(upstream.uploads().len(), 1);
}

#[test]
fn an_upload_whose_client_hung_up_is_paid_once_and_still_looked_for() {
    use std::io::Write;
    use std::net::TcpStream;
    let gateway = TestGateway::start();
    let key = crate::support::client_key(1);
    let call = format!("GET /in.php?key={key}&textcaptcha=gone HTTP/1.1\r\nHost: gateway\r\n\r\n");
    let mut stream = TcpStream::connect(gateway.clients()).expect("it listens");
    stream.write_all(call.as_bytes()).expect("it listens");
    wait_until("the upload is on its way", || gateway.simulator().state().counts.uploads_accepted > 0);
    drop(stream);
    wait_until("its answer was fetched", || gateway.simulator().state().captchas.told == 1);
}
