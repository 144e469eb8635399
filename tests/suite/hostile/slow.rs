//! Senders that hold a place and never come to an end.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{TestGateway, client_key, read_reply};

/// Sends a byte at each turn until there is a reply or the connection ends; with the reply's status, if there is one.
fn drip(gateway: &TestGateway, start: &str, turn: Duration) -> Option<u16> {
    let mut stream = TcpStream::connect(gateway.clients()).unwrap();
    stream.write_all(start.as_bytes()).unwrap();
    stream.set_read_timeout(Some(turn)).unwrap();
    let mut first = [0];
    loop {
        match stream.peek(&mut first) {
            Ok(0) => return None,
            Ok(_) => return Some(read_reply(&stream).status),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(_) => return None,
        }
        if stream.write_all(b"a").is_err() {
            return None;
        }
    }
}

#[test]
fn a_head_and_a_body_that_never_end_are_given_up() {
    let gateway = TestGateway::start();
    let turn = Duration::from_millis(200);
    std::thread::scope(|scope| {
        let head = scope.spawn(|| drip(&gateway, "GET /res.php HTTP/1.1\r\nX-Slow: ", turn));
        let body = scope.spawn(|| {
            let head = "POST /in.php HTTP/1.1\r\nHost: g\r\nContent-Length: 100000\r\n\r\nkey=";
            drip(&gateway, head, turn)
        });
        let silent = scope.spawn(|| {
            let mut stream = TcpStream::connect(gateway.clients()).unwrap();
            stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
            stream.read(&mut [0; 4096]).is_ok()
        });
        // 408, or the connection was closed on the sender before it could read that.
        assert!(matches!(head.join().unwrap(), Some(408) | None));
        assert_eq!(body.join().unwrap(), Some(200), "ERROR_UPLOAD, in the words of the wire");
        assert!(silent.join().unwrap());
    });
    let poll = format!("/res.php?key={}&action=getbalance", client_key(1));
    assert!(gateway.get(&poll).text().parse::<f64>().is_ok());
}
