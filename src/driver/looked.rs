//! What the reply to a look shows: of the captchas, for the poller, and of the account, for the gate.

use bytes::Bytes;

use super::gate::CallEnd;
use crate::engine::polling::{LookCall, LookForm, Looked};
use crate::engine::refusal::Ended;
use crate::metrics::CallOutcome;
use crate::protocol::errors::{Code, Reaction};
use crate::protocol::reply::{Batch, Look, read_batch, read_look, read_priced_look};

/// Reads the reply to a look, and says what it means for the account.
pub(super) fn read(call: &LookCall, body: &Bytes) -> (Looked, CallEnd) {
    if call.form != LookForm::Batch {
        let look = if call.form == LookForm::Price { read_priced_look(body) } else { read_look(body) };
        let end = end_of(std::slice::from_ref(&look));
        return (Looked::One(look), end);
    }
    let batch = read_batch(body, call.ids.len());
    let end = match &batch {
        Batch::Pieces(looks) => end_of(looks),
        Batch::Account(code) => CallEnd { outcome: CallOutcome::Code, ended: Ended::Code(code.clone()) },
        Batch::Mismatch { pieces } => {
            tracing::warn!(ids = call.ids.len(), pieces, "a batch came back with pieces that fit no ids");
            CallEnd { outcome: CallOutcome::Mismatch, ended: Ended::NoCode }
        }
        Batch::Garbage => CallEnd { outcome: CallOutcome::Garbage, ended: Ended::NoCode },
    };
    (Looked::Many(batch), end)
}

/// A code about the account counts wherever it stands, also in the place of one captcha's answer.
fn end_of(looks: &[Look]) -> CallEnd {
    let code_of = |look: &Look| match look {
        Look::Code(code) => Some(code.clone()),
        _ => None,
    };
    let is_about_account = |code: &Code| match code.known() {
        Some(known) => known.is_about_account(),
        None => matches!(code.reaction(), Reaction::WaitOutBlock(_)),
    };
    if let Some(code) = looks.iter().filter_map(code_of).find(is_about_account) {
        return CallEnd { outcome: CallOutcome::Code, ended: Ended::Code(code) };
    }
    if looks.iter().all(|look| matches!(look, Look::Garbage)) {
        return CallEnd { outcome: CallOutcome::Garbage, ended: Ended::NoCode };
    }
    // A code of a captcha alone: `Ended::Code`, for an unknown one could be a new word for a wrong key.
    let ended = match looks {
        [Look::Code(code)] => Ended::Code(code.clone()),
        _ => Ended::Done,
    };
    CallEnd { outcome: CallOutcome::Done, ended }
}
