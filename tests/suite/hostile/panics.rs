//! A call whose handler panics: its client is answered, nobody else notices, and what was said in the panic is told to nobody.
//!
//! The panic is planted in front of the real pages, in a web server with the gateway's own middleware: the program has no
//! path on which it panics.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::guard::fn_guard;
use actix_web::middleware::{NormalizePath, from_fn};
use actix_web::{App, HttpResponse, HttpServer, web};
use capgate::clients::Clients;
use capgate::clock::Clock;
use capgate::config::{Client, Config};
use capgate::driver::Driver;
use capgate::metrics::Metrics;
use capgate::protocol::ids::{ClientKey, UpstreamKey};
use capgate::server::connections::{Connections, Limits};
use capgate::server::limits::KEEP_ALIVE;
use capgate::server::{Server, door, routes};
use capgate::store::MemoryStore;
use capgate::upstream::HttpUpstream;

use crate::support::{NoReceivers, Recorder, Reply, Say, client_key, read_reply, send, wait_until};

/// In the query of a call that shall panic.
const PLANTED: &str = "planted-panic";
/// What is said in it.
const SAID: &str = "0wn/secret+of=a-client";

struct Planted {
    address: SocketAddr,
    metrics: Arc<Metrics>,
}

async fn panics() -> HttpResponse {
    panic!("{SAID}")
}

/// The real pages, with a panic in front of them.
async fn start(upstream: &str) -> Planted {
    let mut config = Config::default();
    config.upstream.url = upstream.to_owned();
    config.budget.upload_gap = Duration::ZERO;
    config.clients = vec![Client {
        name: "client-1".into(),
        keys: vec![ClientKey::parse(client_key(1).as_bytes()).unwrap()],
        ..Client::default()
    }];
    let (clock, metrics) = (Clock::system(), Arc::new(Metrics::default()));
    let key = UpstreamKey::new(capgate::simulator::DEFAULT_KEY);
    config.upstream.key = Some(key.clone());
    let calls = Arc::new(HttpUpstream::start(&config.upstream, key).unwrap());
    let store = Arc::new(MemoryStore::default());
    let driver = Driver::start(&config, clock, store, calls, Arc::new(NoReceivers), Arc::clone(&metrics));
    let server = Server::new(Clients::new(&config, &metrics), driver.await.unwrap(), Arc::clone(&metrics));
    let server = Arc::new(server);
    let limits = Limits { connections: 100, from_one_address: 100 };
    let connections = Connections::new(limits, clock, Arc::clone(&metrics));
    let web = HttpServer::new(move || {
        let is_planted =
            || fn_guard(|call| call.head().uri.query().is_some_and(|query| query.contains(PLANTED)));
        App::new()
            .service(web::resource("/in.php").guard(is_planted()).to(panics))
            .service(web::resource("/res.php").guard(is_planted()).to(panics))
            .service(web::resource("/elsewhere").guard(is_planted()).to(panics))
            .configure(routes::clients(&server))
            .wrap(NormalizePath::trim())
            .wrap(from_fn(door::pass))
    })
    .on_connect(routes::remember_peer(&connections))
    .keep_alive(KEEP_ALIVE)
    .workers(1)
    .bind("127.0.0.1:0")
    .unwrap();
    let address = web.addrs()[0];
    actix_web::rt::spawn(web.disable_signals().run());
    Planted { address, metrics }
}

fn get(address: SocketAddr, target: &str) -> Reply {
    send(address, format!("GET {target} HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n").as_bytes())
}

fn panics_are_answered_and_nobody_else_notices(planted: &Planted) {
    let address = planted.address;
    let key = client_key(1);
    let mut stays = TcpStream::connect(address).unwrap();
    let balance = |stays: &mut TcpStream| {
        let call = format!("GET /res.php?key={key}&action=getbalance HTTP/1.1\r\nHost: g\r\n\r\n");
        stays.write_all(call.as_bytes()).unwrap();
        read_reply(stays).text().to_owned()
    };
    assert_eq!(balance(&mut stays), "1.5");
    for (target, status, said) in [
        ("/in.php?textcaptcha=2&", 200, "ERROR_NO_SLOT_AVAILABLE"),
        ("/in.php?json=1&", 200, r#""request":"ERROR_NO_SLOT_AVAILABLE""#),
        ("/res.php?action=get&id=1&", 200, "CAPCHA_NOT_READY"),
        ("/res.php?action=get2&id=1&json=1&", 200, r#""request":"CAPCHA_NOT_READY""#),
        ("//res.php/?", 200, "CAPCHA_NOT_READY"),
        ("/res.php?action=reportbad&id=1&", 200, "ERROR_NO_SLOT_AVAILABLE"),
        ("/elsewhere?", 500, "broke down"),
    ] {
        let reply = get(address, &format!("{target}{PLANTED}=1"));
        assert_eq!(reply.status, status, "{target}");
        assert!(reply.text().contains(said), "{target}: {}", reply.text());
        assert!(!format!("{}{}", reply.head, reply.text()).contains(SAID), "{target}");
    }
    std::thread::scope(|scope| {
        for number in 0..8 {
            let key = &key;
            scope.spawn(move || {
                for turn in 0..10 {
                    if number % 2 == 0 {
                        get(address, &format!("/in.php?{PLANTED}={turn}"));
                    } else {
                        let target = format!("/in.php?key={key}&textcaptcha={number}+and+{turn}");
                        get(address, &target).id();
                    }
                }
            });
        }
    });
    assert_eq!(balance(&mut stays), "1.5", "on a connection from before");
    drop(stays);
    let is = |line: &str| planted.metrics.text().unwrap().lines().any(|known| known == line);
    assert!(is("capgate_panics_total{part=\"call\"} 47"));
    wait_until("every connection gave its place back", || is("capgate_client_connections 0"));
}

#[test]
fn a_panic_in_one_call_harms_no_other() {
    let ids = AtomicUsize::new(51_555_263_000);
    let upstream = Recorder::start(move |call| {
        let is_balance = call.query().contains("action=getbalance");
        Say::Text(match call.path() {
            "/in.php" => format!("OK|{}", ids.fetch_add(1, Ordering::Relaxed)),
            _ if is_balance => "1.5".into(),
            _ => "OK|an answer".into(),
        })
    });
    actix_web::rt::System::new().block_on(async move {
        let planted = start(&upstream.url()).await;
        let checked =
            tokio::task::spawn_blocking(move || panics_are_answered_and_nobody_else_notices(&planted));
        checked.await.unwrap();
    });
}

/// Run by the test below, in a process of its own: the hook is the whole process's.
#[test]
#[ignore = "it panics on purpose, for the test below"]
fn panics_with_a_secret() {
    let logs = capgate::telemetry::Logs::start(&Config::default().log);
    capgate::telemetry::log_panics();
    let panicked =
        std::thread::Builder::new().name("planted".into()).spawn(|| panic!("{SAID}")).unwrap().join();
    assert!(panicked.is_err());
    drop(logs);
}

#[test]
fn the_log_says_where_a_panic_was_and_not_what_it_said() {
    let name = "hostile::panics::panics_with_a_secret";
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[child.stdout, child.stderr].concat()).into_owned();
    assert!(child.status.success(), "{said}");
    assert!(said.contains("a panic") && said.contains("panics.rs:") && said.contains("planted"), "{said}");
    assert!(!said.contains(SAID), "{said}");
}
