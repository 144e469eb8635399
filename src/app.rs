//! Composition: wires every part together, runs them, and stops them in order.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server as Listening;
use actix_web::middleware::NormalizePath;
use actix_web::rt::net::TcpSocket;
use actix_web::{App as WebApp, HttpServer};
use anyhow::Context;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::signal::unix::{SignalKind, signal};

use crate::clients::Clients;
use crate::clock::Clock;
use crate::config::{Config, Listen, StoreSettings, StoreUrl};
use crate::driver::Driver;
use crate::metrics::Metrics;
use crate::server::{Server, routes};
use crate::store::sqlite::Options;
use crate::store::{MemoryStore, SqliteStore, Store};
use crate::upstream::HttpUpstream;

/// Connections that the kernel keeps waiting while all workers are busy.
const BACKLOG: u32 = 1_024;
/// How long an idle client connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to send the head of a call.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
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
        let store = open_store(&config.store)?;
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
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut hangup = signal(SignalKind::hangup())?;
        self.run_until(async move {
            let name = loop {
                tokio::select! {
                    _ = terminate.recv() => break "SIGTERM",
                    _ = interrupt.recv() => break "SIGINT",
                    // The signal's default would end the process.
                    _ = hangup.recv() => tracing::warn!("SIGHUP: settings are read at the start only; restart to change them"),
                }
            };
            tracing::info!(signal = name, "stopping: no new connections; calls under way may end");
        })
        .await
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

/// A listening socket. Not [`TcpListener::bind`], whose short backlog would refuse a burst of clients.
fn listener(address: SocketAddr, setting: &str) -> anyhow::Result<TcpListener> {
    let listen = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std()
    };
    listen().map_err(|error: io::Error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => "the port is in use".to_owned(),
            io::ErrorKind::PermissionDenied => "no permission".to_owned(),
            io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
            _ => error.to_string(),
        };
        anyhow::anyhow!("{setting}: cannot listen on {address}: {why}")
    })
}

fn tls_listener(listen: &Listen) -> anyhow::Result<Option<(TcpListener, rustls::ServerConfig)>> {
    let (Some(address), Some(certificate), Some(key)) = (listen.tls, &listen.tls_cert, &listen.tls_key)
    else {
        return Ok(None);
    };
    let tls = tls_config(certificate, key)?;
    Ok(Some((listener(address, "listen.tls")?, tls)))
}

fn tls_config(certificate: &Path, key: &Path) -> anyhow::Result<rustls::ServerConfig> {
    let open = |setting: &str, path: &Path| {
        File::open(path).with_context(|| format!("{setting}: {} cannot be read", path.display()))
    };
    let chain = CertificateDer::pem_reader_iter(open("listen.tls_cert", certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("listen.tls_cert: {} holds no certificate", certificate.display()))?;
    let private = PrivateKeyDer::from_pem_reader(open("listen.tls_key", key)?)
        .with_context(|| format!("listen.tls_key: {} holds no private key", key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .context("listen.tls_cert and listen.tls_key do not fit together")
}

fn open_store(settings: &StoreSettings) -> anyhow::Result<Arc<dyn Store>> {
    let usage_kept_days = settings.usage_days;
    match &settings.url {
        StoreUrl::Memory => Ok(Arc::new(MemoryStore::keeping(usage_kept_days))),
        StoreUrl::Sqlite(path) => {
            let store = SqliteStore::open_with(path, Options { usage_kept_days, ..Options::default() })
                .with_context(|| format!("store.url: {}", path.display()))?;
            Ok(Arc::new(store))
        }
    }
}

fn serve_clients(
    server: &Arc<Server>,
    listener: TcpListener,
    tls: Option<(TcpListener, rustls::ServerConfig)>,
) -> io::Result<Listening> {
    let server = Arc::clone(server);
    let mut web = HttpServer::new(move || {
        WebApp::new().wrap(NormalizePath::trim()).configure(routes::clients(&server))
    })
    .on_connect(routes::remember_peer)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(HEAD_WITHIN)
    .shutdown_timeout(DRAIN_SECONDS)
    .disable_signals()
    .listen(listener)?;
    if let Some((listener, config)) = tls {
        web = web.listen_rustls_0_23(listener, config)?;
    }
    Ok(web.run())
}

fn serve_admin(server: &Arc<Server>, listener: TcpListener) -> io::Result<Listening> {
    let server = Arc::clone(server);
    Ok(HttpServer::new(move || WebApp::new().configure(routes::admin(&server)))
        .workers(1)
        .shutdown_timeout(1)
        .disable_signals()
        .listen(listener)?
        .run())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::protocol::ids::CaptchaId;
    use crate::protocol::methods::Method;
    use crate::store::{Change, Day, Intent, IntentId};

    #[tokio::test]
    async fn usage_stays_in_either_store_for_as_long_as_the_settings_say() {
        const DAY: u64 = 24 * 60 * 60 * 1_000;
        let folder = tempfile::tempdir().unwrap();
        for url in [StoreUrl::Memory, StoreUrl::Sqlite(folder.path().join("capgate.db"))] {
            let store = open_store(&StoreSettings { url, usage_days: 7 }).unwrap();
            let at = Timestamp(20_000 * DAY);
            let intent = IntentId(1);
            let upload = Intent { id: intent, client: "team-a".to_owned(), method: Method::Image, at };
            let accepted = Change::Accepted { intent, id: CaptchaId(1), at, repeat: None };
            for change in [Change::Submitting(upload), accepted] {
                store.commit(change).await.unwrap();
            }
            for (days, uploads) in [(7, 1), (8, 0)] {
                let uploaded_before = Timestamp(at.0 + days * DAY + 1);
                store.commit(Change::Forget { uploaded_before }).await.unwrap();
                let ledger = store.ledger(Day(0), Timestamp(0)).await.unwrap();
                assert_eq!(ledger.usage.total().uploads, uploads, "after {days} days");
            }
        }
    }
}
