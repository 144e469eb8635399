//! Readings of the account's balance.

use capgate::clock::Timestamp;
use capgate::store::readings::Charged;
use capgate::store::{Change, Day, Reading, Store};

use super::places::{DAY, NOON, Place, commit_all, forget};

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// A reading with something in every field.
pub fn reading(at: u64, balance: &str) -> Reading {
    let charged = |stored| Charged::from_stored(stored).unwrap();
    Reading {
        at: Timestamp(at),
        account: "an account".to_owned(),
        balance: balance.parse().unwrap(),
        spent: "1.00085".parse().unwrap(),
        charged: charged("0.00299 image:3 recaptcha_v2:-1"),
        left_out: 2,
        standing: charged("0.00598 image:30"),
    }
}

async fn keep(store: &dyn Store, moments: &[u64]) {
    commit_all(store, moments.iter().map(|at| Change::Balance(reading(*at, "10")))).await;
}

async fn moments(store: &dyn Store, since: Day) -> Vec<u64> {
    let ledger = store.ledger(since, Timestamp(0)).await.unwrap();
    ledger.readings.iter().map(|reading| reading.at.0).collect()
}

pub async fn the_last_reading_is_there_after_a_restart(place: &impl Place) {
    let store = place.open();
    assert_eq!(store.load().await.unwrap().reading, None);
    let (first, last) = (reading(NOON, "10"), reading(NOON + MINUTE, "-0.00001"));
    commit_all(&*store, [Change::Balance(first.clone()), Change::Balance(last.clone())]).await;
    drop(store);
    let store = place.open();
    assert_eq!(store.load().await.unwrap().reading.as_ref(), Some(&last));
    assert_eq!(store.ledger(Day(0), Timestamp(0)).await.unwrap().readings, [first, last]);
}

pub async fn of_each_hour_the_first_reading_stays_and_the_last(place: &impl Place) {
    let store = place.open();
    let minutes = [0, 1, 30, 59, 60, 121, 122, 123];
    keep(&*store, &minutes.map(|minute| NOON + minute * MINUTE)).await;
    assert_eq!(moments(&*store, Day(0)).await, [0, 59, 60, 121, 123].map(|minute| NOON + minute * MINUTE));
}

pub async fn readings_are_those_of_the_days_that_are_asked_for(place: &impl Place) {
    let store = place.open();
    let midnight = NOON + DAY / 2;
    keep(&*store, &[midnight - 1, midnight]).await;
    assert_eq!(moments(&*store, Day::of(Timestamp(NOON))).await.len(), 2);
    assert_eq!(moments(&*store, Day::of(Timestamp(midnight))).await, [midnight]);
}

pub async fn readings_stay_as_long_as_usage_and_not_an_hour_more<P: Place>(_: &P) {
    let place = P::keeping(7);
    let store = place.open();
    let midnight = NOON + DAY / 2;
    keep(&*store, &[midnight - HOUR, midnight]).await;
    commit_all(&*store, [forget(midnight + 7 * DAY - 1)]).await;
    assert_eq!(moments(&*store, Day(0)).await, [midnight - HOUR, midnight]);
    commit_all(&*store, [forget(midnight + 7 * DAY)]).await;
    assert_eq!(moments(&*store, Day(0)).await, [midnight]);
}
