//! The store fails for many minutes while captchas are looked at, and then the process is killed: no look may be forgotten,
//! or rule 1005 would be broken.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use capgate::driver::Driver;
use capgate::engine::BlockRule;
use capgate::simulator::Scenario;
use capgate::store::Store;

use super::flaky::Flaky;
use crate::support::{PausedGateway, paused};

const WAY: Duration = Duration::from_millis(40);
const CAPTCHAS: u64 = 40;
/// What a kept state pays for ahead (`driver/float`).
const FLOAT: u64 = 100;

fn left(driver: &Driver) -> u64 {
    let budgets = driver.gate.budgets();
    u64::from(budgets.iter().find(|budget| budget.rule == BlockRule::ResLooks).unwrap().left)
}

/// Captchas that nobody solves, and a store that fails from the second minute on, until `minutes` after the uploads.
async fn outage(minutes: u64) -> (Arc<Flaky>, PausedGateway, u64) {
    let store = Arc::new(Flaky::default());
    let kept: Arc<dyn Store> = Arc::<Flaky>::clone(&store);
    let scenario = Scenario { solve_times: "9000000-9000000".parse().unwrap(), ..Scenario::default() };
    let gateway = PausedGateway::start_on(kept, scenario, WAY, 1, |_| ()).await;
    for number in 0..CAPTCHAS {
        gateway.upload(&format!("textcaptcha=what+is+{number}")).await;
    }
    gateway.clock.sleep(Duration::from_mins(1)).await;
    let looks = || gateway.upstream.model().state(gateway.clock.now()).counts.r_each;
    let before = looks();
    store.refuses_all.store(true, Ordering::Relaxed);
    gateway.clock.sleep(Duration::from_mins(minutes)).await;
    let made = looks() - before;
    store.refuses_all.store(false, Ordering::Relaxed);
    (store, gateway, made)
}

#[test]
fn looks_go_on_while_the_store_fails_as_far_as_it_has_paid_for_them() {
    paused(async {
        let (_, _, made) = outage(13).await;
        assert!(made > FLOAT / 2 && made <= FLOAT, "{made} looks");
        let (_, _, made) = outage(15).await;
        assert!(
            made > FLOAT / 2 + CAPTCHAS && made <= FLOAT + CAPTCHAS,
            "{made} looks, each captcha's last among them"
        );
    });
}

#[test]
fn a_start_after_it_believes_in_no_more_looks_than_there_are() {
    paused(async {
        for minutes in [1, 13, 15] {
            for set_back in [Duration::ZERO, Duration::from_mins(20), Duration::from_hours(24)] {
                let (store, gateway, made) = outage(minutes).await;
                let really = left(&gateway.driver);
                let started = gateway.killed(store, set_back).await;
                let believed = left(&started);
                println!(
                    "{made} looks in {minutes} minutes, set back {set_back:?}: {really} left, {believed} believed"
                );
                assert!(
                    believed <= really,
                    "{believed} and not {really} after {minutes} minutes, {set_back:?}"
                );
                assert!(
                    believed + FLOAT + CAPTCHAS >= really,
                    "{believed} of {really}: more than a crash may cost"
                );
            }
        }
    });
}

#[test]
fn a_stop_costs_no_look() {
    paused(async {
        let (store, gateway, _) = outage(1).await;
        gateway.driver.drain(Duration::from_secs(5)).await;
        let really = left(&gateway.driver);
        assert_eq!(left(&gateway.killed(store, Duration::ZERO).await), really);
    });
}
