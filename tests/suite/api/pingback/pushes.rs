//! Answers that the upstream pushes to us.

use std::time::Duration;

use capgate::protocol::UpstreamKey;
use capgate::protocol::pingback::PushSecret;
use capgate::simulator::DEFAULT_KEY;
use serde_json::{Value, json};

use super::{Registers, receiver, told};
use crate::support::{
    Builder, Recorder, Reply, Say, TestGateway, expected, post_bytes, urlencoded, wait_until,
};

/// A gateway that the upstream can push to, below a prefix as behind a proxy.
fn pushed() -> Builder {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    TestGateway::builder().near().settings(|config| {
        config.listen.clients = free;
        config.upstream.pingback_url = Some(format!("http://{free}/some/prefix"));
    })
}

#[track_caller]
fn registered(gateway: TestGateway) -> TestGateway {
    wait_until("our host is registered", || gateway.metric("capgate_pushes_registered", "") > 0.0);
    gateway
}

#[track_caller]
fn started(builder: Builder) -> TestGateway {
    registered(builder.start())
}

/// Pushes have come, so looks wait for them from now on; with the looks that were made before.
#[track_caller]
fn proven(builder: Builder) -> (TestGateway, u64) {
    let gateway = started(builder);
    let ids: Vec<_> = (0..8).map(|number| text(&gateway, &format!("before {number}"))).collect();
    for id in ids {
        assert!(gateway.answer(&format!("action=get&id={id}")).text().starts_with("OK|"));
    }
    wait_until("all are pushed", || gateway.simulator().state().counts.pushes_taken == 8);
    wait_until("all are judged", || gateway.metric("capgate_pushes_total", "") > 7.0);
    let looks = gateway.simulator().state().counts.looks;
    (gateway, looks)
}

fn secret_path() -> String {
    let url = PushSecret::of(&UpstreamKey::new(DEFAULT_KEY)).url("");
    url.expose().to_owned()
}

fn push(gateway: &TestGateway, target: &str, body: &str) -> Reply {
    gateway.send(&post_bytes(target, Some("application/x-www-form-urlencoded"), body.as_bytes()))
}

fn pushes(gateway: &TestGateway, outcome: &str) -> f64 {
    gateway.metric("capgate_pushes_total", &format!("outcome=\"{outcome}\""))
}

#[track_caller]
fn text(gateway: &TestGateway, text: &str) -> String {
    gateway.upload(&[("textcaptcha", text)]).id()
}

fn answer_to(text: &str) -> String {
    format!("OK|{}", expected(&[("textcaptcha", text)], 0.0).plain)
}

#[test]
fn pushed_answers_reach_their_clients_and_nothing_is_looked_at() {
    // Looks would come after 18 intervals.
    let (gateway, before) =
        proven(pushed().settings(|config| config.polling.interval = Duration::from_secs(2)));
    let calls = gateway.simulator().state().counts.r;
    let uploads: Vec<_> = (0..20).map(|number| format!("pushed {number}")).collect();
    let ids: Vec<_> = uploads.iter().map(|upload| text(&gateway, upload)).collect();
    for (id, upload) in ids.iter().zip(&uploads) {
        assert_eq!(gateway.answer(&format!("action=get&id={id}")).text(), answer_to(upload));
    }
    wait_until("the upstream knows", || gateway.simulator().state().counts.pushes_taken == 28);
    let state = gateway.simulator().state();
    assert_eq!((state.counts.looks, state.counts.r), (before, calls));
    assert_eq!(calls - before, 1, "one add_pingback");
    wait_until("all are judged", || gateway.metric("capgate_pushes_total", "") > 27.0);
    assert_eq!(state.pingback_addresses, ["127.0.0.1"]);
}

#[test]
fn whatever_becomes_of_a_push_its_client_gets_its_answer() {
    for (fault, looks, outcome) in [
        ("push_lost", true, &[][..]),
        ("push_twice", false, &["late"]),
        ("push_late", true, &["late"]),
        // It waits in line for a moment, and may find its captcha when its turn comes.
        ("push_early", false, &["early", "taken"]),
        ("push_foreign", false, &["taken"]),
    ] {
        let mut faults = json!({"slow_ms": "4000-4000"});
        faults["faults"] = json!({ fault: 1 });
        let (gateway, before) = proven(pushed());
        let shown = || outcome.iter().map(|outcome| pushes(&gateway, outcome)).sum::<f64>();
        let shown_before = shown();
        gateway.simulator().change(&faults).expect("a switch");
        let id = text(&gateway, fault);
        assert_eq!(gateway.answer(&format!("action=get&id={id}")).text(), answer_to(fault), "{fault}");
        assert_eq!(gateway.simulator().state().counts.looks > before, looks, "{fault}");
        wait_until(&format!("{fault} shows"), || outcome.is_empty() || shown() > shown_before);
        let again = gateway.res(&format!("action=get&id={id}"));
        assert_eq!(again.text(), answer_to(fault), "{fault} changes nothing");
    }
}

#[test]
fn an_answer_that_a_push_cannot_carry_is_looked_at_when_it_is_pushed() {
    let (gateway, before) = proven(pushed());
    let fields = [("method", "turnstile"), ("sitekey", "k"), ("pageurl", "http://p")];
    let id = gateway.upload(&fields).id();
    let answer = gateway.answer(&format!("action=get&id={id}&json=1")).json();
    let whole = expected(&fields, 0.0);
    let members: Value = serde_json::from_str(&format!("{{{}}}", &whole.extras[1..])).expect("members");
    assert_eq!(answer["request"], whole.plain);
    assert_eq!(answer["useragent"], members["useragent"], "a push does not carry it");
    let looks = gateway.simulator().state().counts.looks;
    assert_eq!((looks - before, pushes(&gateway, "looked") > 0.0), (1, true));
    // A failed one is told by the code alone.
    gateway.simulator().change(&json!({"faults": {"unsolvable": 1}})).expect("a switch");
    let id = gateway.upload(&fields).id();
    assert_eq!(gateway.answer(&format!("action=get&id={id}")).text(), "ERROR_CAPTCHA_UNSOLVABLE");
    assert_eq!(gateway.simulator().state().counts.looks, looks);
}

#[test]
fn a_price_is_looked_for_after_the_push() {
    let (gateway, before) = proven(pushed().scenario(json!({"solve_times": "300-300"})));
    let id = text(&gateway, "priced");
    // It is asked for while the captcha is open.
    let answer = gateway.answer(&format!("action=get2&id={id}"));
    assert!(answer.text().starts_with(&format!("{}|0.", answer_to("priced"))), "{}", answer.text());
    assert_eq!(gateway.simulator().state().counts.looks, before + 1);
}

/// An upstream that takes uploads and our host, and leaves pushing to the test.
fn silent() -> Recorder {
    let last_id = std::sync::atomic::AtomicU64::new(50_000_000_000);
    Recorder::start(move |call| match (call.path(), call.parameter("action").as_str()) {
        ("/in.php", _) => {
            Say::Text(format!("OK|{}", last_id.fetch_add(1, std::sync::atomic::Ordering::Relaxed)))
        }
        (_, "add_pingback") => Say::Text("OK".into()),
        _ => Say::Text("CAPCHA_NOT_READY".into()),
    })
}

#[test]
fn a_push_is_believed_on_the_secret_path_alone_and_for_an_open_captcha_of_ours_alone() {
    let upstream = silent();
    let gateway = started(pushed().upstream(&upstream.url()));
    let (id, path) = (text(&gateway, "forged"), secret_path());
    let not_ready = |what: &str| {
        assert_eq!(gateway.res(&format!("action=get&id={id}")).text(), "CAPCHA_NOT_READY", "{what}");
    };
    let forged = format!("id={id}&code=forged");
    for elsewhere in ["/", "/some/prefix", "/some/prefix/", "/pingback", &path[..path.len() - 1], "/in.php/x"]
    {
        assert_eq!(push(&gateway, elsewhere, &forged).status, 404, "{elsewhere}");
    }
    not_ready("a path that nobody was told");
    let long = "x".repeat(64 * 1024);
    for nothing in ["", "id=1", "code=x", "nonsense", "id=99&code=x", "{", &format!("id={id}&code={long}")] {
        let reply = push(&gateway, &path, nothing);
        assert_eq!((reply.status, reply.text()), (200, "OK"), "whoever pushes is told the same");
    }
    wait_until("they are judged", || pushes(&gateway, "malformed") > 5.0);
    not_ready("another's id, and what is no push");
    assert_eq!(push(&gateway, &path, &format!("id={id}&code=right")).text(), "OK");
    assert_eq!(gateway.answer(&format!("action=get&id={id}")).text(), "OK|right");
    assert_eq!(push(&gateway, &path, &format!("id={id}&code=later")).text(), "OK");
    wait_until("it is judged", || pushes(&gateway, "late") > 0.0);
    assert_eq!(gateway.res(&format!("action=get&id={id}")).text(), "OK|right", "the first answer stays");
}

#[test]
fn the_form_of_2016_and_a_query_are_taken_and_as_long_an_answer_as_the_limit_allows() {
    let upstream = silent();
    let gateway = started(pushed().upstream(&upstream.url()));
    let path = format!("/any/prefix{}", secret_path());
    let id = text(&gateway, "old");
    push(&gateway, &path, &format!("{id},a=1&b|c,d"));
    assert_eq!(gateway.answer(&format!("action=get&id={id}")).text(), "OK|a=1&b|c,d");
    let id = text(&gateway, "query");
    assert_eq!(gateway.get(&format!("{path}?id={id}&code=w9+h5k")).text(), "OK");
    assert_eq!(gateway.answer(&format!("action=get&id={id}")).text(), "OK|w9 h5k");
    let id = text(&gateway, "long");
    let code = "x".repeat(64 * 1024 - "id=&code=".len() - id.len());
    push(&gateway, &path, &format!("id={id}&code={code}"));
    assert_eq!(gateway.answer(&format!("action=get&id={id}")).text(), format!("OK|{code}"));
}

#[test]
fn every_upload_names_our_secret_address_in_a_post_once_our_host_is_registered() {
    let upstream = silent();
    let gateway = started(pushed().upstream(&upstream.url()));
    text(&gateway, "named");
    let calls = upstream.calls();
    assert_eq!(
        (calls[0].parameter("action"), calls[0].parameter("addr")),
        ("add_pingback".into(), "127.0.0.1".into())
    );
    let upload = upstream.uploads().remove(0);
    let address = upload.parameter("pingback");
    assert_eq!(address, format!("http://{}/some/prefix{}", gateway.clients(), secret_path()));
    assert_eq!((upload.method(), upload.query()), ("POST", ""), "a query would lose parameters");
}

#[test]
fn an_upstream_that_does_not_take_our_host_is_not_asked_to_push_and_hears_it_once() {
    let last_id = std::sync::atomic::AtomicU64::new(50_000_000_000);
    let upstream = Recorder::start(move |call| match (call.path(), call.parameter("action").as_str()) {
        ("/in.php", _) => {
            Say::Text(format!("OK|{}", last_id.fetch_add(1, std::sync::atomic::Ordering::Relaxed)))
        }
        (_, "add_pingback") => Say::Text("ERROR_IP_ADDRES".into()),
        _ => Say::Text("OK|looked".into()),
    });
    let gateway = pushed().upstream(&upstream.url()).start();
    wait_until("it is asked", || !upstream.calls().is_empty());
    for number in 0..5 {
        let id = text(&gateway, &format!("looked for {number}"));
        assert!(gateway.answer(&format!("action=get&id={id}")).text().starts_with("OK|"));
    }
    assert!(gateway.metric("capgate_pushes_registered", "") < 1.0);
    assert!(upstream.uploads().iter().all(|upload| upload.parameter("pingback").is_empty()));
    let tries = upstream.calls().iter().filter(|call| call.parameter("action") == "add_pingback").count();
    assert_eq!(tries, 1, "again after a minute");
}

#[test]
fn an_upload_that_is_refused_for_its_address_is_sent_without_and_no_other_names_it() {
    let last_id = std::sync::atomic::AtomicU64::new(50_000_000_000);
    let upstream = Recorder::start(move |call| match (call.path(), call.parameter("action").as_str()) {
        ("/in.php", _) if !call.parameter("pingback").is_empty() => {
            Say::Text("ERROR_PINGBACK_UNKNOWN".into())
        }
        ("/in.php", _) => {
            Say::Text(format!("OK|{}", last_id.fetch_add(1, std::sync::atomic::Ordering::Relaxed)))
        }
        (_, "add_pingback") => Say::Text("OK".into()),
        _ => Say::Text("OK|looked".into()),
    });
    let gateway = started(pushed().upstream(&upstream.url()));
    let ids = [text(&gateway, "refused first"), text(&gateway, "not named")];
    for id in ids {
        assert_eq!(gateway.answer(&format!("action=get&id={id}")).text(), "OK|looked");
    }
    let named: Vec<bool> =
        upstream.uploads().iter().map(|call| !call.parameter("pingback").is_empty()).collect();
    assert_eq!(named, [true, false, false]);
}

#[test]
fn a_pushed_answer_is_pushed_on_to_its_clients_receiver() {
    let ((gateway, before), receiver) = (proven(pushed()), receiver());
    gateway.register(&receiver.url());
    let id = gateway.upload(&[("textcaptcha", "through"), ("pingback", &receiver.url())]).id();
    wait_until("the receiver is told", || !receiver.calls().is_empty());
    assert_eq!(told(&receiver), [(id, answer_to("through")["OK|".len()..].to_owned())]);
    assert_eq!(gateway.simulator().state().counts.looks, before);
}

#[test]
fn the_page_for_the_check_of_our_domain_shows_the_token_and_is_not_there_without() {
    let token = |gateway: &TestGateway, path| (gateway.get(path).status, gateway.get(path).text().to_owned());
    let gateway = pushed().settings(|config| config.upstream.pingback_token = Some("t0ken".into())).start();
    for path in ["/2captcha.txt", "/rucaptcha.txt"] {
        assert_eq!(token(&gateway, path), (200, "t0ken".into()), "{path}");
    }
    assert_eq!(TestGateway::start().get("/2captcha.txt").status, 404);
}

#[test]
fn the_secret_path_is_in_no_log_metric_or_page() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    let mut program = crate::support::Setup::new()
        .simulator(&["--solve-times", "fast"])
        .set("LISTEN__CLIENTS", free.to_string())
        .set("UPSTREAM__PINGBACK_URL", format!("http://{free}"))
        .set("LOG__LEVEL", "trace")
        .start();
    wait_until("our host is registered", || program.metric("capgate_pushes_registered", "") > 0.0);
    let id = program.upload_as(1, "logged").id();
    assert_eq!(program.answer_as(1, &id), answer_to("logged"));
    assert!(program.metric("capgate_pushes_total", "outcome=\"taken\"") > 0.0);
    let query = urlencoded(&[("key", &crate::support::client_key(1)), ("action", "get_pingback")]);
    let pages = [
        program.get(&format!("/res.php?{query}")),
        program.get_admin("/metrics"),
        program.get_admin("/readyz"),
        program.get_admin("/status.json"),
        program.get("/elsewhere"),
    ];
    let secret = secret_path();
    for page in pages {
        assert!(!page.text().contains(&secret[1..]), "{}", page.text());
    }
    let (said, logged) = program.stop();
    let shown = |text: &str| text.lines().find(|line| line.contains(&secret[1..])).map(str::to_owned);
    // The web server's own trace of a path is not capgate's to write.
    let own: String = logged.lines().filter(|line| line.contains("capgate")).collect::<Vec<_>>().join("\n");
    assert_eq!((shown(&said), shown(&own)), (None, None));
}

#[test]
fn a_captcha_that_was_to_be_pushed_is_looked_for_after_a_kill() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    let mut program = crate::support::Setup::new()
        .simulator(&["--solve-times", "500-500"])
        .set("LISTEN__CLIENTS", free.to_string())
        .set("UPSTREAM__PINGBACK_URL", format!("http://{free}"))
        .start();
    wait_until("our host is registered", || program.metric("capgate_pushes_registered", "") > 0.0);
    let id = program.upload_as(1, "killed").id();
    program.kill();
    // The push finds nobody, or comes to a process that never asked for it.
    program.start_again();
    assert_eq!(program.answer_as(1, &id), answer_to("killed"));
}
