//! A client sees its own captchas, reports and addresses only; the upstream sees one key.

use capgate::simulator::DEFAULT_KEY;
use serde_json::json;

use crate::support::{Recorder, Say, TestGateway, client_key, expected};

#[test]
fn another_clients_captcha_does_not_exist() {
    let gateway = TestGateway::builder().clients(2).start();
    let fields = [("textcaptcha", "whose is it")];
    let id = gateway.upload_as(1, &fields).id();
    let answer = expected(&fields, 0.0).plain;
    let is_wrong = |when: &str| {
        for action in ["get", "get2", "reportbad", "reportgood"] {
            let reply = gateway.res_as(2, &format!("action={action}&id={id}"));
            assert_eq!(reply.text(), "ERROR_WRONG_CAPTCHA_ID", "{action} {when}");
            let reply = gateway.res_as(2, &format!("action={action}&id={id}&json=1")).json();
            assert_eq!((&reply["status"], &reply["request"]), (&json!(0), &json!("ERROR_WRONG_CAPTCHA_ID")));
            assert!(!reply.to_string().contains(&answer));
        }
        let several = gateway.res_as(2, &format!("action=get&ids={id},{id}"));
        assert_eq!(several.text(), "ERROR_WRONG_CAPTCHA_ID|ERROR_WRONG_CAPTCHA_ID", "{when}");
    };
    is_wrong("while it is open");
    assert_eq!(gateway.answer_as(1, &format!("action=get&id={id}")).text(), format!("OK|{answer}"));
    is_wrong("once it is solved");
    assert_eq!(gateway.simulator().state().counts.reports, 0);
    let own = gateway.upload_as(2, &fields).id();
    gateway.answer_as(2, &format!("action=get&id={own}"));
    let both = gateway.res_as(2, &format!("action=get&ids={own},{id}"));
    assert_eq!(both.text(), format!("{answer}|ERROR_WRONG_CAPTCHA_ID"));
}

#[test]
fn the_upstream_sees_one_key_whoever_calls() {
    let upstream = Recorder::start(|call| match (call.path(), call.parameter("action").as_str()) {
        ("/in.php", _) => {
            let number: u64 = call.parameter("number").parse().expect("a number");
            Say::Text(format!("OK|{}", 60_000_000_000 + number))
        }
        (_, "get" | "get2") if call.query().contains("json=1") => {
            Say::Text(json!({"status": 1, "request": "42", "price": "0.001"}).to_string())
        }
        (_, "getbalance") => Say::Text("12.5".into()),
        (_, "reportbad") => Say::Text("OK_REPORT_RECORDED".into()),
        _ => Say::Text("OK|42".into()),
    });
    let gateway = TestGateway::builder().clients(3).upstream(&upstream.url()).start();
    for client in 1..=3 {
        let number = client.to_string();
        let id = gateway.upload_as(client, &[("textcaptcha", "6 by 7"), ("number", &number)]).id();
        assert_eq!(gateway.answer_as(client, &format!("action=get&id={id}")).text(), "OK|42");
        assert_eq!(gateway.res_as(client, &format!("action=reportbad&id={id}")).text(), "OK_REPORT_RECORDED");
        assert_eq!(gateway.res_as(client, "action=getbalance").text(), "12.5");
        gateway.get(&format!("/load.php?key={}", client_key(client)));
    }
    let calls = upstream.calls();
    assert!(calls.len() >= 10, "uploads, looks, reports, a balance, the load");
    for call in calls {
        if call.path() != "/load.php" {
            assert_eq!(call.parameter("key"), DEFAULT_KEY);
        }
        assert!((1..=3).all(|client| !call.contains(&client_key(client))), "{}", call.head);
    }
}

#[test]
fn an_open_door_takes_any_key_as_one_client() {
    let gateway = TestGateway::builder()
        .clients(0)
        .settings(|config| config.auth.mode = capgate::config::AuthMode::Open)
        .start();
    let id = gateway.upload_as(1, &[("textcaptcha", "anybody")]).id();
    assert!(gateway.answer_as(2, &format!("action=get&id={id}")).text().starts_with("OK|"));
    assert!(gateway.get("/res.php?key=x&action=getbalance").text().starts_with("999."));
}
