//! Bytes that are no call, or two.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{TestGateway, client_key, multipart, post_bytes};

/// What is answered, if anything is, before the connection ends.
fn said(gateway: &TestGateway, call: &[u8]) -> String {
    let mut stream = TcpStream::connect(gateway.clients()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // It may have been closed before all was sent.
    let _ = stream.write_all(call);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

/// An honest call still gets its answer.
#[track_caller]
fn still_serves(gateway: &TestGateway, after: &str) {
    assert!(gateway.res("action=getbalance").text().parse::<f64>().is_ok(), "after {after}");
}

#[test]
fn a_call_with_two_lengths_is_none() {
    let gateway = TestGateway::start();
    let smuggled =
        format!("GET /res.php?key={}&action=getbalance HTTP/1.1\r\nHost: g\r\n\r\n", client_key(1));
    for heads in [
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
    ] {
        let call = format!("POST /res.php HTTP/1.1\r\nHost: g\r\n{heads}\r\n0\r\n\r\n{smuggled}");
        let said = said(&gateway, call.as_bytes());
        assert!(said.starts_with("HTTP/1.1 400"), "{heads}: {said}");
        assert_eq!(said.matches("HTTP/1.1").count(), 1, "{heads}: a second call was read: {said}");
        still_serves(&gateway, heads);
    }
}

#[test]
fn noise_harms_nobody() {
    let gateway = TestGateway::start();
    let long_line = vec![b'A'; 1 << 20];
    for noise in [
        &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
        b"\0\0\0\0",
        b"\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /res.php HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /res.php\0 HTTP/1.1\r\nHost: g\r\n\r\n",
        b"GET /\xff\xfe HTTP/1.1\r\nHost: g\r\n\r\n",
        b"POST /in.php HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nx",
        b"POST /in.php HTTP/1.1\r\nHost: g\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nx",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"GET http://user:pass@[::1/ HTTP/1.1\r\nHost: g\r\n\r\n",
        b"GET /res.php HTTP/1.1\r\nHost : g\r\n\r\n",
        &long_line,
    ] {
        let said = said(&gateway, noise);
        assert!(!said.starts_with("HTTP/1.1 5"), "{:?}: {said}", &noise[..noise.len().min(40)]);
        still_serves(&gateway, "noise");
    }
}

#[test]
fn strange_parameters_are_answered_in_the_words_of_the_wire() {
    let gateway = TestGateway::start();
    let key = client_key(1);
    for (query, expected) in [
        ("action=get&id=1%00", "ERROR_WRONG_ID_FORMAT"),
        ("action=get&id=1%0d%0aSet-Cookie:%20a=b", "ERROR_WRONG_ID_FORMAT"),
        ("action=get&id=%ff%fe", "ERROR_WRONG_ID_FORMAT"),
        ("action=get&id=1&id=2&id=x", "ERROR_WRONG_ID_FORMAT"),
        ("action=get&id=99999999999999999999999999999999", "ERROR_WRONG_CAPTCHA_ID"),
        ("action=get%00&id=1", "ERROR_EMPTY_ACTION"),
        ("action=%F0%9F%92%A3", "ERROR_EMPTY_ACTION"),
    ] {
        let reply = gateway.get(&format!("/res.php?key={key}&{query}"));
        assert_eq!((reply.status, reply.text()), (200, expected), "{query}");
        assert_eq!(reply.header("Set-Cookie"), None);
    }
    let reply = gateway.get("/res.php?key=%00%0d%0aX:%201&action=get&id=1");
    assert_eq!((reply.status, reply.text(), reply.header("X")), (200, "ERROR_WRONG_USER_KEY", None));
}

#[test]
fn a_multipart_body_that_is_cut_off_is_refused_wherever_it_is_cut() {
    let gateway = TestGateway::start();
    let key = client_key(1);
    let whole = multipart("b", &[("key", &key), ("method", "post")], &[("file", "a.png", &[7; 300])]);
    for length in (10..whole.len() - 2).step_by(37) {
        let reply = gateway.post("/in.php", "multipart/form-data; boundary=b", &whole[..length]);
        assert_eq!(reply.status, 200);
        assert!(reply.text().starts_with("ERROR_"), "{length}: {}", reply.text());
    }
    assert!(gateway.simulator().captchas().is_empty(), "nothing of it was sent on");
}

#[test]
fn a_line_end_in_a_name_or_a_file_name_adds_no_header_to_what_goes_upstream() {
    use crate::support::Recorder;
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let name = "x%0d%0aContent-Type: text/evil%0d%0a%0d%0a%00\"; filename=\"evil";
    let body = format!("key={}&method=post&file={}&{name}=1", client_key(1), "%FF%D8%FF".repeat(100));
    let reply = gateway.send(&post_bytes("/in.php", None, body.as_bytes()));
    reply.id();
    let calls = upstream.uploads();
    let sent = String::from_utf8_lossy(&calls[0].body).into_owned();
    assert!(!sent.contains("\r\nContent-Type: text/evil") && !sent.contains('\0'), "{sent}");
    assert_eq!(calls[0].parameter("key"), capgate::simulator::DEFAULT_KEY);
}
