//! The start: what the store holds is taken up again. Forgetting: what is too old leaves. And mending: a store that was
//! down is tried until it takes changes again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::answers::Answers;
use super::budgets;
use super::callbacks::{self, Callbacks};
use super::gate::Gate;
use super::keeper::Keeper;
use super::poller::Poller;
use super::repeats::Repeats;
use crate::clock::{Clock, Timestamp};
use crate::engine::captcha::LIFETIME;
use crate::store::{CaptchaRecord, Change, Delivery, Recovered, Store, StoreError};

/// How long after its 15 minutes a captcha is still kept.
const MARGIN: Duration = Duration::from_mins(1);
/// How often what is too old leaves.
const FORGET_EVERY: Duration = Duration::from_secs(30);
/// How often a store that is down is tried.
const MEND_EVERY: Duration = Duration::from_secs(1);

/// What the store holds. After a clock that was set back it is as if no time had passed.
///
/// # Errors
/// When it cannot be read.
pub(super) async fn load(store: &dyn Store, now: Timestamp) -> Result<Recovered, StoreError> {
    let mut recovered = store.load().await?;
    let set_back = budgets::set_back(&recovered, now);
    if !set_back.is_zero() {
        tracing::warn!(seconds = set_back.as_secs(), "the clock was set back; what was under way goes on");
        recovered.shift_back(set_back);
    }
    Ok(recovered)
}

/// Takes recovered captchas up: those with an answer serve it again, the others are looked at again; and what clients
/// want to be told of them.
pub(super) fn recover(
    recovered: Recovered,
    now: Timestamp,
    answers: &Answers,
    poller: &Poller,
    repeats: &Repeats,
    callbacks: &Arc<Callbacks>,
) {
    let mut captchas = recovered.captchas;
    recover_callbacks(recovered.deliveries, &captchas, now, callbacks);
    captchas.retain(|captcha| now < captcha.uploaded_at + LIFETIME);
    // No captcha lives for longer than its time from now, whatever a clock has said.
    for captcha in &mut captchas {
        captcha.uploaded_at = captcha.uploaded_at.min(now);
    }
    captchas.sort_by_key(|captcha| captcha.uploaded_at);
    let (mut open, known) = (0_usize, captchas.len());
    for captcha in captchas {
        repeats.recover(&captcha);
        let is_open = captcha.solution.is_none();
        let (id, method, uploaded_at) = (captcha.id, captcha.method, captcha.uploaded_at);
        let owner = Arc::from(captcha.client.as_str());
        if answers.add(id, owner, method, uploaded_at, captcha.solution, captcha.report) && is_open {
            open += 1;
            poller.reopen(id, method.into(), uploaded_at);
        }
    }
    if known > 0 || !recovered.unknown.is_empty() {
        tracing::info!(
            known,
            open,
            unknown = recovered.unknown.len(),
            "recovered captchas of the last 15 minutes"
        );
    }
}

/// A past that had to be taken for spent stays so, also when no call leaves before the next start.
pub(super) async fn keep_budgets(gate: Arc<Gate>) {
    // Logged where it failed; before each call they are kept again.
    let _ = gate.keep().await;
}

fn recover_callbacks(
    deliveries: Vec<Delivery>,
    captchas: &[CaptchaRecord],
    now: Timestamp,
    callbacks: &Arc<Callbacks>,
) {
    let outcomes: HashMap<_, _> =
        captchas.iter().map(|captcha| (captcha.id, outcome(captcha, now))).collect();
    callbacks.recover(deliveries, |id| outcomes.get(&id).cloned(), now - LIFETIME);
}

/// What whoever wants to be told of a captcha is told; nothing while it is open.
fn outcome(captcha: &CaptchaRecord, now: Timestamp) -> Option<Bytes> {
    match &captcha.solution {
        Some(solution) => Some(solution.answer.plain()),
        None if now < captcha.uploaded_at + LIFETIME => None,
        None => Some(callbacks::EXPIRED.as_str().into()),
    }
}

/// Forgets what is too old, for ever.
pub(super) async fn forget(clock: Clock, answers: Arc<Answers>, keeper: Arc<Keeper>) {
    loop {
        clock.sleep(FORGET_EVERY).await;
        let uploaded_before = clock.now() - LIFETIME - MARGIN;
        answers.forget(uploaded_before);
        // Logged and counted where it failed; the next one forgets what this one did not.
        let _ = keeper.commit(Change::Forget { uploaded_before }).await;
    }
}

/// Tries a store that is down, for ever, and gives it what it missed. Nobody may upload meanwhile, for /readyz says no.
pub(super) async fn mend(clock: Clock, gate: Arc<Gate>, keeper: Arc<Keeper>) {
    loop {
        keeper.failed().await;
        while keeper.is_behind() {
            clock.sleep(MEND_EVERY).await;
            keeper.keep_late().await;
            if keeper.is_down() {
                // Any change would do; this one is never wrong.
                let _ = gate.keep().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::answer::Answer;
    use crate::protocol::ids::CaptchaId;
    use crate::protocol::methods::Method;

    #[test]
    fn a_captcha_whose_time_is_over_at_this_very_moment_has_an_outcome() {
        let now = Timestamp(1_000_000_000);
        let outcome = |uploaded_at, solution| {
            let captcha = CaptchaRecord {
                id: CaptchaId(1),
                client: "a".to_owned(),
                method: Method::Text,
                uploaded_at,
                solution,
                solved_at: None,
                report: None,
                repeat: None,
                is_delivered: true,
            };
            outcome(&captcha, now)
        };
        let ends_now = now - LIFETIME;
        assert_eq!(outcome(ends_now + Duration::from_millis(1), None), None);
        assert_eq!(outcome(ends_now, None), Some("ERROR_CAPTCHA_UNSOLVABLE".into()));
        assert_eq!(outcome(now, Some(Answer::Text("x".into()).into())), Some("x".into()));
    }
}
