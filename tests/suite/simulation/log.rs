//! What happened, one line for each event: the last lines to read, and a digest of them all to compare.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use capgate::clock::Timestamp;

/// Lines that a failing seed prints, unless `SIMULATION_LINES` says otherwise.
const LINES_KEPT: u64 = 60;

/// See the module.
#[derive(Debug)]
pub struct Log {
    keeps: u64,
    lines: VecDeque<String>,
    digest: DefaultHasher,
    events: u64,
}

impl Log {
    pub fn new() -> Self {
        let keeps = super::number_in_env("SIMULATION_LINES").unwrap_or(LINES_KEPT);
        Self { keeps, lines: VecDeque::new(), digest: DefaultHasher::new(), events: 0 }
    }

    pub fn add(&mut self, now: Timestamp, event: fmt::Arguments<'_>) {
        let line = format!("{now} {event}");
        line.hash(&mut self.digest);
        self.events += 1;
        if self.lines.len() as u64 == self.keeps {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// The number of all events, and their digest.
    pub fn digest(&self) -> (u64, u64) {
        (self.events, self.digest.finish())
    }

    /// The last events, oldest first.
    pub fn last(&self) -> Vec<String> {
        self.lines.iter().cloned().collect()
    }
}
