//! Clients that give a call up: they lose their place in the queue, and nothing is paid twice for them.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::support::{TestGateway, client_key, wait_until};

/// Sends an upload and keeps the connection.
fn upload_and_wait(gateway: &TestGateway, text: &str) -> TcpStream {
    let key = client_key(1);
    let call = format!("GET /in.php?key={key}&textcaptcha={text} HTTP/1.1\r\nHost: gateway\r\n\r\n");
    let mut stream = TcpStream::connect(gateway.clients()).unwrap();
    stream.write_all(call.as_bytes()).unwrap();
    stream
}

#[test]
fn an_upload_whose_client_closed_the_connection_leaves_the_queue_without_cost() {
    let gateway = TestGateway::builder()
        .settings(|config| {
            config.budget.upload_gap = Duration::from_secs(1);
            config.uploads.hold = Duration::from_secs(10);
        })
        .start();
    gateway.upload(&[("textcaptcha", "the first")]).id();
    let waiting: Vec<_> =
        (0..20).map(|number| upload_and_wait(&gateway, &format!("gone-{number}"))).collect();
    wait_until("they are queued", || gateway.metric("capgate_uploads_waiting", "") >= 19.0);
    let taken = gateway.simulator().state().counts.uploads_accepted;
    drop(waiting);
    gateway.upload(&[("textcaptcha", "the last")]).id();
    let paid = gateway.simulator().state().counts.uploads_accepted;
    assert!(paid <= taken + 2, "{paid} were paid, {taken} before the others hung up");
}

#[test]
fn an_id_that_its_client_did_not_read_goes_to_the_same_upload_again_and_to_no_third() {
    let gateway =
        TestGateway::builder().scenario(json!({"faults": {"slow@in": 1.0}, "slow_ms": "1000-1000"})).start();
    let paid = || gateway.simulator().state().counts.uploads_accepted;
    let stream = upload_and_wait(&gateway, "again");
    wait_until("it is on its way", || gateway.simulator().state().counts.in_php_calls == 1);
    drop(stream);
    // The first is still under way: the same upload waits for it and takes its id.
    let second = gateway.upload(&[("textcaptcha", "again")]).id();
    assert_eq!(paid(), 1);
    let captchas = gateway.simulator().captchas();
    assert_eq!(second, captchas[0].id.to_string());
    let ended = |outcome| gateway.metric("capgate_uploads_total", &format!("outcome=\"{outcome}\""));
    wait_until("one was bought and one came again", || {
        (ended("accepted") - 1.0).abs() < f64::EPSILON && (ended("again") - 1.0).abs() < f64::EPSILON
    });
    let third = gateway.upload(&[("textcaptcha", "again")]).id();
    assert_ne!(second, third, "the second was read, so this is another captcha");
    assert_eq!(paid(), 2);
}
