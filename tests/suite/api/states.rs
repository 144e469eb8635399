//! What clients see while the account is in one of the states that make the gateway wait: polls go on, or are told to
//! come again; uploads wait their time. The faults of single calls are in `upstream_faults` and `upload_faults`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use capgate::clock::{Clock, Timestamp};
use capgate::engine::fair_queue::QueueLimit;
use serde_json::{Value, json};

use crate::support::{Recorder, Say, TestGateway, expected, wait_until};

#[test]
fn without_a_slot_or_without_money_polls_go_on_and_uploads_are_told_so() {
    let no_slot = (json!({"faults": {"no_slot@in": 1}}), "ERROR_NO_SLOT_AVAILABLE", "no_slot");
    let no_money = (json!({"balance": "0"}), "ERROR_ZERO_BALANCE", "zero_balance");
    for (state, told, reason) in [no_slot, no_money] {
        let gateway = TestGateway::builder()
            .scenario(json!({"solve_times": "300-300"}))
            .settings(|config| config.uploads.hold = Duration::from_millis(200))
            .start();
        let fields = [("textcaptcha", "bought before")];
        let id = gateway.upload(&fields).id();
        gateway.simulator().change(&state).expect("a switch");
        let upload = || {
            let refused = gateway.upload(&[("textcaptcha", "too late")]);
            assert_eq!((refused.status, refused.text()), (200, told), "{reason}");
            refused
        };
        upload();
        let sent = gateway.simulator().state().counts.in_php_calls;
        for _ in 0..2 {
            assert!(upload().header("X-Capgate-Reason").is_some_and(|why| !why.is_empty()), "{reason}");
        }
        assert_eq!(
            gateway.simulator().state().counts.in_php_calls,
            sent,
            "the probe's time has not come: {reason}"
        );
        assert_eq!(
            gateway.answer(&format!("action=get&id={id}")).text(),
            format!("OK|{}", expected(&fields, 0.0).plain)
        );
        let waits = gateway.get_admin("/readyz").json()["waits"].take();
        assert_eq!(waits[0]["reason"], reason, "{waits}");
        let until = gateway.metric("capgate_wait_until_timestamp_seconds", &format!("reason=\"{reason}\""));
        let longest = Clock::system().now() + Duration::from_mins(1);
        assert!(until > 0.0 && Timestamp(0) + Duration::from_secs_f64(until) <= longest, "{reason}: {until}");
        gateway.simulator().change(&json!({"faults": Value::Null, "balance": "1000"})).expect("a switch");
    }
}

#[test]
fn while_the_key_is_refused_polls_are_told_to_come_again_and_what_was_bought_is_fetched_once_it_is_mended() {
    static REFUSES: AtomicBool = AtomicBool::new(false);
    let upstream = Recorder::start(|call| match call.path() {
        _ if REFUSES.load(Ordering::Acquire) => Say::Text("ERROR_KEY_DOES_NOT_EXIST".into()),
        "/in.php" => Say::Text("OK|51555".into()),
        _ => Say::Text(r#"{"status":1,"request":"the answer"}"#.into()),
    });
    let gateway = TestGateway::builder()
        .upstream(&upstream.url())
        .settings(|config| {
            config.polling.first_look = Duration::from_millis(400);
            config.polling.hold = Duration::ZERO;
            config.uploads.hold = Duration::from_millis(200);
        })
        .start();
    let id = gateway.upload(&[("textcaptcha", "bought before")]).id();
    REFUSES.store(true, Ordering::Release);
    let poll = || gateway.res(&format!("action=get&id={id}")).text().to_owned();
    wait_until("a look that is refused", || {
        assert_eq!(poll(), "CAPCHA_NOT_READY");
        gateway.get_admin("/readyz").status == 503
    });
    let sent = upstream.calls().len();
    for _ in 0..20 {
        assert_eq!(poll(), "CAPCHA_NOT_READY");
    }
    assert_eq!(gateway.upload(&[("textcaptcha", "another")]).text(), "ERROR_NO_SLOT_AVAILABLE");
    assert_eq!(upstream.calls().len(), sent, "nothing is sent until somebody says so");
    REFUSES.store(false, Ordering::Release);
    assert_eq!(gateway.act("/clear-latches").status, 200);
    assert_eq!(gateway.answer(&format!("action=get&id={id}")).text(), "OK|the answer");
}

#[test]
fn as_many_uploads_wait_as_may_and_one_more_is_told_at_once() {
    let hold = Duration::from_secs(4);
    let gateway = TestGateway::builder()
        .clients(5)
        .settings(|config| {
            config.budget.upload_gap = Duration::from_mins(1);
            config.uploads.queue_max = 3;
            config.uploads.hold = hold;
        })
        .start();
    gateway.upload_as(5, &[("textcaptcha", "the only one that goes")]).id();
    std::thread::scope(|scope| {
        let gateway = &gateway;
        let waiting: Vec<_> = [(1, 1.0), (2, 2.0), (3, 3.0)]
            .into_iter()
            .map(|(client, waiting)| {
                let upload = scope.spawn(move || {
                    let (clock, begun) = (Clock::system(), Clock::system().now());
                    let reply = gateway.upload_as(client, &[("textcaptcha", "it waits")]);
                    (reply.text().to_owned(), clock.now().since(begun))
                });
                wait_until("it waits", || gateway.metric("capgate_uploads_waiting", "") >= waiting);
                upload
            })
            .collect();
        let refused = gateway.upload_as(4, &[("textcaptcha", "one more")]);
        assert_eq!(refused.text(), "ERROR_NO_SLOT_AVAILABLE");
        assert_eq!(refused.header("X-Capgate-Reason"), Some(QueueLimit::Items.to_string().as_str()));
        assert!((gateway.metric("capgate_uploads_waiting", "") - 3.0).abs() < f64::EPSILON);
        for upload in waiting {
            let (text, waited) = upload.join().expect("it was answered");
            assert_eq!(text, "ERROR_NO_SLOT_AVAILABLE");
            assert!(waited >= hold, "it was told before its time was over");
        }
    });
    assert_eq!(gateway.simulator().state().counts.in_php_calls, 1);
    let waits = gateway.metric("capgate_upload_wait_seconds_count", "");
    assert!((waits - 4.0).abs() < f64::EPSILON, "also those that waited in vain: {waits}");
}

#[test]
fn the_uploads_that_wait_have_as_many_bytes_as_they_may_and_not_one_more() {
    let (name, text) = ("textcaptcha", "how much is that?");
    let size = (name.len() + text.len()) as u64;
    for (room, full) in [(size, false), (size - 1, true)] {
        let gateway = TestGateway::builder()
            .settings(|config| {
                config.budget.upload_gap = Duration::from_mins(1);
                config.uploads.queue_bytes_max = room;
                config.uploads.hold = Duration::from_millis(300);
            })
            .start();
        assert!(gateway.upload(&[(name, "go")]).text().starts_with("OK|"), "it has its turn at once");
        let refused = gateway.upload(&[(name, text)]);
        assert_eq!(refused.text(), "ERROR_NO_SLOT_AVAILABLE");
        let reason = refused.header("X-Capgate-Reason").unwrap_or_default();
        assert_eq!(reason == QueueLimit::Bytes.to_string(), full, "{room} bytes: {reason}");
    }
}
