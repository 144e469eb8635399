//! What a client may spend: at the limit and one over, in a burst, and across a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use capgate::config::{Client, Exact, StoreUrl};
use serde_json::json;

use crate::support::{Recorder, Reply, Say, TestGateway, client_key, refused, wait_until};

/// What a text costs by default, in USD.
const TEXT: &str = "0.001";

fn usd(text: &str) -> Exact {
    Exact(text.parse().expect("a number"))
}

fn gateway(upstream: &Recorder, change: impl FnOnce(&mut Client)) -> TestGateway {
    let builder = TestGateway::builder().upstream(&upstream.url()).clients(2);
    builder.settings(|config| change(&mut config.clients[0])).start()
}

fn upload(gateway: &TestGateway, number: usize) -> Reply {
    gateway.upload(&[("textcaptcha", &format!("{number} and one"))])
}

/// Checks that client 1 may upload `count` more captchas, that the next is refused with `code` for `reason` in plain and
/// in JSON, without an upstream call, and that client 2 does not notice.
#[track_caller]
fn at_the_limit_and_one_over(
    gateway: &TestGateway,
    upstream: &Recorder,
    count: usize,
    code: &str,
    reason: &str,
) {
    for number in 0..count {
        upload(gateway, number).id();
    }
    let label = format!("client=\"client-1\",reason=\"{reason}\"");
    let refusals = || gateway.metric("capgate_upload_refusals_total", &label);
    let (calls, before) = (upstream.uploads().len(), refusals());
    refused(code, reason, |form| {
        gateway.get(&format!("/in.php?key={}&textcaptcha=more&{form}", client_key(1)))
    });
    assert!(refusals() - before > 1.5, "plain and JSON are counted: {label}");
    assert_eq!(upstream.uploads().len(), calls);
    gateway.upload_as(2, &[("textcaptcha", "another client's")]).id();
}

#[test]
fn each_budget_is_spent_to_its_limit_and_not_one_captcha_further() {
    type Change = fn(&mut Client);
    let budgets: [(&str, Change); 4] = [
        ("daily_budget_usd", |client| client.daily_budget_usd = Some(usd("0.003999"))),
        ("daily_budget_captchas", |client| client.daily_budget_captchas = Some(3)),
        ("monthly_budget_usd", |client| client.monthly_budget_usd = Some(usd("0.003"))),
        ("monthly_budget_captchas", |client| client.monthly_budget_captchas = Some(3)),
    ];
    let upstream = Recorder::accepting();
    for (name, change) in budgets {
        let gateway = gateway(&upstream, change);
        at_the_limit_and_one_over(&gateway, &upstream, 3, "ERROR_ZERO_BALANCE", name);
    }
}

#[test]
fn as_many_captchas_are_open_as_may_be_and_one_more_waits_for_an_end() {
    let is_solved = Arc::new(AtomicBool::new(false));
    let ids = AtomicU64::new(70_000_000_000);
    let solved = Arc::clone(&is_solved);
    let upstream = Recorder::start(move |call| {
        Say::Text(if call.is_upload() {
            format!("OK|{}", ids.fetch_add(1, Ordering::Relaxed))
        } else if solved.load(Ordering::Relaxed) {
            json!({"status": 1, "request": "five"}).to_string()
        } else {
            json!({"status": 0, "request": "CAPCHA_NOT_READY"}).to_string()
        })
    });
    let gateway = gateway(&upstream, |client| client.max_open = Some(3));
    at_the_limit_and_one_over(&gateway, &upstream, 3, "ERROR_NO_SLOT_AVAILABLE", "max_open");
    assert!((gateway.metric("capgate_client_captchas_open_limit", "client-1") - 3.0).abs() < f64::EPSILON);
    is_solved.store(true, Ordering::Relaxed);
    wait_until("all have ended", || gateway.metric("capgate_client_captchas_open", "client-1") < 0.5);
    upload(&gateway, 4).id();
}

#[test]
fn a_burst_does_not_go_past_a_budget_before_the_first_of_it_has_ended() {
    let upstream = Recorder::accepting();
    let gateway = gateway(&upstream, |client| client.daily_budget_usd = Some(usd("0.005")));
    let replies: Vec<String> = std::thread::scope(|scope| {
        let uploads: Vec<_> = (0..40)
            .map(|number| {
                scope.spawn({
                    let gateway = &gateway;
                    move || upload(gateway, number).text().to_owned()
                })
            })
            .collect();
        uploads.into_iter().map(|upload| upload.join().expect("it was answered")).collect()
    });
    let accepted = replies.iter().filter(|reply| reply.starts_with("OK|")).count();
    let refused = replies.iter().filter(|reply| *reply == "ERROR_ZERO_BALANCE").count();
    assert_eq!((accepted, refused, upstream.uploads().len()), (5, 35, 5), "{replies:?}");
}

#[test]
fn a_client_sees_what_it_may_still_spend_in_place_of_the_accounts_balance() {
    let gateway = TestGateway::builder()
        .clients(2)
        .settings(|config| {
            config.clients[0].daily_budget_usd = Some(usd("1.5"));
            config.clients[0].monthly_budget_usd = Some(usd("1"));
            config.clients[0].daily_budget_captchas = Some(500);
        })
        .start();
    assert_eq!(gateway.res("action=getbalance").text(), "1.00000");
    assert_eq!(gateway.res("action=getbalance&json=1").json(), json!({"status": 1, "request": "1.00000"}));
    let counts = gateway.simulator().state().counts;
    assert_eq!(counts.r, 0, "known from memory");
    let header = |client: usize| {
        gateway.res_as(client, "action=getbalance").header("X-Capgate-Budget").map(str::to_owned)
    };
    let budgets = header(1).expect("it has budgets");
    for budget in
        ["daily_budget_usd=1.5/1.5 until ", "monthly_budget_usd=1/1 ", "daily_budget_captchas=500/500 "]
    {
        assert!(budgets.contains(budget), "{budget} in {budgets}");
    }
    assert_eq!(gateway.res_as(2, "action=getbalance").text(), "1000.00000", "the account's");
    assert_eq!(header(2), None);
    // Under way it counts with the settings' price, and then with its own.
    let id = upload(&gateway, 1).id();
    assert_eq!(gateway.res("action=getbalance").text(), "0.99900");
    let told = gateway.answer(&format!("action=get2&id={id}")).text().to_owned();
    let price: f64 = told.rsplit('|').next().and_then(|price| price.parse().ok()).expect("a price");
    assert!((price - 0.001).abs() > f64::EPSILON, "the simulator's price is another: {told}");
    wait_until("the price is known", || {
        gateway.res("action=getbalance").text() == format!("{:.5}", 1.0 - price)
    });
    // What cannot be solved costs nothing, but was one captcha.
    gateway.simulator().change(&json!({"faults": {"unsolvable": "1/1"}})).expect("a switch");
    let id = upload(&gateway, 2).id();
    assert_eq!(gateway.answer(&format!("action=get&id={id}")).text(), "ERROR_CAPTCHA_UNSOLVABLE");
    wait_until("it is free", || gateway.res("action=getbalance").text() == format!("{:.5}", 1.0 - price));
    let captchas =
        gateway.metric("capgate_client_budget_left_captchas", "client=\"client-1\",period=\"day\"");
    let month = gateway.metric("capgate_client_budget_left_usd", "client=\"client-1\",period=\"month\"");
    let limit = gateway.metric("capgate_client_budget_limit_usd", "client=\"client-1\",period=\"day\"");
    assert!(
        (captchas - 498.0).abs() < f64::EPSILON && (month - (1.0 - price)).abs() < 1e-9,
        "{captchas} {month}"
    );
    assert!((limit - 1.5).abs() < f64::EPSILON, "{limit}");
}

#[test]
fn a_client_whose_captchas_are_used_up_sees_that_it_has_nothing_left() {
    let gateway =
        TestGateway::builder().settings(|config| config.clients[0].daily_budget_captchas = Some(1)).start();
    let balance = || gateway.res("action=getbalance").text().to_owned();
    assert_eq!(balance(), "1000.00000", "it may spend of the account's");
    let id = upload(&gateway, 1).id();
    assert_eq!(balance(), "0.00000", "as an upload is told");
    assert_eq!(upload(&gateway, 2).text(), "ERROR_ZERO_BALANCE");
    gateway.answer(&format!("action=get&id={id}"));
}

#[test]
fn an_upload_whose_fate_is_unknown_stays_spent_and_one_that_was_refused_does_not() {
    let answers = std::sync::Mutex::new(
        vec![Say::Text("ERROR_BAD_PARAMETERS".into()), Say::Close, Say::Text("OK|70000000001".into())]
            .into_iter(),
    );
    let upstream = Recorder::start(move |call| {
        let answer = if call.is_upload() { answers.lock().expect("nobody panicked").next() } else { None };
        answer.unwrap_or(Say::Text("1.5".into()))
    });
    let gateway = gateway(&upstream, |client| client.daily_budget_captchas = Some(2));
    gateway.res_as(2, "action=getbalance");
    assert_eq!(upload(&gateway, 1).text(), "ERROR_BAD_PARAMETERS");
    assert_eq!(upload(&gateway, 2).text(), "ERROR_NO_SLOT_AVAILABLE", "its reply was lost");
    upload(&gateway, 3).id();
    assert_eq!(upload(&gateway, 4).text(), "ERROR_ZERO_BALANCE");
}

#[test]
fn what_was_bought_is_told_to_a_client_that_has_nothing_left() {
    let upstream = Recorder::accepting();
    let gateway = gateway(&upstream, |client| client.daily_budget_captchas = Some(1));
    let upload = |text: &str| {
        gateway.send(format!("GET /in.php?key={}&textcaptcha={text} HTTP/1.1\r\nHost: gateway\r\nIdempotency-Key: {text}\r\nConnection: close\r\n\r\n", client_key(1)).as_bytes())
    };
    let id = upload("one").id();
    assert_eq!(upload("one").id(), id);
    assert_eq!(upload("two").text(), "ERROR_ZERO_BALANCE");
}

#[test]
fn a_restart_gives_nothing_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream = Recorder::accepting();
    let start = || {
        TestGateway::builder()
            .upstream(&upstream.url())
            .settings(|config| {
                config.store.url = StoreUrl::Sqlite(folder.path().join("capgate.db"));
                config.polling.first_look = Duration::from_mins(5);
                config.clients[0].daily_budget_usd = Some(usd("0.003"));
                config.clients[0].max_open = Some(3);
            })
            .start()
    };
    let gateway = start();
    for number in 0..2 {
        upload(&gateway, number).id();
    }
    assert_eq!(gateway.res("action=getbalance").text(), TEXT.to_owned() + "00");
    drop(gateway);
    let gateway = start();
    assert_eq!(gateway.res("action=getbalance").text(), TEXT.to_owned() + "00");
    upload(&gateway, 2).id();
    assert_eq!(upload(&gateway, 3).text(), "ERROR_ZERO_BALANCE");
}
