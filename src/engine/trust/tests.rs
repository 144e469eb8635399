use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::protocol::errors::ErrorCode;

/// What the captchas of a batch would be told alone: not ready, an end, or a text that may hold bars.
fn truth() -> impl Strategy<Value = Vec<String>> {
    let piece = prop_oneof![
        3 => Just("CAPCHA_NOT_READY".to_owned()),
        1 => Just("ERROR_CAPTCHA_UNSOLVABLE".to_owned()),
        3 => "[a-z]{1,3}",
        2 => "[a-z|]{1,4}",
    ];
    prop::collection::vec(piece, 2..9)
}

fn look(piece: &str) -> Look {
    match piece {
        "CAPCHA_NOT_READY" => Look::NotReady,
        "ERROR_CAPTCHA_UNSOLVABLE" => Look::Code(ErrorCode::Unsolvable.into()),
        "" => Look::Garbage,
        text => Look::Solved(Answer::Text(Bytes::copy_from_slice(text.as_bytes())).into()),
    }
}

/// The pieces that an upstream sends which loses as many, from these places on, as its answers hold bars; none when that
/// cannot be.
fn reply(truth: &[String], lost: &[prop::sample::Index]) -> Option<Vec<String>> {
    let bars = truth.iter().map(|piece| piece.matches('|').count()).sum::<usize>();
    let mut sent = truth.to_vec();
    for lost in lost.iter().cycle().take(bars) {
        if sent.len() > 1 {
            sent.remove(lost.index(sent.len()));
        }
    }
    let pieces: Vec<String> = sent.join("|").split('|').map(str::to_owned).collect();
    (pieces.len() == truth.len()).then_some(pieces)
}

/// Whether `trust` would give a captcha something that is not its own.
fn is_fooled(trust: Trust, truth: &[String], lost: &[prop::sample::Index]) -> bool {
    let Some(pieces) = reply(truth, lost) else { return false };
    let looks: Vec<Look> = pieces.iter().map(|piece| look(piece)).collect();
    trust.takes(&looks, true) && pieces.iter().zip(truth).any(|(piece, truth)| piece != truth)
}

fn lost() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn no_reply_that_only_looks_whole_is_taken_before_batches_have_earned_it(truth in truth(), lost in lost()) {
        prop_assert!(!is_fooled(Trust::default(), &truth, &lost));
    }
}

#[test]
fn the_replies_above_would_fool_who_trusts_the_count_alone() {
    let trusting = Trust { plain_answers: TRUSTED_AFTER };
    let found =
        proptest::test_runner::TestRunner::deterministic().run(&(truth(), lost()), |(truth, lost)| {
            prop_assert!(!is_fooled(trusting, &truth, &lost));
            Ok(())
        });
    assert!(found.is_err());
}

#[test]
fn trust_is_earned_by_answers_in_a_row_and_lost_by_one_surprise() {
    let neighbours = [look("ab"), look("cd"), Look::NotReady];
    let mut trust = Trust::default();
    trust.answered(TRUSTED_AFTER as usize - 1);
    assert!(!trust.takes(&neighbours, true), "one short of the limit");
    trust.looked_alone(&look("ab"));
    assert!(trust.takes(&neighbours, true), "at the limit");
    let mut with_bar = trust;
    with_bar.looked_alone(&look("a|b"));
    assert!(!with_bar.takes(&neighbours, true));
    trust.mismatched();
    assert!(!trust.takes(&neighbours, true));
}

#[test]
fn pieces_that_nobody_types_are_taken_side_by_side() {
    assert!(Trust::default().takes(&[look("ab"), look("cd")], false));
}

#[test]
fn an_empty_piece_is_a_part_of_its_neighbour() {
    assert!(!Trust::default().takes(&[look("ab"), look(""), Look::NotReady], true));
    assert!(Trust::default().takes(&[look(""), Look::NotReady, look("ab")], true));
}
