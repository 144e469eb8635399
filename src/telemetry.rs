//! Logs: where they go and what they look like. No value of a key, proxy or cookie is ever handed to a log call.

use std::fmt;
use std::io::IsTerminal;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::config::{Log, LogFormat};

/// The web server's own lines about its workers and about malformed calls tell an operator nothing; a level for it in the settings goes over this.
const QUIET: &str = "actix_server=warn,actix_http=off";

/// The logs of the process.
#[derive(Clone)]
pub struct Logs {
    filter: reload::Handle<EnvFilter, Registry>,
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logs")
    }
}

impl Logs {
    /// Starts logging to the error output. A second call in one process changes nothing.
    #[must_use]
    pub fn start(settings: &Log) -> Self {
        let (filter, handle) = reload::Layer::new(filter(settings));
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
        let lines = match settings.format {
            LogFormat::Pretty => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        if let Err(error) = tracing_subscriber::registry().with(filter).with(lines).try_init() {
            tracing::debug!(%error, "logs were started before");
        }
        Self { filter: handle }
    }

    /// Logs what `settings` say from now on.
    pub fn reload(&self, settings: &Log) {
        if let Err(error) = self.filter.reload(filter(settings)) {
            tracing::error!(%error, "the level of the logs stays as it was");
        }
    }
}

fn filter(settings: &Log) -> EnvFilter {
    // The level was checked with the settings.
    EnvFilter::try_new(format!("{QUIET},{}", settings.level)).unwrap_or_else(|_| EnvFilter::new(QUIET))
}
