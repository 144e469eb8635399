//! What of a batch is believed, see [`crate::engine::trust`].

use super::*;

/// The pieces in the order of the ids of `call`; of the others, not ready.
fn pieces(call: &LookCall, known: &[(u64, &'static str)]) -> Looked {
    let piece = |id: &CaptchaId| {
        let known = known.iter().find(|(number, _)| *number == id.0);
        known.map_or(Look::NotReady, |(_, text)| solved(text))
    };
    Looked::Many(Batch::Pieces(call.ids.iter().map(piece).collect()))
}

#[test]
fn answers_side_by_side_are_believed_when_the_opposite_order_shows_them_too() {
    let mut polling = opened(4);
    let known = [(1, "one"), (2, "two"), (4, "four")];
    let first = calls(&mut polling, at(6)).remove(0);
    assert_eq!(first.ids, [1, 2, 3, 4].map(CaptchaId));
    assert!(settle(&mut polling, &first, pieces(&first, &known), at(6)).is_empty());
    let second = calls(&mut polling, at(12)).remove(0);
    assert_eq!(second.ids, [4, 3, 2, 1].map(CaptchaId));
    // The fourth shows another text now: it is looked at alone.
    let known = [(1, "one"), (2, "two"), (4, "other")];
    let effects = settle(&mut polling, &second, pieces(&second, &known), at(12));
    let mut told: Vec<u64> = effects.iter().map(|(id, _)| id.0).collect();
    told.sort_unstable();
    assert_eq!(told, [1, 2]);
    let third = calls(&mut polling, at(18));
    let alone = third.iter().find(|call| call.ids == [CaptchaId(4)]).expect("it is looked at alone");
    assert_eq!(alone.form, LookForm::Plain);
}

#[test]
fn an_answer_without_neighbours_is_believed_at_once() {
    let mut polling = opened(3);
    let call = calls(&mut polling, at(6)).remove(0);
    let effects = settle(&mut polling, &call, pieces(&call, &[(1, "one"), (3, "three")]), at(6));
    assert_eq!(effects.len(), 2);
}

#[test]
fn a_last_look_at_a_typed_answer_is_made_alone_while_batches_are_not_believed() {
    let mut polling = opened(2);
    let last = START + LIFETIME - LAST_LOOK_BEFORE_END;
    let alone = calls(&mut polling, last + seconds(1));
    assert_eq!(alone.iter().map(|call| (call.ids.len(), call.is_last)).collect::<Vec<_>>(), [(1, true); 2]);
}
