//! Hands changes to the store, and remembers whether it takes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::clock::Timestamp;
use crate::metrics::Metrics;
use crate::store::{Change, Day, Ledger, Store, StoreError};

/// The way to the store.
pub struct Keeper {
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    is_down: AtomicBool,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("is_down", &self.is_down).finish_non_exhaustive()
    }
}

impl Keeper {
    #[must_use]
    pub fn new(store: Arc<dyn Store>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics, is_down: AtomicBool::new(false) }
    }

    /// Makes `change` durable.
    ///
    /// # Errors
    /// When it was not kept; it is logged and counted here.
    pub async fn commit(&self, change: Change) -> Result<(), StoreError> {
        let result = self.store.commit(change).await;
        // A change that does not follow from what is kept is refused alone; the store is well.
        let is_down = matches!(result, Err(StoreError::Failed(_)));
        let was_down = self.is_down.swap(is_down, Ordering::AcqRel);
        match &result {
            Err(error) => {
                self.metrics.store_failed();
                if !is_down {
                    tracing::error!(%error, "the store refused a change");
                } else if !was_down {
                    tracing::error!(%error, "the store does not take changes; nothing more is bought until it does");
                }
            }
            Ok(()) if was_down => tracing::info!("the store takes changes again"),
            Ok(()) => {}
        }
        result
    }

    /// Makes `change` durable if it can; for what a restart would learn again.
    pub async fn keep(&self, change: Change) {
        // Logged and counted in `commit`.
        let _ = self.commit(change).await;
    }

    /// Usage and readings, as [`Store::ledger`] has them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn ledger(&self, since: Day, open_since: Timestamp) -> Result<Ledger, StoreError> {
        self.store.ledger(since, open_since).await
    }

    /// Whether the last change was not kept.
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Acquire)
    }
}
