//! What the upstream says to an upload, and what the client hears of it.

use capgate::protocol::ErrorCode;
use capgate::protocol::errors::Reaction;
use serde_json::json;

use crate::support::{Recorder, Say, TestGateway, urlencoded};

/// An upstream that refuses an upload with the code that stands in its `textcaptcha`, in the form that is asked for.
fn refusing() -> Recorder {
    Recorder::start(|call| {
        let code = call.parameter("textcaptcha");
        if call.parameter("json") == "1" {
            return Say::Text(json!({"status": 0, "request": code, "error_text": "Because."}).to_string());
        }
        Say::Text(code)
    })
}

/// Codes that change nothing for the next upload.
fn codes() -> impl Iterator<Item = &'static str> {
    let is_about_upload =
        |code: &&ErrorCode| matches!(code.reaction(), Reaction::FixCall | Reaction::EndCaptcha);
    ErrorCode::ALL.iter().filter(is_about_upload).map(|code| code.as_str())
}

#[test]
fn every_code_about_an_upload_reaches_its_client_to_the_letter() {
    let upstream = refusing();
    let gateway = TestGateway::fronting(&upstream.url());
    let others = ["ERROR_NEVER_SEEN_BEFORE", "https://2captcha.com/blog/google-search-recaptcha"];
    let mut uploads = 0;
    for code in codes().chain(others) {
        let plain = gateway.upload(&[("textcaptcha", code)]);
        assert_eq!((plain.status, plain.text()), (200, code));
        let in_json = gateway.upload(&[("textcaptcha", code), ("json", "1")]).json();
        assert_eq!(in_json, json!({"status": 0, "request": code, "error_text": "Because."}));
        uploads += 2;
    }
    assert_eq!(upstream.uploads().len(), uploads, "a refusal is final: nothing is sent twice");
}

#[test]
fn an_empty_account_is_told_at_once_and_the_upstream_asked_once() {
    let upstream = refusing();
    let gateway = TestGateway::fronting(&upstream.url());
    for number in 0..20 {
        let query = urlencoded(&[("textcaptcha", "ERROR_ZERO_BALANCE"), ("number", &number.to_string())]);
        let key = crate::support::client_key(1);
        assert_eq!(gateway.get(&format!("/in.php?key={key}&{query}")).text(), "ERROR_ZERO_BALANCE");
    }
    assert_eq!(upstream.uploads().len(), 1, "one probe a minute");
}

/// No slot, a block or a refused key: what the upload waited for in vain stands in its reason.
#[test]
fn what_a_client_cannot_change_is_a_full_queue_to_it_and_stops_further_uploads() {
    for code in [
        "ERROR_NO_SLOT_AVAILABLE",
        "ERROR_KEY_DOES_NOT_EXIST",
        "ERROR_IP_NOT_ALLOWED",
        "ERROR: 1003",
        "MAX_USER_TURN",
    ] {
        let upstream = refusing();
        let gateway = TestGateway::builder()
            .upstream(&upstream.url())
            .settings(|config| config.uploads.hold = std::time::Duration::from_millis(300))
            .start();
        for _ in 0..2 {
            let reply = gateway.upload(&[("textcaptcha", code)]);
            assert_eq!((reply.status, reply.text()), (200, "ERROR_NO_SLOT_AVAILABLE"), "{code}");
            assert!(reply.header("X-Capgate-Reason").is_some_and(|reason| !reason.is_empty()), "{code}");
        }
        assert_eq!(upstream.uploads().len(), 1, "{code}: nothing more is sent until it is over");
    }
}
