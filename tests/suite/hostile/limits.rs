//! Each limit of a call at its edge and one over.

use std::fmt::Write;
use std::net::TcpStream;

use capgate::protocol::form::{NAME_BYTES_MAX, PARAMETERS_MAX};
use capgate::protocol::json::DEPTH_MAX;

use crate::support::{Reply, TestGateway, client_key, post_bytes, read_reply, wait_until};

/// The largest body.
const BODY_MAX: usize = 8 * 1024 * 1024;
/// The largest head that is read in one piece.
const HEAD_MAX: usize = 128 * 1024;
const HEADERS_MAX: usize = 96;

/// A balance call whose body has `filling` in a parameter that nobody knows.
fn padded(size: usize) -> Vec<u8> {
    let start = format!("key={}&action=getbalance&x=", client_key(1));
    [start.as_bytes(), &vec![b'a'; size - start.len()]].concat()
}

#[track_caller]
fn refused(reply: &Reply, code: &str, why: &str) {
    assert_eq!((reply.status, reply.text()), (200, code));
    let reason = reply.header("X-Capgate-Reason").unwrap();
    assert!(reason.contains(why), "{reason}");
}

#[test]
fn a_body_as_large_as_allowed_and_one_byte_larger() {
    let gateway = TestGateway::start();
    let post = |size| gateway.post("/res.php", "application/x-www-form-urlencoded", &padded(size));
    assert!(post(BODY_MAX).text().parse::<f64>().is_ok());
    refused(&post(BODY_MAX + 1), "ERROR_TOO_BIG_CAPTCHA_FILESIZE", "larger than 8388608 bytes");
}

#[test]
fn a_body_that_does_not_say_how_large_it_is_has_the_same_limit() {
    let gateway = TestGateway::start();
    let chunked = |size: usize| {
        let mut call = b"POST /res.php HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in padded(size).chunks(64 * 1024) {
            call.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            call.extend_from_slice(chunk);
            call.extend_from_slice(b"\r\n");
        }
        call.extend_from_slice(b"0\r\n\r\n");
        gateway.send(&call)
    };
    assert!(chunked(BODY_MAX).text().parse::<f64>().is_ok());
    refused(&chunked(BODY_MAX + 1), "ERROR_TOO_BIG_CAPTCHA_FILESIZE", "larger than");
}

#[test]
fn a_body_that_is_announced_too_large_is_refused_before_it_comes() {
    let gateway = TestGateway::start();
    let head = format!("POST /in.php?json=1 HTTP/1.1\r\nHost: g\r\nContent-Length: {}\r\n\r\n", u64::MAX / 2);
    let reply = gateway.send(head.as_bytes());
    assert_eq!(reply.json()["request"], "ERROR_TOO_BIG_CAPTCHA_FILESIZE");
}

#[test]
fn parameters_names_and_nesting_have_limits() {
    let gateway = TestGateway::start();
    let post = |body: &str| gateway.post("/res.php", "application/json", body.as_bytes());
    let key = client_key(1);
    let with = |rest: &str| format!("{{\"key\":\"{key}\",\"action\":\"getbalance\"{rest}}}");
    let many = |count: usize| (2..count).map(|n| format!(",\"p{n}\":1")).collect::<Vec<_>>().concat();
    let named = |length: usize| format!(",\"{}\":1", "n".repeat(length));
    let nested = |depth: usize| format!(",\"a\":{}{}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    for (at_limit, over, code) in [
        (many(PARAMETERS_MAX), many(PARAMETERS_MAX + 1), "ERROR_BAD_PARAMETERS"),
        (named(NAME_BYTES_MAX), named(NAME_BYTES_MAX + 1), "ERROR_BAD_PARAMETERS"),
        (nested(DEPTH_MAX), nested(DEPTH_MAX + 1), "ERROR_UPLOAD"),
    ] {
        assert!(post(&with(&at_limit)).text().parse::<f64>().is_ok());
        refused(&post(&with(&over)), code, "");
    }
}

#[test]
fn a_head_has_limits_of_size_and_of_headers() {
    let gateway = TestGateway::start();
    let get = |size: usize, headers: usize| {
        let target = format!("/res.php?key={}&action=getbalance", client_key(1));
        let mut head = format!("GET {target} HTTP/1.1\r\nHost: g\r\n");
        for number in 1..headers {
            write!(head, "X-{number}: 1\r\n").unwrap();
        }
        if let Some(left) = size.checked_sub(head.len() + 9) {
            write!(head, "X-F: {}\r\n", "f".repeat(left)).unwrap();
        }
        head.push_str("\r\n");
        gateway.send(head.as_bytes()).status
    };
    assert_eq!(get(0, HEADERS_MAX), 200);
    assert_eq!(get(0, HEADERS_MAX + 1), 431);
    assert_eq!(get(HEAD_MAX / 2, 2), 200);
    assert_eq!(get(HEAD_MAX * 2, 2), 431);
}

#[test]
fn a_long_address_is_read_up_to_64_kb() {
    let gateway = TestGateway::start();
    let get = |length: usize| {
        let start = format!("/res.php?key={}&action=getbalance&x=", client_key(1));
        gateway.get(&format!("{start}{}", "x".repeat(length - start.len()))).status
    };
    assert_eq!(get(65_534), 200);
    assert_eq!(get(65_535), 400);
}

#[test]
fn a_compressed_body_is_refused_and_never_unpacked() {
    let gateway = TestGateway::start();
    for encoding in ["gzip", "deflate", "br", "GZIP, identity"] {
        let body = b"\x1f\x8b\x08\0\0\0\0\0\0\x03";
        let call = format!(
            "POST /in.php HTTP/1.1\r\nHost: g\r\nContent-Encoding: {encoding}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        refused(&gateway.send(&[call.as_bytes(), body].concat()), "ERROR_UPLOAD", "compressed");
    }
    let call = String::from_utf8(post_bytes("/res.php", None, &padded(100))).unwrap();
    let call = call.replace("Connection:", "Content-Encoding: identity\r\nConnection:");
    assert!(gateway.send(call.as_bytes()).text().parse::<f64>().is_ok());
}

#[test]
fn as_many_connections_of_an_address_as_allowed_and_one_more() {
    for (all, of_one) in [(100, 3), (3, 100)] {
        let gateway = TestGateway::builder()
            .settings(|config| {
                config.listen.connections_max = all;
                config.listen.connections_per_address = of_one;
            })
            .start();
        let count = |name: &str| gateway.metric(name, "").to_string();
        let open = || count("capgate_client_connections");
        let mut held: Vec<_> = (0..3).map(|_| TcpStream::connect(gateway.clients()).unwrap()).collect();
        wait_until("all three are taken", || open() == "3");
        let one_more = TcpStream::connect(gateway.clients()).unwrap();
        let reply = read_reply(&one_more);
        assert_eq!(reply.status, 503);
        assert!(reply.text().starts_with("too many connections"));
        assert_eq!(count("capgate_client_connections_refused_total"), "1");
        held.pop();
        wait_until("a place is free", || open() == "2");
        let balance = format!("action=getbalance&x={all}");
        assert!(gateway.res(&balance).text().parse::<f64>().is_ok());
    }
}
