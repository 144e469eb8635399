//! Honest clients, and how they fare.

use std::io::{BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use capgate::clock::Clock;

use crate::support::{TestProgram, client_key, read_reply};

/// Calls of the honest clients during each attack.
const CALLS: usize = 60;
/// Each of them uploads so often and polls otherwise.
const UPLOAD_EVERY: usize = 12;

/// How the honest clients fared, and what the gateway needed.
pub struct Fared {
    pub p50: Duration,
    pub p99: Duration,
    pub peak_kb: u64,
}

/// Makes `CALLS` calls, on a new connection each and on one that stays, and checks every answer.
#[track_caller]
pub fn honest(program: &TestProgram, attack: &str) -> Fared {
    let clock = Clock::system();
    let stays = TcpStream::connect(program.clients()).unwrap();
    stays.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut stays = BufReader::new(stays);
    let key = client_key(1);
    let mut times = Vec::new();
    let mut ids = Vec::new();
    for number in 0..CALLS {
        let began = clock.now();
        if number % UPLOAD_EVERY == 0 {
            let reply = program.upload_as(1, &format!("{attack}+{number}"));
            ids.push(reply.id());
        } else if number % 2 == 0 {
            let reply = program.get(&format!("/res.php?key={key}&action=get&id=1"));
            assert_eq!(reply.text(), "ERROR_WRONG_CAPTCHA_ID", "{attack}");
        } else {
            let call = format!("GET /res.php?key={key}&action=getbalance&json=1 HTTP/1.1\r\nHost: g\r\n\r\n");
            stays.get_mut().write_all(call.as_bytes()).unwrap();
            let reply = read_reply(&mut stays);
            assert_eq!((reply.status, &reply.json()["status"]), (200, &1.into()), "{attack}");
        }
        times.push(clock.now().since(began));
    }
    for (at, id) in ids.iter().enumerate() {
        let answer = program.answer_as(1, id);
        assert!(answer.starts_with("OK|"), "{attack}: {at}: {answer}");
    }
    times.sort_unstable();
    Fared { p50: times[CALLS / 2], p99: times[CALLS * 99 / 100], peak_kb: peak_kb(program.id()) }
}

/// The most memory that the process had since the last [`forget_peak`].
fn peak_kb(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let row = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    row.split_whitespace().next().unwrap().parse().unwrap()
}

pub fn forget_peak(process: u32) {
    // Not every kernel lets us; then the peak is that of all attacks so far.
    let _ = std::fs::write(format!("/proc/{process}/clear_refs"), "5");
}

/// A connection of the enemy, from an address of its own.
pub fn enemy(gateway: SocketAddr) -> Option<TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((IpAddr::from(Ipv4Addr::new(127, 0, 0, 2)), 0).into()).unwrap();
        let stream = socket.connect(gateway).await.ok()?.into_std().ok()?;
        stream.set_nonblocking(false).ok()?;
        stream.set_write_timeout(Some(Duration::from_millis(500))).ok()?;
        stream.set_read_timeout(Some(Duration::from_millis(500))).ok()?;
        Some(stream)
    })
}
