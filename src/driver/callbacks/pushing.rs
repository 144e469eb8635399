//! Pushes what is due, one attempt after the other, until it is taken or given up.

use std::sync::Arc;

use super::dead::DeadLetter;
use super::{Callbacks, Due, Wanted, pace};
use crate::clock::Timestamp;
use crate::engine::deliveries::{Attempt, Plan, Settled};
use crate::protocol::ids::CaptchaId;
use crate::protocol::pingback::Push;
use crate::receivers::NotTaken;
use crate::store::{Change, Dead};

impl Callbacks {
    /// Pushes what is due, for ever.
    pub async fn run(self: Arc<Self>) {
        loop {
            let changed = self.changed.notified();
            let Plan { attempts, dead } = self.with(|state| {
                state.deliveries.set_pace(pace(&self.live));
                state.deliveries.plan(self.clock.now())
            });
            for id in dead {
                self.give_up(id).await;
            }
            for id in attempts {
                let callbacks = Arc::clone(&self);
                self.tasks.spawn(async move { callbacks.attempt(id).await });
            }
            let next = self.with(|state| state.deliveries.next_at());
            tokio::select! {
                biased;
                () = changed => {}
                () = self.clock.sleep_until(next) => {}
            }
        }
    }

    async fn attempt(&self, id: CaptchaId) {
        let found = self.with(|state| {
            let Due { wanted, code, .. } = state.due.get(&id)?;
            Some((Arc::clone(&wanted.client), wanted.target.clone(), code.clone()))
        });
        let Some((client, target, code)) = found else { return };
        // Whoever takes a host back wants nothing pushed to it any more.
        if !self.registered.has(&client, target.host()) {
            self.metrics.pingback_attempted(&client, "unregistered");
            self.with(|state| {
                state.deliveries.abandon(id);
                if let Some(due) = state.due.get_mut(&id) {
                    due.failure = Some("the host is no longer registered".to_owned());
                }
            });
            self.changed.notify_one();
            return self.give_up(id).await;
        }
        let body = Push { id, code }.to_body();
        let taken = self.receivers.push(&target, body, &self.live.load().pingback).await;
        let outcome = taken.as_ref().map_or_else(NotTaken::label, |()| "taken");
        self.metrics.pingback_attempted(&client, outcome);
        let attempt = match &taken {
            Ok(()) => Attempt::Delivered,
            Err(failure) if failure.is_answer() => Attempt::Refused,
            Err(_) => Attempt::Unreachable,
        };
        let now = self.clock.now();
        let settled = self.with(|state| {
            if let Some(due) = state.due.get_mut(&id) {
                due.attempts += 1;
                due.failure = taken.as_ref().err().map(ToString::to_string);
            }
            let attempts = state.due.get(&id).map_or(0, |due| due.attempts);
            state.deliveries.settle(id, attempt, jitter(id, attempts), now)
        });
        self.changed.notify_one();
        match settled {
            Settled::Delivered => self.delivered(id, now).await,
            Settled::Dead => self.give_up(id).await,
            Settled::Again(at) => {
                let failure = taken.err().map_or_else(String::new, |failure| failure.to_string());
                tracing::debug!(%client, captcha = %id, receiver = ?target, failure, again = %at, "a pingback was not taken");
            }
        }
    }

    async fn delivered(&self, id: CaptchaId, now: Timestamp) {
        let Some(due) = self.with(|state| state.due.remove(&id)) else { return };
        self.metrics.pingback_delivered(&due.wanted.client, now.since(due.since));
        let client = &due.wanted.client;
        tracing::info!(%client, captcha = %id, receiver = ?due.wanted.target, attempts = due.attempts, "pingback delivered");
        self.keeper.keep(Change::DeliveryOver { id }).await;
    }

    async fn give_up(&self, id: CaptchaId) {
        if let Some(due) = self.with(|state| state.due.remove(&id)) {
            self.bury(id, due).await;
        }
    }

    pub(super) async fn bury(&self, id: CaptchaId, due: Due) {
        let Due { wanted, code, since, attempts, failure } = due;
        let Wanted { client, target, .. } = wanted;
        let why = failure.unwrap_or_else(|| "its turn did not come".to_owned());
        tracing::warn!(%client, captcha = %id, receiver = ?target, attempts, why, "a pingback was given up");
        self.metrics.pingback_given_up(&client);
        let at = self.clock.now();
        let dead = Dead { at, why: why.clone() };
        self.remember(DeadLetter { id, client, target, since, dead, code });
        self.keeper.keep(Change::DeliveryDead { id, why, at }).await;
    }
}

/// From 0 to 1, another one for each push and each attempt: those that failed together do not come again together.
fn jitter(id: CaptchaId, attempts: u32) -> f64 {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let mixed = (id.0 ^ u64::from(attempts).rotate_left(32)).wrapping_mul(GOLDEN);
    f64::from(u32::try_from(mixed >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushes_that_failed_together_come_again_at_different_moments() {
        let mut drawn: Vec<f64> =
            (0..100).map(|number| jitter(CaptchaId(50_000_000_000 + number), 1)).collect();
        drawn.sort_unstable_by(f64::total_cmp);
        assert!(drawn[0] >= 0.0 && drawn[99] <= 1.0);
        assert!(drawn.windows(2).all(|pair| pair[1] - pair[0] < 0.05), "they fill the range: {drawn:?}");
        assert!((jitter(CaptchaId(7), 1) - jitter(CaptchaId(7), 2)).abs() > 0.001);
    }
}
