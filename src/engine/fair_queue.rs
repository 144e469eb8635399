//! Whose upload is next: weighted start-time fair queueing between clients, priority and then arrival within one.
//!
//! Each waiting client has a *start*, its place on a virtual time line; the lowest start is served, and moves on by
//! `TURN / weight`. The line's present is the start of the client that was served last.
//!
//! **Invariant.** A waiting client's start is never before the present, and a client that begins to wait starts at the
//! present, unless turns it has just taken put it later. A turn puts its client behind the present. So each other
//! client, however much it has queued, is served once at most before a newcomer, or its share when weights differ.
//! While two clients wait, the turns they get stay proportional to their weights, to within one turn each.
//!
//! An item that is removed has cost its client nothing: a turn is charged when it is taken. A client without items is
//! forgotten as soon as the present has passed its start, and all are when the queue is empty.
//!
//! **Bounds.** `items` and `bytes` for the whole queue; beside that, nobody may take more than what is still free, so
//! n flooding clients leave a free part of at least 1 / (n + 1) for the next one. Every call is O(log n).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// A turn of a client of weight 1 on the virtual time line; weights up to this keep their proportion.
const TURN: u64 = 1 << 20;

/// An item in the queue; unique for the queue's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemKey(u64);

/// Something that waits, with all that decides when its turn comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item<T, C = Arc<str>> {
    pub client: C,
    /// The client's share among the clients, at least 1; its latest item's counts.
    pub weight: u32,
    /// Higher goes first, among the client's own items.
    pub priority: u8,
    /// What it counts against the queue's bytes.
    pub bytes: u64,
    /// When it leaves by [`FairQueue::pop_expired`].
    pub deadline: Timestamp,
    pub value: T,
}

/// How much may wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueLimits {
    pub items: usize,
    pub bytes: u64,
}

/// What an item was too much for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueLimit {
    Items,
    Bytes,
    /// The client holds at least as much as is still free for everybody.
    Share,
}

impl fmt::Display for QueueLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Items => "as many uploads as may wait are waiting",
            Self::Bytes => "the waiting uploads are as large as they may be together",
            Self::Share => "the client has its share of the waiting uploads",
        })
    }
}

/// The queue did not take the item; here it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Full<T, C = Arc<str>> {
    pub item: Item<T, C>,
    pub limit: QueueLimit,
}

/// A client's place on the virtual time line; of equals, who came first.
type Place = (u64, u64);

#[derive(Clone, Debug)]
struct Lane {
    place: Place,
    weight: u32,
    bytes: u64,
    order: BTreeSet<(Reverse<u8>, ItemKey)>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct FairQueue<T, C = Arc<str>> {
    limits: QueueLimits,
    bytes: u64,
    present: u64,
    next_number: u64,
    items: BTreeMap<ItemKey, Item<T, C>>,
    deadlines: BTreeSet<(Timestamp, ItemKey)>,
    lanes: BTreeMap<C, Lane>,
    turns: BTreeMap<Place, C>,
    /// Starts of clients that wait no more, until the present has passed them.
    idle: BTreeMap<C, u64>,
    idle_starts: BTreeSet<(u64, C)>,
}

impl<T, C: Ord + Clone> FairQueue<T, C> {
    pub const fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            bytes: 0,
            present: 0,
            next_number: 0,
            items: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            lanes: BTreeMap::new(),
            turns: BTreeMap::new(),
            idle: BTreeMap::new(),
            idle_starts: BTreeSet::new(),
        }
    }

    /// Takes new limits over; what waits stays.
    pub const fn set_limits(&mut self, limits: QueueLimits) {
        self.limits = limits;
    }

    /// # Errors
    /// The item, when it is too much for one of the limits.
    pub fn push(&mut self, item: Item<T, C>) -> Result<ItemKey, Full<T, C>> {
        if let Some(limit) = self.exceeds(&item) {
            return Err(Full { item, limit });
        }
        let key = ItemKey(self.number());
        if !self.lanes.contains_key(&item.client) {
            let start = self.forget_idle(&item.client).unwrap_or(0).max(self.present);
            let place = (start, self.number());
            self.turns.insert(place, item.client.clone());
            let lane = Lane { place, weight: 1, bytes: 0, order: BTreeSet::new() };
            self.lanes.insert(item.client.clone(), lane);
        }
        if let Some(lane) = self.lanes.get_mut(&item.client) {
            lane.weight = item.weight.max(1);
            lane.bytes += item.bytes;
            lane.order.insert((Reverse(item.priority), key));
        }
        self.bytes += item.bytes;
        self.deadlines.insert((item.deadline, key));
        self.items.insert(key, item);
        Ok(key)
    }

    fn number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    fn exceeds(&self, item: &Item<T, C>) -> Option<QueueLimit> {
        let items_free = self.limits.items.saturating_sub(self.items.len());
        let bytes_free = self.limits.bytes.saturating_sub(self.bytes);
        let (own_items, own_bytes) =
            self.lanes.get(&item.client).map_or((0, 0), |lane| (lane.order.len(), lane.bytes));
        if items_free == 0 {
            Some(QueueLimit::Items)
        } else if item.bytes > bytes_free {
            Some(QueueLimit::Bytes)
        } else if own_items >= items_free || (own_bytes > 0 && own_bytes >= bytes_free) {
            Some(QueueLimit::Share)
        } else {
            None
        }
    }

    /// The item whose turn is next.
    pub fn peek(&self) -> Option<(ItemKey, &Item<T, C>)> {
        let (_, client) = self.turns.first_key_value()?;
        let (_, key) = self.lanes.get(client)?.order.first()?;
        Some((*key, self.items.get(key)?))
    }

    /// Takes the item whose turn is next, and charges its client a turn.
    pub fn pop(&mut self) -> Option<(ItemKey, Item<T, C>)> {
        let (key, item) = self.peek()?;
        let client = item.client.clone();
        let number = self.number();
        if let Some(lane) = self.lanes.get_mut(&client) {
            self.turns.remove(&lane.place);
            self.present = lane.place.0;
            let turn = (TURN / u64::from(lane.weight)).max(1);
            lane.place = (lane.place.0 + turn, number);
            self.turns.insert(lane.place, client);
        }
        let item = self.take(key)?;
        self.forget_passed();
        Some((key, item))
    }

    /// Takes an item out of its turn, because its client hung up; it has cost nothing.
    pub fn remove(&mut self, key: ItemKey) -> Option<Item<T, C>> {
        self.take(key)
    }

    /// The items of which `is_so` holds; this one call is O(n).
    pub fn keys_where(&self, is_so: impl Fn(&T) -> bool) -> Vec<ItemKey> {
        self.items.iter().filter(|(_, item)| is_so(&item.value)).map(|(key, _)| *key).collect()
    }

    /// Takes an item of a client that may wait no longer; to be repeated until there is none.
    pub fn remove_of(&mut self, client: &C) -> Option<(ItemKey, Item<T, C>)> {
        let (_, key) = self.lanes.get(client)?.order.first()?;
        let key = *key;
        Some((key, self.take(key)?))
    }

    /// Takes the item with the earliest deadline, if that has passed; to be repeated until there is none.
    pub fn pop_expired(&mut self, now: Timestamp) -> Option<(ItemKey, Item<T, C>)> {
        let (_, key) = self.deadlines.first().filter(|(deadline, _)| *deadline <= now)?;
        let key = *key;
        Some((key, self.take(key)?))
    }

    /// When the next item expires.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    fn take(&mut self, key: ItemKey) -> Option<Item<T, C>> {
        let item = self.items.remove(&key)?;
        self.bytes -= item.bytes;
        self.deadlines.remove(&(item.deadline, key));
        if let Some(lane) = self.lanes.get_mut(&item.client) {
            lane.bytes -= item.bytes;
            lane.order.remove(&(Reverse(item.priority), key));
            if lane.order.is_empty() {
                let start = lane.place.0;
                self.turns.remove(&lane.place);
                self.lanes.remove(&item.client);
                self.remember_idle(&item.client, start);
            }
        }
        Some(item)
    }

    /// A client that has taken turns ahead of the present cannot win by leaving and coming back.
    fn remember_idle(&mut self, client: &C, start: u64) {
        if self.lanes.is_empty() {
            self.present = 0;
            self.idle.clear();
            self.idle_starts.clear();
        } else if start > self.present {
            self.idle.insert(client.clone(), start);
            self.idle_starts.insert((start, client.clone()));
        }
    }

    fn forget_idle(&mut self, client: &C) -> Option<u64> {
        let start = self.idle.remove(client)?;
        self.idle_starts.remove(&(start, client.clone()));
        Some(start)
    }

    fn forget_passed(&mut self) {
        while let Some((start, _)) = self.idle_starts.first()
            && *start <= self.present
        {
            if let Some((_, client)) = self.idle_starts.pop_first() {
                self.idle.remove(&client);
            }
        }
    }

    /// Items waiting.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Bytes waiting.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Clients with something waiting, and how many items each has.
    pub fn clients(&self) -> impl Iterator<Item = (&C, usize)> {
        self.lanes.iter().map(|(client, lane)| (client, lane.order.len()))
    }

    /// Clients of which anything is remembered.
    pub fn remembered(&self) -> usize {
        self.lanes.len() + self.idle.len()
    }
}

#[cfg(test)]
mod tests;
