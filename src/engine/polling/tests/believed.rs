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
    let effects = settle(&mut polling, &second, pieces(&second, &known), at(12));
    let mut told: Vec<u64> = effects.iter().map(|(id, _)| id.0).collect();
    told.sort_unstable();
    assert_eq!(told, [1, 2, 4]);
}

#[test]
fn a_batch_that_contradicts_one_before_confirms_nobody_and_all_that_were_seen_are_looked_at_alone() {
    let gone_or_changed = [vec![(1, "one"), (2, "two"), (4, "other")], vec![(1, "one"), (2, "two")]];
    for then in gone_or_changed {
        let mut polling = opened(4);
        let first = calls(&mut polling, at(6)).remove(0);
        let seen = pieces(&first, &[(1, "one"), (2, "two"), (4, "four")]);
        settle(&mut polling, &first, seen, at(6));
        let second = calls(&mut polling, at(12)).remove(0);
        assert!(settle(&mut polling, &second, pieces(&second, &then), at(12)).is_empty());
        let mut alone: Vec<u64> = calls(&mut polling, at(18))
            .iter()
            .filter(|call| call.form == LookForm::Plain && call.ids.len() == 1)
            .map(|call| call.ids[0].0)
            .collect();
        alone.sort_unstable();
        assert_eq!(alone, [1, 2, 3, 4], "the third is the only one left of its batch");
    }
}

#[test]
fn an_upstream_that_sorts_its_replies_by_id_gives_nobody_anothers_answer() {
    let mut polling = opened(3);
    let known = [(1, "one"), (2, "two")];
    let first = calls(&mut polling, at(6)).remove(0);
    assert!(settle(&mut polling, &first, pieces(&first, &known), at(6)).is_empty());
    // The second is not among them any more, so no two answers are neighbours; and the reply is in ascending order.
    polling.want_price(CaptchaId(2), Method::Image, START, false, at(6));
    let second = calls(&mut polling, at(12)).into_iter().find(|call| call.ids.len() == 2).expect("a batch");
    assert_eq!(second.order, IdOrder::Descending);
    let sorted = Looked::Many(Batch::Pieces(vec![solved("one"), Look::NotReady]));
    assert!(settle(&mut polling, &second, sorted, at(12)).is_empty());
}

#[test]
fn a_look_after_which_none_could_follow_is_made_shortly_before_the_end() {
    let mut polling = opened(1);
    let end = 15 * 60;
    let mut last = None;
    for second in 5..end {
        for call in calls(&mut polling, START + seconds(second)) {
            last = Some((second, call.is_last));
            let now = START + seconds(second);
            settle(&mut polling, &call, Looked::One(Look::NotReady), now);
        }
    }
    let (second, is_last) = last.expect("it was looked at");
    assert!(is_last && second >= end - LAST_LOOK_BEFORE_END.as_secs(), "{second}");
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
