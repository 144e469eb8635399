//! Who waits for a turn, and how often others were served in the meantime.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use capgate::clock::Timestamp;

/// Turns beyond its share that another may get while a client waits: a newcomer's place is behind the one that is being
/// served.
const SLACK: u32 = 1;

#[derive(Debug, Default)]
struct Waiting {
    /// Since when each waits, the oldest first, and of one moment as they came; turns of that very moment may have been
    /// given before.
    uploads: VecDeque<(Timestamp, u64)>,
    /// Turns of the others since this client began to wait or was served.
    others: BTreeMap<usize, u32>,
}

impl Waiting {
    fn is_before(&self, now: Timestamp) -> bool {
        self.uploads.front().is_some_and(|(since, _)| *since < now)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Turns {
    weights: Vec<u32>,
    waiting: BTreeMap<usize, Waiting>,
    /// Uploads whose clients still want to know.
    wanted: BTreeSet<u64>,
    /// Uploads that found no slot, until the disk knows of it.
    coming_back: Vec<(usize, u64)>,
}

impl Turns {
    pub const fn new(weights: Vec<u32>) -> Self {
        Self { weights, waiting: BTreeMap::new(), wanted: BTreeSet::new(), coming_back: Vec::new() }
    }

    /// `client` hands an upload over.
    pub fn begin(&mut self, client: usize, upload: u64, now: Timestamp) {
        self.wanted.insert(upload);
        self.again(client, upload, now);
    }

    /// An upload found no slot: it waits for another turn as soon as the wait that its reply began is on disk.
    pub fn comes_back(&mut self, client: usize, upload: u64) {
        self.coming_back.push((client, upload));
    }

    /// What is known of waits is on disk at `at`.
    pub fn noted(&mut self, at: Timestamp) {
        for (client, upload) in std::mem::take(&mut self.coming_back) {
            self.again(client, upload, at);
        }
    }

    /// An upload waits for a turn.
    fn again(&mut self, client: usize, upload: u64, now: Timestamp) {
        if self.wanted.contains(&upload) {
            let uploads = &mut self.waiting.entry(client).or_default().uploads;
            let place = uploads.partition_point(|(since, _)| *since <= now);
            uploads.insert(place, (now, upload));
        }
    }

    /// The upload waits no more, whatever came of it.
    pub fn gone(&mut self, client: usize, upload: u64) {
        self.wanted.remove(&upload);
        if let Some(waiting) = self.waiting.get_mut(&client) {
            waiting.uploads.retain(|(_, other)| *other != upload);
            if waiting.uploads.is_empty() {
                self.waiting.remove(&client);
            }
        }
    }

    /// A turn is given to `client`, the oldest of its uploads.
    pub fn given(&mut self, client: usize, now: Timestamp) -> Result<(), String> {
        if let Some(waiting) = self.waiting.get_mut(&client) {
            waiting.uploads.pop_front();
            waiting.others.clear();
            if waiting.uploads.is_empty() {
                self.waiting.remove(&client);
            }
        }
        let others =
            self.waiting.iter_mut().filter(|(other, waiting)| **other != client && waiting.is_before(now));
        for (other, waiting) in others {
            let turns = waiting.others.entry(client).or_default();
            *turns += 1;
            let share = self.weights[client].div_ceil(self.weights[*other]);
            if *turns > share + SLACK {
                return Err(format!("client {other} waits while client {client} had {turns} turns"));
            }
        }
        Ok(())
    }

    pub fn clear(&mut self) {
        self.waiting.clear();
        self.coming_back.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}
