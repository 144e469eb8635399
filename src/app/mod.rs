//! Composition: wires every part together, runs them, and stops them in order.
//!
//! | file | what it is for |
//! | --- | --- |
//! | `listeners` | the sockets, and the web servers on them |
//! | `tls` | the https listener and its certificate |
//! | `store` | the store that the settings ask for |
//! | `reload`, `watch` | settings are read again; files that were changed |
//! | `signals` | what the process is told by signals |
//! | `stop` | the end, in order |

mod listeners;
mod reload;
mod signals;
mod stop;
mod store;
mod tls;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::Server as Listening;
use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::clients::Clients;
use crate::clock::Clock;
use crate::config::Config;
use crate::driver::Driver;
use crate::metrics::Metrics;
use crate::receivers::HttpReceivers;
use crate::server::Server;
use crate::telemetry::Logs;
use crate::upstream::HttpUpstream;
use listeners::{listener, serve_admin, serve_clients};
pub use reload::Read;
use reload::Reloader;
pub use signals::Signals;
use stop::Ending;
use tls::{Certificate, Tls};

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
    upstream: Arc<HttpUpstream>,
    certificate: Option<Arc<Certificate>>,
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
        let tls = Tls::listen(&config.listen)?;
        let addresses = Addresses {
            clients: clients.local_addr()?,
            admin: admin.local_addr()?,
            tls: tls.as_ref().map(|tls| tls.listener.local_addr()).transpose()?,
        };
        let metrics = Arc::new(Metrics::default());
        let upstream = Arc::new(HttpUpstream::start(&config.upstream, key)?);
        let receivers = Arc::new(HttpReceivers::start(&config.pingback)?);
        let store = store::open(&config.store)?;
        let clock = Clock::system();
        let calls = Arc::<HttpUpstream>::clone(&upstream);
        let driver = Driver::start(config, clock, store, calls, receivers, Arc::clone(&metrics))
            .await
            .context("the store cannot be read")?;
        metrics.settings_read(clock.now());
        let server = Arc::new(Server {
            clients: Clients::new(config, &metrics),
            driver,
            metrics: Arc::clone(&metrics),
        });
        Ok(Self {
            addresses,
            upstream,
            certificate: tls.as_ref().map(|tls| Arc::clone(&tls.certificate)),
            clients: serve_clients(&server, clients, tls, config.listen.drain)?,
            admin: serve_admin(&server, admin)?,
            server,
        })
    }

    #[must_use]
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Serves until SIGTERM or SIGINT, then lets the calls under way end; a second one ends at once. At SIGHUP, and when
    /// a file with a secret was changed, the settings are read again.
    ///
    /// # Errors
    /// When a listener fails, or it was told twice.
    pub async fn run_until_stopped(self, signals: Signals, read: Read, logs: Logs) -> anyhow::Result<()> {
        let server = Arc::clone(&self.server);
        let reloader = Reloader {
            server: Arc::clone(&self.server),
            upstream: Arc::clone(&self.upstream),
            certificate: self.certificate.clone(),
            logs,
            read: Arc::new(read),
        };
        tokio::select! {
            biased;
            () = signals.told_again() => {
                server.driver.kill();
                anyhow::bail!("told to stop a second time: ended at once, calls under way were cut off")
            }
            // It runs for ever.
            () = reloader.run(&signals) => Ok(()),
            ended = self.run_until(signals.told_to_stop()) => ended,
        }
    }

    /// Serves until `told_to_stop` resolves, then lets the calls under way end.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn run_until(self, told_to_stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let cut_off = CancellationToken::new();
        let ending = Ending {
            server: Arc::clone(&self.server),
            clients: self.clients.handle(),
            admin: self.admin.handle(),
            sockets_stay: false,
            cut_off: cut_off.clone(),
        };
        let stop = async {
            let has_died = tokio::select! {
                () = told_to_stop => false,
                () = self.server.driver.died() => true,
            };
            ending.in_order(&self.server.driver.live().load().listen).await;
            has_died
        };
        // A server that is dropped closes what it still has open.
        let clients = async { cut_off.run_until_cancelled(self.clients).await.unwrap_or(Ok(())) };
        let (by_clients, by_admin, has_died) = tokio::join!(clients, self.admin, stop);
        by_clients.context("the client listener failed")?;
        by_admin.context("the admin listener failed")?;
        anyhow::ensure!(!has_died, "a part of the gateway ended by itself; see the log");
        Ok(())
    }
}
