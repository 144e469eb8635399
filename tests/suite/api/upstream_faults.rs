//! Whatever the upstream does to a look, a poller sees `CAPCHA_NOT_READY` or the right answer.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Recorder, Say, TestGateway, base64, expected, image, wait_until};

/// Faults of looks, each for a few of them; then the upstream is well again.
const FAULTS: &[&str] = &[
    "html@res",
    "html_500@res",
    "html_502@res",
    "html_521@res",
    "reset_before@res",
    "reset_after@res",
    "garbage@res",
    "empty@res",
    "truncated@res",
    "endless@res",
    "hang@res",
    "slow@res",
    "unknown_code@res",
    "no_slot@res",
    "zero_balance@res",
];
/// Two in a row: a code that nobody understands counts as the captcha's end at the third.
const TIMES: &str = "next 2";

fn impatient() -> TestGateway {
    TestGateway::builder()
        .scenario(json!({"solve_times": "1-1", "slow_ms": "300-400"}))
        .settings(|config| {
            config.polling.hold = Duration::ZERO;
            config.upstream.timeout = Duration::from_millis(200);
        })
        .start()
}

/// Polls without a pause until there is an answer; nothing but "not ready" may come before.
#[track_caller]
fn answer_after_nothing_but_not_ready(gateway: &TestGateway, id: &str, what: &str) -> String {
    let mut answer = String::new();
    wait_until(&format!("an answer after {what}"), || {
        let plain = gateway.res(&format!("action=get&id={id}")).text().to_owned();
        if plain != "CAPCHA_NOT_READY" {
            answer = plain;
            return true;
        }
        let in_json = gateway.res(&format!("action=get&id={id}&json=1")).json();
        let is_not_ready = in_json == json!({"status": 0, "request": "CAPCHA_NOT_READY"});
        assert!(is_not_ready || in_json["status"] == 1, "{what}: {in_json}");
        false
    });
    answer
}

#[test]
fn a_poller_never_sees_the_faults_of_a_look() {
    let gateway = impatient();
    // One good call first: a key that was never confirmed is a reason of its own to wait.
    assert_eq!(gateway.res("action=getbalance").text(), "1000.00000");
    for (number, fault) in FAULTS.iter().enumerate() {
        let body = base64(&image(number, 200));
        let image = vec![("method", "base64"), ("body", body.as_str())];
        let token = vec![("method", "hcaptcha"), ("sitekey", fault), ("pageurl", "http://p")];
        for fields in [image, token] {
            gateway.simulator().change(&json!({"faults": {*fault: TIMES}})).expect("a switch");
            let id = gateway.upload(&fields).id();
            let answer = answer_after_nothing_but_not_ready(&gateway, &id, fault);
            assert_eq!(answer, format!("OK|{}", expected(&fields, 0.0).plain), "{fault}");
            gateway.simulator().change(&json!({"faults": Value::Null})).expect("a switch");
        }
        let name = fault.trim_end_matches("@res");
        let struck = gateway.simulator().state().faults;
        let is_struck = |(kind, count): (&String, &u64)| *count >= 2 && is_same(kind, name);
        assert!(struck.iter().any(is_struck), "{fault}: {struck:?}");
    }
}

/// A code's short name is another word for it.
fn is_same(kind: &str, name: &str) -> bool {
    kind == name || kind.to_ascii_lowercase().contains(name)
}

#[test]
fn many_pollers_are_served_while_every_third_call_goes_wrong() {
    let faults = ["html", "reset_before", "reset_after", "garbage", "empty", "truncated", "short_batch"];
    let switches: serde_json::Map<String, Value> =
        faults.iter().map(|fault| (format!("{fault}@res"), json!(0.08))).collect();
    let gateway = TestGateway::builder().scenario(json!({"solve_times": "200-600"})).start();
    assert_eq!(gateway.res("action=getbalance").text(), "1000.00000");
    gateway.simulator().change(&json!({"faults": switches})).expect("switches");
    let uploads: Vec<(String, String)> = (0..24)
        .map(|number| {
            let body = base64(&image(number, 130));
            (gateway.upload(&[("method", "base64"), ("body", &body)]).id(), body)
        })
        .collect();
    std::thread::scope(|scope| {
        for (id, body) in &uploads {
            let gateway = &gateway;
            scope.spawn(move || {
                let answer = answer_after_nothing_but_not_ready(gateway, id, "many faults");
                let fields = [("method", "base64"), ("body", body.as_str())];
                assert_eq!(answer, format!("OK|{}", expected(&fields, 0.0).plain));
            });
        }
    });
    gateway.simulator().change(&json!({"faults": Value::Null})).expect("a switch");
}

#[test]
fn a_batch_with_another_number_of_pieces_assigns_nothing() {
    let upstream = Recorder::start(|call| match call.path() {
        "/in.php" => Say::Text(format!("OK|{}", call.parameter("number"))),
        // Fewer pieces, or more; alone every captcha is answered with its own id.
        _ if call.query().contains("ids=") => {
            let ids = call.parameter("ids");
            let pieces: Vec<String> = ids.split(',').map(|id| format!("wrong-{id}")).collect();
            let is_even = pieces.len().is_multiple_of(2);
            Say::Text(if is_even {
                pieces[1..].join("|")
            } else {
                [pieces.join("|"), "more".into()].join("|")
            })
        }
        _ => Say::Text(format!("OK|answer-{}", call.parameter("id"))),
    });
    let gateway = TestGateway::builder()
        .upstream(&upstream.url())
        // Moments to look at are a tenth of this apart, so that a few captchas share each.
        .settings(|config| config.polling.interval = Duration::from_secs(2))
        .start();
    let body = base64(&image(1, 200));
    let ids: Vec<String> = (0..8_u32)
        .map(|number| {
            let id = (40_000_000_000_u64 + u64::from(number)).to_string();
            gateway.upload(&[("method", "base64"), ("body", &body), ("number", &id)]).id()
        })
        .collect();
    for id in ids {
        let answer = gateway.answer(&format!("action=get&id={id}"));
        assert_eq!(answer.text(), format!("OK|answer-{id}"));
    }
    assert!(upstream.calls().iter().any(|call| call.query().contains("ids=")));
}

#[test]
fn an_upstream_that_is_gone_for_a_while_costs_no_captcha() {
    let gateway = impatient();
    let fields = [("textcaptcha", "still there")];
    let id = gateway.upload(&fields).id();
    gateway.simulator().change(&json!({"faults": {"html_502": 1}})).expect("a switch");
    for query in ["action=get&id=", "action=get2&id="] {
        let reply = gateway.res(&format!("{query}{id}"));
        assert!(["CAPCHA_NOT_READY", "OK|"].iter().any(|start| reply.text().starts_with(start)));
    }
    gateway.simulator().change(&json!({"faults": Value::Null})).expect("a switch");
    let answer = gateway.answer(&format!("action=get&id={id}"));
    assert_eq!(answer.text(), format!("OK|{}", expected(&fields, 0.0).plain));
}

/// The blocks of protocol.md 5, brought about by somebody else who uses the key.
const BLOCKS: &[&str] = &[
    "ERROR: 1001",
    "ERROR: 1002",
    "ERROR: 1003",
    "ERROR: 1004",
    "ERROR: 1005",
    "MAX_USER_TURN",
    "IP_BANNED",
];

#[test]
fn during_a_block_pollers_wait_and_not_one_call_is_sent() {
    for block in BLOCKS {
        let gateway = TestGateway::builder()
            // It is paid for and cannot be asked for before this test is over.
            .loses(1)
            .scenario(json!({"solve_times": "1-1"}))
            .settings(|config| {
                config.polling.hold = Duration::ZERO;
                config.uploads.hold = Duration::from_millis(200);
                config.upstream.timeout = Duration::from_secs(2);
            })
            .start();
        let switch = format!("{block}@res");
        gateway.simulator().change(&json!({"faults": {switch: "next 1"}})).expect("a switch");
        let id = gateway.upload(&[("textcaptcha", "wait for it")]).id();
        wait_until("the block", || {
            assert_eq!(gateway.res(&format!("action=get&id={id}")).text(), "CAPCHA_NOT_READY", "{block}");
            gateway.simulator().state().blocks_forced == 1
        });
        let sent = gateway.simulator().state().counts.r;
        let upload = gateway.upload(&[("textcaptcha", "another")]);
        assert_eq!((upload.status, upload.text()), (200, "ERROR_NO_SLOT_AVAILABLE"), "{block}");
        let reason = upload.header("X-Capgate-Reason").unwrap_or_default();
        assert!(reason.contains(block), "{block}: {reason}");
        assert_eq!(gateway.res(&format!("action=get&id={id}")).text(), "CAPCHA_NOT_READY", "{block}");
        assert_eq!(gateway.res(&format!("action=get&ids={id}")).text(), "CAPCHA_NOT_READY", "{block}");
        assert!(gateway.res("action=getbalance").text().starts_with("ERROR_"), "{block}");
        assert!(gateway.res(&format!("action=reportbad&id={id}")).text().contains("REPORT_NOT_RECORDED"));
        let counts = gateway.simulator().state().counts;
        assert_eq!((counts.r, counts.calls_while_blocked), (sent, 0), "{block}");
    }
}
