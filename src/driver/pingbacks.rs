//! The addresses that each client registered for pingback. Kept per client; the upstream hears nothing of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::keeper::Keeper;
use crate::store::{Change, StoreError};

/// Most addresses of one client (2016).
pub const ADDRESSES_MAX: usize = 100;

/// Why an address was not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRegistered {
    TooMany,
    StoreDown,
}

impl From<StoreError> for NotRegistered {
    fn from(_: StoreError) -> Self {
        Self::StoreDown
    }
}

/// Addresses by client.
#[derive(Debug)]
pub struct Pingbacks {
    keeper: Arc<Keeper>,
    by_client: Mutex<BTreeMap<String, BTreeSet<String>>>,
}

impl Pingbacks {
    #[must_use]
    pub fn new(keeper: Arc<Keeper>, recovered: Vec<(String, String)>) -> Self {
        let mut by_client: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (client, address) in recovered {
            by_client.entry(client).or_default().insert(address);
        }
        Self { keeper, by_client: Mutex::new(by_client) }
    }

    /// The client's addresses, in alphabetical order.
    #[must_use]
    pub fn list(&self, client: &str) -> Vec<String> {
        self.with(client, |addresses| addresses.iter().cloned().collect())
    }

    /// Registers an address; one that is registered stays.
    ///
    /// # Errors
    /// [`NotRegistered::TooMany`] beyond [`ADDRESSES_MAX`], or when the store is down.
    pub async fn add(&self, client: &str, address: &str) -> Result<(), NotRegistered> {
        let is_new = self.with(client, |addresses| {
            if addresses.contains(address) {
                return Ok(false);
            }
            if addresses.len() >= ADDRESSES_MAX {
                return Err(NotRegistered::TooMany);
            }
            Ok(addresses.insert(address.to_owned()))
        })?;
        if is_new {
            let change = Change::PingbackAdded { client: client.to_owned(), address: address.to_owned() };
            if let Err(error) = self.keeper.commit(change).await {
                self.with(client, |addresses| addresses.remove(address));
                return Err(error.into());
            }
        }
        Ok(())
    }

    /// Forgets an address; one that is not registered is no fault.
    ///
    /// # Errors
    /// When the store is down.
    pub async fn remove(&self, client: &str, address: &str) -> Result<(), NotRegistered> {
        let change = Change::PingbackRemoved { client: client.to_owned(), address: address.to_owned() };
        self.keeper.commit(change).await?;
        self.with(client, |addresses| addresses.remove(address));
        Ok(())
    }

    /// Forgets all of the client's addresses.
    ///
    /// # Errors
    /// When the store is down.
    pub async fn clear(&self, client: &str) -> Result<(), NotRegistered> {
        self.keeper.commit(Change::PingbacksCleared { client: client.to_owned() }).await?;
        self.with(client, BTreeSet::clear);
        Ok(())
    }

    fn with<T>(&self, client: &str, act: impl FnOnce(&mut BTreeSet<String>) -> T) -> T {
        let mut by_client = self.by_client.lock().unwrap_or_else(PoisonError::into_inner);
        act(by_client.entry(client.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::super::troubles::Troubles;
    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::metrics::Metrics;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn a_client_has_a_hundred_addresses_of_its_own_and_not_one_more() {
        let troubles = Arc::new(Troubles::new(Clock::starting_at(Timestamp(0))));
        let keeper = Keeper::new(Arc::new(MemoryStore::default()), Arc::new(Metrics::default()), troubles);
        let pingbacks = Pingbacks::new(Arc::new(keeper), Vec::new());
        for number in 0..ADDRESSES_MAX {
            pingbacks.add("team-a", &format!("127.0.0.1/{number}")).await.unwrap();
        }
        assert_eq!(pingbacks.add("team-a", "127.0.0.1/0").await, Ok(()), "it is there already");
        assert_eq!(pingbacks.add("team-a", "127.0.0.1/more").await, Err(NotRegistered::TooMany));
        assert_eq!(pingbacks.add("team-b", "127.0.0.1/more").await, Ok(()));
        pingbacks.remove("team-a", "127.0.0.1/7").await.unwrap();
        assert_eq!(pingbacks.list("team-a").len(), ADDRESSES_MAX - 1);
        pingbacks.clear("team-a").await.unwrap();
        assert_eq!((pingbacks.list("team-a").len(), pingbacks.list("team-b").len()), (0, 1));
    }
}
