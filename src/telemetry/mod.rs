//! Logs: where they go and what they look like. No value of a key, proxy or cookie is ever handed to a log call.
//!
//! No log call waits: a line goes into a buffer of [`LINES_WAITING_MAX`], from which one thread writes, and a line for
//! which there is no place is left out. Of each kind of line, which is a place in the code, so many are taken in a second
//! as `log.lines_per_second` says. What is left out is counted, and told from time to time.

mod panics;
mod sampling;

use std::fmt;
use std::io::IsTerminal;
use std::sync::Arc;

use tracing::{Level, Metadata};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::clock::Clock;
use crate::config::{Log, LogFormat};
pub use panics::log as log_panics;
use sampling::{Sampled, Sampler};

/// The web server's own lines about its workers and about malformed calls tell an operator nothing; a level for it in the
/// settings goes over this.
const QUIET: &str = "actix_server=warn,actix_http=off";

/// Lines that wait to be written; they have some 200 bytes each.
pub const LINES_WAITING_MAX: usize = 8_192;

/// The logs of the process. When this is dropped, what waits is written.
pub struct Logs {
    filter: reload::Handle<EnvFilter, Registry>,
    sampler: Arc<Sampler>,
    without_place: ErrorCounter,
    _written_at_the_end: WorkerGuard,
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
        let (writer, guard) = NonBlockingBuilder::default()
            .lossy(true)
            .buffered_lines_limit(LINES_WAITING_MAX)
            .thread_name("logs")
            .finish(std::io::stderr());
        let without_place = writer.error_counter();
        let sampler = Arc::new(Sampler::new(Clock::system(), settings.lines_per_second));
        let lines = tracing_subscriber::fmt::layer().with_writer(writer);
        let lines = match settings.format {
            LogFormat::Pretty => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        let lines = lines.with_filter(filter.and(filter_fn(may_be_told)).and(Sampled(Arc::clone(&sampler))));
        if let Err(error) = tracing_subscriber::registry().with(lines).try_init() {
            tracing::debug!(%error, "logs were started before");
        }
        Self { filter: handle, sampler, without_place, _written_at_the_end: guard }
    }

    /// Logs what `settings` say from now on.
    pub fn reload(&self, settings: &Log) {
        self.sampler.reload(settings.lines_per_second);
        if let Err(error) = self.filter.reload(filter(settings)) {
            tracing::error!(%error, "the level of the logs stays as it was");
        }
    }

    /// The kinds of lines of which some were left out since this was called last, and how many: there were too many of
    /// the kind.
    #[must_use]
    pub fn left_out(&self) -> Vec<(String, u64)> {
        self.sampler.left_out()
    }

    /// Lines for which there was no place, of all time: what reads the logs was too slow.
    #[must_use]
    pub fn without_place(&self) -> u64 {
        self.without_place.dropped_lines() as u64
    }
}

/// The libraries' lines below `info` show heads, queries and bodies, with the keys in them, so no level in the settings
/// brings them out.
fn may_be_told(line: &Metadata<'_>) -> bool {
    *line.level() <= Level::INFO || line.target().split("::").next() == Some("capgate")
}

fn filter(settings: &Log) -> EnvFilter {
    // The level was checked with the settings.
    EnvFilter::try_new(format!("{QUIET},{}", settings.level)).unwrap_or_else(|_| EnvFilter::new(QUIET))
}
