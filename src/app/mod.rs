//! Composition: wires every part together, runs them, and stops them in order.
//!
//! | file | what it is for |
//! | --- | --- |
//! | `listeners`, `http1` | the sockets, and the web servers on them |
//! | `sockets` | listening sockets that were inherited |
//! | `manager` | what the service manager is told |
//! | `files` | how many files may be open |
//! | `tls` | the https listener and its certificate |
//! | `store` | the store that the settings ask for |
//! | `reload`, `watch` | settings are read again; files that were changed |
//! | `logs` | what was left out of the logs |
//! | `signals` | what the process is told by signals |
//! | `stop` | the end, in order |

mod files;
mod http1;
mod listeners;
mod logs;
mod manager;
mod reload;
mod signals;
mod sockets;
mod stop;
mod store;
mod tls;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::Server as Listening;
use anyhow::{Context, ensure};
use tokio_util::sync::CancellationToken;

use crate::audit::{Audit, Event};
use crate::clients::Clients;
use crate::clock::Clock;
use crate::config::{AuthMode, Config};
use crate::driver::{Driver, Witnesses};
use crate::metrics::Metrics;
use crate::receivers::HttpReceivers;
use crate::server::Server;
use crate::telemetry::Logs;
use crate::upstream::HttpUpstream;
use listeners::{listener, serve_admin, serve_clients};
use manager::{Manager, News};
pub use reload::Read;
use reload::Reloader;
pub use signals::Signals;
pub use sockets::Inherited;
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
    /// Somebody else holds the clients' sockets too.
    sockets_stay: bool,
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
        Self::build_on(Inherited::default(), config).await
    }

    /// The same, on sockets that somebody else holds open.
    ///
    /// # Errors
    /// As for [`Self::build`], and when any key would be taken from other machines.
    pub async fn build_on(mut inherited: Inherited, config: &Config) -> anyhow::Result<Self> {
        let sockets_stay = inherited.has("clients") || inherited.has("tls");
        let key = config.upstream.key.clone().context("upstream.key is missing")?;
        let clients = listener(inherited.give("clients"), config.listen.clients, "listen.clients")?;
        let admin = listener(inherited.give("admin"), config.listen.admin, "listen.admin")?;
        let tls = Tls::listen(&config.listen, inherited.give("tls"))?;
        let addresses = Addresses {
            clients: clients.local_addr()?,
            admin: admin.local_addr()?,
            tls: tls.as_ref().map(|tls| tls.listener.local_addr()).transpose()?,
        };
        // The settings were checked for this, but an inherited socket is where it is.
        let mut open_to = [Some(addresses.clients), addresses.tls].into_iter().flatten();
        let is_far = open_to.any(|address| !address.ip().is_loopback());
        ensure!(
            config.auth.mode != AuthMode::Open || !is_far,
            "auth.mode is \"open\" and takes any key, and an inherited socket is not on a loopback address"
        );
        let metrics = Arc::new(Metrics::default());
        let upstream = Arc::new(HttpUpstream::start(&config.upstream, key)?);
        let receivers = Arc::new(HttpReceivers::start(&config.pingback)?);
        let store = store::open(&config.store)?;
        let clock = Clock::system();
        let audit = Audit::start(&config.audit, clock, Arc::clone(&metrics)).context("audit.file")?;
        let witnesses = Witnesses { metrics: Arc::clone(&metrics), audit };
        let calls = Arc::<HttpUpstream>::clone(&upstream);
        let driver = Driver::start(config, clock, store, calls, receivers, witnesses)
            .await
            .context("the store cannot be read")?;
        metrics.settings_read(clock.now());
        driver.audit.note(|| Event::Started { version: env!("CARGO_PKG_VERSION") });
        let server = Server::new(Clients::new(config, &metrics), driver, Arc::clone(&metrics));
        let server = Arc::new(server);
        Ok(Self {
            addresses,
            upstream,
            certificate: tls.as_ref().map(|tls| Arc::clone(&tls.certificate)),
            clients: serve_clients(&server, clients, tls, &config.listen)?,
            admin: serve_admin(&server, admin)?,
            server,
            sockets_stay,
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
        let manager = Manager::start()?;
        let reloader = Reloader {
            server: Arc::clone(&self.server),
            upstream: Arc::clone(&self.upstream),
            certificate: self.certificate.clone(),
            manager: &manager,
            logs: &logs,
            read: Arc::new(read),
        };
        let told = logs::tell_left_out(&logs, server.driver.clock, &server.metrics);
        let told_to_stop = async {
            signals.told_to_stop().await;
            manager.tell(News::Stopping);
        };
        manager.tell(News::Ready);
        tokio::select! {
            biased;
            () = signals.told_again() => {
                server.driver.kill();
                server.driver.audit.close(Event::Stopped { why: "signal" });
                anyhow::bail!("told to stop a second time: ended at once, calls under way were cut off")
            }
            // These two run for ever.
            () = reloader.run(&signals) => Ok(()),
            () = told => Ok(()),
            ended = self.run_until(told_to_stop) => {
                logs::tell(&logs, &server.metrics);
                ended
            }
        }
    }

    /// Serves until `told_to_stop` resolves or an operator ends it, then lets the calls under way end.
    ///
    /// # Errors
    /// When a listener fails.
    pub async fn run_until(self, told_to_stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let over = CancellationToken::new();
        let ending = Ending {
            server: Arc::clone(&self.server),
            clients: self.clients.handle(),
            admin: self.admin.handle(),
            sockets_stay: self.sockets_stay,
            over: over.clone(),
        };
        let stop = async {
            let why = tokio::select! {
                biased;
                () = self.server.driver.died() => "fault",
                () = self.server.told_to_stop.cancelled() => "operator",
                () = told_to_stop => "signal",
            };
            ending.in_order(&self.server.driver.live().load().listen, why).await;
            why == "fault"
        };
        // A server that is dropped closes what it still has open.
        let until_over =
            async |listening: Listening| over.run_until_cancelled(listening).await.unwrap_or(Ok(()));
        let (by_clients, by_admin, has_died) =
            tokio::join!(until_over(self.clients), until_over(self.admin), stop);
        by_clients.context("the client listener failed")?;
        by_admin.context("the admin listener failed")?;
        ensure!(!has_died, "a part of the gateway ended by itself; see the log");
        Ok(())
    }
}
