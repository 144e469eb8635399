//! What the gateway promises of these figures. A paused clock and a seed make them the same in every run.

use std::time::Duration;

use super::{Figures, Kinds, Row};

/// Enough that a seed's luck does not decide.
const CAPTCHAS: usize = 4_000;
/// The service asks for no more than one look in this time.
const INTERVAL: Duration = Duration::from_secs(5);

fn measure(row: Row, kinds: Kinds) -> Figures {
    let figures = row.measure(kinds, CAPTCHAS);
    println!("| {kinds:?}, {} | {figures} |", row.name());
    figures
}

/// Direct, through the gateway, and through it with a hold of a minute, for clients that sleep so many seconds.
fn three(pause: u64) -> [Figures; 3] {
    let rows =
        [Row::Direct(pause), Row::Through(pause), Row::Patient(pause)].map(|row| measure(row, Kinds::Both));
    for through in &rows[1..] {
        assert!(through.calls <= 0.4, "calls for each captcha at one captcha a second");
        assert!(through.smallest_gap >= INTERVAL, "no captcha is looked at more often than every 5 s");
    }
    rows
}

#[test]
fn clients_that_ask_every_ten_seconds_learn_sooner_and_patient_ones_hardly_later_than_is_possible() {
    let [direct, through, patient] = three(10);
    assert!(through.mean < direct.mean, "with the hold that every library survives");
    println!("| who knows the solve times | {:.2} |", patient.soonest.as_secs_f64());
    assert!(patient.mean < patient.soonest.mul_f64(1.08), "nobody who looks every 5 s could be much sooner");
    assert!(patient.mean < direct.mean.mul_f64(0.56));
}

#[test]
fn clients_that_ask_every_five_seconds_learn_no_later_at_a_tenth_of_the_calls() {
    let [direct, through, patient] = three(5);
    assert!(through.mean <= direct.mean && patient.mean <= direct.mean);
    assert!(through.calls <= direct.calls / 10.0);
}

#[test]
fn a_cold_start_costs_no_more_calls() {
    let figures = Row::Patient(10).measure(Kinds::Both, 600);
    println!("| the first 600 | {figures} |");
    assert!(figures.calls <= 0.4);
}

#[test]
fn images_and_tokens_alone_cost_as_few_calls_and_their_clients_learn_no_later_when_they_are_patient() {
    for kinds in [Kinds::Images, Kinds::Tokens] {
        let [direct, through] = [Row::Direct(5), Row::Patient(5)].map(|row| measure(row, kinds));
        assert!(through.mean <= direct.mean && through.calls <= 0.4);
    }
}

#[test]
fn answers_that_are_pushed_are_told_within_a_tenth_of_a_second_and_cost_hardly_a_call() {
    let [own, patient] = [Row::Pushed(10), Row::PushedPatient(10)].map(|row| measure(row, Kinds::Both));
    assert!(patient.mean <= Duration::from_millis(100) && patient.calls <= 0.05);
    assert!(own.mean < Row::Direct(10).measure(Kinds::Both, CAPTCHAS).mean && own.calls <= 0.05);
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
