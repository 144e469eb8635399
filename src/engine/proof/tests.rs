use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::protocol::errors::ErrorCode;

/// What a captcha of a batch would be told alone: not ready, an end, or a text that may hold bars.
#[derive(Clone, Debug)]
enum Truth {
    Plain(String),
    Typed(String),
    /// Its answer, and whether the upstream still tells it.
    Fence(String, bool),
}

impl Truth {
    fn piece(&self) -> &str {
        match self {
            Self::Plain(piece) | Self::Typed(piece) | Self::Fence(piece, true) => piece,
            Self::Fence(_, false) => "ERROR_NO_SUCH_CAPCHA_ID",
        }
    }
}

fn open(answer: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("CAPCHA_NOT_READY".to_owned()),
        1 => Just("ERROR_CAPTCHA_UNSOLVABLE".to_owned()),
        5 => answer,
    ]
}

/// A call without fences. Answers come from few letters, so that parts of different ones are often the same.
fn unfenced() -> impl Strategy<Value = Vec<Truth>> {
    let truth = prop_oneof![
        5 => open("[ab|]{1,4}").prop_map(Truth::Typed),
        2 => open("token-[0-4]").prop_map(Truth::Plain),
    ];
    prop::collection::vec(truth, 2..10)
}

fn fence(number: usize) -> String {
    format!("fence-{number}")
}

/// A call with fences. A whole answer may read like one of them, a part of one with a bar does not.
fn fenced() -> impl Strategy<Value = Vec<Truth>> {
    let typed = prop_oneof![4 => open("[ab|]{1,4}"), 1 => open("fence-[0-4]")];
    let plain = prop::collection::vec(open("(fence|token)-[0-4]"), 0..4);
    (prop::collection::vec((typed, prop::bool::weighted(0.8)), 1..6), plain).prop_map(|(typed, plain)| {
        let between = typed.into_iter().enumerate().flat_map(|(number, (answer, is_told))| {
            [Truth::Typed(answer), Truth::Fence(fence(number), is_told)]
        });
        let mut truth: Vec<Truth> = between.collect();
        if plain.is_empty() {
            truth.pop();
        }
        truth.extend(plain.into_iter().map(Truth::Plain));
        truth
    })
}

fn look(piece: &str) -> Look {
    match piece {
        "CAPCHA_NOT_READY" => Look::NotReady,
        "ERROR_CAPTCHA_UNSOLVABLE" => Look::Code(ErrorCode::Unsolvable.into()),
        "ERROR_NO_SUCH_CAPCHA_ID" => Look::Code(ErrorCode::NoSuchCaptchaId.into()),
        "" => Look::Garbage,
        text => Look::Solved(Answer::Text(Bytes::copy_from_slice(text.as_bytes())).into()),
    }
}

fn lost() -> impl Strategy<Value = Vec<prop::sample::Index>> {
    prop::collection::vec(any::<prop::sample::Index>(), 5)
}

/// The pieces that an upstream sends which loses as many, from these places on, as its answers hold bars; none when that
/// cannot be.
fn reply(truth: &[Truth], lost: &[prop::sample::Index]) -> Option<Vec<String>> {
    let bars = truth.iter().map(|truth| truth.piece().matches('|').count()).sum::<usize>();
    let mut sent: Vec<&str> = truth.iter().map(Truth::piece).collect();
    for lost in lost.iter().cycle().take(bars) {
        if sent.len() > 1 {
            sent.remove(lost.index(sent.len()));
        }
    }
    let pieces: Vec<String> = sent.join("|").split('|').map(str::to_owned).collect();
    (pieces.len() == truth.len()).then_some(pieces)
}

/// What is given to which captcha: its truth, and the piece.
fn given<'a>(
    truth: &'a [Truth],
    pieces: &'a [String],
    certain: fn(&[Place<'_>], &[Look]) -> Vec<bool>,
) -> Vec<(&'a Truth, &'a str)> {
    let known = truth.iter().map(|truth| match truth {
        Truth::Plain(answer) | Truth::Typed(answer) | Truth::Fence(answer, _) => Bytes::from(answer.clone()),
    });
    let known: Vec<Bytes> = known.collect();
    let place = |(truth, known)| match truth {
        &Truth::Plain(_) => Place::Plain,
        Truth::Typed(_) => Place::Typed,
        Truth::Fence(..) => Place::Fence(known),
    };
    let places: Vec<Place<'_>> = truth.iter().zip(&known).map(place).collect();
    let looks: Vec<Look> = pieces.iter().map(|piece| look(piece)).collect();
    let certain = certain(&places, &looks);
    let pairs = truth.iter().zip(pieces).zip(certain).filter(|(_, is_certain)| *is_certain);
    pairs.map(|((truth, piece), _)| (truth, piece.as_str())).collect()
}

fn is_fooled(
    truth: &[Truth],
    lost: &[prop::sample::Index],
    certain: fn(&[Place<'_>], &[Look]) -> Vec<bool>,
) -> bool {
    let Some(pieces) = reply(truth, lost) else { return false };
    let given = given(truth, &pieces, certain);
    given.iter().any(|(truth, piece)| !matches!(truth, Truth::Fence(..)) && truth.piece() != *piece)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(50_000) })]

    #[test]
    fn no_reply_that_only_looks_whole_gives_a_captcha_anothers_piece(truth in unfenced(), lost in lost()) {
        prop_assert!(!is_fooled(&truth, &lost, certain));
    }

    #[test]
    fn no_reply_to_a_call_with_fences_does_either_though_answers_read_like_them(
        truth in fenced(),
        lost in lost(),
    ) {
        prop_assert!(!is_fooled(&truth, &lost, certain));
    }

    #[test]
    fn a_typed_answer_without_a_bar_between_two_fences_is_certain(
        answers in prop::collection::vec(open("[a-c]{1,3}"), 1..6),
    ) {
        let truth: Vec<Truth> = answers
            .iter()
            .enumerate()
            .flat_map(|(number, answer)| [Truth::Fence(fence(number), true), Truth::Typed(answer.clone())])
            .collect();
        let pieces: Vec<String> = truth.iter().map(|truth| truth.piece().to_owned()).collect();
        prop_assert_eq!(given(&truth, &pieces, certain).len(), truth.len());
    }
}

#[test]
fn the_replies_above_would_fool_who_trusts_their_number_alone() {
    let by_number = |places: &[Place<'_>], _: &[Look]| vec![true; places.len()];
    for truth in [unfenced().boxed(), fenced().boxed()] {
        let found =
            proptest::test_runner::TestRunner::deterministic().run(&(truth, lost()), |(truth, lost)| {
                prop_assert!(!is_fooled(&truth, &lost, by_number));
                Ok(())
            });
        assert!(found.is_err());
    }
}

fn certain_of(places: &[Place<'_>], pieces: &[&str]) -> Vec<bool> {
    certain(places, &pieces.iter().map(|piece| look(piece)).collect::<Vec<_>>())
}

#[test]
fn answers_side_by_side_are_doubted_and_others_are_certain() {
    let typed = [Place::Typed; 3];
    assert_eq!(certain_of(&typed, &["ab", "CAPCHA_NOT_READY", "cd"]), [true; 3]);
    assert_eq!(certain_of(&typed, &["ab", "cd", "CAPCHA_NOT_READY"]), [false; 3]);
    assert_eq!(certain_of(&typed, &["ab", "", "CAPCHA_NOT_READY"]), [false; 3], "a bar at an answer's end");
    assert_eq!(certain_of(&typed, &["ab", "ERROR_CAPTCHA_UNSOLVABLE", "cd"]), [true; 3]);
    assert_eq!(certain_of(&[Place::Plain; 3], &["token-1", "token-2", "token-3"]), [true; 3]);
}

#[test]
fn of_a_call_in_which_a_fence_is_not_in_its_place_nothing_is_certain() {
    let [one, two] = ["wwww", "xxxx"].map(|text| Bytes::copy_from_slice(text.as_bytes()));
    let places = [Place::Typed, Place::Fence(&one), Place::Typed, Place::Fence(&two), Place::Plain];
    let whole = certain_of(&places, &["a", "wwww", "b", "xxxx", "token-1"]);
    assert_eq!(whole, [true; 5]);
    // `b|b` for one, and the second fence left out.
    assert_eq!(certain_of(&places, &["a", "wwww", "b", "b", "token-1"]), [false; 5]);
    assert_eq!(certain_of(&places, &["a", "ERROR_NO_SUCH_CAPCHA_ID", "b", "xxxx", "token-1"]), [false; 5]);
}
