//! An upstream as an enemy: what it says is bounded, and reaches no client as anything else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use capgate::protocol::reply::ANSWER_BYTES_MAX;
use capgate::simulator::DEFAULT_KEY;

use crate::support::{Recorder, Say, TestGateway, base64};

fn ok(body: &[u8]) -> Vec<u8> {
    with_head(&format!("Content-Length: {}", body.len()), body)
}

fn with_head(head: &str, body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes(), body].concat()
}

/// Replies that say nothing, to whatever they are the reply.
fn nothing_said() -> Vec<(&'static str, Say)> {
    let head = b"HTTP/1.1 200 OK\r\n".to_vec();
    let chunked = |body: &str| Say::Raw(with_head("Transfer-Encoding: chunked", body.as_bytes()));
    let key_in_base64 = format!("OK|{}", base64(DEFAULT_KEY.as_bytes()));
    let escaped = DEFAULT_KEY.replace('0', "\\u0030");
    vec![
        ("a body without end", Say::Endless(with_head("Transfer-Encoding: chunked", b""), b"4\r\nOK|1\r\n".repeat(9_000))),
        ("a body larger than any", Say::Endless(with_head("Content-Length: 99999999999", b"OK|1"), vec![b'1'; 65_536])),
        ("a head without end", Say::Endless(head.clone(), b"X-Bomb: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n".repeat(500))),
        ("a header without end", Say::Endless([&head[..], b"X: "].concat(), vec![b'x'; 65_536])),
        ("a reply that drips", Say::Drip(ok(b"OK|51555263943-and-so-on-and-so-on-and-so-on"))),
        ("a redirect", Say::Raw(format!("HTTP/1.1 302 Found\r\nLocation: /elsewhere?key={DEFAULT_KEY}\r\nContent-Length: 4\r\n\r\nOK|1").into_bytes())),
        ("a permanent redirect", Say::Raw(b"HTTP/1.1 308 Go\r\nLocation: /elsewhere\r\nContent-Length: 4\r\n\r\nOK|1".to_vec())),
        ("a chunk with a false length", chunked("FFFFFFFFFFFFFFFFF\r\nOK|1\r\n0\r\n\r\n")),
        ("a negative chunk", chunked("-4\r\nOK|1\r\n0\r\n\r\n")),
        ("a chunk that is no chunk", chunked("OK|1\r\n")),
        ("less than announced", Say::Raw(with_head("Content-Length: 40", b"OK|1"))),
        ("two lengths", Say::Raw(with_head("Content-Length: 4\r\nContent-Length: 5", b"OK|12"))),
        ("no HTTP", Say::Raw(b"OK|1\r\n\r\n".to_vec())),
        ("TLS", Say::Raw(b"\x15\x03\x01\x00\x02\x02\x28".to_vec())),
        ("a page", Say::Raw(ok(b"<html><body>OK|1</body></html>"))),
        ("bytes", Say::Raw(ok(&(0..=255).collect::<Vec<u8>>()))),
        ("nothing", Say::Raw(ok(b""))),
        ("a packed body", Say::Raw(with_head("Content-Encoding: gzip\r\nContent-Length: 10", b"\x1f\x8b\x08\0\0\0\0\0\0\x03"))),
        ("deep nesting", Say::Raw(ok(format!("{{\"status\":1,\"request\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)).as_bytes()))),
        ("half an object", Say::Raw(ok(b"{\"status\":1,\"request\":"))),
        ("the key", Say::Raw(ok(format!("OK|{DEFAULT_KEY}").as_bytes()))),
        ("the key in base64", Say::Raw(ok(key_in_base64.as_bytes()))),
        ("the key, escaped", Say::Raw(ok(format!("{{\"status\":1,\"request\":\"{escaped}\"}}").as_bytes()))),
        ("an answer that is too long", Say::Raw(ok(format!("OK|{}", "9".repeat(ANSWER_BYTES_MAX + 1)).as_bytes()))),
    ]
}

/// Replies that are no id, though some look like one.
fn no_ids() -> Vec<(&'static str, Say)> {
    let bodies: &[(&str, &str)] = &[
        ("65 digits", "OK|11111111111111111111111111111111111111111111111111111111111111111"),
        ("one above the largest", "OK|18446744073709551616"),
        ("negative", "OK|-5"),
        ("with blanks inside", "OK|5 5"),
        ("two ids", "OK|5|6"),
        ("in hexadecimal", "OK|0x1F"),
        ("a fraction", "OK|1.5"),
        ("empty", "OK|"),
        ("a line more", "OK|5\r\nOK|6"),
        ("a NUL", "OK|5\0"),
        ("an array", r#"{"status":1,"request":[5]}"#),
        ("a power", r#"{"status":1,"request":1e3}"#),
        ("a status of its own", r#"{"status":2,"request":"5"}"#),
    ];
    bodies.iter().map(|(what, body)| (*what, Say::Raw(ok(body.as_bytes())))).collect()
}

#[test]
fn an_upload_with_no_id_in_its_reply_gets_none() {
    for (what, say) in nothing_said().into_iter().chain(no_ids()) {
        let upstream = Recorder::start(move |call| {
            if call.is_upload() { say.clone() } else { Say::Text("ERROR_WRONG_CAPTCHA_ID".into()) }
        });
        let gateway = TestGateway::builder()
            .upstream(&upstream.url())
            .settings(|config| {
                config.upstream.timeout = Duration::from_secs(1);
                config.uploads.hold = Duration::from_millis(100);
            })
            .start();
        let reply = gateway.upload(&[("textcaptcha", "what")]);
        assert_eq!((reply.status, reply.text()), (200, "ERROR_NO_SLOT_AVAILABLE"), "{what}");
        assert_eq!(upstream.uploads().len(), 1, "{what}: it may be paid, so it is not sent again");
        assert!(
            upstream.calls().iter().all(|call| call.path() != "/elsewhere"),
            "{what}: a redirect is not followed"
        );
        let pages =
            [gateway.get_admin("/metrics"), gateway.get_admin("/readyz"), gateway.get_admin("/status.json")];
        assert!(pages.iter().all(|page| !page.text().contains(DEFAULT_KEY)), "{what}");
    }
}

#[test]
fn a_look_that_is_told_nothing_is_made_again_and_its_client_sees_the_answer_only() {
    for (what, say) in nothing_said() {
        let looks = AtomicUsize::new(0);
        let upstream = Recorder::start(move |call| match call.path() {
            "/in.php" => Say::Text("OK|51555263943".into()),
            _ if call.query().contains("action=get&") && looks.fetch_add(1, Ordering::AcqRel) == 0 => {
                say.clone()
            }
            _ => Say::Text("OK|the answer".into()),
        });
        let gateway = TestGateway::builder()
            .upstream(&upstream.url())
            .settings(|config| {
                config.upstream.timeout = Duration::from_secs(1);
                config.polling.hold = Duration::ZERO;
            })
            .start();
        let id = gateway.upload(&[("textcaptcha", "what")]).id();
        let answer = gateway.answer(&format!("action=get&id={id}"));
        assert_eq!(answer.text(), "OK|the answer", "{what}");
    }
}

#[test]
fn an_answer_with_line_ends_stays_in_the_body() {
    for answer in
        ["OK|a\r\nSet-Cookie: evil=1\r\n\r\nHTTP/1.1 200 OK\r\n\r\nb", "OK|\u{1}\u{7f}\u{2028}<script>"]
    {
        let upstream = Recorder::start(move |call| {
            Say::Text(if call.is_upload() { "OK|5".into() } else { answer.to_owned() })
        });
        let gateway = TestGateway::fronting(&upstream.url());
        let id = gateway.upload(&[("textcaptcha", "what")]).id();
        let plain = gateway.answer(&format!("action=get&id={id}"));
        assert_eq!((plain.text(), plain.header("Set-Cookie")), (answer, None));
        let json = gateway.res(&format!("action=get&id={id}&json=1")).json();
        assert_eq!(json["request"], answer.strip_prefix("OK|").unwrap());
    }
}

#[test]
fn members_that_stand_twice_are_told_once() {
    let body = r#"{"status":0,"request":"CAPCHA_NOT_READY","status":1,"request":"right","x":1}"#;
    let upstream = Recorder::start(move |call| {
        Say::Text(if call.is_upload() { "OK|5".into() } else { body.to_owned() })
    });
    let gateway = TestGateway::fronting(&upstream.url());
    let id = gateway.upload(&[("textcaptcha", "what")]).id();
    gateway.answer(&format!("action=get&id={id}"));
    let json = gateway.res(&format!("action=get&id={id}&json=1"));
    assert_eq!(json.text(), r#"{"status":1,"request":"right","x":1}"#);
}

#[test]
fn a_refusal_with_a_strange_explanation_is_told_in_one_line() {
    let body = r#"{"status":0,"request":"ERROR_PAGEURL","error_text":"a\r\nSet-Cookie: evil=1\u0000\u0007"}"#;
    let upstream = Recorder::start(move |_| Say::Text(body.to_owned()));
    let gateway = TestGateway::fronting(&upstream.url());
    let reply = gateway.upload(&[("textcaptcha", "what")]);
    assert_eq!((reply.text(), reply.header("Set-Cookie")), ("ERROR_PAGEURL", None));
    assert_eq!(reply.header("X-Capgate-Reason"), Some("a??Set-Cookie: evil=1??"));
}
