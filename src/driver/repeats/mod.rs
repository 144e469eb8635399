//! Uploads that come again, and must not be paid twice.
//!
//! | file | which |
//! | --- | --- |
//! | `keys` | those that their client named, in the header `Idempotency-Key` |
//! | `undelivered` | those without a name whose client was gone before it read its id |
//!
//! ```text
//! begin -> Again(parcel)                     an earlier upload's id
//!       -> New(attempt) -> bought -> parcel -> delivered, or dropped: then the id waits for the same upload
//!                       -> refused           nothing is remembered
//! ```

mod keys;
mod peers;
mod undelivered;

use crate::clock::{Clock, Timestamp};
use crate::protocol::ids::CaptchaId;
use crate::protocol::repeat::Repeat;
use crate::store::CaptchaRecord;

use super::Refusal;
pub use keys::KEYS_MAX;
use keys::Keys;
pub use peers::{HungUp, Peer};
pub use undelivered::IDS_MAX;
use undelivered::Undelivered;

/// What is remembered of uploads.
#[derive(Clone, Debug)]
pub struct Repeats {
    keys: Keys,
    undelivered: Undelivered,
}

/// What becomes of an upload that has arrived.
#[derive(Debug)]
pub enum Begun {
    /// It came before, and has an id.
    Again(Parcel),
    New(Attempt),
}

/// A new upload, until it has ended.
#[derive(Debug)]
pub enum Attempt {
    Named(keys::Attempt),
    Unnamed(undelivered::Attempt),
}

/// An id on its way to the client. Dropped before it was delivered, it waits for the same upload to come again.
#[derive(Debug)]
pub struct Parcel {
    id: CaptchaId,
    is_again: bool,
    /// An id with a name can be asked for by it at any time.
    unnamed: Option<undelivered::Attempt>,
}

impl Repeats {
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { keys: Keys::new(clock), undelivered: Undelivered::new(clock) }
    }

    /// A captcha from before the restart.
    pub fn recover(&self, captcha: &CaptchaRecord) {
        match captcha.repeat {
            Some(Repeat { same, key: Some(key) }) => {
                self.keys.remember(key, same, captcha.id, captcha.uploaded_at);
            }
            Some(Repeat { same, key: None }) if !captcha.is_delivered => {
                self.undelivered.offer(same, captcha.id, captcha.uploaded_at);
            }
            _ => {}
        }
    }

    /// An upload has arrived. Waits while the same one is under way: a named one for its outcome, which it shares, any
    /// other only for one whose client has gone.
    ///
    /// # Errors
    /// The outcome of the named one that was under way, or why this one may not begin.
    pub async fn begin(&self, repeat: Repeat, hung_up: &HungUp) -> Result<Begun, Refusal> {
        match repeat.key {
            Some(key) => self.keys.begin(key, repeat.same).await,
            None => Ok(self.undelivered.begin(repeat.same, hung_up).await),
        }
    }
}

impl Attempt {
    /// It goes to the upstream now.
    pub fn sent(&mut self) {
        if let Self::Unnamed(attempt) = self {
            attempt.sent();
        }
    }

    /// Its client was told that there is no id, and there may be one yet.
    pub fn given_up(&self) {
        if let Self::Unnamed(attempt) = self {
            attempt.given_up();
        }
    }

    /// It has an id, which is durable.
    #[must_use]
    pub fn bought(self, id: CaptchaId, uploaded_at: Timestamp) -> Parcel {
        let unnamed = match self {
            Self::Named(attempt) => {
                attempt.bought(id, uploaded_at);
                None
            }
            Self::Unnamed(attempt) => Some(attempt),
        };
        Parcel { id, is_again: false, unnamed }
    }

    /// It got no id.
    pub fn refused(self, refusal: &Refusal) {
        if let Self::Named(attempt) = self {
            attempt.refused(refusal);
        }
    }
}

impl Parcel {
    #[must_use]
    pub const fn id(&self) -> CaptchaId {
        self.id
    }

    /// Whether it is the id of an upload that came before.
    #[must_use]
    pub const fn is_again(&self) -> bool {
        self.is_again
    }

    /// The client is told. True when that must be remembered: else a restart would offer the id again.
    #[must_use]
    pub fn delivered(mut self) -> bool {
        self.unnamed.take().is_some()
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        if let Some(attempt) = self.unnamed.take() {
            attempt.offer(self.id);
        }
    }
}

#[cfg(test)]
mod tests;
