//! Balance, statistics and load: many ask, the upstream is asked once.

use std::time::Duration;

use serde_json::json;

use crate::support::{Recorder, Reply, Say, TestGateway};

/// Clients that ask at the same moment.
const ASKERS: usize = 50;
/// When httpx-based clients give a call up.
const PATIENCE: Duration = Duration::from_secs(5);

fn at_once(ask: impl Fn() -> Reply + Sync) -> Vec<Reply> {
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..ASKERS).map(|_| scope.spawn(&ask)).collect();
        asking.into_iter().map(|asker| asker.join().expect("it was answered")).collect()
    })
}

#[test]
fn fifty_who_ask_for_the_balance_at_once_cost_one_call() {
    let gateway = TestGateway::start();
    for reply in at_once(|| gateway.res("action=getbalance")) {
        assert_eq!(reply.text(), "1000.00000");
    }
    let in_json = gateway.res("action=getbalance&json=1").json();
    assert_eq!(in_json, json!({"status": 1, "request": "1000.00000"}));
    assert_eq!(gateway.simulator().state().counts.r, 1);
}

#[test]
fn fifty_who_ask_for_statistics_at_once_cost_one_call_a_day() {
    let gateway = TestGateway::start();
    for reply in at_once(|| gateway.res("action=getstats&date=2013-11-27")) {
        assert!(reply.text().contains("<stats date=\"2013-11-27\">"), "{}", reply.text());
        assert_eq!(reply.header("Content-Type"), Some("text/xml; charset=UTF-8"));
    }
    assert!(gateway.res("action=getstats&date=2013-11-28").text().contains("2013-11-28"));
    assert_eq!(gateway.simulator().state().counts.r, 2);
}

#[test]
fn a_client_that_asks_for_all_the_statistics_of_the_hour_leaves_another_its_share() {
    let gateway = TestGateway::builder().clients(2).start();
    let ask = |client, day: u32| {
        let date = format!("20{:02}-{:02}-{:02}", day / 360, day / 30 % 12 + 1, day % 30 % 28 + 1);
        gateway.res_as(client, &format!("action=getstats&date={date}&json=1"))
    };
    // Half of the sixty; the next gets half of what is left.
    for (client, days, one_over) in [(1, 0..30, 2_001), (2, 30..45, 2_002)] {
        for day in days.clone() {
            let told = ask(client, day * 31);
            assert!(told.text().contains('<'), "client {client}, day {day}: {}", told.text());
        }
        let refused = ask(client, one_over);
        assert!(refused.text().contains("within an hour"), "{}", refused.text());
        assert_eq!(gateway.simulator().state().counts.r, u64::from(days.end));
    }
    assert!(ask(2, 31).text().contains('<'), "what was asked for before is remembered, whoever asked");
}

#[test]
fn fifty_who_ask_for_the_load_at_once_cost_one_call_and_need_no_key() {
    let gateway = TestGateway::start();
    for reply in at_once(|| gateway.get("/load.php")) {
        for element in ["<waiting>", "<load>", "<minbid>", "<averageRecognitionTime>"] {
            assert!(reply.text().contains(element), "{}", reply.text());
        }
    }
    assert_eq!(gateway.simulator().state().counts.load_php_calls, 1);
}

/// The pages that protocol.md calls dead, and the balance for good measure.
const QUESTIONS: [&str; 3] = [
    "/res.php?key={key}&action=getstats&date=2013-11-27",
    "/load.php?",
    "/res.php?key={key}&action=getbalance",
];

fn ask(gateway: &TestGateway, question: &str, form: &str) -> Reply {
    let target = question.replace("{key}", &crate::support::client_key(1));
    let call = format!("GET {target}&{form} HTTP/1.1\r\nHost: gateway\r\n\r\n");
    crate::support::exchange(gateway.clients(), call.as_bytes(), PATIENCE)
}

#[test]
fn a_page_that_never_answers_is_an_error_before_any_client_gives_up() {
    let upstream = Recorder::start(|_| Say::Nothing);
    let gateway = TestGateway::fronting(&upstream.url());
    std::thread::scope(|scope| {
        for question in QUESTIONS {
            let gateway = &gateway;
            scope.spawn(move || {
                let reply = ask(gateway, question, "json=1").json();
                assert_eq!(reply["status"], 0, "{question}");
                assert!(reply["request"].as_str().is_some_and(|code| code.starts_with("ERROR_")), "{reply}");
                assert!(reply["error_text"].as_str().is_some_and(|text| !text.is_empty()), "{reply}");
            });
        }
    });
}

#[test]
fn a_page_that_is_dead_is_an_error_in_both_forms_and_costs_one_call() {
    let upstream = Recorder::start(|call| match call.parameter("action").as_str() {
        "getstats" => Say::Page(500, "<html>500</html>"),
        "getbalance" => Say::Text("<!DOCTYPE html><html><body>Maintenance</body></html>".into()),
        "get" => Say::Text("CAPCHA_NOT_READY".into()),
        _ if call.path() == "/in.php" => Say::Text("OK|51555".into()),
        _ => Say::Page(404, ""),
    });
    let gateway = TestGateway::fronting(&upstream.url());
    // One good call first: a key that was never confirmed is a reason of its own to wait.
    gateway.upload(&[("textcaptcha", "two and two")]).id();
    for question in QUESTIONS {
        let plain = ask(&gateway, question, "json=0");
        assert!(plain.text().starts_with("ERROR_"), "{question}: {}", plain.text());
        let in_json = ask(&gateway, question, "json=1").json();
        assert_eq!((&in_json["status"], &in_json["request"]), (&json!(0), &json!(plain.text())));
    }
    let calls = upstream.calls();
    let asked = calls.iter().filter(|call| call.path() != "/in.php" && call.parameter("action") != "get");
    assert_eq!(asked.count(), QUESTIONS.len());
}

#[test]
fn the_last_good_balance_stands_in_while_the_upstream_is_down() {
    let gateway =
        TestGateway::builder().settings(|config| config.cache.balance = Duration::from_millis(50)).start();
    assert_eq!(gateway.res("action=getbalance").text(), "1000.00000");
    gateway.simulator().change(&json!({"faults": {"html_502@res": 1}})).expect("a switch");
    crate::support::wait_until("the upstream is asked again", || {
        assert_eq!(gateway.res("action=getbalance").text(), "1000.00000");
        gateway.metric("capgate_upstream_calls_total", "call=\"balance\",outcome=\"status\"") > 0.0
    });
    assert_eq!(gateway.res("action=getbalance").text(), "1000.00000");
}
