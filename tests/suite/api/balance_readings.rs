//! The gateway reads the account's balance by itself, and only when there is something to compare it with.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use capgate::clients::Clients;
use capgate::clock::{Clock, Timestamp};
use capgate::config::{Client, Config};
use capgate::driver::Driver;
use capgate::metrics::Metrics;
use capgate::protocol::Form;
use capgate::protocol::ids::ClientKey;
use capgate::protocol::methods::Method;
use capgate::protocol::submit::Upload;
use capgate::store::{Day, MemoryStore, Reading, Store};
use capgate::upstream::{Call, CallKind, Upstream, UpstreamError};
use futures_util::future::BoxFuture;

use crate::support::{NoReceivers, client_key};

const BEGIN: Timestamp = Timestamp(1_800_000_000_000);
const HOUR: Duration = Duration::from_hours(1);

/// Answers every captcha, each for a cent of the ten dollars that there are.
#[derive(Debug, Default)]
struct Cent {
    uploads: AtomicU64,
    balances: AtomicU64,
}

impl Upstream for Cent {
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Bytes, UpstreamError>> {
        let reply = match call.kind() {
            CallKind::Submit => format!("OK|{}", 1 + self.uploads.fetch_add(1, Ordering::Relaxed)),
            CallKind::Balance => {
                self.balances.fetch_add(1, Ordering::Relaxed);
                let cents = 1_000 - self.uploads.load(Ordering::Relaxed);
                format!("{}.{:02}", cents / 100, cents % 100)
            }
            _ => r#"{"status":1,"request":"x"}"#.into(),
        };
        Box::pin(std::future::ready(Ok(reply.into())))
    }
}

/// A gateway under a clock that the test moves.
struct Gateway {
    clock: Clock,
    upstream: Arc<Cent>,
    store: Arc<MemoryStore>,
    clients: Clients,
    driver: Driver,
}

impl Gateway {
    async fn start(balance_every: Duration) -> Self {
        let key = ClientKey::parse(client_key(1).as_bytes()).expect("32 symbols");
        let client = Client { name: "team-a".into(), keys: vec![key], ..Client::default() };
        let mut config = Config { clients: vec![client], ..Config::default() };
        config.upstream.balance_every = balance_every;
        // The cache of replies has a clock of its own, which does not jump.
        config.cache.balance = Duration::ZERO;
        let (upstream, store) = (Arc::new(Cent::default()), Arc::new(MemoryStore::default()));
        let (clock, metrics) = (Clock::starting_at(BEGIN), Arc::new(Metrics::default()));
        let clients = Clients::new(&config, &metrics);
        let calls: Arc<dyn Upstream> = Arc::<Cent>::clone(&upstream);
        let kept: Arc<dyn Store> = Arc::<MemoryStore>::clone(&store);
        let driver = Driver::start(&config, clock, kept, calls, Arc::new(NoReceivers), metrics)
            .await
            .expect("a store");
        Self { clock, upstream, store, clients, driver }
    }

    async fn upload(&self) {
        let client = self.clients.find(Some(client_key(1).as_bytes())).expect("a client");
        let form = Form::decode("textcaptcha=2+and+2", &Bytes::new()).expect("a form");
        self.driver.submit(&client, Upload::check(form)).await.expect("it is accepted");
    }

    /// Just after so much of the clock.
    async fn at(&self, since_begin: Duration) {
        self.clock.sleep_until(BEGIN + since_begin + Duration::from_secs(1)).await;
    }

    fn balances(&self) -> u64 {
        self.upstream.balances.load(Ordering::Relaxed)
    }

    async fn readings(&self) -> Vec<Reading> {
        self.store.ledger(Day(0), Timestamp(0)).await.expect("it is in memory").readings
    }
}

#[tokio::test(start_paused = true)]
async fn the_balance_is_read_at_the_start_and_each_hour_in_which_something_was_answered() {
    let gateway = Gateway::start(HOUR).await;
    let minute = Duration::from_mins(1);
    gateway.at(Duration::from_secs(58)).await;
    assert_eq!(gateway.balances(), 0);
    gateway.at(minute).await;
    assert_eq!(gateway.balances(), 1);
    gateway.at(minute + HOUR * 10).await;
    assert_eq!(gateway.balances(), 1, "an idle gateway calls nobody");
    for _ in 0..3 {
        gateway.upload().await;
    }
    gateway.at(minute + HOUR * 11).await;
    assert_eq!(gateway.balances(), 2);
    gateway.at(minute + HOUR * 40).await;
    assert_eq!(gateway.balances(), 2);

    let readings = gateway.readings().await;
    let [first, last] = &readings[..] else { panic!("{readings:?}") };
    let compared = last.compared_with(first);
    assert_eq!((compared.spent.to_string().as_str(), compared.left_out), ("0.03", 0));
    assert_eq!(compared.charged.unpriced.get(&Method::Text), Some(&3));
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_may_not_read_the_balance_keeps_what_clients_are_told() {
    let gateway = Gateway::start(Duration::ZERO).await;
    gateway.at(HOUR * 5).await;
    gateway.upload().await;
    gateway.at(HOUR * 10).await;
    assert_eq!(gateway.balances(), 0);
    let told = gateway.driver.account.ask(capgate::driver::account::Question::Balance).await;
    assert_eq!(told.as_deref(), Ok("9.99"));
    gateway.at(HOUR * 11).await;
    assert_eq!(gateway.readings().await.len(), 1);
}
