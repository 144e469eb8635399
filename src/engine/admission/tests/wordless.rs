//! Replies that are no word: an error page or noise may stand in the place of a refusal that the upstream has counted.

use super::*;

#[test]
fn noise_in_the_place_of_a_reply_to_an_upload_counts_as_the_bad_case() {
    let mut admission =
        Admission::new(Limits { upload_gap: Duration::ZERO, ..Limits::default() }, Past::Fresh, at(0));
    let mut sent = 0;
    for second in 0..60 {
        while let Ok(ticket) = admission.admit(CallKind::Upload, at(1_000 * second)) {
            // The first call confirms the key.
            let ended = if sent == 0 { Ended::Accepted } else { Ended::NoCode };
            admission.settle(ticket, ended, at(1_000 * second));
            sent += 1;
        }
    }
    let ledger = 47;
    assert_eq!(sent, 1 + ledger, "and not 60 in 4 seconds for as long as it lasts");
    let (why, until) = refused(&mut admission, CallKind::Upload, at(59_000));
    assert_eq!((why, until), (Why::Rule(BlockRule::NoSlotRatio), at(60_000)), "one a minute from then on");
}

#[test]
fn noise_in_the_place_of_a_reply_to_a_look_counts_for_no_rule_about_uploads() {
    let mut admission = fresh();
    let look = CallKind::Look { ids: 1, last: false };
    for _ in 0..100 {
        let ticket = admission.admit(look, at(0)).unwrap();
        admission.settle(ticket, Ended::NoCode, at(0));
    }
    let spent: Vec<_> =
        admission.budgets(at(0)).iter().filter(|budget| budget.used > 0).map(|b| b.rule).collect();
    assert_eq!(spent, [BlockRule::ResCalls, BlockRule::ResLooks]);
}

#[test]
fn calls_that_bring_no_word_on_a_new_key_are_spread_and_end_after_three_in_an_hour() {
    let mut admission = Admission::new(Limits::default(), Past::Fresh, at(0));
    let unknown_code = || Ended::Code(Code::parse(b"ERROR_NEW_WORD").unwrap());
    let mut now = at(0);
    let mut sent = Vec::new();
    for ended in [Ended::Unknown, unknown_code(), Ended::NoCode, Ended::Unknown] {
        let ticket = loop {
            match admission.admit(CallKind::Upload, now) {
                Ok(ticket) => break ticket,
                Err(refusal) => {
                    let waits = admission.waits(now);
                    assert_eq!(
                        waits.iter().map(|wait| wait.why.clone()).collect::<Vec<_>>(),
                        [Why::KeyUnconfirmed]
                    );
                    assert!(waits[0].until >= refusal.until.min(now), "what is shown is when it goes on");
                    let load = admission.admit(CallKind::Load, now).expect("it carries no key");
                    admission.settle(load, Ended::Page, now);
                    now = refusal.until;
                }
            }
        };
        sent.push(now.since(at(0)).as_secs());
        admission.settle(ticket, ended, now);
    }
    // The first counts from a minute after it was given up, so the second is the first to leave the hour.
    assert_eq!(sent, [0, 10, 310, 10 + 3_601]);
}

#[test]
fn a_word_on_the_key_an_operator_or_another_key_ends_the_silence() {
    let silent = || {
        let mut admission = Admission::new(Limits::default(), Past::Fresh, at(0));
        let ticket = admission.admit(CallKind::Balance, at(0)).unwrap();
        admission.settle(ticket, Ended::NoCode, at(0));
        assert_eq!(refused(&mut admission, CallKind::Balance, at(1)), (Why::KeyUnconfirmed, at(10_000)));
        admission
    };
    let mut cleared = silent();
    cleared.clear_latches(at(1));
    assert!(cleared.admit(CallKind::Balance, at(1)).is_ok());
    let mut changed = silent();
    changed.key_changed(at(1));
    assert!(changed.admit(CallKind::Balance, at(1)).is_ok());
    let mut confirmed = silent();
    let ticket = confirmed.admit(CallKind::Balance, at(10_000)).unwrap();
    confirmed.settle(ticket, Ended::Done, at(10_000));
    assert_eq!(confirmed.waits(at(10_000)), []);
    assert!(confirmed.admit(CallKind::Balance, at(10_000)).is_ok());
}
