//! Ids that their clients never read: the connection was gone before `OK|id` could be told. The same upload by the same
//! client within a minute gets that id, and nothing is paid twice. Two uploads that were both told stay two captchas.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::protocol::ids::CaptchaId;
use crate::protocol::submit::Upload;

/// How long an id waits for its client to ask again.
const KEPT: Duration = Duration::from_mins(1);
/// Most ids that wait; beyond, the oldest are forgotten and their uploads would be paid again.
const IDS_MAX: u64 = 10_000;

/// Whether whoever sent an upload has gone away since.
#[derive(Clone)]
pub struct HungUp(Arc<dyn Fn() -> bool + Send + Sync>);

impl HungUp {
    pub fn new(has_gone: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(has_gone))
    }

    #[must_use]
    pub fn is_so(&self) -> bool {
        (self.0)()
    }
}

impl Default for HungUp {
    /// Somebody who stays.
    fn default() -> Self {
        Self::new(|| false)
    }
}

impl fmt::Debug for HungUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HungUp({})", self.is_so())
    }
}

/// What makes two uploads the same: the client and everything that goes upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sameness([u8; 32]);

impl Sameness {
    #[must_use]
    pub fn of(client: &str, upload: &Upload) -> Self {
        let mut hash = Sha256::new();
        let mut add = |part: &[u8]| {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        };
        add(client.as_bytes());
        for field in upload.fields() {
            add(field.name.as_bytes());
            add(&field.value);
        }
        Self(hash.finalize().into())
    }
}

/// An upload under way.
#[derive(Debug)]
struct UnderWay {
    hung_up: HungUp,
    ended: watch::Receiver<()>,
}

/// Ids without a reader.
#[derive(Clone, Debug)]
pub struct Undelivered {
    ids: Cache<Sameness, CaptchaId>,
    under_way: Arc<Mutex<HashMap<Sameness, UnderWay>>>,
}

/// An upload is under way for as long as this lives.
#[derive(Debug)]
pub struct Attempt {
    undelivered: Undelivered,
    same: Sameness,
    ended: watch::Receiver<()>,
    /// Dropped with the attempt, which wakes whoever waits for its end.
    _end: watch::Sender<()>,
}

impl Default for Undelivered {
    fn default() -> Self {
        let ids = Cache::builder()
            .max_capacity(IDS_MAX)
            .time_to_live(KEPT)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        Self { ids, under_way: Arc::default() }
    }
}

impl Undelivered {
    /// The id of the same upload, if its client never read it. Waits for one that is under way and whose client has gone.
    /// Whoever has gone while it waited takes nothing.
    pub async fn take(&self, same: Sameness, hung_up: &HungUp) -> Option<CaptchaId> {
        let orphan = self.with(|under_way| {
            under_way.get(&same).filter(|upload| upload.hung_up.is_so()).map(|upload| upload.ended.clone())
        });
        if let Some(mut ended) = orphan {
            // An error says that it has ended, which is what is waited for.
            let _ = ended.changed().await;
        }
        if hung_up.is_so() { None } else { self.ids.remove(&same) }
    }

    /// An upload goes on its way. Another of the same kind takes its place here.
    #[must_use]
    pub fn begin(&self, same: Sameness, hung_up: HungUp) -> Attempt {
        let (sender, ended) = watch::channel(());
        self.with(|under_way| under_way.insert(same, UnderWay { hung_up, ended: ended.clone() }));
        Attempt { undelivered: self.clone(), same, ended, _end: sender }
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<Sameness, UnderWay>) -> T) -> T {
        act(&mut self.under_way.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Attempt {
    /// The id has no reader.
    pub fn keep(&self, id: CaptchaId) {
        self.undelivered.ids.insert(self.same, id);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.undelivered.with(|under_way| {
            // Another of the same kind may have taken the place since.
            if under_way.get(&self.same).is_some_and(|upload| upload.ended.same_channel(&self.ended)) {
                under_way.remove(&self.same);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::protocol::form::Form;

    fn same(client: &str, query: &str) -> Sameness {
        Sameness::of(client, &Upload::check(Form::decode(query, &Bytes::new()).unwrap()).unwrap())
    }

    #[test]
    fn uploads_are_the_same_for_one_client_and_one_content_whatever_the_key_and_form_of_the_reply() {
        let first = same("a", "key=1&textcaptcha=x");
        assert_eq!(first, same("a", "key=2&textcaptcha=x&header_acao=1"));
        assert_ne!(first, same("b", "key=1&textcaptcha=x"));
        assert_ne!(first, same("a", "key=1&textcaptcha=y"));
    }

    #[tokio::test]
    async fn an_id_without_a_reader_is_given_once() {
        let undelivered = Undelivered::default();
        let upload = same("a", "textcaptcha=x");
        undelivered.begin(upload, HungUp::default()).keep(CaptchaId(7));
        assert_eq!(undelivered.take(upload, &HungUp::default()).await, Some(CaptchaId(7)));
        assert_eq!(undelivered.take(upload, &HungUp::default()).await, None);
    }

    #[tokio::test]
    async fn an_upload_under_way_is_waited_for_only_when_its_client_has_gone() {
        let undelivered = Undelivered::default();
        let upload = same("a", "textcaptcha=x");
        let attempt = undelivered.begin(upload, HungUp::default());
        assert_eq!(
            undelivered.take(upload, &HungUp::default()).await,
            None,
            "its client is there to read it"
        );
        drop(attempt);
        let attempt = undelivered.begin(upload, HungUp::new(|| true));
        let ended = async {
            tokio::task::yield_now().await;
            attempt.keep(CaptchaId(7));
            drop(attempt);
        };
        let stays = HungUp::default();
        let (taken, ()) = tokio::join!(undelivered.take(upload, &stays), ended);
        assert_eq!(taken, Some(CaptchaId(7)));
    }

    #[tokio::test]
    async fn whoever_has_gone_takes_no_id_and_an_attempt_removes_only_itself() {
        let undelivered = Undelivered::default();
        let upload = same("a", "textcaptcha=x");
        let first = undelivered.begin(upload, HungUp::default());
        let second = undelivered.begin(upload, HungUp::new(|| true));
        drop(first);
        assert!(undelivered.with(|under_way| under_way.contains_key(&upload)), "the second is under way");
        second.keep(CaptchaId(8));
        drop(second);
        assert_eq!(undelivered.take(upload, &HungUp::new(|| true)).await, None);
        assert_eq!(undelivered.take(upload, &HungUp::default()).await, Some(CaptchaId(8)));
    }
}
