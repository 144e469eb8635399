//! Settings are read again, at SIGHUP and when a file with a secret was changed: all of them or none.
//!
//! ```text
//! read -> a fault: all faults are logged, nothing changes
//!      -> what can fail is made ready -> what needs a restart is named -> the rest is in force
//! ```
//! No call is dropped: each goes on with the client, the key and the certificate that it began with.

use std::sync::Arc;

use anyhow::Context;
use rustls::sign::CertifiedKey;
use tokio::sync::Mutex;

use super::manager::{Manager, News};
use super::signals::Signals;
use super::tls::{self, Certificate};
use super::watch::{self, Watch};
use crate::audit::{self, Event};
use crate::clock::Day;
use crate::config::{Changes, Config, Faults};
use crate::metrics::ReloadOutcome;
use crate::server::Server;
use crate::telemetry::Logs;
use crate::upstream::{HttpUpstream, Ways};

/// Reads the settings from where they came from at the start.
pub type Read = Box<dyn Fn() -> Result<Config, Faults> + Send + Sync>;

/// What a reload needs.
pub(super) struct Reloader<'a> {
    pub server: Arc<Server>,
    pub upstream: Arc<HttpUpstream>,
    /// None without https.
    pub certificate: Option<Arc<Certificate>>,
    pub manager: &'a Manager,
    pub logs: &'a Logs,
    pub read: Arc<Read>,
}

/// Settings that were found without a fault, and everything that could have had one.
struct Ready {
    config: Config,
    changes: Changes,
    ways: Ways,
    certificate: Option<CertifiedKey>,
}

impl Reloader<'_> {
    /// Reloads whenever it is asked for, for ever.
    pub async fn run(&self, signals: &Signals) {
        let (clock, live) = (self.server.driver.clock, self.server.driver.live());
        let files = |config: &Config| config.files.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
        let watch = Arc::new(Mutex::new(Watch::before_reading(files(&live.load()).into_iter())));
        loop {
            tokio::select! {
                () = signals.told_to_reload() => tracing::info!("SIGHUP: the settings are read again"),
                () = clock.sleep(watch::LOOK_EVERY) => {
                    let mut watch = Arc::clone(&watch).lock_owned().await;
                    let changed = tokio::task::spawn_blocking(move || watch.look()).await;
                    if !changed.unwrap_or(false) {
                        continue;
                    }
                    tracing::info!("a file with a secret was changed: the settings are read again");
                }
            }
            *watch.lock().await = Watch::before_reading(files(&live.load()).into_iter());
            self.manager.tell(News::Reloading);
            self.reload().await;
            self.manager.tell(News::Ready);
            // Other files may be named now. The stamps of those that stay are from before they were read.
            let named = files(&live.load());
            watch.lock().await.only(named);
        }
    }

    async fn reload(&self) {
        let driver = &self.server.driver;
        let outcome = match self.ready().await {
            Err(error) => {
                for fault in format!("{error:#}").lines() {
                    tracing::error!(%fault, "the settings were not changed");
                }
                self.note(ReloadOutcome::Faulty, &Changes::default());
                ReloadOutcome::Faulty
            }
            Ok(ready) => {
                for setting in &ready.changes.at_restart {
                    tracing::warn!(%setting, "a change that needs a restart; until then it stays as it was");
                }
                if ready.changes.applied.is_empty() {
                    tracing::info!("the settings are what they were");
                    self.note(ReloadOutcome::Unchanged, &ready.changes);
                    ReloadOutcome::Unchanged
                } else {
                    self.note(ReloadOutcome::Applied, &ready.changes);
                    let changed = ready.changes.applied.join("; ");
                    let log = ready.config.log.clone();
                    self.apply(ready).await;
                    tracing::info!(%changed, "reloaded");
                    // Last: by a higher level the line above would be left out.
                    self.logs.reload(&log);
                    ReloadOutcome::Applied
                }
            }
        };
        self.server.metrics.reloaded(outcome, driver.clock.now());
    }

    /// Writes down what was found; a fault is in the log, and its text may hold what somebody wrote into the file.
    fn note(&self, outcome: ReloadOutcome, found: &Changes) {
        self.server.driver.audit.note(|| Event::Reload {
            outcome: outcome.label(),
            changed: audit::changes(&found.applied),
            at_restart: audit::changes(&found.at_restart),
        });
    }

    /// Reads the settings, and the files that they name.
    async fn ready(&self) -> anyhow::Result<Ready> {
        let (read, in_force) = (Arc::clone(&self.read), self.server.driver.live().load());
        let has_tls = self.certificate.is_some();
        let ready = tokio::task::spawn_blocking(move || {
            let (config, changes) = in_force.reloaded(read()?);
            let certificate = if has_tls { tls::read(&config.listen)? } else { None };
            Ok(Ready { ways: Ways::new(&config.upstream)?, certificate, config, changes })
        });
        ready.await.context("the settings were not read")?
    }

    /// Nothing in here can fail.
    async fn apply(&self, ready: Ready) {
        let Ready { config, ways, certificate, .. } = ready;
        let Server { driver, clients, metrics, .. } = &*self.server;
        if let (Some(shown), Some(certificate)) = (&self.certificate, certificate) {
            shown.replace(certificate);
        }
        self.upstream.reload(ways).await;
        let key = config.upstream.key.clone();
        // First the driver: who is a client from now on may wait in its queue.
        driver
            .reload(config.clone(), || {
                if let Some(key) = key {
                    self.upstream.set_key(key);
                }
            })
            .await;
        clients.reload(&config, metrics);
        for warning in config.warnings(Day::of(driver.clock.now())) {
            tracing::warn!("{warning}");
        }
    }
}
