//! The start: what the store holds is taken up again. And forgetting: what is too old leaves.

use std::sync::Arc;
use std::time::Duration;

use super::answers::Answers;
use super::keeper::Keeper;
use super::poller::Poller;
use crate::clock::{Clock, Timestamp};
use crate::engine::captcha::LIFETIME;
use crate::store::{Change, Recovered};

/// How long after its 15 minutes a captcha is still kept.
const MARGIN: Duration = Duration::from_mins(1);
/// How often what is too old leaves.
const FORGET_EVERY: Duration = Duration::from_secs(30);

/// Takes recovered captchas up: those with an answer serve it again, the others are looked at again. Returns the
/// pingback addresses.
pub(super) fn recover(
    recovered: Recovered,
    now: Timestamp,
    answers: &Answers,
    poller: &Poller,
) -> Vec<(String, String)> {
    let mut captchas = recovered.captchas;
    captchas.retain(|captcha| now < captcha.uploaded_at + LIFETIME);
    captchas.sort_by_key(|captcha| captcha.uploaded_at);
    let (mut open, known) = (0_usize, captchas.len());
    for captcha in captchas {
        let is_open = captcha.solution.is_none();
        let (id, method, uploaded_at) = (captcha.id, captcha.method, captcha.uploaded_at);
        let owner = Arc::from(captcha.client.as_str());
        if answers.add(id, owner, method, uploaded_at, captcha.solution, captcha.report) && is_open {
            open += 1;
            poller.reopen(id, method, uploaded_at);
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
    recovered.pingbacks
}

/// Forgets what is too old, for ever.
pub(super) async fn forget(clock: Clock, answers: Arc<Answers>, keeper: Arc<Keeper>) {
    loop {
        clock.sleep(FORGET_EVERY).await;
        let uploaded_before = clock.now() - LIFETIME - MARGIN;
        answers.forget(uploaded_before);
        keeper.keep(Change::Forget { uploaded_before }).await;
    }
}
