//! What the store knows by heart: the ids that a change may name. A change is judged by it without a look at the file.
//!
//! **Invariant.** It holds what the journal and the tables together hold: a group that was not kept is taken back.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use rusqlite::Connection;

use super::columns;
use crate::clock::Timestamp;
use crate::protocol::ids::CaptchaId;
use crate::protocol::repeat::Sameness;
use crate::store::{Change, IntentId, NotAccepted, StoreError};

/// What of a change has to be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// It names nothing that has to be there.
    None,
    Note(IntentId, Timestamp),
    Accept {
        intent: IntentId,
        id: CaptchaId,
        upload: Upload,
    },
    Leave(IntentId),
}

/// About 50 bytes for each captcha of the last 16 minutes.
#[derive(Debug, Default)]
pub(super) struct Known {
    intents: HashMap<IntentId, Timestamp>,
    captchas: HashMap<CaptchaId, Upload>,
}

/// By which an upload is known to be the one that was kept already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Upload {
    at: Timestamp,
    /// The beginning of a digest; 0 when there is none.
    same: u64,
}

/// What became of a change that is right.
#[derive(Clone, Copy, Debug)]
pub(super) enum Right {
    /// It has to be kept. What takes it back, if it is not.
    New(Option<Undo>),
    /// It failed before, as far as could be seen, and had been kept all the same.
    KeptAlready,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Undo {
    Noted(IntentId),
    Left(IntentId, Timestamp),
    Accepted(CaptchaId, IntentId, Timestamp),
}

impl Claim {
    pub fn of(change: &Change) -> Self {
        match change {
            Change::Submitting(intent) => Self::Note(intent.id, intent.at),
            Change::Accepted { intent, id, at, repeat } => {
                let upload = Upload::new(*at, repeat.map(|repeat| repeat.same));
                Self::Accept { intent: *intent, id: *id, upload }
            }
            Change::NotAccepted { intent, how: NotAccepted::Refused, .. } => Self::Leave(*intent),
            _ => Self::None,
        }
    }
}

impl Upload {
    fn new(at: Timestamp, same: Option<Sameness>) -> Self {
        let same = same.and_then(|same| same.as_bytes().first_chunk().copied());
        Self { at, same: same.map_or(0, u64::from_le_bytes) }
    }
}

impl Known {
    /// All that the tables hold; the journal must be folded.
    pub fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut known = Self::default();
        let mut intents = connection.prepare("SELECT id, at FROM intents")?;
        let mut intents = intents.query([])?;
        while let Some(row) = intents.next()? {
            known.intents.insert(IntentId(columns::read_key(row.get(0)?)), columns::read_moment(row.get(1)?));
        }
        let mut captchas = connection.prepare("SELECT id, uploaded_at, same FROM captchas")?;
        let mut captchas = captchas.query([])?;
        while let Some(row) = captchas.next()? {
            let same = row.get::<_, Option<_>>(2)?.map(Sameness::from_bytes);
            let upload = Upload::new(columns::read_moment(row.get(1)?), same);
            known.captchas.insert(CaptchaId(columns::read_key(row.get(0)?)), upload);
        }
        Ok(known)
    }

    /// Learns what a change says.
    ///
    /// # Errors
    /// When it does not follow from what is kept; nothing is learned then.
    pub fn learn(&mut self, claim: Claim) -> Result<Right, StoreError> {
        let undo = match claim {
            Claim::None => None,
            Claim::Note(intent, at) => {
                self.intents.insert(intent, at).is_none().then_some(Undo::Noted(intent))
            }
            Claim::Leave(intent) => self.intents.remove(&intent).map(|at| Undo::Left(intent, at)),
            Claim::Accept { intent, id, upload } => return self.accept(intent, id, upload),
        };
        Ok(Right::New(undo))
    }

    fn accept(&mut self, intent: IntentId, id: CaptchaId, upload: Upload) -> Result<Right, StoreError> {
        match (self.intents.entry(intent), self.captchas.entry(id)) {
            (Entry::Occupied(noted), Entry::Vacant(free)) => {
                free.insert(upload);
                Ok(Right::New(Some(Undo::Accepted(id, intent, noted.remove()))))
            }
            (Entry::Occupied(_), Entry::Occupied(_)) => Err(StoreError::Duplicate(id)),
            (Entry::Vacant(_), Entry::Occupied(kept)) if *kept.get() == upload => Ok(Right::KeptAlready),
            (Entry::Vacant(_), _) => Err(StoreError::NoIntent(id)),
        }
    }

    /// The change that `undo` came from was not kept. The last must be taken back first.
    pub fn take_back(&mut self, undo: Undo) {
        match undo {
            Undo::Noted(intent) => drop(self.intents.remove(&intent)),
            Undo::Left(intent, at) => drop(self.intents.insert(intent, at)),
            Undo::Accepted(id, intent, at) => {
                self.captchas.remove(&id);
                self.intents.insert(intent, at);
            }
        }
    }

    /// What was uploaded before this moment has left the store.
    pub fn forget(&mut self, uploaded_before: Timestamp) {
        self.intents.retain(|_, at| *at >= uploaded_before);
        self.captchas.retain(|_, upload| upload.at >= uploaded_before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::methods::Method;
    use crate::store::Intent;

    const AT: Timestamp = Timestamp(5);

    fn submitting(id: u64) -> Change {
        let (client, method) = ("team-a".to_owned(), Method::Image);
        Change::Submitting(Intent { id: IntentId(id), client, method, at: AT })
    }

    fn accepted(intent: u64, id: u64) -> Change {
        Change::Accepted { intent: IntentId(intent), id: CaptchaId(id), at: AT, repeat: None }
    }

    fn refused(id: u64) -> Change {
        Change::NotAccepted { intent: IntentId(id), how: NotAccepted::Refused, at: AT }
    }

    #[test]
    fn a_group_that_is_taken_back_leaves_nothing() {
        let mut known = Known::default();
        for change in [submitting(1), submitting(2), submitting(3), accepted(3, 30)] {
            known.learn(Claim::of(&change)).unwrap();
        }
        let before = (known.intents.clone(), known.captchas.clone());
        let group =
            [submitting(1), submitting(4), accepted(1, 10), refused(2), accepted(4, 40), submitting(2)];
        let mut undo = Vec::new();
        for change in &group {
            let Ok(Right::New(step)) = known.learn(Claim::of(change)) else { panic!("{change:?}") };
            undo.extend(step);
        }
        assert_eq!((known.intents.len(), known.captchas.len()), (1, 3));
        undo.into_iter().rev().for_each(|step| known.take_back(step));
        assert_eq!((known.intents, known.captchas), before);
    }

    #[test]
    fn an_upload_needs_its_intent_and_an_id_of_its_own() {
        let mut known = Known::default();
        assert_eq!(
            known.learn(Claim::of(&accepted(1, 10))).unwrap_err(),
            StoreError::NoIntent(CaptchaId(10))
        );
        known.learn(Claim::of(&submitting(1))).unwrap();
        assert!(matches!(known.learn(Claim::of(&accepted(1, 10))), Ok(Right::New(Some(_)))));
        assert!(matches!(known.learn(Claim::of(&accepted(1, 10))), Ok(Right::KeptAlready)));
        known.learn(Claim::of(&submitting(2))).unwrap();
        assert_eq!(
            known.learn(Claim::of(&accepted(2, 10))).unwrap_err(),
            StoreError::Duplicate(CaptchaId(10))
        );
        known.forget(Timestamp(AT.0 + 1));
        assert_eq!(
            known.learn(Claim::of(&accepted(2, 10))).unwrap_err(),
            StoreError::NoIntent(CaptchaId(10))
        );
    }
}
