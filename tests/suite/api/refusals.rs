//! What is certainly wrong is refused here: with the upstream's own code, at once, and without an upstream call.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use capgate::clients::Clients;
use capgate::clock::{Clock, Timestamp};
use capgate::config::{Client, Config};
use capgate::driver::answers::Found;
use capgate::driver::repeats::HungUp;
use capgate::driver::reports::NotReported;
use capgate::driver::{Driver, Wait};
use capgate::metrics::Metrics;
use capgate::protocol::Form;
use capgate::protocol::ids::ClientKey;
use capgate::protocol::poll::Verdict;
use capgate::protocol::submit::Upload;
use capgate::store::MemoryStore;
use capgate::upstream::{Call, CallKind, Upstream, UpstreamError};
use futures_util::future::BoxFuture;
use serde_json::json;

use crate::support::{
    NoReceivers, Recorder, TestGateway, base64, client_key, image, multipart, refused, urlencoded,
};

#[test]
fn a_wrong_key_is_refused_on_every_page() {
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let upstream_key = capgate::simulator::DEFAULT_KEY;
    for page in ["in.php", "res.php"] {
        for (key, code) in [
            ("", "ERROR_WRONG_USER_KEY"),
            ("short", "ERROR_WRONG_USER_KEY"),
            (&"k".repeat(31), "ERROR_WRONG_USER_KEY"),
            (&"k".repeat(33), "ERROR_WRONG_USER_KEY"),
            (&"k".repeat(32), "ERROR_KEY_DOES_NOT_EXIST"),
            (&client_key(2), "ERROR_KEY_DOES_NOT_EXIST"),
            (upstream_key, "ERROR_KEY_DOES_NOT_EXIST"),
        ] {
            let what = format!("{page} with {key:?}");
            refused(code, &what, |form| {
                gateway.get(&format!("/{page}?key={key}&action=getbalance&textcaptcha=2&{form}"))
            });
        }
        refused("ERROR_WRONG_USER_KEY", page, |form| gateway.get(&format!("/{page}?{form}")));
    }
    assert!(upstream.calls().is_empty(), "five of these would block the address of everybody");
}

#[test]
fn a_file_that_cannot_be_an_image_is_refused() {
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let most = 600 * 1024;
    let mut text_file = image(1, 5_000);
    text_file[0] = b'T';
    let cases: [(&str, &str, Vec<u8>); 6] = [
        ("ERROR_ZERO_CAPTCHA_FILESIZE", "an empty file", Vec::new()),
        ("ERROR_ZERO_CAPTCHA_FILESIZE", "a text of a few bytes", b"hello".to_vec()),
        ("ERROR_ZERO_CAPTCHA_FILESIZE", "99 bytes", image(1, 99)),
        ("ERROR_TOO_BIG_CAPTCHA_FILESIZE", "600 kB and a byte", image(1, most + 1)),
        ("ERROR_IMAGE_TYPE_NOT_SUPPORTED", "no image", text_file),
        ("ERROR_IMAGE_TYPE_NOT_SUPPORTED", "a page", format!("<html>{}", " ".repeat(200)).into_bytes()),
    ];
    let key = client_key(1);
    for (code, what, content) in &cases {
        refused(code, &format!("{what} as a file"), |form| {
            let (_, is_json) = form.split_once('=').expect("json=0 or json=1");
            let fields = [("key", key.as_str()), ("method", "post"), ("json", is_json)];
            let body = multipart("b", &fields, &[("file", "c.png", content)]);
            gateway.post("/in.php", "multipart/form-data; boundary=b", &body)
        });
        refused(code, &format!("{what} as base64"), |form| {
            let body = urlencoded(&[("method", "base64"), ("body", &base64(content))]);
            gateway.post(
                &format!("/in.php?key={key}&{form}"),
                "application/x-www-form-urlencoded",
                body.as_bytes(),
            )
        });
    }
    for (code, fields) in [
        ("ERROR_UPLOAD", &[("method", "base64"), ("body", "*** this is no base64 ***")][..]),
        ("ERROR_ZERO_CAPTCHA_FILESIZE", &[("method", "post")]),
        ("ERROR_ZERO_CAPTCHA_FILESIZE", &[("method", "base64")]),
        ("ERROR_ZERO_CAPTCHA_FILESIZE", &[("method", "rotatecaptcha")]),
        ("ERROR_ZERO_CAPTCHA_FILESIZE", &[]),
    ] {
        refused(code, &format!("{fields:?}"), |form| {
            let query = urlencoded(fields);
            gateway.get(&format!("/in.php?key={key}&{query}&{form}"))
        });
    }
    assert!(upstream.calls().is_empty());
}

#[test]
fn what_is_just_within_a_limit_goes_on() {
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let key = client_key(1);
    for size_bytes in [100, 600 * 1024] {
        let image = image(1, size_bytes);
        let fields = [("key", key.as_str()), ("method", "post")];
        let body = multipart("b", &fields, &[("file", "c.png", &image)]);
        gateway.post("/in.php", "multipart/form-data; boundary=b", &body).id();
        gateway.upload(&[("method", "base64"), ("body", &base64(&image))]).id();
    }
    gateway.upload(&[("textcaptcha", &"ж".repeat(140))]).id();
    for signature in [&b"\xFF\xD8\xFF"[..], b"GIF89a", b"GIF87a"] {
        let mut image = image(1, 100);
        image[..signature.len()].copy_from_slice(signature);
        gateway.upload(&[("method", "base64"), ("body", &base64(&image))]).id();
    }
    assert_eq!(upstream.uploads().len(), 8);
}

#[test]
fn a_text_of_141_characters_is_refused() {
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let (key, text, body) = (client_key(1), "ж".repeat(141), base64(&image(1, 200)));
    for fields in [
        &[("textcaptcha", &*text)][..],
        &[("method", "post"), ("textinstructions", &text)],
        &[("method", "base64"), ("body", &body), ("textinstructions", &text)],
        &[("method", "base64"), ("body", &body), ("recaptcha", "1"), ("textinstructions", &text)],
    ] {
        refused("ERROR_BAD_PARAMETERS", &format!("{} parameters", fields.len()), |form| {
            gateway.get(&format!("/in.php?key={key}&{}&{form}", urlencoded(fields)))
        });
    }
    assert!(upstream.calls().is_empty());
}

#[test]
fn a_wrong_call_to_res_php_is_refused() {
    let upstream = Recorder::accepting();
    let gateway = TestGateway::fronting(&upstream.url());
    let actions = ["get", "get2", "reportbad", "reportgood"];
    for action in actions {
        for (id, code) in [
            ("", "ERROR_WRONG_ID_FORMAT"),
            ("12a", "ERROR_WRONG_ID_FORMAT"),
            ("-1", "ERROR_WRONG_ID_FORMAT"),
            ("1.5", "ERROR_WRONG_ID_FORMAT"),
            ("51555263943", "ERROR_WRONG_CAPTCHA_ID"),
            ("99999999999999999999999", "ERROR_WRONG_CAPTCHA_ID"),
        ] {
            let what = format!("{action} of {id:?}");
            refused(code, &what, |form| gateway.res(&format!("action={action}&id={id}&{form}")));
        }
        refused("ERROR_WRONG_ID_FORMAT", action, |form| gateway.res(&format!("action={action}&{form}")));
    }
    for (query, code) in [
        ("", "ERROR_EMPTY_ACTION"),
        ("action=", "ERROR_EMPTY_ACTION"),
        ("action=delete_account", "ERROR_EMPTY_ACTION"),
        ("action=getstats", "ERROR_BAD_PARAMETERS"),
        ("action=getstats&date=yesterday", "ERROR_BAD_PARAMETERS"),
        ("action=getstats&date=2026-13-01", "ERROR_BAD_PARAMETERS"),
        ("action=add_pingback", "ERROR_BAD_PARAMETERS"),
        ("action=del_pingback", "ERROR_BAD_PARAMETERS"),
    ] {
        refused(code, query, |form| gateway.res(&format!("{query}&{form}")));
    }
    let mixed = gateway.res("action=get&ids=1,x,3");
    assert_eq!(mixed.text(), "ERROR_WRONG_CAPTCHA_ID|ERROR_WRONG_ID_FORMAT|ERROR_WRONG_CAPTCHA_ID");
    assert!(upstream.calls().is_empty());
}

#[test]
fn a_captcha_is_reported_once_and_the_same_report_again_costs_nothing() {
    let gateway = TestGateway::start();
    for (first, second) in [("reportbad", "reportgood"), ("reportgood", "reportbad")] {
        let id = gateway.upload(&[("textcaptcha", first)]).id();
        gateway.answer(&format!("action=get&id={id}"));
        assert_eq!(gateway.res(&format!("action={first}&id={id}")).text(), "OK_REPORT_RECORDED");
        let calls = gateway.simulator().state().counts.r;
        let again = gateway.res(&format!("action={first}&id={id}&json=1")).json();
        assert_eq!(again, json!({"status": 1, "request": "OK_REPORT_RECORDED"}));
        refused("ERROR_DUPLICATE_REPORT", second, |form| {
            gateway.res(&format!("action={second}&id={id}&{form}"))
        });
        assert_eq!(gateway.simulator().state().counts.r, calls, "told from memory");
        let captcha = gateway.simulator().captchas().into_iter().find(|captcha| captcha.id.to_string() == id);
        assert_eq!(captcha.and_then(|captcha| captcha.report), Some(first));
    }
}

#[test]
fn a_report_that_the_upstream_does_not_record_says_so() {
    let gateway = TestGateway::start();
    let id = gateway.upload(&[("textcaptcha", "two and two")]).id();
    gateway.answer(&format!("action=get&id={id}"));
    gateway.simulator().change(&json!({"faults": {"REPORT_NOT_RECORDED@res": "next 1"}})).expect("a switch");
    for _ in 0..3 {
        assert_eq!(gateway.res(&format!("action=reportbad&id={id}")).text(), "REPORT_NOT_RECORDED");
    }
    assert_eq!(gateway.simulator().state().counts.reports, 0, "its last word, told from memory");
}

/// Accepts every upload and answers every look; counts the calls.
#[derive(Debug, Default)]
struct Counting(AtomicUsize);

impl Upstream for Counting {
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Bytes, UpstreamError>> {
        let number = self.0.fetch_add(1, Ordering::Relaxed);
        let reply = match call.kind() {
            CallKind::Submit => format!("OK|{}", 70_000_000_000 + number),
            _ => "OK|7".into(),
        };
        Box::pin(std::future::ready(Ok(reply.into())))
    }
}

/// Quarters of an hour need a clock that a test can move.
#[tokio::test(start_paused = true)]
async fn an_id_of_15_minutes_ago_is_refused_without_an_upstream_call() {
    let key = ClientKey::parse(client_key(1).as_bytes()).expect("32 symbols");
    let client = Client { name: "client-1".into(), keys: vec![key], ..Client::default() };
    let config = Config { clients: vec![client], ..Config::default() };
    let (upstream, metrics) = (Arc::new(Counting::default()), Arc::new(Metrics::default()));
    let clock = Clock::starting_at(Timestamp(1_800_000_000_000));
    let calls: Arc<dyn Upstream> = Arc::<Counting>::clone(&upstream);
    let store = Arc::new(MemoryStore::default());
    let driver = Driver::start(&config, clock, store, calls, Arc::new(NoReceivers), Arc::clone(&metrics));
    let driver = driver.await.expect("a store");
    let clients = Clients::new(&config, &metrics);
    let client = clients.find(Some(client_key(1).as_bytes())).expect("a client");
    let form = Form::decode("textcaptcha=2+and+2", &Bytes::new()).expect("a form");
    let id = driver.submit(&client, Upload::check(form)).await.expect("it is accepted");
    let uploaded_at = clock.now();

    clock.sleep_until(uploaded_at + Duration::from_millis(15 * 60_000 - 1)).await;
    assert!(matches!(driver.find(&client, id, false), Found::Solved(_)), "the last moment");
    let sent = upstream.0.load(Ordering::Relaxed);
    clock.sleep_until(uploaded_at + Duration::from_mins(15)).await;
    assert!(matches!(driver.find(&client, id, false), Found::Nothing));
    assert!(matches!(
        driver.wait_for(&client, id, true, Wait::Hold, &HungUp::default()).await.0,
        Found::Nothing
    ));
    let reported = driver.reports.report(&client.name, id, Verdict::Bad).await;
    assert_eq!(reported, Err(NotReported::WrongCaptcha));
    assert_eq!(upstream.0.load(Ordering::Relaxed), sent);
}
