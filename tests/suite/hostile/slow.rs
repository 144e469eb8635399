//! Senders that hold a place and never come to an end.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Reply, TestGateway, client_key, read_reply};

/// Sends a byte at each turn until there is a reply or the connection ends; with the reply, if there is one.
fn drip(gateway: &TestGateway, start: &str, turn: Duration) -> Option<Reply> {
    let mut stream = TcpStream::connect(gateway.clients()).unwrap();
    stream.write_all(start.as_bytes()).unwrap();
    stream.set_read_timeout(Some(turn)).unwrap();
    let mut first = [0];
    loop {
        match stream.peek(&mut first) {
            Ok(0) => return None,
            Ok(_) => return Some(read_reply(&stream)),
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
        assert!(head.join().unwrap().is_none_or(|reply| reply.status == 408));
        let reply = body.join().unwrap().unwrap();
        assert_eq!((reply.status, reply.text()), (200, "ERROR_UPLOAD"));
        let reason = reply.header("X-Capgate-Reason").unwrap();
        assert!(reason.contains("slower than 4096 bytes a second"), "{reason}");
        assert!(silent.join().unwrap());
    });
    let poll = format!("/res.php?key={}&action=getbalance", client_key(1));
    assert!(gateway.get(&poll).text().parse::<f64>().is_ok());
}
