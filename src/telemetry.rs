//! Logs: where they go and what they look like. No value of a key, proxy or cookie is ever handed to a log call.

use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat};

/// The web server's own lines about its workers and about malformed calls tell an operator nothing; a level for it in the settings goes over this.
const QUIET: &str = "actix_server=warn,actix_http=off";

/// Starts logging to the error output. A second call in one process changes nothing.
pub fn start(settings: &Log) {
    // The level was checked with the settings.
    let filter =
        EnvFilter::try_new(format!("{QUIET},{}", settings.level)).unwrap_or_else(|_| EnvFilter::new(QUIET));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match settings.format {
        LogFormat::Pretty => {
            use std::io::IsTerminal;
            logs.with_ansi(std::io::stderr().is_terminal()).try_init()
        }
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(%error, "logs were started before");
    }
}
