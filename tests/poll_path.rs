//! What a poll costs, in a unit that is the same on every machine: how often the whole process asks its allocator for
//! memory. What the least that the web server can do takes is counted beside it. More than is written here is a step
//! back; less is to be written here.

#![expect(clippy::unwrap_used, reason = "what a test starts and calls does not fail, or the test does")]

use std::alloc::System;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{App as WebApp, HttpResponse, HttpServer, web};
use capgate::app::App;
use capgate::config::{Client, Config, StoreUrl};
use capgate::protocol::ids::{ClientKey, UpstreamKey};
use capgate::simulator::{DEFAULT_KEY, Scenario, Simulator};
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const KEY: &str = "fakefakefakefakefakefakefake0001";
const NOBODY_LISTENS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
/// The first calls fill what the web server keeps for later ones.
const WARM_UP: u32 = 200;
/// So many that what the gateway does beside them does not count.
const CALLS: u32 = 2_000;

/// A client on one connection, which asks for no memory while it calls.
struct Caller {
    stream: TcpStream,
    reply: [u8; 2_048],
}

impl Caller {
    fn new(to: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(to).unwrap(), reply: [0; 2_048] }
    }

    fn call(&mut self, call: &[u8]) -> &[u8] {
        self.stream.write_all(call).unwrap();
        let mut come = 0;
        loop {
            let read = self.stream.read(&mut self.reply[come..]).unwrap();
            assert!(read > 0, "the connection was closed");
            come += read;
            // Every reply here fits into one segment, head and body together.
            if let Some(head) = self.reply[..come].windows(4).position(|bytes| bytes == b"\r\n\r\n")
                && come > head + 4
            {
                return &self.reply[head + 4..come];
            }
        }
    }

    fn text(&mut self, target: &str) -> String {
        let call = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        String::from_utf8(self.call(call.as_bytes()).to_vec()).unwrap()
    }

    /// Allocations for each call.
    fn allocations(&mut self, target: &str) -> f64 {
        let call = format!("GET {target} HTTP/1.1\r\nHost: h\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n");
        for _ in 0..WARM_UP {
            self.call(call.as_bytes());
        }
        let since = Region::new(COUNTED);
        for _ in 0..CALLS {
            self.call(call.as_bytes());
        }
        let change = since.change();
        f64::from(u32::try_from(change.allocations + change.reallocations).unwrap()) / f64::from(CALLS)
    }
}

async fn least() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=UTF-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body("CAPCHA_NOT_READY")
}

/// Runs a gateway in front of a simulator, and the least that a server can do; where both listen.
fn start() -> (SocketAddr, SocketAddr) {
    let (started, is_started) = mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let scenario = Scenario::default().merged(&json!({ "solve_times": "1-1" })).unwrap();
            let simulator = Simulator::start(scenario, NOBODY_LISTENS).unwrap();
            let mut config = Config::default();
            (config.listen.clients, config.listen.admin) = (NOBODY_LISTENS, NOBODY_LISTENS);
            config.upstream.url = simulator.url();
            config.upstream.key = Some(UpstreamKey::new(DEFAULT_KEY));
            config.store.url = StoreUrl::Memory;
            config.polling.hold = Duration::ZERO;
            // An image's answer is there at once, a token's not while this test lasts.
            config.polling.first_look = Duration::from_millis(50);
            config.polling.first_look_token = Duration::from_mins(5);
            let keys = vec![ClientKey::parse(KEY.as_bytes()).unwrap()];
            config.clients = vec![Client { name: "team-a".into(), keys, ..Client::default() }];
            let gateway = App::build(&config).await.unwrap();
            let listener = TcpListener::bind(NOBODY_LISTENS).unwrap();
            let least_at = listener.local_addr().unwrap();
            let server = HttpServer::new(|| WebApp::new().route("/res.php", web::get().to(least)));
            let server = server.workers(1).disable_signals().listen(listener).unwrap().run();
            started.send((gateway.addresses().clients, least_at)).unwrap();
            let (gateway, server) = tokio::join!(gateway.run_until(std::future::pending()), server);
            gateway.unwrap();
            server.unwrap();
        });
    });
    is_started.recv().unwrap()
}

/// The id of a new captcha.
fn upload(caller: &mut Caller, parameters: &str) -> String {
    let accepted = caller.text(&format!("/in.php?key={KEY}&{parameters}"));
    accepted.strip_prefix("OK|").unwrap_or_else(|| panic!("{accepted}")).to_owned()
}

#[test]
fn a_poll_asks_for_memory_as_rarely_as_is_written_here() {
    let (gateway, least_at) = start();
    let mut caller = Caller::new(gateway);
    let open = upload(&mut caller, "method=userrecaptcha&googlekey=k&pageurl=https://shop.example/");
    let image = format!("iVBORw0KGgo{}", "A".repeat(400));
    let answered = upload(&mut caller, &format!("method=base64&body={image}"));
    let poll = |id: &str, more: &str| format!("/res.php?key={KEY}&action=get&id={id}{more}");
    while caller.text(&poll(&answered, "")) == "CAPCHA_NOT_READY" {
        std::thread::yield_now();
    }
    assert_eq!(caller.text(&poll(&open, "")), "CAPCHA_NOT_READY");
    let least = Caller::new(least_at).allocations(&poll(&open, ""));
    for (what, target, most) in [
        ("an open captcha", poll(&open, ""), -9.0),
        ("an open captcha, for a page of any origin", poll(&open, "&header_acao=1"), -9.0),
        ("an answered captcha", poll(&answered, ""), -8.0),
        ("a captcha that is nobody's", poll("1", ""), -4.0),
        ("an open captcha, as JSON", poll(&open, "&json=1"), -7.0),
    ] {
        let own = caller.allocations(&target) - least;
        println!("{own:.3} allocations for a poll of {what}, beside {least:.3} of the web server");
        assert!(own <= most + 0.05, "{own:.3} and not {most} for a poll of {what}");
    }
}
