//! Every kind of captcha, from the upload to the answer in every form.

use std::collections::{BTreeMap, BTreeSet};

use capgate::protocol::Method;
use capgate::simulator::{Answer, DEFAULT_KEY};
use serde_json::{Value, json};

use crate::support::{Recorder, TestGateway, base64, expected, image, upload_of};

fn as_pairs<'a>(fields: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    fields.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// The JSON reply that this answer has to become.
fn as_json(answer: &Answer, price: Option<&str>) -> Value {
    let price = price.map_or_else(String::new, |price| format!(",\"price\":\"{price}\""));
    let text = format!("{{\"status\":1,\"request\":{}{}{price}}}", answer.request, answer.extras);
    serde_json::from_str(&text).expect("the simulator's answers are JSON")
}

#[test]
fn every_kind_gets_its_own_answer_plain_in_json_and_among_several() {
    let gateway = TestGateway::start();
    let mut open = Vec::new();
    for method in Method::ALL {
        let fields = upload_of(*method);
        let reply = gateway.upload(&as_pairs(&fields));
        assert!(reply.text().starts_with("OK|"), "{}: {}", method.label(), reply.text());
        open.push((method.label(), reply.id(), expected(&as_pairs(&fields), 0.0)));
    }
    let mut pieces = Vec::new();
    for (label, id, answer) in &open {
        let plain = gateway.answer(&format!("action=get&id={id}"));
        assert_eq!(plain.text(), format!("OK|{}", answer.plain), "{label}");
        let in_json = gateway.res(&format!("action=get&id={id}&json=1"));
        if matches!(*label, "coordinates") {
            assert!(in_json.json()["request"].is_array(), "{label}");
        }
        assert_eq!(in_json.json(), as_json(answer, None), "{label}");
        pieces.push(answer.plain.clone());
    }
    let ids: Vec<&str> = open.iter().map(|(_, id, _)| id.as_str()).collect();
    let joined = pieces.join("|");
    assert_eq!(gateway.res(&format!("action=get&ids={}", ids.join(","))).text(), joined);
    let in_json = gateway.res(&format!("action=get&json=1&ids={}", ids.join(","))).json();
    assert_eq!(in_json, json!({"status": 1, "request": joined}));
    let captchas = gateway.simulator().captchas();
    let methods: BTreeSet<&str> = captchas.iter().map(|captcha| captcha.method).collect();
    assert_eq!(methods.len(), Method::ALL.len(), "the upstream took each for what it was");
}

#[test]
fn answers_are_served_as_often_as_they_are_asked_for_and_cost_one_look() {
    let gateway = TestGateway::builder().scenario(json!({"solve_times": "1-1"})).start();
    let fields = upload_of(Method::Image);
    let id = gateway.upload(&as_pairs(&fields)).id();
    let answer = gateway.answer(&format!("action=get&id={id}")).body;
    for _ in 0..200 {
        assert_eq!(gateway.res(&format!("action=get&id={id}")).body, answer);
    }
    assert_eq!(gateway.simulator().state().counts.looks, 1);
}

#[test]
fn get2_tells_the_price_whether_the_answer_was_told_before_or_not() {
    let gateway = TestGateway::start();
    for method in [Method::Image, Method::Rotate, Method::Coordinates, Method::Turnstile, Method::GeetestV4] {
        let label = method.label();
        let fields = upload_of(method);
        let answer = expected(&as_pairs(&fields), 0.0);
        let price = gateway.simulator().state().prices[label].to_string();
        let id = gateway.upload(&as_pairs(&fields)).id();
        let plain = format!("OK|{}|{price}", answer.plain);
        assert_eq!(gateway.answer(&format!("action=get2&id={id}")).text(), plain, "{label}");
        assert_eq!(
            gateway.res(&format!("action=get2&json=1&id={id}")).json(),
            as_json(&answer, Some(&price))
        );
        assert_eq!(gateway.res(&format!("action=get&json=1&id={id}")).json(), as_json(&answer, None));

        let id = gateway.upload(&as_pairs(&fields)).id();
        assert_eq!(gateway.answer(&format!("action=get&id={id}")).text(), format!("OK|{}", answer.plain));
        assert_eq!(gateway.answer(&format!("action=get2&id={id}")).text(), plain, "{label}, asked for late");
    }
}

#[test]
fn a_captcha_that_nobody_could_solve_says_so_in_every_form() {
    let faults = json!({"faults": {"unsolvable": "next 1", "ERROR_BAD_DUPLICATES": "next 2"}});
    let gateway = TestGateway::builder().scenario(faults).start();
    let fields = upload_of(Method::Image);
    for code in ["ERROR_CAPTCHA_UNSOLVABLE", "ERROR_BAD_DUPLICATES"] {
        let id = gateway.upload(&as_pairs(&fields)).id();
        assert_eq!(gateway.answer(&format!("action=get&id={id}")).text(), code);
        let in_json = gateway.res(&format!("action=get&json=1&id={id}")).json();
        assert_eq!((&in_json["status"], &in_json["request"]), (&json!(0), &json!(code)));
        assert_eq!(gateway.res(&format!("action=get2&id={id}")).text(), code);
        assert_eq!(gateway.res(&format!("action=get&ids={id},{id}")).text(), format!("{code}|{code}"));
    }
}

#[test]
fn methods_and_parameters_that_nobody_knows_go_on_unchanged() {
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let fields = [
        ("method", "invented_tomorrow"),
        ("data[blob]", "a|b&c=d"),
        ("data-s", "+ /=%"),
        ("UPPER", "Größe \u{1F600}"),
        ("empty", ""),
        ("json", "1"),
    ];
    assert_eq!(gateway.upload(&fields).json()["status"], 1);
    let mut wanted: BTreeMap<String, Vec<u8>> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
    wanted.insert("key".into(), DEFAULT_KEY.into());
    assert_eq!(upstream.uploads()[0].parameters(), wanted);
}

/// All that the description of 2016 lists, and what today's adds to every method.
#[test]
fn every_documented_parameter_is_forwarded() {
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let body = base64(&image(9, 200));
    let fields = [
        ("method", "base64"),
        ("body", &*body),
        ("phrase", "1"),
        ("regsense", "1"),
        ("numeric", "4"),
        ("calc", "0"),
        ("min_len", "2"),
        ("max_len", "20"),
        ("language", "2"),
        ("lang", "pt"),
        ("soft_id", "1234"),
        ("textinstructions", "только красные"),
        ("imginstructions", &*body),
        ("id_construction", "17"),
        ("recaptcha", "1"),
        ("recaptchacols", "4"),
        ("recaptcharows", "4"),
        ("coordinatescaptcha", "1"),
        ("angle", "45"),
        ("proxy", "user:pass@203.0.113.7:8080"),
        ("proxytype", "SOCKS5"),
        ("cookies", "a:b;c:d;"),
        ("userAgent", "Mozilla/5.0"),
        ("previousID", "51555263943"),
        ("can_no_answer", "1"),
    ];
    gateway.upload(&fields).id();
    let sent = upstream.uploads().remove(0);
    for (name, value) in fields {
        assert_eq!(sent.parameter(name), value, "{name}");
    }
    assert_eq!(sent.parameters().len(), fields.len() + 1, "these and the key");
}

#[test]
fn what_would_reveal_the_key_or_bypass_the_gateway_does_not_go_on() {
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let text = ("textcaptcha", "two and two");
    gateway.upload(&[text, ("debug_dump", "1"), ("header_acao", "1")]).id();
    let sent = upstream.uploads().remove(0);
    assert_eq!(sent.parameters().into_keys().collect::<Vec<_>>(), ["key", "textcaptcha"]);
}

#[test]
fn a_text_needs_no_method_and_may_be_named_as_in_2016() {
    let gateway = TestGateway::start();
    for fields in [
        &[("textcaptcha", "two and three")][..],
        &[("method", "post"), ("textcaptcha", "two and three")],
        &[("method", "textcaptcha"), ("textcaptcha", "two and three")],
        &[("method", "post"), ("textinstructions", "which day is it")],
    ] {
        let id = gateway.upload(fields).id();
        let answer = format!("OK|{}", expected(fields, 0.0).plain);
        assert_eq!(gateway.answer(&format!("action=get&id={id}")).text(), answer, "{fields:?}");
    }
}

#[test]
fn the_list_of_upload_errors_is_told_without_an_upstream_call() {
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let reply = gateway.upload(&[("method", "get_server_errors")]);
    for code in ["ERROR_ZERO_BALANCE", "ERROR_NO_SLOT_AVAILABLE", "ERROR_ZERO_CAPTCHA_FILESIZE", "IP_BANNED"]
    {
        assert!(reply.text().lines().any(|line| line == code), "{code}");
    }
    assert!(!reply.text().contains("CAPCHA_NOT_READY"));
    assert!(upstream.calls().is_empty());
}
