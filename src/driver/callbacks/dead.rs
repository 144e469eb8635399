//! Pushes that were given up, for operators: the newest [`DEAD_MAX`].

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::Callbacks;
use crate::clock::Timestamp;
use crate::protocol::ids::CaptchaId;
use crate::protocol::pingback::Target;
use crate::store::deliveries::DEAD_MAX;
use crate::store::{Change, Dead, StoreError};

/// A push that was given up.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    pub id: CaptchaId,
    pub client: Arc<str>,
    pub target: Target,
    /// When the outcome was known.
    pub since: Timestamp,
    pub dead: Dead,
    pub(super) code: Bytes,
}

/// The list, oldest first.
#[derive(Debug, Default)]
pub(super) struct DeadLetters(VecDeque<DeadLetter>);

impl DeadLetters {
    /// Adds one, in the place of the oldest when the list is full.
    pub fn add(&mut self, letter: DeadLetter) {
        if self.0.len() >= DEAD_MAX {
            self.0.pop_front();
        }
        self.0.push_back(letter);
    }

    pub fn take_oldest(&mut self) -> Option<DeadLetter> {
        self.0.pop_front()
    }

    /// Newest first.
    pub fn newest(&self) -> impl Iterator<Item = &DeadLetter> {
        self.0.iter().rev()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl Callbacks {
    pub(super) fn remember(&self, letter: DeadLetter) {
        let count = self.with(|state| {
            state.dead.add(letter);
            state.dead.len()
        });
        self.metrics.pingbacks_dead(count);
    }

    /// What was given up, newest first.
    #[must_use]
    pub fn dead_letters(&self) -> Vec<DeadLetter> {
        self.with(|state| state.dead.newest().cloned().collect())
    }

    /// An operator says that what was given up shall be tried again, for as long as at first. Returns how many there
    /// are.
    ///
    /// # Errors
    /// When the store is down; those that it has taken are tried.
    pub async fn revive(&self) -> Result<usize, StoreError> {
        let mut revived = 0;
        while let Some(letter) = self.with(|state| state.dead.take_oldest()) {
            let DeadLetter { id, client, target, code, .. } = letter.clone();
            let (at, text) = (self.clock.now(), target.as_str().to_owned());
            let change =
                Change::DeliveryDue { id, client: client.to_string(), target: text, code: code.clone(), at };
            if let Err(error) = self.keeper.commit(change).await {
                self.remember(letter);
                return Err(error);
            }
            self.restore(id, client, target, code, at);
            revived += 1;
        }
        self.metrics.pingbacks_dead(0);
        Ok(revived)
    }
}
