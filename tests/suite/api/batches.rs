//! Answers that hold the sign between the answers of a batch.

use serde_json::json;

use crate::support::{TestGateway, base64, expected, image};

/// Captchas of each test: enough for a few full batches.
const CAPTCHAS: usize = 36;

fn every_answer_is_right(gateway: &TestGateway, piped: f64) {
    let uploads: Vec<(String, String)> = (0..CAPTCHAS)
        .map(|number| {
            let body = base64(&image(number, 150));
            (gateway.upload(&[("method", "base64"), ("body", &body)]).id(), body)
        })
        .collect();
    for (id, body) in &uploads {
        let answer = expected(&[("method", "base64"), ("body", body)], piped);
        assert_eq!(gateway.answer(&format!("action=get&id={id}")).text(), format!("OK|{}", answer.plain));
    }
}

#[test]
fn an_answer_with_a_bar_in_it_spoils_no_other_and_is_told_whole() {
    let scenario = json!({"piped_answers": 0.3, "solve_times": "2000-3000"});
    let gateway = TestGateway::builder().scenario(scenario).start();
    every_answer_is_right(&gateway, 0.3);
    let bodies = (0..CAPTCHAS).map(|number| base64(&image(number, 150)));
    let piped = bodies.filter(|body| expected(&[("body", body)], 0.3).plain.contains('|')).count();
    assert!(piped > CAPTCHAS / 10, "some answers hold a bar: {piped}");
    assert!(gateway.simulator().state().counts.batches > 0);
}

#[test]
fn a_batch_that_comes_back_short_gives_nobody_anothers_answer() {
    let scenario = json!({"faults": {"short_batch": "1/2"}, "solve_times": "1500-2500"});
    let gateway = TestGateway::builder().scenario(scenario).start();
    every_answer_is_right(&gateway, 0.0);
    assert!(gateway.simulator().state().faults["short_batch"] > 0);
}

#[test]
fn a_batch_never_holds_more_than_the_setting_allows() {
    let gateway = TestGateway::builder()
        .scenario(json!({"solve_times": "1000-1500"}))
        .settings(|config| config.polling.max_ids = 5)
        .start();
    every_answer_is_right(&gateway, 0.0);
    let state = gateway.simulator().state();
    assert!((2..=5).contains(&state.counts.batch_max), "{}", state.counts.batch_max);
}
