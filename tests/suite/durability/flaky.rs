//! A store that for a while fails, or says nothing.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use capgate::clock::{Clock, Timestamp};
use capgate::store::{Change, Day, Ledger, MemoryStore, Recovered, Store, StoreError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

/// It keeps nothing of what it refuses.
#[derive(Debug, Default)]
pub struct Flaky {
    /// It takes everything but accepted uploads.
    pub refuses_ids: AtomicBool,
    pub refuses_all: AtomicBool,
    /// It never ends a commit.
    pub hangs: AtomicBool,
    /// What each commit takes.
    pub takes_ms: AtomicU64,
    pub inner: MemoryStore,
}

impl Store for Flaky {
    fn load(&self) -> BoxFuture<'_, Result<Recovered, StoreError>> {
        self.inner.load()
    }

    fn commit(&self, change: Change) -> BoxFuture<'_, Result<(), StoreError>> {
        if self.hangs.load(Ordering::Relaxed) {
            return std::future::pending().boxed();
        }
        let is_id = matches!(change, Change::Accepted { .. });
        if self.refuses_all.load(Ordering::Relaxed) || (is_id && self.refuses_ids.load(Ordering::Relaxed)) {
            return std::future::ready(Err(StoreError::Failed("it fails".to_owned()))).boxed();
        }
        let takes = Duration::from_millis(self.takes_ms.load(Ordering::Relaxed));
        async move {
            Clock::system().sleep(takes).await;
            self.inner.commit(change).await
        }
        .boxed()
    }

    fn ledger(&self, since: Day, open_since: Timestamp) -> BoxFuture<'_, Result<Ledger, StoreError>> {
        self.inner.ledger(since, open_since)
    }
}
