use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::engine::recount::{Dice, config};

const ROOMY: QueueLimits = QueueLimits { items: 100_000, bytes: 1 << 40 };

fn item(client: u8, value: u32) -> Item<u32, u8> {
    Item { client, weight: 1, priority: 0, bytes: 1, deadline: Timestamp::NEVER, value }
}

fn served(queue: &mut FairQueue<u32, u8>, count: usize) -> Vec<u32> {
    (0..count).map_while(|_| queue.pop()).map(|(_, item)| item.value).collect()
}

#[test]
fn a_flood_of_10_000_delays_anothers_single_upload_by_one_slot_at_most() {
    for already_served in [0, 1, 2, 500] {
        let mut queue = FairQueue::new(ROOMY);
        for n in 0..10_000 {
            queue.push(Item { weight: 50, ..item(1, n) }).unwrap();
        }
        served(&mut queue, already_served);
        queue.push(item(2, 77_777)).unwrap();
        assert!(served(&mut queue, 2).contains(&77_777), "after {already_served}");
    }
}

#[test]
fn turns_follow_the_weights() {
    let mut queue = FairQueue::new(ROOMY);
    for n in 0..1_000 {
        queue.push(Item { weight: 3, ..item(1, n) }).unwrap();
        queue.push(item(2, 10_000 + n)).unwrap();
    }
    for turns in 1..200 {
        let first = served(&mut queue, 4).iter().filter(|value| **value < 10_000).count();
        assert_eq!(first, 3, "in round {turns}");
    }
}

#[test]
fn priority_orders_a_clients_own_uploads_and_then_arrival_does() {
    let mut queue = FairQueue::new(ROOMY);
    for (value, priority) in [(1, 0), (2, 5), (3, 5), (4, 9), (5, 0)] {
        queue.push(Item { priority, ..item(1, value) }).unwrap();
    }
    queue.push(Item { priority: 255, ..item(2, 100) }).unwrap();
    let order = served(&mut queue, 6);
    let own: Vec<u32> = order.iter().copied().filter(|value| *value < 100).collect();
    assert_eq!(own, [4, 2, 3, 1, 5]);
    assert_eq!(order[1], 100, "another client's priority neither wins nor loses a turn");
}

#[test]
fn hanging_up_costs_no_turn() {
    let mut queue = FairQueue::new(ROOMY);
    let gone = queue.push(item(1, 1)).unwrap();
    queue.push(item(2, 2)).unwrap();
    queue.push(item(2, 3)).unwrap();
    assert_eq!(queue.remove(gone).map(|item| item.value), Some(1));
    assert_eq!(queue.remove(gone), None);
    assert_eq!(served(&mut queue, 1), [2]);
    queue.push(item(1, 4)).unwrap();
    assert_eq!(served(&mut queue, 2), [4, 3]);
}

#[test]
fn a_client_that_leaves_and_comes_back_wins_nothing() {
    let mut queue = FairQueue::new(ROOMY);
    for n in 0..100 {
        queue.push(item(2, 1_000 + n)).unwrap();
    }
    let mut mine = 0;
    for n in 0..100 {
        queue.push(item(1, n)).unwrap();
        mine += usize::from(served(&mut queue, 1)[0] < 1_000);
        // What has not been served hangs up, and tries again.
        let again = queue.peek().filter(|(_, item)| item.client == 1).map(|(key, _)| key);
        again.and_then(|key| queue.remove(key));
    }
    assert!(mine <= 51, "{mine} of 100 turns");
}

#[test]
fn the_queue_is_full_at_its_limits_and_not_one_before() {
    let mut queue = FairQueue::new(QueueLimits { items: 4, bytes: 100 });
    let limit = |result: Result<ItemKey, Full<u32, u8>>| result.map(|_| ()).map_err(|full| full.limit);
    assert_eq!(limit(queue.push(Item { bytes: 101, ..item(1, 0) })), Err(QueueLimit::Bytes));
    assert_eq!(limit(queue.push(Item { bytes: 100, ..item(1, 0) })), Ok(()));
    queue.pop();
    assert_eq!(limit(queue.push(item(1, 1))), Ok(()));
    assert_eq!(limit(queue.push(item(1, 2))), Ok(()));
    assert_eq!(limit(queue.push(item(1, 3))), Err(QueueLimit::Share));
    assert_eq!(limit(queue.push(item(2, 4))), Ok(()));
    assert_eq!(limit(queue.push(item(2, 5))), Err(QueueLimit::Share));
    assert_eq!(limit(queue.push(item(3, 6))), Ok(()));
    let full = queue.push(item(4, 7)).unwrap_err();
    assert_eq!((full.limit, full.item.value), (QueueLimit::Items, 7));
    assert_eq!((queue.len(), queue.bytes()), (4, 4));
}

#[test]
fn what_has_expired_leaves_in_the_order_of_deadlines() {
    let mut queue = FairQueue::new(ROOMY);
    for (value, deadline) in [(1, 30), (2, 10), (3, 20)] {
        queue.push(Item { deadline: Timestamp(deadline), ..item(1, value) }).unwrap();
    }
    assert_eq!(queue.next_deadline(), Some(Timestamp(10)));
    let mut expired = |now| queue.pop_expired(Timestamp(now)).map(|(_, item)| item.value);
    assert_eq!(expired(9), None);
    assert_eq!((expired(20), expired(20), expired(20)), (Some(2), Some(3), None));
    assert_eq!(queue.len(), 1);
}

#[test]
fn idle_clients_leave_no_residue() {
    let mut queue: FairQueue<u32, u32> = FairQueue::new(ROOMY);
    let of = |client| Item {
        client,
        ..Item { client: 0, weight: 1, priority: 0, bytes: 1, deadline: Timestamp::NEVER, value: 0 }
    };
    for n in 0..300 {
        queue.push(of(1_000_000)).unwrap();
        queue.push(of(n)).unwrap();
    }
    while queue.len() > 100 {
        queue.pop();
        let waiting = queue.clients().count();
        assert!(queue.remembered() <= waiting + 301);
    }
    for _ in 0..3 {
        queue.pop();
    }
    assert!(queue.remembered() <= 2, "{} remembered", queue.remembered());
    while queue.pop().is_some() {}
    assert_eq!((queue.remembered(), queue.bytes(), queue.next_deadline()), (0, 0, None));
}

/// The same queue, the naive way: a list of items and each client's start, searched from end to end.
#[derive(Default)]
struct Naive {
    items: Vec<(ItemKey, Item<u32, u8>)>,
    starts: HashMap<u8, (u64, u64)>,
    present: u64,
    arrivals: u64,
}

impl Naive {
    fn push(&mut self, key: ItemKey, item: Item<u32, u8>) {
        self.arrivals += 1;
        if !self.items.iter().any(|(_, other)| other.client == item.client) {
            let start = self.starts.get(&item.client).map_or(0, |place| place.0);
            self.starts.insert(item.client, (start.max(self.present), self.arrivals));
        }
        self.items.push((key, item));
    }

    fn pop(&mut self) -> Option<u32> {
        self.arrivals += 1;
        let client =
            self.items.iter().map(|(_, item)| item.client).min_by_key(|client| self.starts[client])?;
        let (key, _) = self
            .items
            .iter()
            .filter(|(_, item)| item.client == client)
            .min_by_key(|(key, item)| (Reverse(item.priority), *key))?;
        let key = *key;
        let latest =
            self.items.iter().filter(|(_, item)| item.client == client).max_by_key(|(key, _)| *key)?;
        let weight = latest.1.weight;
        let place = self.starts.get_mut(&client)?;
        self.present = place.0;
        *place = (place.0 + TURN / u64::from(weight), self.arrivals);
        self.remove(key)
    }

    fn remove(&mut self, key: ItemKey) -> Option<u32> {
        let place = self.items.iter().position(|(other, _)| *other == key)?;
        let (_, item) = self.items.remove(place);
        if self.items.is_empty() {
            (self.present, self.starts) = (0, HashMap::new());
        }
        Some(item.value)
    }
}

/// Waits of each client's head: how often each other client was served meanwhile.
#[derive(Default)]
struct Patience(HashMap<u8, HashMap<u8, u32>>);

impl Patience {
    fn served(&mut self, client: u8, waiting: &[u8]) {
        self.0.remove(&client);
        self.0.retain(|other, _| waiting.contains(other));
        for other in waiting.iter().filter(|other| **other != client) {
            *self.0.entry(*other).or_default().entry(client).or_default() += 1;
        }
    }

    fn worst(&self) -> u32 {
        self.0.values().flat_map(HashMap::values).copied().max().unwrap_or(0)
    }
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn random_histories_agree_with_the_naive_queue_and_starve_nobody(seed: u64, same_weights: bool) {
        let mut dice = Dice::new(seed);
        let (mut queue, mut naive) = (FairQueue::new(ROOMY), Naive::default());
        let mut patience = Patience::default();
        let pushes = 35 + dice.roll(25);
        for step in 0..10_000 {
            match dice.roll(100) {
                n if n < pushes && queue.len() < 300 => {
                    let client = u8::try_from(dice.roll(8)).unwrap();
                    let weight = if same_weights { 1 } else { 1 + u32::from(client) };
                    let priority = u8::try_from(dice.roll(3)).unwrap();
                    let item = Item { weight, priority, ..item(client, step) };
                    let key = queue.push(item.clone()).unwrap();
                    naive.push(key, item);
                }
                0..90 => {
                    let popped = queue.pop().map(|(_, item)| item);
                    prop_assert_eq!(popped.as_ref().map(|item| item.value), naive.pop());
                    if let Some(item) = popped {
                        let waiting: Vec<u8> = queue.clients().map(|(client, _)| *client).collect();
                        patience.served(item.client, &waiting);
                    }
                }
                _ if !naive.items.is_empty() => {
                    let (key, _) = naive.items[dice.place(naive.items.len())];
                    prop_assert_eq!(queue.remove(key).map(|item| item.value), naive.remove(key));
                }
                _ => (),
            }
            prop_assert_eq!(queue.len(), naive.items.len());
            if same_weights {
                prop_assert!(patience.worst() <= 2, "served {} times meanwhile", patience.worst());
            }
        }
    }
}
