use serde_json::json;

use super::super::reply::Fault;
use super::super::support::{START, TOKEN, Upstream, as_json, png, text, with_file};
use super::*;

#[test]
fn a_lost_reply_to_an_upload_leaves_it_accepted_or_not() {
    for (fault, spoilt, accepted) in [
        ("reset_before", Some(Fault::Reset), 0),
        ("reset_after", Some(Fault::Reset), 1),
        ("hang", Some(Fault::Hang), 1),
        ("truncated", Some(Fault::CutAfter(7)), 1),
        ("endless", Some(Fault::Endless), 0),
        ("html_502", None, 0),
        ("empty", None, 1),
        ("garbage", None, 1),
        ("unknown_code", None, 0),
    ] {
        let mut upstream = Upstream::with(&json!({"faults": {fault: "next 1"}}));
        let reply = upstream.reply(Endpoint::InPhp, TOKEN);
        assert_eq!(reply.fault, spoilt, "{fault}");
        assert!(spoilt.is_some() || !reply.body.starts_with(b"OK|"), "{fault}");
        assert_eq!(upstream.model.state(upstream.now).counts.c, accepted, "{fault}");
        assert_eq!(upstream.model.state(upstream.now).faults[fault], 1);
        upstream.upload();
    }
}

#[test]
fn an_answer_whose_reply_is_lost_has_not_been_told() {
    let mut upstream = Upstream::with(&json!({"faults": {"reset_after@res": "next 1"}}));
    let id = upstream.upload();
    upstream.wait_ms(1_000);
    upstream.poll(&format!("action=get&id={id}"));
    assert_eq!(upstream.model.state(upstream.now).captchas.told, 0);
    upstream.poll(&format!("action=get&id={id}"));
    assert_eq!(upstream.model.state(upstream.now).captchas.told, 1);
}

#[test]
fn pages_have_their_status_and_slow_replies_their_delay() {
    for (fault, status) in [("html", 200), ("html_500", 500), ("html_502", 502), ("html_521", 521)] {
        let mut upstream = Upstream::with(&json!({"faults": {fault: 1}}));
        let reply = upstream.reply(Endpoint::ResPhp, "action=getbalance&json=1");
        assert_eq!(reply.status, status);
        assert!(text(&reply).starts_with("<!DOCTYPE html>"));
    }
    let mut upstream = Upstream::with(&json!({"faults": {"slow": 1}, "slow_ms": "70-70"}));
    let reply = upstream.reply(Endpoint::ResPhp, "action=getbalance");
    assert_eq!(reply.fault, Some(Fault::Delay(std::time::Duration::from_millis(70))));
    assert_eq!(text(&reply), "1000.00000");
}

#[test]
fn a_short_batch_lacks_pieces_and_a_piped_one_has_too_many() {
    let mut upstream = Upstream::with(&json!({"faults": {"short_batch": 1}, "piped_answers": 1}));
    let image = with_file(
        &format!("key={}&method=post", upstream.model.scenario.key.0),
        "file",
        "a.png",
        png(1, 200),
    );
    let mut upload = || text(&upstream.model.handle(Endpoint::InPhp, &image, START))[3..].to_owned();
    let ids = [upload(), upload(), upload(), upload()];
    for _ in 0..50 {
        let pieces = upstream.poll(&format!("action=get&ids={}", ids.join(","))).split('|').count();
        assert!((1..4).contains(&pieces), "{pieces}");
    }
    assert_eq!(
        upstream.poll(&format!("action=get&ids={}", ids[0])),
        "CAPCHA_NOT_READY",
        "one cannot be short"
    );
    upstream.wait_ms(1_000);
    upstream.model.change(&json!({"faults": null})).unwrap();
    let pieces = upstream.poll(&format!("action=get&ids={}", ids.join(","))).split('|').count();
    assert_eq!(pieces, 8);
}

#[test]
fn codes_by_switch_are_told_in_place_of_the_work() {
    let mut upstream =
        Upstream::with(&json!({"faults": {"wrong_key@res": "next 1", "ERROR_BAD_PROXY@in": "next 1"}}));
    assert_eq!(upstream.poll("action=getbalance"), "ERROR_KEY_DOES_NOT_EXIST");
    assert_eq!(upstream.submit(TOKEN), "ERROR_BAD_PROXY");
    upstream.upload();
    let mut upstream = Upstream::with(&json!({"faults": {"unknown_code": 1}}));
    assert_eq!(upstream.poll("action=getbalance"), "ERROR_NEVER_SEEN_BEFORE");
    let reply = as_json(&upstream.submit("json=1"));
    assert_eq!(reply, json!({"status": 0, "request": "ERROR_NEVER_SEEN_BEFORE"}));
}

/// A day of calls with faults: what was replied, as one digest.
fn a_day(seed: u64) -> String {
    use sha2::{Digest, Sha256};
    let faults = json!({"html": 0.05, "garbage": 0.05, "short_batch": 0.2, "unsolvable": 0.1, "slow": 0.1});
    let mut upstream = Upstream::with(&json!({"seed": seed, "solve_times": "real", "faults": faults}));
    let mut log = Sha256::new();
    let mut ids: Vec<String> = Vec::new();
    for step in 0..2_000 {
        upstream.wait_ms(1_000);
        let reply = if step % 5 == 0 {
            upstream.reply(Endpoint::InPhp, TOKEN)
        } else {
            let newest: Vec<String> = ids.iter().rev().take(9).cloned().collect();
            upstream.reply(Endpoint::ResPhp, &format!("action=get&ids={}", newest.join(",")))
        };
        if let Some(id) = reply.body.strip_prefix(b"OK|") {
            ids.push(String::from_utf8_lossy(id).into_owned());
        }
        log.update(format!("{reply:?}"));
    }
    crate::protocol::ids::hex(&log.finalize())
}

#[test]
fn one_seed_gives_one_day_and_another_seed_another() {
    assert_eq!(a_day(1), a_day(1));
    assert_ne!(a_day(1), a_day(2));
}
