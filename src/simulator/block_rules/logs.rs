//! Raw logs of moments, and the comparison of rule 1005.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::scenario::BatchCountsAs;
use crate::clock::Timestamp;

/// `R > C * 20 + 1200` blocks (1005).
const CALLS_PER_UPLOAD: u64 = 20;
const CALLS_FREE: u64 = 1_200;

/// Moments at which something happened, as far back as a window reaches.
#[derive(Clone, Debug)]
pub struct Log {
    pub window: Duration,
    moments: VecDeque<(Timestamp, u64)>,
    sum: u64,
}

impl Log {
    pub const fn over(window: Duration) -> Self {
        Self { window, moments: VecDeque::new(), sum: 0 }
    }

    pub fn add(&mut self, count: u64, now: Timestamp) {
        self.sum(now); // lets go of what has left the window, or a log that nobody sums would grow for ever
        self.moments.push_back((now, count));
        self.sum += count;
    }

    pub fn sum(&mut self, now: Timestamp) -> u64 {
        while let Some((moment, count)) = self.moments.front().copied()
            && moment + self.window <= now
        {
            self.moments.pop_front();
            self.sum -= count;
        }
        self.sum
    }

    pub fn clear(&mut self) {
        self.moments.clear();
        self.sum = 0;
    }
}

/// What 1005 compares, in one window: `uploads` is C, the other two are R read in its two ways.
#[derive(Clone, Debug)]
pub struct Usage {
    pub uploads: Log,
    pub calls: Log,
    pub looks: Log,
}

impl Usage {
    pub const fn over(window: Duration) -> Self {
        Self { uploads: Log::over(window), calls: Log::over(window), looks: Log::over(window) }
    }

    pub fn is_too_much(&mut self, reading: BatchCountsAs, now: Timestamp) -> bool {
        is_too_much(self.calls.sum(now), self.looks.sum(now), self.uploads.sum(now), reading)
    }

    pub fn clear(&mut self) {
        for log in [&mut self.uploads, &mut self.calls, &mut self.looks] {
            log.clear();
        }
    }
}

/// Rule 1005 for R in its two ways and C.
pub const fn is_too_much(calls: u64, looks: u64, uploads: u64, reading: BatchCountsAs) -> bool {
    let allowed = uploads * CALLS_PER_UPLOAD + CALLS_FREE;
    match reading {
        BatchCountsAs::One => calls > allowed,
        BatchCountsAs::Each => looks > allowed,
        BatchCountsAs::Both => calls > allowed || looks > allowed,
    }
}
