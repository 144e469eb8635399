//! Clients that an operator has stopped: at once, without a change of the settings, and across a restart.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use super::keeper::Keeper;
use crate::store::Change;

/// The clients that an operator has stopped, by name.
#[derive(Debug)]
pub struct Stops {
    keeper: Arc<Keeper>,
    stopped: RwLock<BTreeSet<String>>,
}

impl Stops {
    #[must_use]
    pub fn new(keeper: Arc<Keeper>, stopped: Vec<String>) -> Self {
        Self { keeper, stopped: RwLock::new(stopped.into_iter().collect()) }
    }

    #[must_use]
    pub fn has(&self, client: &str) -> bool {
        self.stopped.read().unwrap_or_else(PoisonError::into_inner).contains(client)
    }

    /// Stops a client or lets it go on, from now on. False when the store is down: it is kept as soon as it can be, and a
    /// restart before that forgets it.
    pub async fn set(&self, client: &str, is_stopped: bool) -> bool {
        {
            let mut stopped = self.stopped.write().unwrap_or_else(PoisonError::into_inner);
            if is_stopped {
                stopped.insert(client.to_owned())
            } else {
                stopped.remove(client)
            };
        }
        self.keeper.keep(Change::ClientStopped { client: client.to_owned(), is_stopped }).await
    }
}
