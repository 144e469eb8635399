//! What receivers are told, and what happens when they do not listen.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use super::{Registers, near, receiver, told};
use crate::support::{Recorder, Say, TestGateway, base64, expected, image, wait_until};

/// Uploads a text whose outcome goes to `target`.
#[track_caller]
fn upload(gateway: &TestGateway, text: &str, target: &str) -> String {
    gateway.upload(&[("textcaptcha", text), ("pingback", target)]).id()
}

fn answer_to(text: &str) -> String {
    expected(&[("textcaptcha", text)], 0.0).plain
}

#[test]
fn an_outcome_is_pushed_as_id_and_code_and_nobody_has_to_poll() {
    let (gateway, receiver) = (near().start(), receiver());
    assert_eq!(gateway.register(&receiver.url()).text(), "OK");
    let target = format!("{}/answers/7?token=s3cret&x=a%20b", receiver.url());
    let id = upload(&gateway, "two and two", &target);
    wait_until("the receiver is told", || !receiver.calls().is_empty());
    let call = receiver.calls().remove(0);
    assert_eq!((call.method(), call.path(), call.query()), ("POST", "/answers/7", "token=s3cret&x=a%20b"));
    assert_eq!(call.content_type(), "application/x-www-form-urlencoded");
    assert_eq!(told(&receiver), [(id.clone(), answer_to("two and two"))]);
    // It can be asked for as well.
    assert_eq!(
        gateway.res(&format!("action=get&id={id}")).text(),
        format!("OK|{}", answer_to("two and two"))
    );
    wait_until("it is over", || gateway.metric("capgate_pingbacks_total", "outcome=\"delivered\"") > 0.0);
    assert!(gateway.metric("capgate_pingbacks_open", "client-1") < 1.0);
    assert_eq!(gateway.get_admin("/pingbacks").json(), json!({"wanted": 0, "due": 0, "dead": []}));
    assert_eq!(receiver.calls().len(), 1);
}

#[test]
fn answers_of_every_form_and_the_codes_of_failed_captchas_are_pushed() {
    let (gateway, receiver) = (near().start(), receiver());
    gateway.register(&receiver.url());
    let picture = base64(&image(7, 200));
    let uploads: &[&[(&str, &str)]] = &[
        &[("method", "base64"), ("body", &picture)],
        &[("method", "funcaptcha"), ("publickey", "k"), ("pageurl", "http://p")],
        &[("method", "geetest"), ("gt", "g"), ("challenge", "c"), ("pageurl", "http://p")],
        &[("method", "base64"), ("coordinatescaptcha", "1"), ("body", &picture)],
    ];
    let mut wanted: Vec<(String, String)> = uploads
        .iter()
        .map(|fields| {
            let id = gateway.upload(&[fields, &[("pingback", receiver.url().as_str())][..]].concat()).id();
            (id, expected(fields, 0.0).plain)
        })
        .collect();
    gateway.simulator().change(&json!({"faults": {"unsolvable": 1}})).expect("a switch");
    wanted.push((upload(&gateway, "nobody knows", &receiver.url()), "ERROR_CAPTCHA_UNSOLVABLE".to_owned()));
    wait_until("all are told", || receiver.calls().len() >= wanted.len());
    let mut told = told(&receiver);
    told.sort();
    wanted.sort();
    assert_eq!(told, wanted);
}

#[test]
fn a_receiver_that_does_not_take_it_is_asked_again_and_no_redirect_is_followed() {
    let elsewhere = receiver();
    let calls = AtomicUsize::new(0);
    let target = elsewhere.url();
    let receiver = Recorder::start(move |_| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => Say::Page(500, "broken"),
        1 => Say::Redirect(format!("{target}/elsewhere")),
        2 => Say::Close,
        3 => Say::Nothing,
        4 => Say::Page(404, "what is this?"),
        _ => Say::Page(204, ""),
    });
    let gateway = near().settings(|config| config.pingback.timeout = Duration::from_millis(500)).start();
    gateway.register(&receiver.url());
    let id = upload(&gateway, "again", &receiver.url());
    wait_until("it is taken", || gateway.metric("capgate_pingbacks_total", "outcome=\"delivered\"") > 0.0);
    assert_eq!(told(&receiver), vec![(id, answer_to("again")); 6]);
    assert!(elsewhere.calls().is_empty());
    for (outcome, count) in [("status", 3.0), ("lost", 2.0), ("taken", 1.0)] {
        let attempts = gateway.metric("capgate_pingback_attempts_total", &format!("outcome=\"{outcome}\""));
        assert!((attempts - count).abs() < 0.1, "{outcome}: {attempts}");
    }
}

#[test]
fn a_receiver_that_is_not_there_yet_gets_it_when_it_is() {
    let gateway = near().start();
    let address =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
    gateway.register(&address.to_string());
    let id = upload(&gateway, "early", &format!("http://{address}/"));
    wait_until("an attempt has failed", || {
        gateway.metric("capgate_pingback_attempts_total", "outcome=\"not_connected\"") > 0.0
    });
    let receiver = Recorder::start_on(address, |_| Say::Text("OK".into()));
    wait_until("the receiver is told", || !receiver.calls().is_empty());
    assert_eq!(told(&receiver), [(id, answer_to("early"))]);
}

#[test]
fn receivers_that_hang_delay_no_other() {
    let (hanging, receiver) = (Recorder::start(|_| Say::Nothing), receiver());
    let gateway = near().start();
    gateway.register(&receiver.url());
    for number in 0..12 {
        upload(&gateway, &format!("hangs {number}"), &hanging.url());
    }
    wait_until("four hang", || hanging.calls().len() == 4);
    let id = upload(&gateway, "prompt", &receiver.url());
    wait_until("the other is told", || !receiver.calls().is_empty());
    assert_eq!(told(&receiver), [(id, answer_to("prompt"))]);
    assert_eq!(hanging.calls().len(), 4, "from one client to one receiver");
}

#[test]
fn what_was_given_up_is_in_the_list_and_can_be_tried_again() {
    let is_well = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let heals = std::sync::Arc::clone(&is_well);
    let receiver = Recorder::start(move |_| {
        if heals.load(Ordering::Relaxed) { Say::Text("OK".into()) } else { Say::Page(503, "not today") }
    });
    let gateway = near().settings(|config| config.pingback.retry_for = Duration::from_secs(1)).start();
    gateway.register(&receiver.url());
    let id = upload(&gateway, "given up", &format!("{}/secret-path?token=s3cret", receiver.url()));
    wait_until("it is given up", || gateway.metric("capgate_pingbacks_total", "outcome=\"dead\"") > 0.0);
    assert!(receiver.calls().len() > 2, "it was tried for its time");
    let page = gateway.get_admin("/pingbacks");
    assert!(!page.text().contains("secret"), "the address is the client's");
    let dead = &page.json()["dead"][0];
    assert_eq!((&dead["captcha"], &dead["client"]), (&json!(id), &json!("client-1")));
    assert_eq!(dead["why"], "the receiver answered with status 503");
    assert_eq!(dead["receiver"], receiver.url());
    assert!((gateway.metric("capgate_pingbacks_dead", "") - 1.0).abs() < 0.1);

    is_well.store(true, Ordering::Relaxed);
    assert_eq!(gateway.act("/pingbacks/retry").text(), "1 are tried again\n");
    wait_until("it is taken", || gateway.metric("capgate_pingbacks_total", "outcome=\"delivered\"") > 0.0);
    assert_eq!(told(&receiver).last(), Some(&(id, answer_to("given up"))));
    assert_eq!(gateway.get_admin("/pingbacks").json()["dead"], json!([]));
}

#[test]
fn a_host_that_is_taken_back_gets_nothing_more() {
    let receiver = Recorder::start(|_| Say::Page(500, ""));
    let gateway = near().start();
    gateway.register(&receiver.url());
    upload(&gateway, "taken back", &receiver.url());
    wait_until("an attempt has failed", || !receiver.calls().is_empty());
    gateway.res("action=del_pingback&addr=all");
    wait_until("it is given up", || gateway.metric("capgate_pingbacks_total", "outcome=\"dead\"") > 0.0);
    let why = gateway.get_admin("/pingbacks").json()["dead"][0]["why"].clone();
    assert_eq!(why, "the host is no longer registered");
}

#[test]
fn a_receiver_over_https_has_to_show_a_certificate_that_the_settings_trust() {
    let folder = tempfile::tempdir().expect("a folder");
    crate::api::https::certificates(folder.path());
    let config = crate::api::https::server_config(folder.path());
    let receiver = Recorder::start_tls(config, |_| Say::Text("OK".into()));
    let strange = near().start();
    strange.register(&receiver.url());
    upload(&strange, "strange", &receiver.url());
    wait_until("an attempt has failed", || {
        strange.metric("capgate_pingback_attempts_total", "outcome=\"not_connected\"") > 0.0
    });
    assert!(receiver.calls().is_empty(), "nothing is told to whom nobody vouches for");

    let ca_file = folder.path().join("ca.pem");
    let trusting = near().settings(|config| config.pingback.ca_file = Some(ca_file)).start();
    trusting.register(&receiver.url());
    let id = upload(&trusting, "trusted", &receiver.url());
    wait_until("the receiver is told", || !receiver.calls().is_empty());
    assert_eq!(told(&receiver), [(id, answer_to("trusted"))]);
}
