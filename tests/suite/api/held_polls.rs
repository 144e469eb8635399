//! Held polls over sockets.

use std::io::Write;
use std::net::{Shutdown, TcpStream};

use serde_json::json;

use crate::support::{TestGateway, client_key, expected, read_reply, wait_until};

fn held(gateway: &TestGateway) -> f64 {
    gateway.metric("capgate_polls_held", "")
}

/// Sends a poll that waits, and keeps the connection.
fn wait_for(gateway: &TestGateway, what: &str) -> TcpStream {
    let key = client_key(1);
    let call = format!("GET /res.php?key={key}&action=get&{what} HTTP/1.1\r\nHost: gateway\r\n\r\n");
    let mut stream = TcpStream::connect(gateway.clients()).unwrap();
    stream.write_all(call.as_bytes()).unwrap();
    stream
}

#[test]
fn one_call_with_a_wait_is_enough_for_an_answer() {
    let gateway = TestGateway::builder().scenario(json!({"solve_times": "1000-1000"})).start();
    let upload = [("textcaptcha", "two and two")];
    let id = gateway.upload(&upload).id();
    let answer = expected(&upload, 0.0).plain;
    assert_eq!(gateway.res(&format!("action=get&id={id}&wait=60")).text(), format!("OK|{answer}"));
    let again = gateway.upload(&upload).id();
    let told = gateway.res(&format!("action=get&ids={again}&wait=60&json=1")).json();
    assert_eq!(told["request"], answer);
    let price = gateway.res(&format!("action=get2&id={again}&wait=60&json=1")).json();
    assert!(price["request"] == answer && price["price"].is_string(), "{price}");
}

#[test]
fn a_wait_that_is_none_is_refused_with_the_reason() {
    let gateway = TestGateway::start();
    let id = gateway.upload(&[("textcaptcha", "two and two")]).id();
    for wrong in ["301", "-1", "soon"] {
        let reply = gateway.res(&format!("action=get&id={id}&wait={wrong}&json=1"));
        assert_eq!(reply.json()["request"], "ERROR_BAD_PARAMETERS", "{wrong}");
        let reason = reply.header("X-Capgate-Reason").unwrap_or_default();
        assert!(reason.contains("seconds from 0 to 300"), "{reason}");
    }
}

#[test]
fn a_client_that_closes_its_connection_gives_its_place_back() {
    let gateway = TestGateway::builder()
        .scenario(json!({"solve_times": "60000-60000"}))
        .settings(|config| config.polling.held_max = 2)
        .loses(0)
        .start();
    let id = gateway.upload(&[("textcaptcha", "two and two")]).id();
    let first = wait_for(&gateway, &format!("id={id}&wait=300"));
    let second = wait_for(&gateway, &format!("ids={id}&wait=300"));
    wait_until("both are held", || held(&gateway) >= 2.0);
    assert_eq!(read_reply(wait_for(&gateway, &format!("id={id}&wait=300"))).text(), "CAPCHA_NOT_READY");
    // Half closed, as most libraries leave it, and gone altogether.
    first.shutdown(Shutdown::Write).unwrap();
    drop(second);
    wait_until("their places are free", || held(&gateway) < 1.0);
}
