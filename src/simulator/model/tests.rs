use serde_json::json;

use super::super::expected_answer;
use super::super::support::{START, TOKEN, Upstream, as_json, form, text};
use super::*;

#[test]
fn an_upload_is_solved_when_its_time_has_come_and_is_charged_then() {
    let mut upstream = Upstream::plain();
    let id = upstream.upload();
    assert_eq!(id.len(), 11);
    assert_eq!(upstream.poll(&format!("action=get&id={id}")), "CAPCHA_NOT_READY");
    upstream.wait_ms(999);
    let not_ready = as_json(&upstream.poll(&format!("action=get&id={id}&json=1")));
    assert_eq!(not_ready, json!({"status": 0, "request": "CAPCHA_NOT_READY"}));
    assert_eq!(upstream.poll("action=getbalance"), "1000.00000");
    upstream.wait_ms(1);
    let expected = expected_answer(&form(TOKEN), 0.0).unwrap().plain;
    assert_eq!(upstream.poll(&format!("action=get&id={id}")), format!("OK|{expected}"));
    let price = upstream.model.prices[&Method::RecaptchaV2];
    let priced = upstream.poll(&format!("action=get2&id={id}"));
    assert_eq!(priced, format!("OK|{expected}|{price}"));
    let priced = as_json(&upstream.poll(&format!("action=get2&id={id}&json=1")));
    assert_eq!(priced, json!({"status": 1, "request": expected, "price": price.to_string()}));
    let left = Money(1_000 * 100_000 - price.0).to_string();
    assert_eq!(upstream.poll("action=getbalance"), left);
}

#[test]
fn an_unsolvable_captcha_is_told_at_its_time_and_not_charged() {
    let mut upstream = Upstream::with(&json!({"faults": {"unsolvable": "1/2"}}));
    let (solved, unsolvable) = (upstream.upload(), upstream.upload());
    upstream.wait_ms(1_000);
    assert!(upstream.poll(&format!("action=get&id={solved}")).starts_with("OK|"));
    assert_eq!(upstream.poll(&format!("action=get&id={unsolvable}")), "ERROR_CAPTCHA_UNSOLVABLE");
    let state = upstream.model.state(upstream.now);
    assert_eq!((state.captchas.solved, state.captchas.ended_with_code), (1, 1));
    assert_eq!(state.captchas.charged, upstream.model.prices[&Method::RecaptchaV2]);
}

#[test]
fn a_batch_has_a_piece_for_each_id_and_no_ok() {
    let mut upstream = Upstream::plain();
    let done = upstream.upload();
    upstream.wait_ms(1_000);
    let open = upstream.upload();
    let answer = expected_answer(&form(TOKEN), 0.0).unwrap().plain;
    let expected = format!("{answer}|CAPCHA_NOT_READY|ERROR_NO_SUCH_CAPCHA_ID|ERROR_WRONG_ID_FORMAT");
    let ids = format!("ids={done},{open},12345,x");
    assert_eq!(upstream.poll(&format!("action=get&{ids}")), expected);
    assert_eq!(upstream.poll(&format!("action=get2&{ids}")), expected);
    let reply = as_json(&upstream.poll(&format!("action=get&{ids}&json=1")));
    assert_eq!(reply, json!({"status": 1, "request": expected}));
    assert_eq!(upstream.poll(&format!("action=get&ids={done}")), answer, "a batch of one");
    let counts = upstream.model.state(upstream.now).counts;
    assert_eq!((counts.r, counts.r_each, counts.looks), (4, 13, 13));
    assert_eq!((counts.batches, counts.batch_max), (4, 4));
}

#[test]
fn a_captcha_is_forgotten_after_a_quarter_of_an_hour() {
    let mut upstream = Upstream::plain();
    let (told, untold) = (upstream.upload(), upstream.upload());
    upstream.wait_ms(900_000);
    assert!(upstream.poll(&format!("action=get&id={told}")).starts_with("OK|"));
    upstream.wait_ms(1);
    assert_eq!(upstream.poll(&format!("action=get&id={told}")), "ERROR_WRONG_CAPTCHA_ID");
    assert_eq!(upstream.poll(&format!("action=get&ids={untold}")), "ERROR_NO_SUCH_CAPCHA_ID");
    assert_eq!(upstream.model.state(upstream.now).captchas.paid_and_never_told, 1);
    assert_eq!(upstream.model.captchas().count(), 0);
}

#[test]
fn the_state_is_the_same_whether_or_not_a_call_settled_it_before() {
    let mut upstream = Upstream::plain();
    upstream.upload();
    upstream.upload();
    upstream.wait_ms(1_000_000);
    let before = upstream.model.state(upstream.now);
    upstream.poll("action=getbalance");
    let after = upstream.model.state(upstream.now);
    assert_eq!((before.waiting, before.balance), (after.waiting, after.balance));
    let sums = |state: &State| serde_json::to_string(&state.captchas).unwrap();
    assert_eq!(sums(&before), sums(&after));
    assert_eq!(before.captchas.paid_and_never_told, 2);
}

#[test]
fn looks_are_written_down_for_each_captcha() {
    let mut upstream = Upstream::plain();
    let id = upstream.upload();
    for wait_ms in [400, 700, 250] {
        upstream.wait_ms(wait_ms);
        upstream.poll(&format!("action=get&ids={id}"));
    }
    let captcha = upstream.model.captchas().next().unwrap();
    assert_eq!((captcha.looks, captcha.smallest_gap_ms), (3, Some(250)));
    assert_eq!(captcha.first_look_at.map(Timestamp::as_millis), Some(START.as_millis() + 400));
    assert_eq!(captcha.told_at.map(Timestamp::as_millis), Some(START.as_millis() + 1_100));
    let state = upstream.model.state(upstream.now);
    assert_eq!(state.captchas.first_look_min_ms["recaptcha_v2"], 400);
    assert_eq!(state.captchas.looks_min_gap_ms, Some(250));
    assert!((state.calls_per_captcha - 3.0).abs() < 0.001);
}

#[test]
fn reports_are_taken_once_and_only_for_answers() {
    let mut upstream = Upstream::plain();
    let id = upstream.upload();
    assert_eq!(upstream.poll(&format!("action=reportbad&id={id}")), "REPORT_NOT_RECORDED");
    upstream.wait_ms(1_000);
    assert_eq!(upstream.poll(&format!("action=reportbad&id={id}")), "OK_REPORT_RECORDED");
    assert_eq!(upstream.poll(&format!("action=reportgood&id={id}")), "ERROR_DUPLICATE_REPORT");
    assert_eq!(upstream.poll("action=reportgood&id=1"), "ERROR_WRONG_CAPTCHA_ID");
}

#[test]
fn res_php_names_what_is_wrong_with_a_call() {
    let mut upstream = Upstream::plain();
    assert_eq!(upstream.poll(""), "ERROR_EMPTY_ACTION");
    assert_eq!(upstream.poll("action=solve"), "ERROR_EMPTY_ACTION");
    assert_eq!(upstream.poll("action=get"), "ERROR_WRONG_ID_FORMAT");
    assert_eq!(upstream.poll("action=get&id=12x"), "ERROR_WRONG_ID_FORMAT");
    assert_eq!(upstream.poll("action=get&id=12"), "ERROR_WRONG_CAPTCHA_ID");
    assert_eq!(upstream.poll("action=getstats"), "ERROR_BAD_PARAMETERS");
    assert!(upstream.poll("action=getstats&date=2026-11-23").contains("<volume>0</volume>"));
    let errors = upstream.model.state(upstream.now).counts.errors;
    assert_eq!(errors["ERROR_WRONG_ID_FORMAT"], 2);
}

#[test]
fn a_refusal_in_json_has_status_0_and_says_why() {
    let mut upstream = Upstream::plain();
    let reply = as_json(&upstream.submit("json=1&method=userrecaptcha&googlekey=k"));
    assert_eq!((&reply["status"], &reply["request"]), (&json!(0), &json!("ERROR_PAGEURL")));
    assert!(reply["error_text"].is_string());
    let accepted = as_json(&upstream.submit(&format!("json=1&{TOKEN}")));
    assert_eq!(accepted["status"], 1);
    assert!(accepted["request"].as_str().unwrap().starts_with(|first: char| first.is_ascii_digit()));
}

#[test]
fn slots_are_taken_until_captchas_are_solved() {
    let mut upstream = Upstream::with(&json!({"slots": 2}));
    upstream.upload();
    upstream.upload();
    assert_eq!(upstream.submit(TOKEN), "ERROR_NO_SLOT_AVAILABLE");
    upstream.wait_ms(1_000);
    upstream.upload();
}

#[test]
fn money_for_captchas_at_work_is_spoken_for() {
    let mut upstream = Upstream::with(&json!({"balance": "0.006"}));
    upstream.upload();
    assert_eq!(upstream.submit(TOKEN).split('|').next(), Some("OK"));
    assert_eq!(upstream.submit(TOKEN), "ERROR_ZERO_BALANCE");
    upstream.wait_ms(1_000);
    assert_eq!(upstream.submit(TOKEN), "ERROR_ZERO_BALANCE");
}

#[test]
fn pingback_addresses_are_kept_up_to_a_hundred() {
    let mut upstream = Upstream::plain();
    for n in 0..100 {
        assert_eq!(upstream.poll(&format!("action=add_pingback&addr=host{n}")), "OK");
    }
    assert_eq!(upstream.poll("action=add_pingback&addr=one.more"), "ERROR_BAD_PARAMETERS");
    upstream.poll("action=del_pingback&addr=host5");
    assert!(upstream.poll("action=get_pingback").starts_with("OK|host0|host1|host2|host3|host4|host6|"));
    upstream.poll("action=del_pingback&addr=all");
    assert_eq!(as_json(&upstream.poll("action=get_pingback&json=1"))["request"], json!([]));
    let id = text(&upstream.reply(Endpoint::InPhp, &format!("{TOKEN}&pingback=http://us/x")));
    assert!(id.starts_with("OK|"));
    assert_eq!(upstream.model.captchas().next().unwrap().pingback.as_deref(), Some("http://us/x"));
}

#[test]
fn a_dump_repeats_the_key_so_that_a_leak_shows() {
    let mut upstream = Upstream::plain();
    let dumped = upstream.poll("action=getbalance&debug_dump=1");
    assert!(dumped.contains("[key] => ") && dumped.ends_with("1000.00000"), "{dumped}");
    assert!(upstream.submit("method=get_server_errors").contains("ERROR_PAGEURL\n"));
    assert!(upstream.reply(Endpoint::ResPhp, "action=getbalance&header_acao=1").header_acao);
    let load = text(&upstream.model.handle(Endpoint::LoadPhp, &form(""), START));
    assert!(load.contains("<waiting>1000</waiting>") && load.contains("<load>0.0</load>"), "{load}");
}

#[test]
fn a_reset_counts_anew_and_keeps_captchas() {
    let mut upstream = Upstream::with(&json!({"faults": {"MAX_USER_TURN": "next 1"}}));
    assert_eq!(upstream.submit(TOKEN), "MAX_USER_TURN");
    upstream.model.reset(upstream.now);
    let id = upstream.upload();
    upstream.model.reset(upstream.now);
    assert_eq!(upstream.model.state(upstream.now).counts.c, 0);
    assert_eq!(upstream.poll(&format!("action=get&id={id}")), "CAPCHA_NOT_READY");
}

#[test]
fn a_body_that_cannot_be_read_is_a_call_all_the_same() {
    let mut upstream = Upstream::plain();
    let query = form(&format!("key={}", upstream.model.scenario.key.0));
    let said = text(&upstream.model.handle_unreadable(Endpoint::InPhp, &query, START));
    assert_eq!(said, "ERROR_UPLOAD");
    let said = text(&upstream.model.handle_unreadable(Endpoint::ResPhp, &query, START));
    assert_eq!(said, "ERROR_BAD_PARAMETERS");
    assert_eq!(upstream.model.state(START).counts.r, 1);
}
