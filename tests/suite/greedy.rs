//! Greedy clients against an upstream that has reasons to block: it must not get to do it. That no block was earned and
//! nothing was sent during one is checked when each gateway is dropped; what the upstream had to say no to is printed.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::{TestGateway, expected, wait_until};

/// What `count` clients at once are told, and how often. Each uploads until it is accepted or has been told no
/// `tries` times, at once and without a pause.
fn flood(
    gateway: &TestGateway,
    count: usize,
    tries: usize,
) -> (Vec<(String, String)>, BTreeMap<String, usize>) {
    let (accepted, told) = (Mutex::new(Vec::new()), Mutex::new(BTreeMap::<String, usize>::new()));
    thread::scope(|scope| {
        for number in 0..count {
            let (accepted, told) = (&accepted, &told);
            scope.spawn(move || {
                let text = format!("what is {number} and one");
                for _ in 0..tries {
                    let reply = gateway.upload_as(number % 3 + 1, &[("textcaptcha", text.as_str())]);
                    assert_eq!(reply.status, 200);
                    if let Some(id) = reply.text().strip_prefix("OK|") {
                        accepted.lock().unwrap().push((id.to_owned(), text));
                        return;
                    }
                    *told.lock().unwrap().entry(reply.text().to_owned()).or_default() += 1;
                }
            });
        }
    });
    (accepted.into_inner().unwrap(), told.into_inner().unwrap())
}

/// Every accepted upload gets its own answer.
fn collect(gateway: &TestGateway, accepted: &[(String, String)]) {
    for (id, text) in accepted {
        let fields = [("textcaptcha", text.as_str())];
        // Whoever it was of the three: only the owner is told.
        let answer = wait_for_owner(gateway, id);
        assert_eq!(answer, format!("OK|{}", expected(&fields, 0.0).plain));
    }
}

fn wait_for_owner(gateway: &TestGateway, id: &str) -> String {
    let ask = |client| gateway.res_as(client, &format!("action=get&id={id}")).text().to_owned();
    let owner = (1..=3).find(|client| ask(*client) != "ERROR_WRONG_CAPTCHA_ID").expect("one of them owns it");
    let mut answer = ask(owner);
    wait_until("an answer", || {
        if answer == "CAPCHA_NOT_READY" {
            answer = ask(owner);
        }
        answer != "CAPCHA_NOT_READY"
    });
    answer
}

fn report(title: &str, gateway: &TestGateway, accepted: usize, told: &BTreeMap<String, usize>) {
    let state = gateway.simulator().state();
    println!(
        "{title}: {accepted} accepted, clients were told {told:?}; the upstream saw {} uploads and said {:?}, {} blocks",
        state.counts.in_php_calls, state.counts.errors, state.blocks
    );
}

fn said(gateway: &TestGateway, code: &str) -> u64 {
    gateway.simulator().state().counts.errors.get(code).copied().unwrap_or_default()
}

#[test]
fn three_hundred_uploads_at_once_pass_the_turn_limit_in_order() {
    let gateway = TestGateway::builder().clients(3).start();
    let (accepted, told) = flood(&gateway, 300, 1);
    report("300 uploads at once", &gateway, accepted.len(), &told);
    assert!(!accepted.is_empty());
    collect(&gateway, &accepted);
}

#[test]
fn five_slots_are_filled_and_then_probed() {
    let gateway = TestGateway::builder()
        .clients(3)
        .scenario(json!({"slots": 5, "solve_times": "1000-3000"}))
        .settings(|config| config.uploads.hold = Duration::from_secs(7))
        .start();
    let (accepted, told) = flood(&gateway, 60, 3);
    report("5 slots, 60 clients", &gateway, accepted.len(), &told);
    let refusals = said(&gateway, "ERROR_NO_SLOT_AVAILABLE");
    assert!(
        accepted.len() > 5 && refusals > 0 && refusals < 15,
        "{} accepted, {refusals} refused",
        accepted.len()
    );
    collect(&gateway, &accepted);
}

#[test]
fn without_money_one_upload_in_a_minute_asks_and_all_others_are_told_from_memory() {
    let gateway = TestGateway::builder().clients(3).scenario(json!({"balance": "0"})).start();
    let (accepted, told) = flood(&gateway, 300, 3);
    report("no money, 300 clients", &gateway, accepted.len(), &told);
    assert_eq!((accepted.len(), told.get("ERROR_ZERO_BALANCE")), (0, Some(&900)));
    assert!(said(&gateway, "ERROR_ZERO_BALANCE") <= 2, "a minute may have passed once");
}

#[test]
fn a_refused_key_is_tried_once() {
    let gateway = TestGateway::builder()
        .clients(3)
        .scenario(json!({"key": "another-account-key-000000000000"}))
        .start();
    let (accepted, told) = flood(&gateway, 100, 2);
    report("a refused key, 100 clients", &gateway, accepted.len(), &told);
    assert_eq!((accepted.len(), told.get("ERROR_NO_SLOT_AVAILABLE")), (0, Some(&200)));
    assert_eq!(said(&gateway, "ERROR_KEY_DOES_NOT_EXIST"), 1);
    let ready = gateway.get_admin("/readyz");
    assert_eq!((ready.status, ready.json()["waits"][0]["reason"].as_str()), (503, Some("key_refused")));
}

#[test]
fn what_is_blocked_already_is_left_alone_until_it_is_over() {
    // Somebody else used the key: MAX_USER_TURN lasts ten seconds.
    let gateway = TestGateway::builder()
        .clients(3)
        .scenario(json!({"faults": {"MAX_USER_TURN@in": "next 1"}}))
        .settings(|config| config.uploads.hold = Duration::from_secs(15))
        .start();
    let (accepted, told) = flood(&gateway, 20, 2);
    report("blocked already, 20 clients", &gateway, accepted.len(), &told);
    let state = gateway.simulator().state();
    assert_eq!((state.blocks_forced, state.counts.calls_while_blocked), (1, 0));
    assert_eq!(accepted.len(), 20, "they were held until the block was over");
    collect(&gateway, &accepted);
}
