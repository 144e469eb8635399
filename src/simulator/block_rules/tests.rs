use serde_json::json;

use super::super::support::{TOKEN, Upstream};

/// The rule of the newest block, and how long it lasts in seconds.
fn newest(upstream: &Upstream) -> (&'static str, u64) {
    let state = upstream.model.state(upstream.now);
    let block = state.block_log.last().unwrap();
    (block.rule, block.until.since(block.since).as_secs())
}

#[test]
fn the_120th_no_slot_in_a_minute_blocks_and_not_the_one_before() {
    let mut upstream = Upstream::with(&json!({"slots": 41, "solve_times": "600000-600000"}));
    for _ in 0..41 {
        upstream.wait_ms(100);
        upstream.upload();
    }
    for _ in 0..119 {
        upstream.wait_ms(100);
        assert_eq!(upstream.submit(TOKEN), "ERROR_NO_SLOT_AVAILABLE");
    }
    assert_eq!(upstream.blocks(), 0);
    assert_eq!(upstream.submit(TOKEN), "ERROR_NO_SLOT_AVAILABLE", "the completing one is still answered");
    assert_eq!((upstream.blocks(), newest(&upstream)), (1, ("ERROR: 1001", 600)));
    upstream.wait_ms(599_999);
    assert_eq!(upstream.poll("action=getbalance"), "ERROR: 1001", "both scripts are blocked");
    upstream.wait_ms(1);
    assert_eq!(upstream.poll("action="), "ERROR_EMPTY_ACTION");
    assert_eq!(upstream.model.state(upstream.now).counts.calls_while_blocked, 1);
}

#[test]
fn an_answer_leaves_the_minute_after_exactly_a_minute() {
    for (pause_ms, blocks) in [(60_000, 0), (59_999, 1)] {
        let mut upstream = Upstream::with(&json!({"faults": {"zero_balance": 1}}));
        upstream.submit(TOKEN);
        upstream.wait_ms(pause_ms - 118 * 100);
        for _ in 0..118 {
            upstream.wait_ms(100);
            upstream.submit(TOKEN);
        }
        upstream.submit(TOKEN);
        assert_eq!(upstream.blocks(), blocks, "{pause_ms}");
    }
}

#[test]
fn the_120th_zero_balance_in_a_minute_blocks_and_not_the_one_before() {
    let mut upstream = Upstream::with(&json!({"balance": "0"}));
    for _ in 0..119 {
        upstream.wait_ms(60);
        assert_eq!(upstream.submit(TOKEN), "ERROR_ZERO_BALANCE");
    }
    assert_eq!(upstream.blocks(), 0);
    upstream.submit(TOKEN);
    assert_eq!((upstream.blocks(), newest(&upstream)), (1, ("ERROR: 1002", 300)));
    assert_eq!(upstream.submit(TOKEN), "ERROR: 1002");
}

#[test]
fn no_slots_that_reach_three_times_the_uploads_block_from_120_on() {
    // Over an hour, so that 1001, which needs 120 in a minute, stays out of it.
    for (uploads, expected) in [(0, 120), (40, 120), (50, 150)] {
        let mut upstream = Upstream::with(&json!({"no_slot_ratio_window_ms": 3_600_000}));
        for _ in 0..uploads {
            upstream.wait_ms(100);
            upstream.upload();
        }
        upstream.model.change(&json!({"faults": {"no_slot": 1}})).unwrap();
        let mut no_slots = 0;
        while upstream.blocks() == 0 {
            upstream.wait_ms(1_000);
            assert_eq!(upstream.submit(TOKEN), "ERROR_NO_SLOT_AVAILABLE");
            no_slots += 1;
        }
        assert_eq!((no_slots, newest(&upstream)), (expected, ("ERROR: 1003", 30)));
    }
}

#[test]
fn the_fifth_wrong_key_blocks_the_address_and_not_the_fourth() {
    let mut upstream = Upstream::plain();
    let wrong = "key=fake-key-that-nobody-ever-gave-0";
    for _ in 0..4 {
        upstream.wait_ms(60_000);
        assert_eq!(upstream.poll(&format!("action=getbalance&{wrong}")), "ERROR_KEY_DOES_NOT_EXIST");
    }
    assert_eq!(upstream.poll("action=getbalance"), "1000.00000");
    assert_eq!(upstream.submit("key=short"), "ERROR_WRONG_USER_KEY");
    assert_eq!((upstream.blocks(), newest(&upstream)), (1, ("ERROR: 1004", 600)));
    assert_eq!(upstream.poll("action=getbalance"), "ERROR: 1004", "the right key is blocked too");
}

#[test]
fn wrong_keys_without_end_ban_the_address() {
    let mut upstream = Upstream::plain();
    for _ in 0..19 {
        upstream.submit("key=short");
    }
    assert_eq!(newest(&upstream).0, "ERROR: 1004");
    upstream.submit("key=short");
    assert_eq!(newest(&upstream), ("IP_BANNED", 300));
    upstream.wait_ms(299_000);
    assert_eq!(upstream.submit("key=short"), "ERROR: 1004", "of two blocks the one that ends later is told");
    let mut alone = Upstream::with(&json!({"wrong_keys_for_ban": 3}));
    let said: Vec<String> = (0..3).map(|_| alone.submit("key=short")).collect();
    assert_eq!(said, ["ERROR_WRONG_USER_KEY", "ERROR_WRONG_USER_KEY", "IP_BANNED"]);
}

#[test]
fn the_first_call_over_20_for_each_upload_and_1200_blocks() {
    for uploads in [0, 3] {
        let mut upstream = Upstream::plain();
        for _ in 0..uploads {
            upstream.upload();
        }
        for _ in 0..1_200 + 20 * uploads {
            assert_eq!(upstream.poll("action="), "ERROR_EMPTY_ACTION", "every action counts");
        }
        assert_eq!(upstream.blocks(), 0);
        assert_eq!(upstream.poll("action=getbalance"), "ERROR: 1005");
        assert_eq!((upstream.blocks(), newest(&upstream)), (1, ("ERROR: 1005", 300)));
        upstream.wait_ms(300_000);
        assert_eq!(upstream.poll("action="), "ERROR_EMPTY_ACTION", "a block forgets what led to it");
    }
}

/// Uploads of long ago outweigh the calls over the whole life, and do not count in the hour or the day.
#[test]
fn calls_within_an_hour_or_a_day_block_whatever_came_before() {
    for (pause_ms, gap_ms) in [(3_600_000, 1), (86_400_000, 60_000)] {
        let mut upstream = Upstream::plain();
        for _ in 0..100 {
            upstream.wait_ms(100);
            upstream.upload();
        }
        upstream.wait_ms(pause_ms);
        let mut calls = 0;
        while upstream.blocks() == 0 {
            upstream.wait_ms(gap_ms);
            upstream.poll("action=getbalance");
            calls += 1;
        }
        assert_eq!(calls, 1_201, "{pause_ms}");
    }
}

#[test]
fn the_whole_life_counts_where_no_window_does() {
    // 40 an hour never fill an hour or a day (960), yet the 1201st is one too many.
    let mut upstream = Upstream::plain();
    let mut calls = 0;
    while upstream.blocks() == 0 {
        upstream.wait_ms(90_000);
        upstream.poll("action=getbalance");
        calls += 1;
    }
    assert_eq!(calls, 1_201);
}

#[test]
fn a_batch_counts_as_one_call_or_as_its_ids_or_both() {
    let calls_until_block = |reading: &str, query: &str| {
        let mut upstream = Upstream::with(&json!({"batch_counts_as": reading}));
        let mut calls = 0;
        while upstream.blocks() == 0 {
            upstream.poll(query);
            calls += 1;
        }
        calls
    };
    let batch = "action=get&ids=1,2,3,4";
    assert_eq!(calls_until_block("one", batch), 1_201);
    assert_eq!(calls_until_block("each", batch), 301);
    assert_eq!(calls_until_block("both", batch), 301);
    assert_eq!(calls_until_block("each", "action=getbalance"), 1_201);
}

#[test]
fn the_61st_upload_within_three_seconds_blocks_and_not_the_60th() {
    let mut upstream = Upstream::plain();
    for _ in 0..60 {
        upstream.upload();
    }
    upstream.wait_ms(2_999);
    assert_eq!(upstream.submit(TOKEN), "MAX_USER_TURN");
    assert_eq!((upstream.blocks(), newest(&upstream)), (1, ("MAX_USER_TURN", 10)));

    let mut patient = Upstream::plain();
    for _ in 0..60 {
        patient.upload();
    }
    patient.wait_ms(3_000);
    patient.upload();
    assert_eq!(patient.blocks(), 0);
}

#[test]
fn a_block_that_a_switch_begins_is_not_held_against_the_calls() {
    let mut upstream = Upstream::with(&json!({"faults": {"ERROR: 1005": "next 1"}}));
    assert_eq!(upstream.poll("action=getbalance"), "ERROR: 1005");
    upstream.wait_ms(299_999);
    assert_eq!(upstream.submit(TOKEN), "ERROR: 1005");
    upstream.wait_ms(1);
    upstream.upload();
    let state = upstream.model.state(upstream.now);
    assert_eq!((state.blocks, state.blocks_forced), (0, 1));
    assert!(state.block_log[0].forced);
}

#[test]
fn rules_that_are_switched_off_block_nobody() {
    let mut upstream = Upstream::with(&json!({"block_rules": false}));
    for _ in 0..1_300 {
        upstream.poll("action=getbalance");
        upstream.submit("key=short");
    }
    assert_eq!(upstream.blocks(), 0);
}
