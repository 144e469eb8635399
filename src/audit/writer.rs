//! The thread that writes the trail.
//!
//! ```text
//! lines come -> added to the file, one by one -> on the disk within a second
//!            -> the file takes none: said once, tried again every second, the line at hand first
//! closed     -> what waits is written and on the disk -> the thread ends
//! ```

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::file::TrailFile;
use super::{Line, Trail};

/// How often what was added is brought to the disk, the minutes of refusals are looked at, and a file that takes no line is
/// tried again.
const TURN: Duration = Duration::from_secs(1);

pub(super) fn start(trail: Arc<Trail>, file: TrailFile) -> io::Result<()> {
    trail.metrics.audit_is_up(true);
    let thread = std::thread::Builder::new().name("audit".into());
    thread.spawn(move || {
        let ends = Ends(trail);
        Writer { trail: &ends.0, file, encoded: Vec::new(), is_up: true }.run();
    })?;
    Ok(())
}

/// Says that the thread has ended, however it does.
struct Ends(Arc<Trail>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.queue().has_ended = true;
        self.0.changed.notify_all();
    }
}

struct Writer<'t> {
    trail: &'t Trail,
    file: TrailFile,
    /// The line at hand; empty: none.
    encoded: Vec<u8>,
    is_up: bool,
}

impl Writer<'_> {
    fn run(mut self) {
        let mut synced_at = self.trail.clock.now();
        loop {
            let is_closed = self.wait();
            let mut written = self.write_all();
            let now = self.trail.clock.now();
            if written.is_ok() && (is_closed || now.since(synced_at) >= TURN) {
                synced_at = now;
                written = self.file.sync();
            }
            self.say(&written);
            if is_closed {
                return self.give_up(written.is_ok());
            }
        }
    }

    /// Waits for lines, or for the next turn; while the file takes none only for that. Whether the trail is closed.
    fn wait(&self) -> bool {
        let queue = self.trail.queue();
        let is_up = self.is_up;
        let waited = self
            .trail
            .changed
            .wait_timeout_while(queue, TURN, |queue| !queue.is_closed && (!is_up || queue.lines.is_empty()));
        let (mut queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        for event in queue.refusals.over(self.trail.clock.now()) {
            queue.push(event, self.trail);
        }
        queue.is_closed
    }

    fn write_all(&mut self) -> io::Result<()> {
        self.file.follow()?;
        loop {
            if self.encoded.is_empty() {
                let Some(line) = self.trail.queue().lines.pop_front() else { return Ok(()) };
                self.encode(&line);
            }
            self.file.add(&self.encoded)?;
            self.encoded.clear();
            self.trail.metrics.audit_line_written();
        }
    }

    fn encode(&mut self, line: &Line) {
        serde_json::to_writer(&mut self.encoded, line)
            .expect("names, numbers and words can be written as JSON");
        self.encoded.push(b'\n');
    }

    /// Once when the file takes no lines any more, and once when it does again.
    fn say(&mut self, written: &io::Result<()>) {
        let is_up = written.is_ok();
        if self.is_up != is_up {
            self.trail.metrics.audit_is_up(is_up);
        }
        match written {
            Err(error) if self.is_up => {
                tracing::error!(%error, "the audit trail's file takes no lines; they wait, and then they are lost");
            }
            Ok(()) if !self.is_up => tracing::info!("the audit trail's file takes lines again"),
            _ => {}
        }
        self.is_up = is_up;
    }

    /// What could not be written at the end is lost.
    fn give_up(&self, is_written: bool) {
        if is_written {
            return;
        }
        let lines = self.trail.queue().lines.len() + usize::from(!self.encoded.is_empty());
        self.trail.metrics.audit_lines_lost(lines as u64);
        tracing::error!(lines, "the last lines of the audit trail are lost");
    }
}
