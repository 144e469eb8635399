//! The status page and its JSON, as a browser and a program get them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Recorder, Reply, Say, TestGateway, client_key};

fn status(gateway: &TestGateway) -> Value {
    gateway.get_admin("/status.json").json()
}

fn page(gateway: &TestGateway) -> Reply {
    let page = gateway.get_admin("/");
    assert_eq!(page.status, 200);
    page
}

#[test]
fn the_json_tells_what_happened_and_the_page_says_the_same() {
    let gateway = TestGateway::builder().clients(2).start();
    assert_eq!(
        (&status(&gateway)["state"]["name"], &status(&gateway)["captchas_open"]),
        (&json!("open"), &json!(0))
    );
    let id = gateway.upload(&[("textcaptcha", "count me")]).id();
    gateway.answer(&format!("action=get&id={id}"));
    gateway.res("action=getbalance");
    let told = status(&gateway);
    let first = json!({
        "name": "client-1", "open": 0, "waiting": 0, "accepted": 1, "refused": 0, "solved": 1, "unsolved": 0,
        "stopped": false, "budgets": [],
    });
    assert_eq!((&told["clients"][0], told["clients"].as_array().map(Vec::len)), (&first, Some(2)));
    assert_eq!((&told["recent"]["accepted"], &told["recent"]["solved"]), (&json!(1), &json!(1)));
    assert_eq!(
        told["history"].as_array().and_then(|all| all.last()).map(|last| &last["solved"]),
        Some(&json!(1))
    );
    assert!(told["money"]["balance_usd"].as_f64().is_some_and(|usd| usd > 900.0), "{}", told["money"]);
    assert_eq!(told["budgets"].as_array().map(Vec::len), Some(capgate::engine::BlockRule::COUNT));
    assert_eq!((&told["troubles"], &told["ready"]), (&json!([]), &json!(true)));
    let page = page(&gateway);
    for text in ["<title>Open · capgate</title>", "client-2", "1005_looks", "None since the start.", "lasts "]
    {
        assert!(page.text().contains(text), "{text}\n{}", page.text());
    }
    for secret in [client_key(1), capgate::simulator::DEFAULT_KEY.to_owned(), id, "count me".into()] {
        assert!(!page.text().contains(&secret) && !told.to_string().contains(&secret));
    }
}

#[test]
fn the_page_uses_nothing_but_its_own_files_and_allows_nothing_else() {
    let gateway = TestGateway::fronting("http://127.0.0.1:9/upstream");
    let page = page(&gateway);
    let policy = page.header("Content-Security-Policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'none'; style-src 'self'; script-src 'self';"), "{policy}");
    assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(page.header("X-Content-Type-Options"), Some("nosniff"));
    assert_eq!(page.header("Cache-Control"), Some("no-store"));
    // What the policy forbids would not work: no style or script within the page.
    for forbidden in ["style=", "<style", " onclick", "<script>", "javascript:"] {
        assert!(!page.text().contains(forbidden), "{forbidden}");
    }
    let used: Vec<_> = ["href=\"", "src=\""]
        .iter()
        .flat_map(|name| page.text().split(name).skip(1).filter_map(|rest| rest.split('"').next()))
        .collect();
    assert!(used.len() > 5, "{used:?}");
    for address in used {
        assert!(address.starts_with('/') && !address.starts_with("//"), "{address}");
        assert_eq!(gateway.get_admin(address).status, 200, "{address}");
    }
    let addresses = page.text().replace("http://127.0.0.1:9/upstream", "");
    assert!(!addresses.contains("://"), "the upstream's is the only address of another place");
    let script = gateway.get_admin("/status/script.js");
    assert!(script.header("Content-Type").is_some_and(|label| label.starts_with("text/javascript")));
    for file in ["/status/script.js", "/status/style.css"] {
        let file = gateway.get_admin(file);
        assert!(!file.text().contains("://") && !file.text().contains("@import"), "{}", file.text());
    }
}

#[test]
fn a_state_is_named_with_its_end_and_what_to_do() {
    let gateway = TestGateway::builder()
        .scenario(json!({"balance": "0"}))
        .settings(|config| config.uploads.hold = Duration::from_millis(100))
        .start();
    assert_eq!(gateway.upload(&[("textcaptcha", "2")]).text(), "ERROR_ZERO_BALANCE");
    let told = status(&gateway);
    assert_eq!((&told["state"]["name"], &told["state"]["level"]), (&json!("no_money"), &json!("bad")));
    assert!(told["state"]["until"].as_str().is_some_and(|until| until.ends_with('Z')), "{}", told["state"]);
    assert_eq!(told["waits"][0]["reason"], "zero_balance");
    assert_eq!((&told["clients"][0]["refused"], &told["recent"]["refused"]), (&json!(1), &json!(1)));
    assert_eq!(told["troubles"][0]["text"], "ERROR_ZERO_BALANCE: The account has no money.");
    let page = page(&gateway);
    for text in [
        "<title>No money · capgate</title>",
        "data-state=\"no_money\"",
        "Pay in.",
        "in 1 min",
        "ERROR_ZERO_BALANCE",
    ] {
        assert!(page.text().contains(text), "{text}\n{}", page.text());
    }
}

#[test]
fn a_service_that_gives_no_answers_is_told_after_three_calls_and_forgotten_with_the_first_answer() {
    let uploads = AtomicUsize::new(0);
    let upstream = Recorder::start(move |call| {
        let is_upload = call.path() == "/in.php";
        Say::Text(match uploads.fetch_add(usize::from(is_upload), Ordering::Relaxed) {
            number @ (0 | 4) if is_upload => format!("OK|{}", 7 + number),
            _ if is_upload => "<html>maintenance</html>".into(),
            _ => "OK|an answer".into(),
        })
    });
    let gateway = TestGateway::fronting(&upstream.url());
    let upload = |text: &str| gateway.upload(&[("textcaptcha", text)]);
    let state = || status(&gateway)["state"]["name"].take();
    gateway.answer(&format!("action=get&id={}", upload("zero").id()));
    for text in ["one", "two"] {
        assert_eq!(upload(text).text(), "ERROR_NO_SLOT_AVAILABLE");
        assert_eq!(state(), "open");
    }
    upload("three");
    let told = status(&gateway);
    assert_eq!((&told["state"]["name"], &told["troubles"][0]["count"]), (&json!("unanswered"), &json!(3)));
    assert_eq!(told["state"]["detail"], "3 calls in a row had no answer");
    assert_eq!(told["troubles"][0]["place"], "submit");
    assert!(!page(&gateway).text().contains("maintenance"), "a page of the upstream's is not shown");
    upload("four").id();
    assert_eq!(state(), "open");
    assert_eq!(status(&gateway)["troubles"][0]["count"], 3, "what went wrong is remembered");
}

#[test]
fn what_waits_is_shown_by_client() {
    let gateway = TestGateway::builder()
        .clients(2)
        .settings(|config| {
            config.uploads.hold = Duration::from_secs(2);
            config.budget.upload_gap = Duration::from_mins(1);
        })
        .start();
    gateway.upload_as(1, &[("textcaptcha", "goes at once")]).id();
    std::thread::scope(|scope| {
        scope.spawn(|| gateway.upload_as(2, &[("textcaptcha", "waits")]));
        crate::support::wait_until("client 2 waits", || {
            status(&gateway)["clients"][1]["waiting"] == json!(1)
        });
        let told = status(&gateway);
        assert_eq!((&told["uploads_waiting"], &told["clients"][0]["waiting"]), (&json!(1), &json!(0)));
        assert_eq!(told["state"]["name"], "holding", "{}", told["state"]);
    });
    crate::support::wait_until("nobody waits", || status(&gateway)["clients"][1]["waiting"] == json!(0));
}
