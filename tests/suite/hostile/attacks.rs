//! Attacks by one address while honest clients are served from another. What must hold: every honest call gets its answer,
//! and the gateway's memory stays bounded. How long the answers took is printed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::crowd::{enemy, forget_peak, honest};
use crate::api::https::certificates;
use crate::support::{Setup, TestProgram, wait_until};

/// Connections of one address that the gateway takes.
const PER_ADDRESS: usize = 120;
/// Most memory that the gateway may need under any attack: the bodies of one address, twice while they are decoded, and
/// what it has anyway.
const PEAK_KB_MAX: u64 = 2 * 128 * 1024 + 150 * 1024;
const ENEMIES: usize = 4;
/// More than the web server agrees on at once by itself.
const HANDSHAKES: usize = 2_000;

/// One enemy's doing, again and again; `held` are the connections that it keeps.
type Attack = fn(SocketAddr, &mut Vec<TcpStream>);

/// Where it is done.
type Door = fn(&TestProgram) -> SocketAddr;

const HTTP: Door = TestProgram::clients;
const HTTPS: Door = TestProgram::tls;

const ATTACKS: &[(&str, Door, Attack)] = &[
    ("none", HTTP, |_, _| std::thread::park_timeout(std::time::Duration::from_millis(20))),
    ("heads that never end", HTTP, |gateway, held| drip(gateway, held, b"GET /res.php HTTP/1.1\r\nX: ")),
    ("bodies that never end", HTTP, |gateway, held| {
        drip(gateway, held, b"POST /in.php HTTP/1.1\r\nHost: g\r\nContent-Length: 8000000\r\n\r\nx=");
    }),
    ("silent connections", HTTP, |gateway, held| drip(gateway, held, b"")),
    ("connections, opened and closed", HTTP, |gateway, _| drop(enemy(gateway))),
    ("pipelined calls, replies never read", HTTP, |gateway, held| {
        let call = b"GET /res.php?key=x&action=get&id=1 HTTP/1.1\r\nHost: g\r\n\r\n".repeat(500);
        drip(gateway, held, &call);
    }),
    ("wrong keys", HTTP, |gateway, _| {
        send(
            gateway,
            b"GET /res.php?key=wrong-key-0000000000000000000001&action=get&id=1 HTTP/1.1\r\nHost: g\r\n\r\n",
        );
    }),
    ("the largest bodies", HTTP, |gateway, _| post(gateway, b"", b"x", 8_000_000)),
    ("a million members", HTTP, |gateway, _| post(gateway, b"{\"a\":1", b",\"a\":1", 8_000_000)),
    ("nesting", HTTP, |gateway, _| post(gateway, b"{\"a\":", b"[", 8_000_000)),
    ("empty parts", HTTP, |gateway, _| post(gateway, b"--b\r\n", b"X: y\r\n\r\n\r\n--b\r\n", 8_000_000)),
    ("noise", HTTP, |gateway, _| send(gateway, &[0x16, 3, 1, 0xFF].repeat(50_000))),
    ("handshakes that never end", HTTPS, |gateway, held| {
        if held.len() < HANDSHAKES / ENEMIES {
            held.extend(enemy(gateway));
        } else {
            // The gateway has given them up by now.
            held.clear();
        }
    }),
    ("handshakes of noise", HTTPS, |gateway, _| send(gateway, &[0x16, 3, 1, 0xFF].repeat(1_000))),
];

fn drip(gateway: SocketAddr, held: &mut Vec<TcpStream>, start: &[u8]) {
    if held.len() < 2 * PER_ADDRESS / ENEMIES {
        let Some(mut stream) = enemy(gateway) else { return };
        let _ = stream.write_all(start);
        held.push(stream);
    } else {
        let has_start = !start.is_empty();
        held.retain_mut(|stream| !has_start || stream.write_all(b"a").is_ok());
        std::thread::park_timeout(std::time::Duration::from_millis(50));
    }
}

fn send(gateway: SocketAddr, call: &[u8]) {
    let Some(mut stream) = enemy(gateway) else { return };
    let _ = stream.write_all(call);
    let _ = stream.read(&mut [0; 1024]);
}

fn post(gateway: SocketAddr, start: &[u8], next: &[u8], size: usize) {
    let body = [start, &next.repeat(size / next.len())].concat();
    let head = format!("POST /in.php HTTP/1.1\r\nHost: g\r\nContent-Length: {}\r\n\r\n", body.len());
    send(gateway, &[head.as_bytes(), &body].concat());
}

#[test]
fn honest_clients_are_served_during_every_attack() {
    let program = Setup::new()
        .simulator(&["--solve-times", "1-1"])
        .set("LISTEN__CONNECTIONS_PER_ADDRESS", PER_ADDRESS.to_string())
        .set("CACHE__BALANCE", "60s");
    certificates(program.folder.path());
    let file = |name: &str| program.folder.path().join(name).to_str().unwrap().to_owned();
    let (certificate, key) = (file("server.pem"), file("server.key"));
    let program = program
        .set("LISTEN__TLS", "127.0.0.1:0")
        .set("LISTEN__TLS_CERT", certificate)
        .set("LISTEN__TLS_KEY", key)
        .start();
    println!("{:40} {:>7} {:>9} {:>9} {:>10}", "attack", "turns", "p50", "p99", "peak");
    for (name, door, attack) in ATTACKS {
        under(&program, name, door(&program), *attack);
    }
    let refused = program.metric("capgate_client_connections_refused_total", "");
    assert!(refused > 0.0, "the enemy never met its limit");
}

fn under(program: &TestProgram, name: &str, gateway: SocketAddr, attack: Attack) {
    let (is_over, turns) = (AtomicBool::new(false), AtomicUsize::new(0));
    forget_peak(program.id());
    std::thread::scope(|scope| {
        for _ in 0..ENEMIES {
            scope.spawn(|| {
                let mut held = Vec::new();
                while !is_over.load(Ordering::Acquire) {
                    attack(gateway, &mut held);
                    turns.fetch_add(1, Ordering::AcqRel);
                }
            });
        }
        // Ends the enemies also when an honest client was not served.
        let over = Over(&is_over);
        wait_until("the attack is under way", || turns.load(Ordering::Acquire) >= 3 * ENEMIES);
        let fared = honest(program, &name.replace(' ', "+"));
        drop(over);
        let turns = turns.load(Ordering::Acquire);
        let peak = format!("{} MB", fared.peak_kb / 1024);
        println!("{name:40} {turns:>7} {:>9?} {:>9?} {peak:>10}", fared.p50, fared.p99);
        assert!(fared.peak_kb <= PEAK_KB_MAX, "{name}: {} kB", fared.peak_kb);
    });
    let most = 1.0 + f64::from(u32::try_from(PER_ADDRESS).unwrap());
    wait_until("the enemy's places are free", || {
        program.metric("capgate_client_connections", "") < most / 2.0
    });
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
