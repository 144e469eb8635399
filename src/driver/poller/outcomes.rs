//! What looks and pushes have brought, kept and then told.

use std::sync::Arc;

use super::{CATCHES_UP_WITHIN, Poller, timing};
use crate::clock::Timestamp;
use crate::driver::answers::Owned;
use crate::driver::cost::Cost;
use crate::driver::{callbacks, witnesses};
use crate::engine::captcha::LIFETIME;
use crate::engine::polling::Effect;
use crate::metrics::CaptchaOutcome;
use crate::protocol::answer::Solution;
use crate::protocol::ids::CaptchaId;
use crate::store::Change;

impl Poller {
    /// Keeps what was learned, then tells it. An answer is told even when the store is down: a restart would fetch it
    /// again.
    pub(super) async fn apply(self: &Arc<Self>, id: CaptchaId, effect: Effect) {
        let now = self.clock.now();
        match effect {
            Effect::Solved(solution) => {
                // With the answer, so that the store keeps both with one write.
                self.callbacks.ended(id, || solution.answer.plain());
                let change = Change::Solved { id, solution: solution.clone(), at: now };
                if !self.keeper.keep(change).await {
                    let uploaded_at = self.answers.owned(id).map_or(now, |owned| owned.uploaded_at);
                    self.keep_look(uploaded_at + LIFETIME);
                }
                self.tell(id, solution, now);
            }
            Effect::Priced(price) => {
                if let Some(price) = price.clone() {
                    witnesses::priced(&self.audit, id, &price);
                    self.keeper.keep(Change::Priced { id, price }).await;
                }
                if let Some(owned) = self.answers.price(id, price.clone()) {
                    self.count_cost(&owned, price.as_deref());
                }
            }
            Effect::Expired => {
                tracing::warn!(captcha = %id, "no answer came within 15 minutes");
                self.callbacks.ended(id, || callbacks::EXPIRED.as_str().into());
                self.ended(id, CaptchaOutcome::Expired, None, now);
            }
        }
    }

    /// Keeps a look for a captcha whose answer the store has missed, until the store has caught up or nobody may ask for
    /// the answer any more: a restart would need the look.
    fn keep_look(self: &Arc<Self>, until: Timestamp) {
        self.gate.captcha_opened();
        let poller = Arc::clone(self);
        self.tasks.spawn(async move {
            while poller.keeper.is_behind() && poller.clock.now() < until {
                if poller.tasks.sleep(CATCHES_UP_WITHIN).await {
                    break;
                }
            }
            poller.gate.captcha_closed();
        });
    }

    fn tell(&self, id: CaptchaId, solution: Solution, now: Timestamp) {
        let (is_failed, price) = (solution.answer.is_failed(), solution.price.clone());
        let Some(told) = self.answers.solve(id, solution) else { return };
        let could_be_seen = told.uploaded_at + timing(&self.live.load()).earliest_look(told.method);
        self.metrics.answered(&told.owner, told.method, now.since(told.looked_at.unwrap_or(could_be_seen)));
        let outcome = if is_failed { CaptchaOutcome::Failed } else { CaptchaOutcome::Solved };
        self.ended(id, outcome, price.as_deref(), now);
        if !is_failed && !told.price_is_missing {
            self.count_cost(&told, price.as_deref());
        }
        // Asked for while the answer was on its way to be kept.
        if told.price_is_missing && !is_failed {
            self.want_price(id, told.method, told.uploaded_at, true);
        }
    }

    fn ended(&self, id: CaptchaId, outcome: CaptchaOutcome, price: Option<&str>, now: Timestamp) {
        if let Some(owned) = self.answers.owned(id) {
            let took = now.since(owned.uploaded_at);
            self.metrics.captcha_ended(&owned.owner, owned.method, outcome, took);
            let is_solved = outcome == CaptchaOutcome::Solved;
            let cost = is_solved.then(|| Cost::of(price, owned.method, &self.live.load().prices));
            if let Some(cost) = cost {
                self.history.solved(took, cost);
            } else {
                self.history.unsolved();
            }
            witnesses::ended(&self.audit, (&owned.owner, id, owned.method), outcome, cost);
            tracing::info!(
                client = %owned.owner, captcha = %id, method = owned.method.label(), outcome = outcome.label(),
                seconds = took.as_secs_f64(), "captcha ended"
            );
        }
    }

    fn count_cost(&self, captcha: &Owned, price: Option<&str>) {
        let cost = Cost::of(price, captcha.method, &self.live.load().prices);
        self.metrics.cost(&captcha.owner, captcha.method, cost.usd, cost.basis);
    }
}
