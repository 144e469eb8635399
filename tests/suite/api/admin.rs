//! What operators see.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use capgate::metrics::ROWS;
use serde_json::{Value, json};

use crate::support::{ADMIN_TOKEN, Recorder, Say, TestGateway, client_key, wait_until};

/// Metric names, without what a histogram adds to its own.
fn names(page: &str) -> BTreeSet<String> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn after_a_captcha_every_metric_of_the_catalogue_is_there() {
    let receiver = Recorder::start(|_| Say::Text("OK".into()));
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = TestGateway::builder()
        .near()
        .clients(2)
        .settings(|config| {
            config.audit.file = Some(folder.path().join("audit.jsonl"));
            let client = &mut config.clients[0];
            (client.max_open, client.daily_budget_captchas) = (Some(9), Some(9));
            client.daily_budget_usd = Some(capgate::config::Exact(9.into()));
        })
        .start();
    gateway.res("action=add_pingback&addr=127.0.0.1");
    let id = gateway.upload(&[("textcaptcha", "count me"), ("pingback", &receiver.url())]).id();
    wait_until("it is pushed", || gateway.metric("capgate_pingbacks_total", "") > 0.0);
    gateway.answer(&format!("action=get2&id={id}"));
    gateway.res(&format!("action=reportbad&id={id}"));
    // A client with a budget is told that, and not the account's balance.
    gateway.res_as(2, "action=getbalance");
    gateway.get("/load.php");
    let page = gateway.get_admin("/metrics");
    assert!(page.header("Content-Type").is_some_and(|label| label.starts_with("text/plain")));
    let names = names(page.text());
    for row in ROWS {
        // What has labels and never happened, or is not known yet, has no row.
        let never_happened =
            row.name.ends_with("refusals_total") || row.name == "capgate_expected_solve_seconds";
        assert!(names.contains(row.name) || never_happened, "{}", row.name);
    }
    for text in [
        "capgate_uploads_total{client=\"client-1\",method=\"text\",outcome=\"accepted\"} 1",
        "capgate_captchas_ended_total{client=\"client-1\",method=\"text\",outcome=\"solved\"} 1",
        "capgate_reports_total{client=\"client-1\",outcome=\"recorded\",verdict=\"reportbad\"} 1",
        "capgate_pingbacks_total{client=\"client-1\",outcome=\"delivered\"} 1",
        "capgate_cost_usd_total{basis=\"estimated\",client=\"client-1\",method=\"text\"} 0.001",
        "capgate_captchas_open 0",
        "capgate_client_captchas_open{client=\"client-1\",method=\"text\"} 0",
        "capgate_answer_delay_seconds_count{client=\"client-1\",method=\"text\"} 1",
        "capgate_upstream_calls_total{call=\"submit\",outcome=\"done\"} 1",
    ] {
        assert!(page.text().lines().any(|line| line == text), "{text}\n{}", page.text());
    }
    assert!(gateway.metric("capgate_polls_total", "outcome=\"answer\"") >= 1.0);
    for secret in [client_key(1), capgate::simulator::DEFAULT_KEY.to_owned(), id, "count me".into()] {
        assert!(!page.text().contains(&secret));
    }
}

#[test]
fn it_is_alive_and_ready_and_says_so() {
    let gateway = TestGateway::start();
    let alive = gateway.get_admin("/healthz");
    assert_eq!((alive.status, alive.text().trim()), (200, "ok"));
    let ready = gateway.get_admin("/readyz");
    assert_eq!(ready.status, 200);
    let state = ready.json();
    assert_eq!((&state["ready"], &state["store"], &state["waits"]), (&json!(true), &json!("up"), &json!([])));
    let budgets = state["budgets"].as_array().unwrap();
    assert_eq!(budgets.len(), capgate::engine::BlockRule::COUNT);
    assert!(budgets.iter().all(|budget| budget["left"] == budget["limit"]), "{state}");
}

#[test]
fn a_key_that_the_upstream_refuses_makes_it_not_ready_and_stops_every_call() {
    let upstream = Recorder::start(|_| Say::Text("ERROR_KEY_DOES_NOT_EXIST".into()));
    let gateway = TestGateway::builder()
        .upstream(&upstream.url())
        .settings(|config| config.uploads.hold = Duration::from_millis(100))
        .start();
    for _ in 0..10 {
        assert_eq!(gateway.upload(&[("textcaptcha", "2")]).text(), "ERROR_NO_SLOT_AVAILABLE");
        assert!(
            !gateway.res("action=getbalance").text().contains("KEY"),
            "the account's key is not the client's"
        );
    }
    assert_eq!(upstream.calls().len(), 1, "five would block the address");
    let ready = gateway.get_admin("/readyz");
    assert_eq!((ready.status, &ready.json()["ready"]), (503, &json!(false)));
    assert!(ready.json()["waits"].as_array().is_some_and(|waits| waits.len() == 1), "{}", ready.text());
    assert_eq!(gateway.get_admin("/healthz").status, 200, "a restart would not mend it");
}

#[test]
fn a_wait_that_passes_is_shown_and_does_not_make_it_unready() {
    let gateway = TestGateway::builder()
        .scenario(json!({"balance": "0"}))
        .settings(|config| config.uploads.hold = Duration::from_millis(100))
        .start();
    assert_eq!(gateway.upload(&[("textcaptcha", "2")]).text(), "ERROR_ZERO_BALANCE");
    let ready = gateway.get_admin("/readyz");
    assert_eq!(ready.status, 200);
    let waits: Value = ready.json()["waits"].take();
    assert_eq!(waits.as_array().map(Vec::len), Some(1), "{waits}");
    assert!(waits[0]["until"].as_str().is_some_and(|until| until.ends_with('Z')), "{waits}");
}

#[test]
fn each_listener_has_its_own_pages_only() {
    let gateway = TestGateway::start();
    for path in ["/metrics", "/readyz", "/", "/in.php/more", "/IN.PHP"] {
        assert_eq!(gateway.get(path).status, 404, "{path}");
    }
    for path in ["/res.php", "//res.php", "/res.php/"] {
        assert_eq!(gateway.get(path).text(), "ERROR_WRONG_USER_KEY", "a base URL may end in a slash: {path}");
    }
    for path in ["/in.php", "/res.php", "/load.php"] {
        assert_eq!(gateway.get_admin(path).status, 404, "{path}");
    }
}

#[test]
fn in_observe_mode_calls_go_and_what_would_have_been_refused_is_counted() {
    let gateway = TestGateway::builder()
        .settings(|config| {
            config.budget.mode = capgate::engine::BudgetMode::Observe;
            config.budget.upload_gap = Duration::from_mins(1);
        })
        .start();
    for text in ["one", "two", "three"] {
        gateway.upload(&[("textcaptcha", text)]).id();
    }
    assert!(gateway.metric("capgate_observed_refusals_total", "") >= 2.0);
}

#[test]
fn a_page_is_asked_for_its_head_and_another_method_is_said_to_be_wrong() {
    let gateway = TestGateway::start();
    let whole = |method: &str, path: &str| {
        let mut stream = TcpStream::connect(gateway.admin()).unwrap();
        let token = format!("Authorization: Bearer {ADMIN_TOKEN}\r\n");
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: localhost\r\n{token}Connection: close\r\n\r\n")
            .unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    };
    for path in ["/", "/status.json", "/metrics", "/healthz", "/readyz", "/clients", "/pingbacks"] {
        let head = whole("HEAD", path);
        assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{path}: {head}");
        let wrong = whole("DELETE", path);
        assert!(wrong.starts_with("HTTP/1.1 405 "), "{path}: {wrong}");
    }
    assert!(whole("GET", "/drain").starts_with("HTTP/1.1 405 "));
    let nothing = whole("GET", "/nothing");
    assert!(nothing.starts_with("HTTP/1.1 404 ") && nothing.contains("can be reached from /\n"), "{nothing}");
}

#[test]
fn one_connection_too_many_waits_until_another_is_closed() {
    const MOST: usize = 256;
    let gateway = TestGateway::start();
    let ask = || {
        let mut stream = TcpStream::connect(gateway.admin()).unwrap();
        write!(stream, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        stream
    };
    let is_answered = |stream: &mut TcpStream, within: Duration| {
        stream.set_read_timeout(Some(within)).unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).is_ok() && start == *b"HTTP/1.1 200"
    };
    let mut open: Vec<_> = (0..MOST).map(|_| ask()).collect();
    assert!(open.iter_mut().all(|stream| is_answered(stream, Duration::from_secs(10))));
    let mut one_more = ask();
    assert!(!is_answered(&mut one_more, Duration::from_millis(500)), "{MOST} are open");
    drop(open.pop());
    assert!(is_answered(&mut one_more, Duration::from_secs(10)));
}
