//! Composition: wires every part together, runs them, and stops them in order.
//!
//! | file | what it is for |
//! | --- | --- |
//! | `listeners` | the sockets, and the web servers on them |
//! | `tls` | the https listener and its certificate |
//! | `store` | the store that the settings ask for |
//! | `signals` | what the process is told by signals |

mod listeners;
mod signals;
mod store;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server as Listening;
use anyhow::Context;

use crate::clients::Clients;
use crate::clock::Clock;
use crate::config::Config;
use crate::driver::Driver;
use crate::metrics::Metrics;
use crate::server::Server;
use crate::upstream::HttpUpstream;
use listeners::{listener, serve_admin, serve_clients};
use tls::tls_listener;

/// How long calls under way may take to end once the gateway is told to stop.
const DRAIN_SECONDS: u64 = 25;

/// Where the gateway listens.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    pub clients: SocketAddr,
    pub admin: SocketAddr,
    pub tls: Option<SocketAddr>,
}

/// A gateway that is wired and listens.
pub struct App {
    addresses: Addresses,
    server: Arc<Server>,
    clients: Listening,
    admin: Listening,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl App {
    /// Wires the gateway. From here on it listens; it answers once it runs.
    ///
    /// # Errors
    /// One clear line: a busy port, a certificate that cannot be read, a store that cannot be opened.
    pub async fn build(config: &Config) -> anyhow::Result<Self> {
        let key = config.upstream.key.clone().context("upstream.key is missing")?;
        let clients = listener(config.listen.clients, "listen.clients")?;
        let admin = listener(config.listen.admin, "listen.admin")?;
        let tls = tls_listener(&config.listen)?;
        let addresses = Addresses {
            clients: clients.local_addr()?,
            admin: admin.local_addr()?,
            tls: tls.as_ref().map(|(listener, _)| listener.local_addr()).transpose()?,
        };
        let metrics = Arc::new(Metrics::default());
        let upstream = Arc::new(HttpUpstream::start(&config.upstream, key)?);
        let store = store::open(&config.store)?;
        let driver = Driver::start(config, Clock::system(), store, upstream, Arc::clone(&metrics))
            .await
            .context("the store cannot be read")?;
        let server = Arc::new(Server {
            clients: Clients::new(config, &metrics),
            driver,
            metrics: Arc::clone(&metrics),
        });
        Ok(Self {
            addresses,
            clients: serve_clients(&server, clients, tls)?,
            admin: serve_admin(&server, admin)?,
            server,
        })
    }

    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Serves until SIGTERM or SIGINT, then lets the calls under way end.
    ///
    /// # Errors
    /// When signals cannot be watched or a listener fails.
    pub async fn run_until_stopped(self) -> anyhow::Result<()> {
        self.run_until(signals::told_to_stop()?).await
    }

    /// Serves until `told_to_stop` resolves, then lets the calls under way end.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn run_until(self, told_to_stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let (server, clients, admin) = (self.server, self.clients.handle(), self.admin.handle());
        let stop = async move {
            let has_died = tokio::select! {
                () = told_to_stop => false,
                () = server.driver.died() => true,
            };
            clients.stop(true).await;
            // Uploads whose clients hung up, looks and reports may still be under way.
            server.driver.drain(Duration::from_secs(DRAIN_SECONDS)).await;
            admin.stop(true).await;
            has_died
        };
        let (by_clients, by_admin, has_died) = tokio::join!(self.clients, self.admin, stop);
        by_clients.context("the client listener failed")?;
        by_admin.context("the admin listener failed")?;
        anyhow::ensure!(!has_died, "a part of the gateway ended by itself; see the log");
        Ok(())
    }
}
