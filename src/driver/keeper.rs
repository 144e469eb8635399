//! Hands changes to the store, and remembers whether it takes them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::allowances::Allowances;
use super::troubles::Troubles;
use crate::clock::{Clock, Timestamp};
use crate::metrics::Metrics;
use crate::store::{Change, Day, Ledger, Store, StoreError};

/// Most changes that wait for a store that is down. What is lost beyond is an answer that a restart would fetch again,
/// or the outcome of an upload that then counts as unknown.
pub const LATE_MAX: usize = 10_000;

/// The way to the store.
pub struct Keeper {
    clock: Clock,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    troubles: Arc<Troubles>,
    /// Follows what happens to captchas.
    allowances: Option<Arc<Allowances>>,
    state: Mutex<State>,
    has_failed: Notify,
}

/// Why the store takes no changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Of the last change that was not kept.
    pub why: String,
    pub since: Timestamp,
}

#[derive(Debug, Default)]
struct State {
    /// The last change was not kept.
    fault: Option<Fault>,
    /// What the store missed, in its order.
    late: VecDeque<Change>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").field("fault", &self.fault()).finish_non_exhaustive()
    }
}

impl Keeper {
    #[must_use]
    pub fn new(clock: Clock, store: Arc<dyn Store>, metrics: Arc<Metrics>, troubles: Arc<Troubles>) -> Self {
        metrics.store_is_up(true);
        let (state, has_failed) = (Mutex::default(), Notify::new());
        Self { clock, store, metrics, troubles, allowances: None, state, has_failed }
    }

    /// From now on what happens to captchas changes what clients may spend.
    #[must_use]
    pub fn charging(self, allowances: Arc<Allowances>) -> Self {
        Self { allowances: Some(allowances), ..self }
    }

    /// Makes `change` durable.
    ///
    /// # Errors
    /// When it was not kept; it is logged and counted here.
    pub async fn commit(&self, change: Change) -> Result<(), StoreError> {
        let asked_at = self.clock.now();
        let result = self.store.commit(change).await;
        self.metrics.store_took(self.clock.now().since(asked_at));
        let before = self.fault();
        let was_down = before.is_some();
        let fault = match &result {
            Err(StoreError::Failed(why)) => {
                let since = before.map_or(self.clock.now(), |fault| fault.since);
                Some(Fault { why: why.clone(), since })
            }
            // A change that does not follow from what is kept is refused alone, which says nothing of the store.
            Err(_) => before,
            Ok(()) => None,
        };
        let is_down = fault.is_some();
        self.state().fault = fault;
        if is_down != was_down {
            self.metrics.store_is_up(!is_down);
        }
        match &result {
            Err(error) => {
                self.metrics.store_failed();
                self.troubles.met("store", &error.to_string());
                if !matches!(error, StoreError::Failed(_)) {
                    tracing::error!(%error, "the store refused a change");
                } else if !was_down {
                    tracing::error!(%error, "the store does not take changes; nothing more is bought until it does");
                }
                self.has_failed.notify_one();
            }
            Ok(()) if was_down => tracing::info!("the store takes changes again"),
            Ok(()) => {}
        }
        result
    }

    /// Makes `change` durable now or, when the store is down, as soon as it can; for what has happened and is true
    /// whether it is kept or not. False when the store is down, or has not caught up.
    pub async fn keep(&self, change: Change) -> bool {
        if let Some(allowances) = &self.allowances {
            allowances.note(&change);
        }
        // Behind what the store missed: the last word about a captcha must come last.
        let is_in_turn = self.state().late.is_empty();
        if is_in_turn && !matches!(self.commit(change.clone()).await, Err(StoreError::Failed(_))) {
            return true;
        }
        let mut state = self.state();
        if state.late.len() < LATE_MAX {
            state.late.push_back(change);
        } else {
            tracing::error!("too many changes wait for the store: one is lost");
        }
        drop(state);
        self.has_failed.notify_one();
        false
    }

    /// Gives the store what it missed, until it fails again.
    pub async fn keep_late(&self) {
        while let Some(change) = self.next_late() {
            if let Err(StoreError::Failed(_)) = self.commit(change).await {
                return;
            }
            self.state().late.pop_front();
        }
    }

    /// Resolves when a change was not kept.
    pub async fn failed(&self) {
        self.has_failed.notified().await;
    }

    /// Whether the store is down, or has missed something.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        let state = self.state();
        state.fault.is_some() || !state.late.is_empty()
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
        self.state().fault.is_some()
    }

    /// Why the last change was not kept, and since when that is so.
    #[must_use]
    pub fn fault(&self) -> Option<Fault> {
        self.state().fault.clone()
    }

    fn next_late(&self) -> Option<Change> {
        self.state().late.front().cloned()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::clock::Clock;
    use crate::protocol::ids::CaptchaId;
    use crate::store::{MemoryStore, Recovered};

    /// A store that can be full, and remembers what it was given.
    #[derive(Default)]
    struct Brimming {
        is_full: AtomicBool,
        given: Mutex<Vec<u64>>,
        inner: MemoryStore,
    }

    impl Store for Brimming {
        fn load(&self) -> BoxFuture<'_, Result<Recovered, StoreError>> {
            self.inner.load()
        }

        fn commit(&self, change: Change) -> BoxFuture<'_, Result<(), StoreError>> {
            let result = match change {
                _ if self.is_full.load(Ordering::Relaxed) => Err(StoreError::Failed("full".into())),
                Change::Delivered { id: CaptchaId(0) } => Err(StoreError::NoIntent(CaptchaId(0))),
                Change::Delivered { id } => {
                    self.given.lock().unwrap().push(id.0);
                    Ok(())
                }
                other => panic!("{other:?}"),
            };
            std::future::ready(result).boxed()
        }

        fn ledger(&self, since: Day, open_since: Timestamp) -> BoxFuture<'_, Result<Ledger, StoreError>> {
            self.inner.ledger(since, open_since)
        }
    }

    fn troubles() -> Arc<Troubles> {
        Arc::new(Troubles::new(Clock::starting_at(Timestamp(0))))
    }

    fn change(number: u64) -> Change {
        Change::Delivered { id: CaptchaId(number) }
    }

    #[tokio::test]
    async fn what_a_store_missed_it_gets_in_order_and_so_much_of_it() {
        let store = Arc::new(Brimming::default());
        let keeper = Keeper::new(
            Clock::starting_at(Timestamp(0)),
            Arc::<Brimming>::clone(&store),
            Arc::new(Metrics::default()),
            troubles(),
        );
        store.is_full.store(true, Ordering::Relaxed);
        for number in 1..=LATE_MAX as u64 + 1 {
            keeper.keep(change(number)).await;
        }
        keeper.keep_late().await;
        assert_eq!(keeper.fault().map(|fault| fault.why).as_deref(), Some("full"));
        store.is_full.store(false, Ordering::Relaxed);
        keeper.keep_late().await;
        assert!(!keeper.is_down() && !keeper.is_behind());
        assert_eq!(*store.given.lock().unwrap(), (1..=LATE_MAX as u64).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn what_comes_later_waits_behind_what_the_store_missed() {
        let store = Arc::new(Brimming::default());
        let clock = Clock::starting_at(Timestamp(0));
        let keeper = Keeper::new(clock, Arc::<Brimming>::clone(&store), Arc::default(), troubles());
        store.is_full.store(true, Ordering::Relaxed);
        assert!(!keeper.keep(change(1)).await);
        store.is_full.store(false, Ordering::Relaxed);
        keeper.failed().now_or_never().unwrap();
        assert!(!keeper.keep(change(2)).await);
        assert!(store.given.lock().unwrap().is_empty() && keeper.failed().now_or_never().is_some());
        keeper.keep_late().await;
        assert!(keeper.keep(change(3)).await);
        assert_eq!(*store.given.lock().unwrap(), [1, 2, 3]);
    }

    #[tokio::test]
    async fn a_change_that_is_refused_alone_says_nothing_of_the_store() {
        let store = Arc::new(Brimming::default());
        let metrics = Arc::new(Metrics::default());
        let keeper = Keeper::new(
            Clock::starting_at(Timestamp(0)),
            Arc::<Brimming>::clone(&store),
            Arc::clone(&metrics),
            troubles(),
        );
        keeper.keep(change(0)).await;
        assert!(!keeper.is_down() && !keeper.is_behind());
        let is_up = |up| metrics.text().unwrap().contains(&format!("capgate_store_up {up}"));
        assert!(is_up(1));
        store.is_full.store(true, Ordering::Relaxed);
        keeper.keep(change(1)).await;
        assert!(is_up(0) && keeper.failed().now_or_never().is_some());
        store.is_full.store(false, Ordering::Relaxed);
        keeper.commit(change(0)).await.unwrap_err();
        assert!(is_up(0) && keeper.is_down(), "neither that it fails nor that it is well");
        keeper.keep_late().await;
        assert!(is_up(1) && !keeper.is_down());
    }
}
