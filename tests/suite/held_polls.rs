//! Polls that wait for an answer that is due.

use std::sync::Arc;
use std::time::Duration;

use capgate::driver::Wait;
use capgate::driver::answers::Found;
use capgate::driver::repeats::HungUp;
use capgate::protocol::CaptchaId;
use capgate::simulator::Scenario;

use crate::support::{PausedGateway, paused};

const WAY: Duration = Duration::from_millis(40);

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// All captchas take as long.
fn solved_after(seconds: u64) -> Scenario {
    let times = format!("{0}-{0}", seconds * 1_000);
    Scenario { solve_times: times.parse().unwrap(), ..Scenario::default() }
}

async fn gateway(solved_after_s: u64, held_max: usize) -> Arc<PausedGateway> {
    let settings = |config: &mut capgate::config::Config| config.polling.held_max = held_max;
    Arc::new(PausedGateway::start(solved_after(solved_after_s), WAY, 2, settings).await)
}

/// Client 1 polls: what it is told, and after how long.
async fn poll(gateway: &PausedGateway, id: CaptchaId, wait: Wait) -> (bool, Duration) {
    let (client, began) = (gateway.client(1), gateway.clock.now());
    let (found, _) = gateway.driver.wait_for(&client, id, false, wait, &HungUp::default()).await;
    (matches!(found, Found::Solved(_)), gateway.clock.now().since(began))
}

fn spawn_poll(
    gateway: &Arc<PausedGateway>,
    id: CaptchaId,
    wait: Wait,
) -> tokio::task::JoinHandle<(bool, Duration)> {
    let gateway = Arc::clone(gateway);
    tokio::spawn(async move { poll(&gateway, id, wait).await })
}

#[test]
fn a_poll_is_held_while_a_look_is_due_and_is_told_what_it_shows_at_once() {
    paused(async {
        let gateway = gateway(9, 10).await;
        let id = gateway.upload("textcaptcha=two+and+two").await;
        assert_eq!(
            poll(&gateway, id, Wait::Hold).await,
            (false, Duration::ZERO),
            "the first look comes after 5 s"
        );
        gateway.clock.sleep(seconds(3)).await;
        let (is_told, waited) = poll(&gateway, id, Wait::Hold).await;
        assert!(
            !is_told && waited >= seconds(2) && waited < seconds(3),
            "until the first look is back: {waited:?}"
        );
        gateway.clock.sleep(seconds(4)).await;
        let (is_told, waited) = poll(&gateway, id, Wait::Hold).await;
        assert!(is_told && waited < seconds(2), "until the second: {waited:?}");
        assert_eq!(poll(&gateway, id, Wait::Hold).await, (true, Duration::ZERO));
        let looks = gateway.upstream.model().state(gateway.clock.now()).counts.looks;
        assert_eq!(looks, 2, "however often the client asked");
    });
}

#[test]
fn a_client_that_does_not_sleep_between_its_polls_is_held_as_long_as_its_hold() {
    paused(async {
        let gateway = gateway(60, 10).await;
        let id = gateway.upload("textcaptcha=two+and+two").await;
        assert_eq!(poll(&gateway, id, Wait::Hold).await, (false, Duration::ZERO));
        for _ in 0..3 {
            assert_eq!(poll(&gateway, id, Wait::Hold).await, (false, seconds(4)));
            gateway.clock.sleep(Duration::from_millis(999)).await;
        }
        gateway.clock.sleep(Duration::from_millis(1)).await;
        let (_, waited) = poll(&gateway, id, Wait::Hold).await;
        assert!(waited < seconds(4), "it sleeps for a second: {waited:?}");
    });
}

#[test]
fn a_client_that_asks_for_a_wait_gets_it_whatever_its_hold() {
    paused(async {
        let gateway = gateway(20, 10).await;
        let id = gateway.upload("textcaptcha=two+and+two").await;
        assert_eq!(poll(&gateway, id, Wait::Asked(seconds(15))).await, (false, seconds(15)));
        assert_eq!(poll(&gateway, id, Wait::Asked(Duration::ZERO)).await, (false, Duration::ZERO));
        let (is_told, waited) = poll(&gateway, id, Wait::Asked(seconds(300))).await;
        assert!(is_told && waited < seconds(11), "{waited:?}");
    });
}

#[test]
fn a_wait_for_several_ends_with_the_first_answer() {
    paused(async {
        let gateway = gateway(9, 10).await;
        let first = gateway.upload("textcaptcha=two+and+two").await;
        gateway.clock.sleep(seconds(4)).await;
        let second = gateway.upload("textcaptcha=two+and+three").await;
        let (client, began) = (gateway.client(1), gateway.clock.now());
        let wait = |ids: Vec<CaptchaId>, longest| {
            let (gateway, client) = (Arc::clone(&gateway), Arc::clone(&client));
            async move { gateway.driver.wait_for_any(&client, &ids, longest, &HungUp::default()).await }
        };
        wait(vec![second, first], seconds(2)).await;
        assert_eq!(gateway.clock.now().since(began), seconds(2), "neither is there in time");
        wait(vec![second, first], seconds(60)).await;
        let found = |id| matches!(gateway.driver.find(&client, id, false), Found::Solved(_));
        assert!(found(first) && !found(second));
        let before = gateway.clock.now();
        wait(vec![second, first], seconds(60)).await;
        wait(vec![CaptchaId(1)], seconds(60)).await;
        assert_eq!(gateway.clock.now(), before, "one is there already; nothing is to come of an unknown one");
        wait(vec![CaptchaId(1), second], seconds(60)).await;
        assert!(found(second));
    });
}

#[test]
fn as_many_polls_are_held_as_there_are_places_and_one_more_is_answered_at_once() {
    paused(async {
        let gateway = gateway(60, 3).await;
        let id = gateway.upload("textcaptcha=two+and+two").await;
        let wait = Wait::Asked(seconds(30));
        let held: Vec<_> = (0..3).map(|_| spawn_poll(&gateway, id, wait)).collect();
        gateway.clock.sleep(seconds(1)).await;
        assert!(gateway.metrics.text().unwrap().contains("capgate_polls_held 3"));
        assert_eq!(poll(&gateway, id, wait).await, (false, Duration::ZERO));
        for poll in held {
            assert_eq!(poll.await.unwrap(), (false, seconds(30)));
        }
        assert!(gateway.metrics.text().unwrap().contains("capgate_polls_held 0"));
        assert_eq!(
            poll(&gateway, id, Wait::Asked(seconds(1))).await,
            (false, seconds(1)),
            "there is room again"
        );
    });
}

#[test]
fn the_end_releases_all_held_polls_and_holds_none_any_more() {
    paused(async {
        let gateway = gateway(60, 100).await;
        let id = gateway.upload("textcaptcha=two+and+two").await;
        let held: Vec<_> = (0..50).map(|_| spawn_poll(&gateway, id, Wait::Asked(seconds(300)))).collect();
        gateway.clock.sleep(seconds(7)).await;
        gateway.driver.announce_stop();
        for poll in held {
            assert_eq!(poll.await.unwrap(), (false, seconds(7)));
        }
        assert_eq!(poll(&gateway, id, Wait::Hold).await, (false, Duration::ZERO));
    });
}

#[test]
fn a_client_that_hangs_up_frees_its_place_within_a_second() {
    paused(async {
        let gateway = gateway(60, 1).await;
        let id = gateway.upload("textcaptcha=two+and+two").await;
        let (client, left_at) = (gateway.client(1), gateway.clock.now() + seconds(5));
        let clock = gateway.clock;
        let hung_up = HungUp::new(move || clock.now() >= left_at);
        let wait = Wait::Asked(seconds(300));
        gateway.driver.wait_for(&client, id, false, wait, &hung_up).await;
        assert!(gateway.clock.now() < left_at + seconds(1));
        assert_eq!(
            poll(&gateway, id, Wait::Asked(seconds(1))).await,
            (false, seconds(1)),
            "its place is free"
        );
    });
}
