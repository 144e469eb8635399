//! The audit trail: who uploaded what kind for which page's host, when, what it cost, what was reported, what was refused,
//! what was reloaded and what operators did. One JSON object a line, added to a file at its end; no payload, key, proxy or
//! cookie is in it.
//!
//! Nobody waits for it: a line is put into a queue of [`LINES_WAITING_MAX`], and a thread of its own writes it. Each line
//! has the number after the one before, across restarts, so a missing one is seen. While the file takes none the queue
//! fills, and what has no place in it is lost: counted in a metric, logged, and told by a line of its own once lines are
//! taken again. It never holds an upload up, for the trail tells what happened and decides nothing.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `event` | what is written down, and in which words |
//! | `refusals` | refusals that come again and again, in one line |
//! | `file` | the file: adding, putting beside, numbers across restarts |
//! | `writer` | the thread that writes |

mod event;
mod file;
mod refusals;
mod writer;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::clock::{Clock, Timestamp};
use crate::config;
use crate::metrics::Metrics;

pub use event::{CHANGES_MAX, Cost, EVENTS, Event, HOST_BYTES_MAX, PAGES_MAX, changes, pages_of};
use file::{Place, TrailFile};
use refusals::Refusals;
pub use refusals::TOGETHER;

/// Lines that wait to be written.
pub const LINES_WAITING_MAX: usize = 8_192;
/// The end waits so long for the last lines, if the disk does not take them.
pub const CLOSES_WITHIN: Duration = Duration::from_secs(2);

/// The way to the trail; cheap to copy. Without a file in the settings nothing is written.
#[derive(Clone, Debug, Default)]
pub struct Audit(Option<Arc<Trail>>);

/// What writers of lines and the thread share.
#[derive(Debug)]
struct Trail {
    clock: Clock,
    metrics: Arc<Metrics>,
    queue: Mutex<Queue>,
    /// There are lines, it is closed, or the thread has ended.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    last_number: u64,
    lines: VecDeque<Line>,
    /// Lines that had no place, since the last that had one.
    lost: u64,
    refusals: Refusals,
    is_closed: bool,
    has_ended: bool,
}

/// A line of the trail.
#[derive(Debug, Serialize)]
struct Line {
    n: u64,
    #[serde(serialize_with = "as_text")]
    at: Timestamp,
    #[serde(flatten)]
    event: Event,
}

impl Audit {
    /// Writes nothing down.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// Opens the trail that the settings name, if they name one.
    ///
    /// # Errors
    /// When the file cannot be opened for adding, or another process writes to it.
    pub fn start(settings: &config::Audit, clock: Clock, metrics: Arc<Metrics>) -> io::Result<Self> {
        let Some(path) = settings.file.clone() else { return Ok(Self::off()) };
        let &config::Audit { file_bytes_max, files_kept, .. } = settings;
        let (file, last_number) = TrailFile::open(Place { path, file_bytes_max, files_kept })?;
        let queue = Mutex::new(Queue { last_number, ..Queue::default() });
        let trail = Arc::new(Trail { clock, metrics, queue, changed: Condvar::new() });
        writer::start(Arc::clone(&trail), file)?;
        Ok(Self(Some(trail)))
    }

    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Writes down what has happened. `event` is made only if there is a trail.
    pub fn note(&self, event: impl FnOnce() -> Event) {
        let Some(trail) = &self.0 else { return };
        let event = event();
        let mut queue = trail.queue();
        queue.push(event, trail);
        drop(queue);
        trail.changed.notify_all();
    }

    /// Writes down that `client` was refused by `rule`, unless the same has just been written: then it is counted.
    pub fn refused(&self, client: &str, rule: &'static str, event: impl FnOnce() -> Event) {
        let Some(trail) = &self.0 else { return };
        let mut queue = trail.queue();
        let Some(before) = queue.refusals.add(client, rule, trail.clock.now()) else { return };
        for event in before.into_iter().chain([event()]) {
            queue.push(event, trail);
        }
        drop(queue);
        trail.changed.notify_all();
    }

    /// Writes what waits and `last`, waits until it is on the disk, at most for [`CLOSES_WITHIN`], and takes no more lines.
    /// It blocks.
    pub fn close(&self, last: Event) {
        let Some(trail) = &self.0 else { return };
        let mut queue = trail.queue();
        for event in queue.refusals.all().into_iter().chain([last]) {
            queue.push(event, trail);
        }
        queue.is_closed = true;
        trail.changed.notify_all();
        let waited = trail.changed.wait_timeout_while(queue, CLOSES_WITHIN, |queue| !queue.has_ended);
        let (queue, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            tracing::error!(
                lines = queue.lines.len(),
                "the audit trail was not written in time: its last lines are lost"
            );
        }
    }
}

impl Trail {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    /// A number is given to what is lost, too: so it is missed.
    fn push(&mut self, event: Event, trail: &Trail) {
        let at = trail.clock.now();
        let has_place =
            |queue: &Self, lines: usize| !queue.is_closed && queue.lines.len() + lines <= LINES_WAITING_MAX;
        if self.lost > 0 && has_place(self, 2) {
            let lines = std::mem::take(&mut self.lost);
            self.number(at, Event::Lost { lines });
        }
        if self.lost == 0 && has_place(self, 1) {
            self.number(at, event);
        } else {
            self.last_number += 1;
            self.lost += 1;
            trail.metrics.audit_lines_lost(1);
        }
    }

    fn number(&mut self, at: Timestamp, event: Event) {
        self.last_number += 1;
        self.lines.push_back(Line { n: self.last_number, at, event });
    }
}

fn as_text<S: serde::Serializer>(value: &impl std::fmt::Display, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

#[cfg(test)]
mod tests;
