//! Outcomes that clients want pushed.

use bytes::Bytes;
use capgate::clock::Timestamp;
use capgate::protocol::ids::CaptchaId;
use capgate::store::deliveries::{DEAD_KEPT, DEAD_MAX};
use capgate::store::{Change, Dead, Delivery};

use super::places::{NOON, Place, commit_all, forget};

fn wanted(id: u64, at: u64) -> Change {
    let (client, target) = ("team-a".to_owned(), format!("http://a.example/{id}?x=1"));
    Change::DeliveryWanted { id: CaptchaId(id), client, target, at: Timestamp(at) }
}

fn due(id: u64, code: &[u8], at: u64) -> Change {
    let (client, target) = ("team-a".to_owned(), format!("http://a.example/{id}?x=1"));
    Change::DeliveryDue {
        id: CaptchaId(id),
        client,
        target,
        code: Bytes::copy_from_slice(code),
        at: Timestamp(at),
    }
}

fn over(id: u64) -> Change {
    Change::DeliveryOver { id: CaptchaId(id) }
}

fn dead(id: u64, at: u64) -> Change {
    Change::DeliveryDead { id: CaptchaId(id), why: "status 500".to_owned(), at: Timestamp(at) }
}

async fn deliveries(place: &impl Place) -> Vec<Delivery> {
    let mut deliveries = place.open().load().await.unwrap().deliveries;
    deliveries.sort_by_key(|delivery| delivery.id);
    deliveries
}

async fn keep(place: &impl Place, changes: impl IntoIterator<Item = Change>) {
    commit_all(&*place.open(), changes).await;
}

pub async fn a_delivery_is_wanted_then_due_then_over_or_dead(place: &impl Place) {
    keep(place, (1..=4).map(|id| wanted(id, NOON + id))).await;
    let code = [b'a', 0, 0xF2, b'|'];
    keep(place, [due(2, &code, NOON + 60), due(3, b"x", NOON + 61), due(4, b"y", NOON + 62)]).await;
    keep(place, [over(3), dead(4, NOON + 90)]).await;

    let delivery = |id: u64, since: u64, code: Option<&[u8]>, dead: Option<Dead>| Delivery {
        id: CaptchaId(id),
        client: "team-a".to_owned(),
        target: format!("http://a.example/{id}?x=1"),
        since: Timestamp(since),
        code: code.map(Bytes::copy_from_slice),
        dead,
    };
    let buried = Dead { at: Timestamp(NOON + 90), why: "status 500".to_owned() };
    assert_eq!(
        deliveries(place).await,
        [
            delivery(1, NOON + 1, None, None),
            delivery(2, NOON + 60, Some(&code), None),
            delivery(4, NOON + 62, Some(b"y"), Some(buried)),
        ]
    );
}

pub async fn what_is_due_says_all_of_a_delivery_and_comes_in_any_order(place: &impl Place) {
    // The outcome may be known before the upload is kept.
    keep(place, [due(1, b"x", NOON + 5), wanted(1, NOON)]).await;
    let found = deliveries(place).await;
    assert_eq!((found[0].code.as_deref(), found[0].since), (Some(&b"x"[..]), Timestamp(NOON + 5)));
    // A dead one can be tried again, and an id that is given out again begins anew.
    keep(place, [dead(1, NOON + 9), due(1, b"x", NOON + 10)]).await;
    assert_eq!(deliveries(place).await[0].dead, None);
    keep(place, [dead(1, NOON + 11), wanted(1, NOON + 20)]).await;
    let found = deliveries(place).await;
    assert_eq!((&found[0].code, &found[0].dead, found[0].since), (&None, &None, Timestamp(NOON + 20)));
}

pub async fn what_is_said_of_unknown_deliveries_is_passed_over(place: &impl Place) {
    keep(place, [over(7), dead(7, NOON)]).await;
    assert_eq!(deliveries(place).await, []);
}

pub async fn a_thousand_dead_deliveries_stay_and_not_one_more(place: &impl Place) {
    let most = DEAD_MAX as u64;
    keep(place, (0..=most).map(|id| due(id, b"x", NOON))).await;
    keep(place, [wanted(9_999, NOON)]).await;
    keep(place, (0..most).map(|id| dead(id, NOON + id))).await;
    assert_eq!(deliveries(place).await.len(), DEAD_MAX + 2);
    keep(place, [dead(most, NOON + most)]).await;
    let found = deliveries(place).await;
    assert_eq!((found.len(), found[0].id), (DEAD_MAX + 1, CaptchaId(1)), "the oldest has left");
}

pub async fn a_dead_delivery_stays_seven_days_and_what_is_not_over_stays(place: &impl Place) {
    keep(place, [wanted(1, NOON), due(2, b"x", NOON), due(3, b"x", NOON), dead(3, NOON)]).await;
    let last = NOON + u64::try_from(DEAD_KEPT.as_millis()).unwrap();
    let kept =
        async || -> Vec<u64> { deliveries(place).await.iter().map(|delivery| delivery.id.0).collect() };
    keep(place, [forget(last)]).await;
    assert_eq!(kept().await, [1, 2, 3]);
    keep(place, [forget(last + 1)]).await;
    assert_eq!(kept().await, [1, 2]);
}
