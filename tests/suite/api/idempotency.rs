//! Uploads that come again with the name that their client gave them.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use capgate::protocol::repeat::IDEMPOTENCY_KEY_BYTES_MAX;
use serde_json::json;

use crate::support::{Reply, TestGateway, client_key, expected, read_reply, wait_until};

fn call(client: usize, header: &str, text: &str, more: &str) -> Vec<u8> {
    let key = client_key(client);
    format!(
        "GET /in.php?key={key}&textcaptcha={text}{more} HTTP/1.1\r\nHost: gateway\r\n{header}Connection: close\r\n\r\n"
    )
    .into_bytes()
}

fn named(name: &str) -> String {
    format!("Idempotency-Key: {name}\r\n")
}

fn upload(gateway: &TestGateway, client: usize, name: &str, text: &str) -> Reply {
    gateway.send(&call(client, &named(name), text, ""))
}

fn paid(gateway: &TestGateway) -> u64 {
    gateway.simulator().state().counts.uploads_accepted
}

fn ended(gateway: &TestGateway, outcome: &str) -> u32 {
    let label = format!("outcome=\"{outcome}\"");
    format!("{}", gateway.metric("capgate_uploads_total", &label)).parse().expect("a whole number")
}

#[test]
fn the_same_name_gets_the_same_id_even_after_the_answer_and_is_paid_once() {
    let gateway = TestGateway::builder().clients(2).start();
    let id = upload(&gateway, 1, "order-7", "two").id();
    assert_eq!(upload(&gateway, 1, "order-7", "two").id(), id);
    let answer = gateway.answer(&format!("action=get&id={id}"));
    assert_eq!(answer.text(), format!("OK|{}", expected(&[("textcaptcha", "two")], 0.0).plain));
    let in_json = gateway.send(&call(1, &named("order-7"), "two", "&json=1"));
    assert_eq!(in_json.id(), id, "the form of the reply is no part of the upload");
    assert_eq!((paid(&gateway), ended(&gateway, "accepted"), ended(&gateway, "again")), (1, 1, 2));
    assert_ne!(upload(&gateway, 1, "order-8", "two").id(), id, "another name");
    assert_ne!(upload(&gateway, 2, "order-7", "two").id(), id, "another client's name");
    assert_ne!(gateway.upload(&[("textcaptcha", "two")]).id(), id, "no name");
    assert_eq!(paid(&gateway), 4);
}

#[test]
fn a_name_that_belongs_to_another_upload_is_refused_and_says_why() {
    let gateway = TestGateway::start();
    let id = upload(&gateway, 1, "order-7", "two").id();
    let other = upload(&gateway, 1, "order-7", "three");
    assert_eq!((other.status, other.text()), (200, "ERROR_BAD_PARAMETERS"));
    let reason = other.header("X-Capgate-Reason").unwrap_or_default();
    assert!(reason.contains("Idempotency-Key") && reason.contains("another upload"), "{reason}");
    assert_eq!(paid(&gateway), 1);
    assert_eq!(upload(&gateway, 1, "order-7", "two").id(), id);
}

#[test]
fn a_name_has_1_to_255_bytes_and_stands_there_once() {
    let gateway = TestGateway::start();
    let longest = "n".repeat(IDEMPOTENCY_KEY_BYTES_MAX);
    let id = upload(&gateway, 1, &longest, "two").id();
    assert_eq!(upload(&gateway, 1, &longest, "two").id(), id);
    let twice = named("one") + &named("two");
    for header in [named(&format!("{longest}n")), named(""), twice] {
        let reply = gateway.send(&call(1, &header, "two", ""));
        assert_eq!(reply.text(), "ERROR_BAD_PARAMETERS");
        assert!(reply.header("X-Capgate-Reason").is_some_and(|reason| reason.contains("Idempotency-Key")));
    }
    assert_eq!(paid(&gateway), 1);
}

#[test]
fn whoever_comes_while_the_first_is_in_flight_shares_its_id() {
    let gateway = TestGateway::builder()
        .scenario(json!({"faults": {"slow@in": 1.0}, "slow_ms": "700-700"}))
        .settings(|config| config.uploads.hold = Duration::from_secs(10))
        .start();
    let begin = || {
        let mut stream = TcpStream::connect(gateway.clients()).unwrap();
        stream.write_all(&call(1, &named("order-7"), "two", "")).unwrap();
        stream
    };
    let first = begin();
    wait_until("the first is in flight", || gateway.simulator().state().counts.in_php_calls == 1);
    let streams: Vec<TcpStream> = (0..20).map(|_| begin()).collect();
    let id = read_reply(&first).id();
    for stream in &streams {
        assert_eq!(read_reply(stream).id(), id);
    }
    // One whose client has gone is no less an upload.
    let gone = TcpStream::connect(gateway.clients()).unwrap();
    (&gone).write_all(&call(1, &named("order-8"), "four", "")).unwrap();
    wait_until("it is in flight", || gateway.simulator().state().counts.in_php_calls == 2);
    drop(gone);
    let id = upload(&gateway, 1, "order-8", "four").id();
    let captchas = gateway.simulator().captchas();
    assert_eq!((captchas.len(), captchas[1].id.to_string()), (2, id));
}

#[test]
fn an_upload_that_got_no_id_is_not_remembered() {
    let gateway = TestGateway::builder()
        .scenario(json!({"balance": "0"}))
        .settings(|config| config.uploads.hold = Duration::from_millis(300))
        .start();
    let wrong = gateway.send(&call(1, &named("order-7"), "two", "&pingback=http://x/"));
    assert_eq!(wrong.text(), "ERROR_BAD_PARAMETERS");
    assert_eq!(upload(&gateway, 1, "order-7", "two").text(), "ERROR_ZERO_BALANCE");
    assert_eq!(upload(&gateway, 1, "order-7", "three").text(), "ERROR_ZERO_BALANCE", "the name is free");
}

#[test]
fn an_upload_whose_reply_was_lost_is_not_remembered_either() {
    let gateway =
        TestGateway::builder().scenario(json!({"faults": {"reset_after@in": "next 1"}})).loses(1).start();
    assert_eq!(gateway.res("action=getbalance").text(), "1000.00000", "the key is confirmed");
    let lost = upload(&gateway, 1, "order-7", "two");
    assert_eq!(lost.text(), "ERROR_NO_SLOT_AVAILABLE");
    let id = upload(&gateway, 1, "order-7", "two").id();
    let captchas = gateway.simulator().captchas();
    assert_eq!((captchas.len(), captchas[1].id.to_string()), (2, id), "nobody knows of the first");
}

#[test]
fn a_client_that_keeps_its_connection_can_name_each_upload() {
    let gateway = TestGateway::start();
    let mut stream = TcpStream::connect(gateway.clients()).unwrap();
    let mut ids = Vec::new();
    for name in ["a", "b", "a"] {
        let call = String::from_utf8(call(1, &named(name), "two", "")).unwrap();
        stream.write_all(call.replace("Connection: close\r\n", "").as_bytes()).unwrap();
        ids.push(read_reply(&stream).id());
    }
    assert!(ids[0] != ids[1] && ids[0] == ids[2], "{ids:?}");
}
