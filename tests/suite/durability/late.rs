//! The store fails just after the upstream accepted an upload. The client cannot be told an id that is not on disk; it is
//! told that there is no slot, and the same upload gets the id once it is kept. And the store says nothing at all: no poll
//! waits for that.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use capgate::driver::Refusal;
use capgate::driver::answers::Found;
use capgate::protocol::{CaptchaId, Form, Upload};
use capgate::simulator::Scenario;
use capgate::store::Store;

use super::flaky::Flaky;
use crate::support::{PausedGateway, paused};

const WAY: Duration = Duration::from_millis(40);

async fn gateway() -> (Arc<Flaky>, Arc<PausedGateway>) {
    let store = Arc::new(Flaky::default());
    let kept: Arc<dyn Store> = Arc::<Flaky>::clone(&store);
    let scenario = Scenario { solve_times: "9000-9000".parse().unwrap(), ..Scenario::default() };
    (store, Arc::new(PausedGateway::start_on(kept, scenario, WAY, 1, |_| ()).await))
}

async fn upload(gateway: &PausedGateway) -> Result<CaptchaId, Refusal> {
    let form = Form::decode("textcaptcha=two+and+two", &Bytes::new()).unwrap();
    gateway.driver.submit(&gateway.client(1), Upload::check(form)).await
}

fn bought(gateway: &PausedGateway) -> u64 {
    gateway.upstream.model().state(gateway.clock.now()).counts.uploads_accepted
}

#[test]
fn an_id_that_could_not_be_kept_goes_to_the_same_upload_once_it_is() {
    paused(async {
        let (store, gateway) = gateway().await;
        store.refuses_ids.store(true, Ordering::Relaxed);
        assert_eq!(upload(&gateway).await, Err(Refusal::NotKeptYet));
        assert_eq!(
            upload(&gateway).await,
            Err(Refusal::NotInTime),
            "it waits for the first, and buys nothing"
        );
        gateway.clock.sleep(Duration::from_mins(2)).await;
        store.refuses_ids.store(false, Ordering::Relaxed);
        gateway.clock.sleep(Duration::from_secs(2)).await;
        let id = upload(&gateway).await.unwrap();
        assert_eq!(bought(&gateway), 1);
        assert!(matches!(gateway.driver.find(&gateway.client(1), id, false), Found::Solved(_)));
        let kept = store.inner.load().await.unwrap().captchas;
        assert!(kept.len() == 1 && kept[0].id == id && kept[0].solution.is_some(), "{kept:?}");

        let other = upload(&gateway).await.unwrap();
        assert_ne!(other, id, "the first was delivered: one more is another captcha");
        assert_eq!(bought(&gateway), 2);
    });
}

#[test]
fn an_upload_that_waits_for_it_gets_the_id_in_time() {
    paused(async {
        let (store, gateway) = gateway().await;
        store.refuses_ids.store(true, Ordering::Relaxed);
        assert_eq!(upload(&gateway).await, Err(Refusal::NotKeptYet));
        let again = {
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move { upload(&gateway).await })
        };
        gateway.clock.sleep(Duration::from_secs(1)).await;
        store.refuses_ids.store(false, Ordering::Relaxed);
        assert!(again.await.unwrap().is_ok());
        assert_eq!(bought(&gateway), 1);
    });
}

#[test]
fn a_store_that_never_answers_holds_up_no_poll() {
    paused(async {
        let (store, gateway) = gateway().await;
        let solved = upload(&gateway).await.unwrap();
        gateway.clock.sleep(Duration::from_secs(20)).await;
        let open = upload(&gateway).await.unwrap();
        store.hangs.store(true, Ordering::Relaxed);
        let stuck = {
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move { upload(&gateway).await })
        };
        gateway.clock.sleep(Duration::from_secs(20)).await;
        assert!(!stuck.is_finished());
        assert_eq!(bought(&gateway), 2, "what is not noted is not bought");
        assert!(matches!(gateway.driver.find(&gateway.client(1), solved, false), Found::Solved(_)));
        assert!(matches!(gateway.driver.find(&gateway.client(1), open, false), Found::NotReady));
        stuck.abort();
    });
}

#[test]
fn an_upload_that_the_disk_held_up_for_longer_than_it_may_wait_is_not_bought() {
    paused(async {
        let (store, gateway) = gateway().await;
        upload(&gateway).await.unwrap();
        store.takes_ms.store(20_000, Ordering::Relaxed);
        assert_eq!(upload(&gateway).await, Err(Refusal::NotInTime));
        assert_eq!(bought(&gateway), 1);
        store.takes_ms.store(500, Ordering::Relaxed);
        upload(&gateway).await.unwrap();
        assert_eq!(bought(&gateway), 2);
    });
}

#[test]
fn nothing_is_bought_for_a_client_that_went_while_the_disk_took_its_time() {
    paused(async {
        let (store, gateway) = gateway().await;
        upload(&gateway).await.unwrap();
        store.takes_ms.store(1_000, Ordering::Relaxed);
        let gone = {
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move { upload(&gateway).await })
        };
        gateway.clock.sleep(Duration::from_millis(500)).await;
        gone.abort();
        gateway.clock.sleep(Duration::from_mins(1)).await;
        assert_eq!(bought(&gateway), 1);
    });
}
