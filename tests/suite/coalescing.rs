//! Many clients that poll as they like, with the settings of a real account: how often does the upstream hear of it?
//!
//! 20 clients solve 200 captchas through the gateway; 20 more solve the same against a simulator of their own, as the
//! documentation advises. Both figures come from one run.

use std::net::SocketAddr;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use capgate::config::Config;
use capgate::simulator::{DEFAULT_KEY, Scenario, Simulator, State};
use serde_json::json;

use crate::support::{TestGateway, base64, client_key, expected, image, send, urlencoded};

const CLIENTS: usize = 20;
/// Each client works on two captchas at a time.
const WORKERS: usize = 2 * CLIENTS;
const CAPTCHAS_OF_A_WORKER: usize = 5;
const CAPTCHAS: usize = WORKERS * CAPTCHAS_OF_A_WORKER;
/// What the documentation asks clients to wait, before the first poll and between two.
const ADVISED: Duration = Duration::from_secs(5);

/// The times of a real account, whatever the other tests use.
fn real_times(config: &mut Config) {
    config.polling = capgate::config::Polling::default();
}

/// One worker: uploads, polls with `pause` between, checks the answer.
fn solve(address: SocketAddr, key: &str, number: usize, first: Duration, pause: Duration) {
    let body = base64(&image(number, 400));
    let upload = [("method", "base64"), ("body", body.as_str())];
    let call = |target: &str| {
        send(address, format!("GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").as_bytes())
    };
    let query = urlencoded(&[&[("key", key)], &upload[..]].concat());
    let id = loop {
        let reply = call(&format!("/in.php?{query}"));
        if reply.text() != "ERROR_NO_SLOT_AVAILABLE" {
            break reply.id();
        }
        thread::park_timeout(ADVISED);
    };
    thread::park_timeout(first);
    let answer = loop {
        let reply = call(&format!("/res.php?key={key}&action=get&id={id}"));
        if reply.text() != "CAPCHA_NOT_READY" {
            break reply.text().to_owned();
        }
        thread::park_timeout(pause);
    };
    assert_eq!(answer, format!("OK|{}", expected(&upload, 0.0).plain));
}

/// All workers at once, each with its share of the captchas.
fn solve_all(solve: impl Fn(usize, usize) + Sync) {
    let start = Barrier::new(WORKERS);
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (start, solve) = (&start, &solve);
            scope.spawn(move || {
                start.wait();
                for captcha in 0..CAPTCHAS_OF_A_WORKER {
                    solve(worker, worker * CAPTCHAS_OF_A_WORKER + captcha);
                }
            });
        }
    });
}

fn directly() -> State {
    let (started, is_started) = std::sync::mpsc::channel();
    let (stop, told_to_stop) = tokio::sync::oneshot::channel::<()>();
    let thread = thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let listen = SocketAddr::from(([127, 0, 0, 1], 0));
            let simulator = Simulator::start(Scenario::default(), listen).unwrap();
            started.send(simulator.address()).unwrap();
            drop(told_to_stop.await);
            simulator.state()
        })
    });
    let address = is_started.recv().unwrap();
    solve_all(|_, number| solve(address, DEFAULT_KEY, number, ADVISED, ADVISED));
    drop(stop);
    thread.join().unwrap()
}

#[test]
fn two_hundred_captchas_of_twenty_polling_clients_cost_less_than_one_look_each() {
    let gateway = TestGateway::builder()
        .clients(CLIENTS)
        .settings(real_times)
        .scenario(json!({"solve_times": "real"}))
        .start();
    let (through, directly) = thread::scope(|scope| {
        let direct = scope.spawn(directly);
        // Through the gateway they poll at once and without a pause, as the worst clients do.
        solve_all(|worker, number| {
            let key = client_key(worker % CLIENTS + 1);
            solve(gateway.clients(), &key, number, Duration::ZERO, Duration::from_millis(100));
        });
        (gateway.simulator().state(), direct.join().unwrap())
    });
    #[expect(clippy::cast_precision_loss, reason = "a few hundred calls")]
    let per_captcha = |state: &State| state.counts.r as f64 / CAPTCHAS as f64;
    let polls = gateway.metric("capgate_polls_total", "");
    println!(
        "{CAPTCHAS} captchas, {CLIENTS} clients: {:.2} res.php calls a captcha through the gateway ({polls} polls \
         answered from memory), {:.2} directly at the advised pace; smallest gap {:?} ms, first looks {:?} ms",
        per_captcha(&through),
        per_captcha(&directly),
        through.captchas.looks_min_gap_ms,
        through.captchas.first_look_min_ms,
    );
    assert!(per_captcha(&through) <= 1.0, "{:.2}", per_captcha(&through));
    assert!(per_captcha(&through) < per_captcha(&directly));
    // That no captcha was looked at twice within the interval, nor before its first look, is checked when the gateway
    // is dropped.
}
