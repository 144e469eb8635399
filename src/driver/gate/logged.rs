//! What of the waits and the budgets is news for the log.

use std::sync::PoisonError;
use std::time::Duration;

use super::Gate;
use crate::clock::Timestamp;
use crate::engine::Wait;
use crate::engine::refusal::{Refusal, Why};

/// Longest time between two log lines about the same state.
const STATE_LOGGED_EVERY: Duration = Duration::from_mins(1);
/// A budget that is spent for so long is told in the log.
const NEWS_FROM: Duration = Duration::from_secs(10);

impl Gate {
    /// Logs that a budget makes calls wait. One that is spent for a moment is no news, and what the upstream said was
    /// told when it was said.
    pub fn log_wait(&self, refusal: &Refusal) {
        let is_long = refusal.until.since(self.clock.now()) >= NEWS_FROM;
        if is_long && matches!(refusal.why, Why::Rule(_)) {
            let until = refusal.until;
            self.log_once(
                &refusal.why,
                |why| tracing::warn!(%why, %until, "a budget is spent: calls to the upstream wait"),
            );
        }
    }

    /// Logs a reason when it is new or was last told a while ago.
    pub(super) fn log_once(&self, why: &Why, log: impl FnOnce(&Why)) {
        let now = self.clock.now();
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known =
            logged.is_some_and(|(label, at)| label == why.label() && now.since(at) < STATE_LOGGED_EVERY);
        if !is_known {
            *logged = Some((why.label(), now));
            log(why);
        }
    }
}

/// One line for each wait that has begun, and for each that is over.
pub(super) fn tell_states(before: &[Wait], after: &[Wait], now: Timestamp) {
    let is_in = |waits: &[Wait], label: &str| waits.iter().any(|wait| wait.why.label() == label);
    for Wait { why, until, .. } in after.iter().filter(|wait| !is_in(before, wait.why.label())) {
        tracing::warn!(reason = why.label(), %why, %until, "calls to the upstream wait");
    }
    for Wait { why, since, .. } in before.iter().filter(|wait| !is_in(after, wait.why.label())) {
        let seconds = now.since(*since).as_secs();
        tracing::info!(reason = why.label(), seconds, "calls to the upstream no longer wait for this");
    }
}
