//! Pushes that were given up, for operators: the newest [`DEAD_MAX`].

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::protocol::ids::CaptchaId;
use crate::protocol::pingback::Target;
use crate::store::Dead;
use crate::store::deliveries::DEAD_MAX;

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
