//! The hosts that each client registered for pingback. Kept per client; the upstream hears nothing of them.
//!
//! A host is registered from its own address, as at the service, or from a network that the settings name. So nobody can
//! have answers pushed to a host that is not his.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use super::keeper::Keeper;
use crate::config::Live;
use crate::protocol::pingback::Host;
use crate::receivers::{NotTaken, Receivers};
use crate::store::{Change, StoreError};

/// Most hosts of one client (2016).
pub const ADDRESSES_MAX: usize = 100;

/// Why a host was not registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRegistered {
    TooMany,
    /// The call came from here, which is none of the host's addresses.
    NotFrom(IpAddr),
    /// Nothing could be pushed to it.
    NoReceiver(NotTaken),
    StoreDown,
}

impl From<StoreError> for NotRegistered {
    fn from(_: StoreError) -> Self {
        Self::StoreDown
    }
}

/// Hosts by client.
pub struct Pingbacks {
    pub(super) keeper: Arc<Keeper>,
    pub(super) receivers: Arc<dyn Receivers>,
    live: Live,
    by_client: Mutex<BTreeMap<String, BTreeSet<Host>>>,
}

impl std::fmt::Debug for Pingbacks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pingbacks").field("by_client", &self.by_client).finish_non_exhaustive()
    }
}

impl Pingbacks {
    /// `recovered`: hosts by the client's name, as a store has them.
    #[must_use]
    pub fn new(
        keeper: Arc<Keeper>,
        receivers: Arc<dyn Receivers>,
        live: Live,
        recovered: Vec<(String, String)>,
    ) -> Self {
        let mut by_client: BTreeMap<String, BTreeSet<Host>> = BTreeMap::new();
        for (client, host) in recovered {
            match Host::parse(host.as_bytes()) {
                Ok(host) => drop(by_client.entry(client).or_default().insert(host)),
                Err(error) => tracing::warn!(%client, %error, "a registered host cannot be read"),
            }
        }
        Self { keeper, receivers, live, by_client: Mutex::new(by_client) }
    }

    /// The client's hosts, in alphabetical order.
    #[must_use]
    pub fn list(&self, client: &str) -> Vec<String> {
        self.with(client, |hosts| hosts.iter().map(ToString::to_string).collect())
    }

    #[must_use]
    pub fn has(&self, client: &str, host: &Host) -> bool {
        self.with(client, |hosts| hosts.contains(host))
    }

    /// Registers a host; one that is registered stays. `from`: whence the call came.
    ///
    /// # Errors
    /// [`NotRegistered`].
    pub async fn add(&self, client: &str, host: Host, from: Option<IpAddr>) -> Result<(), NotRegistered> {
        self.check(&host, from).await?;
        let is_new = self.with(client, |hosts| {
            if hosts.contains(&host) {
                return Ok(false);
            }
            if hosts.len() >= ADDRESSES_MAX {
                return Err(NotRegistered::TooMany);
            }
            Ok(hosts.insert(host.clone()))
        })?;
        if is_new {
            let change = Change::PingbackAdded { client: client.to_owned(), address: host.to_string() };
            if let Err(error) = self.keeper.commit(change).await {
                self.with(client, |hosts| hosts.remove(&host));
                return Err(error.into());
            }
        }
        Ok(())
    }

    async fn check(&self, host: &Host, from: Option<IpAddr>) -> Result<(), NotRegistered> {
        // A listener for both families shows IPv4 callers as IPv6.
        let from = from.map_or(IpAddr::from([0, 0, 0, 0]), |from| from.to_canonical());
        let config = self.live.load();
        let addresses = self.receivers.resolve(host, &config.pingback).await;
        let addresses = addresses.map_err(NotRegistered::NoReceiver)?;
        let is_free = config.pingback.register_from.iter().any(|network| network.contains(&from));
        if is_free || addresses.contains(&from) { Ok(()) } else { Err(NotRegistered::NotFrom(from)) }
    }

    /// Forgets a host; one that is not registered is no fault.
    ///
    /// # Errors
    /// When the store is down.
    pub async fn remove(&self, client: &str, host: &Host) -> Result<(), NotRegistered> {
        let change = Change::PingbackRemoved { client: client.to_owned(), address: host.to_string() };
        self.keeper.commit(change).await?;
        self.with(client, |hosts| hosts.remove(host));
        Ok(())
    }

    /// Forgets all of the client's hosts.
    ///
    /// # Errors
    /// When the store is down.
    pub async fn clear(&self, client: &str) -> Result<(), NotRegistered> {
        self.keeper.commit(Change::PingbacksCleared { client: client.to_owned() }).await?;
        self.with(client, BTreeSet::clear);
        Ok(())
    }

    fn with<T>(&self, client: &str, act: impl FnOnce(&mut BTreeSet<Host>) -> T) -> T {
        let mut by_client = self.by_client.lock().unwrap_or_else(PoisonError::into_inner);
        act(by_client.entry(client.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures_util::future::BoxFuture;

    use super::super::troubles::Troubles;
    use super::*;
    use crate::clock::{Clock, Timestamp};
    use crate::config::{self, Config};
    use crate::metrics::Metrics;
    use crate::protocol::pingback::Target;
    use crate::store::MemoryStore;

    /// Every host has the address 10.0.0.1 and no other.
    struct OneAddress;

    impl Receivers for OneAddress {
        fn resolve(
            &self,
            host: &Host,
            _: &config::Pingback,
        ) -> BoxFuture<'static, Result<Vec<IpAddr>, NotTaken>> {
            let found = if host.as_str() == "nowhere.example" {
                Err(NotTaken::NoSuchHost)
            } else {
                Ok(vec![IpAddr::from([10, 0, 0, 1])])
            };
            Box::pin(std::future::ready(found))
        }

        fn push(
            &self,
            _: &Target,
            _: Bytes,
            _: &config::Pingback,
        ) -> BoxFuture<'static, Result<(), NotTaken>> {
            Box::pin(std::future::ready(Ok(())))
        }
    }

    fn pingbacks(register_from: &[&str]) -> Pingbacks {
        let troubles = Arc::new(Troubles::new(Clock::starting_at(Timestamp(0))));
        let keeper = Keeper::new(
            Clock::starting_at(Timestamp(0)),
            Arc::new(MemoryStore::default()),
            Arc::new(Metrics::default()),
            troubles,
        );
        let mut config = Config::default();
        config.pingback.register_from =
            register_from.iter().map(|network| network.parse().unwrap()).collect();
        Pingbacks::new(Arc::new(keeper), Arc::new(OneAddress), Live::new(config), Vec::new())
    }

    fn host(text: &str) -> Host {
        Host::parse(text.as_bytes()).unwrap()
    }

    const OWN: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)));

    #[tokio::test]
    async fn a_client_has_a_hundred_hosts_of_its_own_and_not_one_more() {
        let pingbacks = pingbacks(&[]);
        for number in 0..ADDRESSES_MAX {
            pingbacks.add("team-a", host(&format!("h{number}.example")), OWN).await.unwrap();
        }
        assert_eq!(
            pingbacks.add("team-a", host("http://H0.example/x"), OWN).await,
            Ok(()),
            "it is there already"
        );
        let more = host("more.example");
        assert_eq!(pingbacks.add("team-a", more.clone(), OWN).await, Err(NotRegistered::TooMany));
        assert_eq!(pingbacks.add("team-b", more.clone(), OWN).await, Ok(()));
        assert!(pingbacks.has("team-b", &more) && !pingbacks.has("team-a", &more));
        pingbacks.remove("team-a", &host("h7.example")).await.unwrap();
        assert_eq!(pingbacks.list("team-a").len(), ADDRESSES_MAX - 1);
        pingbacks.clear("team-a").await.unwrap();
        assert_eq!((pingbacks.list("team-a").len(), pingbacks.list("team-b").len()), (0, 1));
    }

    #[tokio::test]
    async fn a_host_is_registered_from_its_own_address_or_from_where_the_settings_allow_it() {
        let pingbacks = pingbacks(&["192.168.0.0/16"]);
        let add = async |from: &str, host: &str| {
            let host = Host::parse(host.as_bytes()).unwrap();
            pingbacks.add("team-a", host, Some(from.parse().unwrap())).await
        };
        assert_eq!(add("10.0.0.1", "a.example").await, Ok(()));
        assert_eq!(add("::ffff:10.0.0.1", "a.example").await, Ok(()));
        assert_eq!(add("192.168.3.4", "b.example").await, Ok(()));
        let other: IpAddr = "10.0.0.2".parse().unwrap();
        assert_eq!(add("10.0.0.2", "c.example").await, Err(NotRegistered::NotFrom(other)));
        let nobody = Err(NotRegistered::NoReceiver(NotTaken::NoSuchHost));
        assert_eq!(add("192.168.3.4", "nowhere.example").await, nobody);
        assert_eq!(pingbacks.add("team-a", host("a.example"), None).await.map_err(|_| ()), Err(()));
        assert_eq!(pingbacks.list("team-a"), ["a.example", "b.example"]);
    }
}
