//! What a client may do: each rule, in plain and in JSON, and nothing of it costs an upstream call.

use capgate::config::Client;
use capgate::protocol::methods::Method;

use crate::support::{Recorded, Recorder, TestGateway, base64, client_key, image, refused, urlencoded};

const TURNSTILE: [(&str, &str); 2] = [("method", "turnstile"), ("sitekey", "fake-site-key")];

/// A gateway whose client 1 has these settings; client 2 has none.
fn gateway(upstream: &Recorder, change: impl FnOnce(&mut Client)) -> TestGateway {
    let builder = TestGateway::builder().upstream(&upstream.url()).clients(2);
    builder.settings(|config| change(&mut config.clients[0])).start()
}

/// Checks that client 1's upload of `fields` is refused with `code`, for `reason`, and client 2's is not.
#[track_caller]
fn upload_refused(gateway: &TestGateway, code: &str, reason: &str, fields: &[(&str, &str)]) {
    let label = format!("client=\"client-1\",reason=\"{reason}\"");
    let refusals = || gateway.metric("capgate_upload_refusals_total", &label);
    let before = refusals();
    refused(code, reason, |form| {
        gateway.get(&format!("/in.php?key={}&{}&{form}", client_key(1), urlencoded(fields)))
    });
    assert!(refusals() - before > 1.5, "plain and JSON are counted: {label}");
    gateway.upload_as(2, fields).id();
}

#[test]
fn a_stopped_client_polls_and_reports_what_it_has_and_does_nothing_else() {
    let upstream = Recorder::accepting();
    let gateway = gateway(&upstream, |client| client.stopped = true);
    upload_refused(&gateway, "ERROR_KEY_DOES_NOT_EXIST", "stopped", &[("textcaptcha", "2")]);
    for query in [
        "getbalance",
        "getstats&date=2026-01-01",
        "get_pingback",
        "add_pingback&addr=a.example",
        "del_pingback&addr=all",
    ] {
        refused("ERROR_KEY_DOES_NOT_EXIST", query, |form| gateway.res(&format!("action={query}&{form}")));
    }
    for query in ["get&id=1", "get2&id=1", "reportbad&id=1"] {
        refused("ERROR_WRONG_CAPTCHA_ID", query, |form| gateway.res(&format!("action={query}&{form}")));
    }
    let is_of_the_other = |call: &Recorded| call.is_upload() || call.query().contains("action=get&");
    assert!(upstream.calls().iter().all(is_of_the_other), "nothing of it went upstream");
}

#[test]
fn a_client_may_upload_on_its_last_day_and_not_after_it() {
    let upstream = Recorder::accepting();
    let over = gateway(&upstream, |client| client.expires = Some("2024-10-04".parse().unwrap()));
    upload_refused(&over, "ERROR_KEY_DOES_NOT_EXIST", "expires", &[("textcaptcha", "2")]);
    let told = over.upload(&[("textcaptcha", "2"), ("json", "1")]).json();
    assert_eq!(told["error_text"], "the client's access ended with 2024-10-04");
    let open = gateway(&upstream, |client| client.expires = Some("2999-12-31".parse().unwrap()));
    open.upload(&[("textcaptcha", "2")]).id();
}

#[test]
fn a_client_uploads_its_methods_and_no_other() {
    let upstream = Recorder::accepting();
    let gateway = gateway(&upstream, |client| client.methods = [Method::Text, Method::Turnstile].into());
    gateway.upload(&[("textcaptcha", "2")]).id();
    let allowed = [&TURNSTILE[..], &[("pageurl", "https://any.example/")]].concat();
    gateway.upload(&allowed).id();
    for fields in [
        &[("method", "hcaptcha"), ("sitekey", "k"), ("pageurl", "https://a.example/")][..],
        &[("method", "brand_new")],
        &[("method", "userrecaptcha"), ("googlekey", "k"), ("version", "v3")],
    ] {
        upload_refused(&gateway, "ERROR_BAD_PARAMETERS", "methods", fields);
    }
    upload_refused(
        &gateway,
        "ERROR_BAD_PARAMETERS",
        "disguise",
        &[("textcaptcha", "2"), ("method[]", "hcaptcha")],
    );
    assert_eq!(upstream.uploads().len(), 2 + 4, "its own two, and what the other client sent");
}

#[test]
fn a_client_works_on_its_pages_and_on_no_other() {
    let upstream = Recorder::accepting();
    let gateway = gateway(&upstream, |client| {
        client.pages = vec!["shop.example.com".parse().unwrap(), "*.example.org".parse().unwrap()];
    });
    let on = |page| [&TURNSTILE[..], &[("pageurl", page)]].concat();
    for page in ["https://SHOP.example.com:8443/login", "www.example.org", "https://a.b.example.org./"] {
        gateway.upload(&on(page)).id();
    }
    gateway.upload(&[("textcaptcha", "an upload without a page")]).id();
    for page in [
        "https://example.org/",
        "https://shop.example.com.evil.example/",
        "https://shop.example.com@evil.example/",
        "https://evil.example\\@shop.example.com/",
        "https://evil.example?shop.example.com",
        "evil.example",
        "https:shop.example.com",
    ] {
        upload_refused(&gateway, "ERROR_BAD_TOKEN_OR_PAGEURL", "pages", &on(page));
    }
    let elsewhere =
        [on("https://shop.example.com/"), vec![("new_parameter", "https://evil.example/")]].concat();
    upload_refused(&gateway, "ERROR_BAD_TOKEN_OR_PAGEURL", "pages", &elsewhere);
    let disguised = [on("https://shop.example.com/"), vec![(" pageurl", "https://evil.example/")]].concat();
    upload_refused(&gateway, "ERROR_BAD_PARAMETERS", "disguise", &disguised);
}

#[test]
fn a_page_that_is_required_is_asked_of_images_too() {
    let upstream = Recorder::accepting();
    let gateway = gateway(&upstream, |client| client.page_required = true);
    gateway.upload(&[&TURNSTILE[..], &[("pageurl", "https://any.example/")]].concat()).id();
    upload_refused(&gateway, "ERROR_PAGEURL", "page_required", &TURNSTILE);
    let body = base64(&image(1, 200));
    upload_refused(&gateway, "ERROR_PAGEURL", "page_required", &[("method", "base64"), ("body", &body)]);
}
