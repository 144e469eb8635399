use std::time::Duration;

use serde_json::json;

use super::*;
use crate::simulator::support::{TOKEN, Upstream};

fn registered(faults: &Value) -> Upstream {
    let mut upstream = Upstream::with(&json!({"faults": faults, "slow_ms": "500-500"}));
    assert_eq!(upstream.poll("action=add_pingback&addr=us.example"), "OK");
    upstream
}

fn upload(upstream: &mut Upstream, url: &str) -> CaptchaId {
    let said = upstream.submit(&format!("{TOKEN}&pingback={url}"));
    CaptchaId::parse(said.strip_prefix("OK|").unwrap().as_bytes()).unwrap()
}

/// What is pushed after so many milliseconds.
fn due(upstream: &mut Upstream, after_ms: u64) -> Vec<(CaptchaId, String)> {
    upstream.wait_ms(after_ms);
    upstream.model.pushes_due(upstream.now).into_iter().map(|(push, code)| (push.id, code)).collect()
}

#[test]
fn an_answer_is_pushed_when_its_worker_is_done_and_only_to_registered_hosts() {
    let mut upstream = registered(&json!({}));
    let id = upload(&mut upstream, "http://us.example/a");
    upload(&mut upstream, "http://them.example/a");
    upstream.upload();
    assert_eq!(upstream.model.next_push_at(), upstream.now + Duration::from_secs(1));
    assert_eq!(due(&mut upstream, 999), []);
    let told = due(&mut upstream, 1);
    assert_eq!(told.len(), 1);
    assert!(told[0].0 == id && told[0].1.starts_with("token-"), "{told:?}");
    assert_eq!(due(&mut upstream, 100_000), []);
    let calls = upstream.model.state(upstream.now);
    assert_eq!(
        (calls.counts.pushes, calls.counts.r, calls.captchas.told),
        (1, 1, 0),
        "only add_pingback counts"
    );
    upstream.model.push_taken(id, upstream.now);
    assert_eq!(upstream.model.state(upstream.now).captchas.told, 1);
}

#[test]
fn a_captcha_that_ends_with_a_code_is_pushed_as_that_code() {
    let mut upstream = registered(&json!({"unsolvable": 1}));
    let id = upload(&mut upstream, "http://us.example/a");
    assert_eq!(due(&mut upstream, 1_000), [(id, "ERROR_CAPTCHA_UNSOLVABLE".to_owned())]);
}

#[test]
fn an_early_push_goes_out_before_the_reply_to_its_upload() {
    let mut upstream = registered(&json!({"push_early": "next 1"}));
    let id = upload(&mut upstream, "us.example");
    let now = upstream.now;
    let told = |upstream: &mut Upstream| upstream.model.early_pushes(now).len();
    assert_eq!((told(&mut upstream), told(&mut upstream)), (1, 0));
    assert!(upstream.poll(&format!("action=get&id={id}")).starts_with("OK|"), "it is solved at once");
    upload(&mut upstream, "us.example");
    assert_eq!(told(&mut upstream), 0, "the fault struck once");
}

#[test]
fn a_foreign_captcha_is_one_that_nobody_can_ask_for() {
    let mut upstream = registered(&json!({"push_foreign": 1}));
    let id = upload(&mut upstream, "us.example");
    let told = due(&mut upstream, 1_000);
    assert_eq!((told.len(), told[1].0), (2, id));
    assert_eq!(upstream.poll(&format!("action=get&id={}", told[0].0)), "ERROR_WRONG_CAPTCHA_ID");
}
