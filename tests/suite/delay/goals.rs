//! What the gateway promises of these figures. A paused clock and a seed make them the same in every run.

use std::time::Duration;

use super::{Figures, Kinds, Row};

/// Enough that a seed's luck does not decide.
const CAPTCHAS: usize = 1_500;
/// The service asks for no more than one look in this time.
const INTERVAL: Duration = Duration::from_secs(5);

fn measure(row: Row, kinds: Kinds) -> Figures {
    let figures = row.measure(kinds, CAPTCHAS);
    println!("| {kinds:?}, {} | {figures} |", row.name());
    figures
}

/// Direct, through the gateway, and through it with a hold of a minute, for clients that sleep so many seconds.
fn three(kinds: Kinds, pause: u64) -> [Figures; 3] {
    let rows = [Row::Direct(pause), Row::Through(pause), Row::Patient(pause)].map(|row| measure(row, kinds));
    for through in &rows[1..] {
        assert!(through.calls <= 0.4, "calls for each captcha at one captcha a second");
        assert!(through.smallest_gap >= INTERVAL, "no captcha is looked at more often than every 5 s");
    }
    rows
}

#[test]
fn clients_that_ask_every_ten_seconds_learn_sooner_and_a_patient_one_in_little_more_than_half_the_time() {
    for (kinds, fraction) in [(Kinds::Both, 0.57), (Kinds::Tokens, 0.55), (Kinds::Images, 0.62)] {
        let [direct, through, patient] = three(kinds, 10);
        assert!(through.mean < direct.mean, "with the hold that every library survives");
        assert!(patient.mean < direct.mean.mul_f64(fraction), "with a hold of a minute");
    }
}

#[test]
fn clients_that_ask_every_five_seconds_learn_no_later_at_a_tenth_of_the_calls() {
    for kinds in [Kinds::Both, Kinds::Images] {
        let [direct, through, patient] = three(kinds, 5);
        assert!(through.mean <= direct.mean && patient.mean <= direct.mean);
        assert!(through.calls <= direct.calls / 9.0);
    }
}

#[test]
fn one_captcha_a_minute_costs_fewer_calls_than_its_clients_would_make() {
    let figures = [Row::RareDirect(10), Row::RareDirect(5), Row::RareThrough(10), Row::RareThrough(5)]
        .map(|row| measure(row, Kinds::Both));
    let [direct_10, direct_5, through_10, through_5] = figures;
    assert!(through_10.calls < direct_10.calls && through_5.calls < direct_5.calls);
    assert!(through_10.mean < direct_10.mean && through_5.mean <= direct_5.mean);
    assert!(through_5.smallest_gap >= INTERVAL);
}

#[test]
fn a_thousand_clients_of_all_habits_learn_sooner_at_a_tenth_of_the_calls() {
    let [direct, through] = [Row::MixDirect, Row::MixThrough].map(|row| measure(row, Kinds::Both));
    assert!(through.mean < direct.mean && through.calls <= direct.calls / 10.0);
    assert!(through.smallest_gap >= INTERVAL);
}
