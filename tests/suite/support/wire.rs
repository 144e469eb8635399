//! Calls as bytes on a socket, one connection each, and replies taken apart.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// Longest wait for the next bytes of a reply.
const PATIENCE: Duration = Duration::from_secs(20);

/// An HTTP reply.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("replies to these calls are UTF-8")
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.text()))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find_map(|(header, value)| header.eq_ignore_ascii_case(name).then(|| value.trim()))
    }

    /// The id of an accepted upload, in either form.
    #[track_caller]
    pub fn id(&self) -> String {
        assert_eq!(self.status, 200);
        if let Some(id) = self.text().strip_prefix("OK|") {
            return id.to_owned();
        }
        let json = self.json();
        assert_eq!(json["status"], 1, "{json}");
        json["request"].as_str().expect("an id is a JSON string").to_owned()
    }
}

/// Checks that `ask`, given `json=0` or `json=1`, is refused with `code` in both forms, and told why.
#[track_caller]
pub fn refused(code: &str, what: &str, ask: impl Fn(&str) -> Reply) {
    let plain = ask("json=0");
    assert_eq!((plain.status, plain.text()), (200, code), "{what}");
    let reason = plain.header("X-Capgate-Reason").expect("a refusal says why").to_owned();
    let in_json = ask("json=1").json();
    assert_eq!((&in_json["status"], &in_json["request"]), (&json!(0), &json!(code)), "{what}");
    let text = in_json["error_text"].as_str().unwrap_or_default();
    assert!(!text.is_empty() && !reason.is_empty(), "{what}: {in_json}");
}

/// Sends `call` as it is and reads the reply.
#[track_caller]
pub fn send(address: SocketAddr, call: &[u8]) -> Reply {
    let stream = TcpStream::connect(address).expect("the server listens");
    exchange_on(&stream, &stream, call, PATIENCE)
}

/// The same, with a limit for the time between two bytes of the reply.
#[track_caller]
pub fn exchange(address: SocketAddr, call: &[u8], patience: Duration) -> Reply {
    let stream = TcpStream::connect(address).expect("the server listens");
    exchange_on(&stream, &stream, call, patience)
}

#[track_caller]
fn exchange_on(stream: &TcpStream, reading: impl Read, call: &[u8], patience: Duration) -> Reply {
    stream.set_read_timeout(Some(patience)).expect("a time above zero");
    // A server that has read enough may close before all is sent; its reply tells.
    let _ = (&*stream).write_all(call);
    read_reply(reading)
}

/// Reads one reply; interim ones (`100 Continue`) are passed over.
#[track_caller]
pub fn read_reply(mut stream: impl Read) -> Reply {
    let mut bytes = Vec::new();
    loop {
        let head_end = fill_until(&mut stream, &mut bytes, |bytes| find(bytes, b"\r\n\r\n"));
        let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
        bytes.drain(..head_end + 4);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut reply = Reply { status: status.expect("a status line"), head, body: Vec::new() };
        if reply.status == 100 {
            continue;
        }
        let length = reply.header("content-length").expect("every reply tells its length");
        let length: usize = length.parse().expect("a length is a number");
        fill_until(&mut stream, &mut bytes, |bytes| (bytes.len() >= length).then_some(length));
        bytes.truncate(length);
        reply.body = bytes;
        return reply;
    }
}

#[track_caller]
fn fill_until(stream: &mut impl Read, bytes: &mut Vec<u8>, found: impl Fn(&[u8]) -> Option<usize>) -> usize {
    let mut chunk = [0; 16 * 1024];
    loop {
        if let Some(at) = found(bytes) {
            return at;
        }
        match stream.read(&mut chunk) {
            Ok(0) => panic!("the reply ends too early: {}", String::from_utf8_lossy(bytes)),
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
            // A child process of another test ended.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => panic!("no reply: {error}"),
        }
    }
}

pub fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// A POST with `body`; `content_type` may be missing.
pub fn post_bytes(target: &str, content_type: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut head = format!("POST {target} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n");
    if let Some(content_type) = content_type {
        let _ = write!(head, "Content-Type: {content_type}\r\n");
    }
    let _ = write!(head, "Content-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// `fields` as a query or an urlencoded body.
pub fn urlencoded(fields: &[(&str, &str)]) -> String {
    let escaped = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    pairs.join("&")
}

/// `fields`, then `files` (name, file name, content), as a multipart body.
pub fn multipart(boundary: &str, fields: &[(&str, &str)], files: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        let part =
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    for (name, file_name, content) in files {
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file_name}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body
}
