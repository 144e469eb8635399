//! A driver in a process of its own making, for what is counted and not timed against others: its store keeps nothing,
//! and its upstream is here.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use capgate::clients::{Client, Clients};
use capgate::clock::{Clock, Timestamp};
use capgate::config::{self, Config, Pingback};
use capgate::driver::Driver;
use capgate::engine::BudgetMode;
use capgate::metrics::Metrics;
use capgate::protocol::ids::{CaptchaId, ClientKey, UpstreamKey};
use capgate::protocol::methods::Method;
use capgate::protocol::pingback::{Host, Target};
use capgate::receivers::{NotTaken, Receivers};
use capgate::store::{Change, Day, Ledger, Recovered, Store, StoreError};
use capgate::upstream::{Call, Upstream, UpstreamError};
use futures_util::future::{BoxFuture, ready};

/// The client's key; it opens nothing else.
pub const KEY: &str = "fakefakefakefakefakefakefake0001";
/// A method whose answers are taken from batches.
pub const METHOD: Method = Method::RecaptchaV2;
const BEGIN: Timestamp = Timestamp(1_800_000_000_000);
/// What is said of a captcha that is not solved.
pub const NOT_READY: &str = "CAPCHA_NOT_READY";
/// How long a call to the upstream takes.
const CALL_TAKES: Duration = Duration::from_millis(50);

struct Nothing;

impl Store for Nothing {
    fn load(&self) -> BoxFuture<'_, Result<Recovered, StoreError>> {
        Box::pin(ready(Ok(Recovered::default())))
    }

    fn commit(&self, _: Change) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(ready(Ok(())))
    }

    fn ledger(&self, _: Day, _: Timestamp) -> BoxFuture<'_, Result<Ledger, StoreError>> {
        Box::pin(ready(Ok(Ledger::default())))
    }
}

/// Says the same of every captcha.
struct Looks(Clock, &'static str);

impl Upstream for Looks {
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Bytes, UpstreamError>> {
        let (clock, word) = (self.0, self.1);
        let said = match call {
            Call::Look(look) if look.ids.len() == 1 && word != NOT_READY => format!("OK|{word}"),
            Call::Look(look) => vec![word; look.ids.len()].join("|"),
            _ => "1000.0".to_owned(),
        };
        Box::pin(async move {
            clock.sleep(CALL_TAKES).await;
            Ok(said.into())
        })
    }
}

struct Nobody;

impl Receivers for Nobody {
    fn resolve(&self, _: &Host, _: &Pingback) -> BoxFuture<'static, Result<Vec<IpAddr>, NotTaken>> {
        Box::pin(ready(Err(NotTaken::NoSuchHost)))
    }

    fn push(&self, _: &Target, _: Bytes, _: &Pingback) -> BoxFuture<'static, Result<(), NotTaken>> {
        Box::pin(ready(Err(NotTaken::NoSuchHost)))
    }
}

/// Settings with one client, whose polls are not held. No budget binds it.
pub fn settings() -> Config {
    let mut config = Config::default();
    config.upstream.key = Some(UpstreamKey::new("fakefakefakefakefakefakefake0000"));
    config.upstream.balance_every = Duration::ZERO;
    config.polling.hold = Duration::ZERO;
    config.budget.mode = BudgetMode::Observe;
    let keys = vec![ClientKey::parse(KEY.as_bytes()).expect("a key has 32 symbols")];
    config.clients = vec![config::Client { name: "team-a".to_owned(), keys, ..config::Client::default() }];
    config
}

#[derive(Debug)]
pub struct Quiet {
    pub clock: Clock,
    pub driver: Driver,
    pub client: Arc<Client>,
}

impl Quiet {
    /// On the present runtime; the upstream `says` the same of every captcha.
    pub async fn start(settings: &Config, says: &'static str) -> Self {
        let (clock, metrics) = (Clock::starting_at(BEGIN), Arc::new(Metrics::default()));
        let upstream = Arc::new(Looks(clock, says));
        let client = Clients::new(settings, &metrics).find(Some(KEY.as_bytes())).expect("its key is there");
        let driver = Driver::start(settings, clock, Arc::new(Nothing), upstream, Arc::new(Nobody), metrics);
        let driver = driver.await.expect("nothing can be read");
        Self { clock, driver, client }
    }

    /// What an upload leaves once the upstream has taken it.
    pub fn open(&self, id: CaptchaId) {
        let (driver, now) = (&self.driver, self.clock.now());
        let mut reserved = driver.allowances.reserve(&self.client, METHOD).expect("the client has no limits");
        reserved.sent();
        driver.gate.captcha_opened();
        assert!(driver.answers.add(id, Arc::clone(&self.client.name), METHOD, now, None, None));
        reserved.accepted(id, now);
        driver.poller.open(id, METHOD.into(), now);
    }
}
