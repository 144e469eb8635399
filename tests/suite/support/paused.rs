//! A driver in front of the simulator's model, without sockets, for tests under a paused clock: hours take no time, and
//! each run is like the one before.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use capgate::clients::{Client, Clients};
use capgate::clock::{Clock, Timestamp};
use capgate::config::{self, Config};
use capgate::driver::Driver;
use capgate::metrics::Metrics;
use capgate::protocol::{CaptchaId, ClientKey, Field, Form, Upload, UpstreamKey};
use capgate::simulator::{DEFAULT_KEY, Endpoint, Fault, Model, Reply, Scenario};
use capgate::store::{MemoryStore, Store};
use capgate::upstream::{Call, Upstream, UpstreamError};
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::{NoReceivers, client_key, urlencoded};

const BEGIN: Timestamp = Timestamp(1_800_000_000_000);

/// Runs a test under a paused clock, on one thread.
pub fn paused<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without IO starts").block_on(test)
}

/// The simulator's model at the end of a way that takes time.
#[derive(Debug)]
pub struct ModelUpstream {
    model: Mutex<Model>,
    clock: Clock,
    /// One way, there or back.
    way: Duration,
    /// A call has changed it.
    changed: Notify,
}

impl ModelUpstream {
    pub fn new(scenario: Scenario, way: Duration, clock: Clock) -> Arc<Self> {
        let model = Mutex::new(Model::new(scenario, clock.now()));
        Arc::new(Self { model, clock, way, changed: Notify::new() })
    }

    pub fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a new connection takes.
    pub async fn connect(&self) {
        self.clock.sleep(self.way * WAYS_TO_CONNECT).await;
    }

    /// A call of whoever talks to the upstream itself.
    pub async fn handle(&self, endpoint: Endpoint, form: &Form) -> Reply {
        self.clock.sleep(self.way).await;
        let reply = self.model().handle(endpoint, form, self.clock.now());
        self.changed.notify_one();
        self.clock.sleep(self.way).await;
        reply
    }

    /// Pushes answers to the gateway as they come, for ever; each is one way under way.
    async fn push(self: Arc<Self>, driver: Arc<Driver>) {
        loop {
            let changed = self.changed.notified();
            let (next, now) = (self.model().next_push_at(), self.clock.now());
            if next > now {
                tokio::select! {
                    () = changed => {}
                    () = self.clock.sleep_until(next) => {}
                }
            }
            let due = self.model().pushes_due(self.clock.now());
            for (push, code) in due {
                let (upstream, driver) = (Arc::clone(&self), Arc::clone(&driver));
                tokio::spawn(async move {
                    upstream.clock.sleep(upstream.way).await;
                    let id = push.id.to_string();
                    let body = urlencoded(&[("id", id.as_str()), ("code", code.as_str())]);
                    driver.pushes.arrived("", &Bytes::from(body));
                    upstream.model().push_taken(push.id, upstream.clock.now());
                });
            }
        }
    }
}

/// How long the gateway keeps an idle connection, for uploads and for all else.
const KEPT_FOR: [Duration; 2] = [Duration::from_secs(4), Duration::from_secs(30)];
/// Ways that a new connection takes before a call can go out: the hands of TCP and of TLS are shaken.
const WAYS_TO_CONNECT: u32 = 4;

/// The driver's way to it.
#[derive(Debug)]
struct Line {
    upstream: Arc<ModelUpstream>,
    /// When a connection was last used, for uploads and for all else.
    used_at: Arc<Mutex<[Timestamp; 2]>>,
}

impl Line {
    /// Whether the call can go out on a connection that stands already.
    fn is_connected(used_at: &Mutex<[Timestamp; 2]>, call: &Call, now: Timestamp) -> bool {
        let which = usize::from(!matches!(call, Call::Submit(_)));
        let mut used_at = used_at.lock().unwrap_or_else(PoisonError::into_inner);
        now.since(std::mem::replace(&mut used_at[which], now)) < KEPT_FOR[which]
    }
}

impl Upstream for Line {
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Bytes, UpstreamError>> {
        let (upstream, used_at) = (Arc::clone(&self.upstream), Arc::clone(&self.used_at));
        Box::pin(async move {
            if !Self::is_connected(&used_at, &call, upstream.clock.now()) {
                upstream.connect().await;
            }
            let (endpoint, form) = form_of(&call);
            let reply = upstream.handle(endpoint, &form).await;
            match reply.fault {
                None => Ok(reply.body),
                Some(Fault::Delay(delay)) => {
                    upstream.clock.sleep(delay).await;
                    Ok(reply.body)
                }
                Some(_) => Err(UpstreamError::Lost("a fault".to_owned())),
            }
        })
    }
}

/// What arrives at the upstream.
pub fn form_of(call: &Call) -> (Endpoint, Form) {
    let key = UpstreamKey::new(DEFAULT_KEY);
    if let Call::Submit(upload) = call {
        let mut form = Form::default();
        let (key, push) = (Field::text("key", DEFAULT_KEY), upload.push_field());
        for field in std::iter::once(&key).chain(upload.fields()).chain(&push) {
            form.set(field.clone()).expect("an upload has few parameters");
        }
        return (Endpoint::InPhp, form);
    }
    let query = call.query(&key);
    let form = Form::decode(std::str::from_utf8(&query).expect("a query is text"), &Bytes::new());
    let endpoint = if matches!(call, Call::Load) { Endpoint::LoadPhp } else { Endpoint::ResPhp };
    (endpoint, form.expect("a query can be read"))
}

/// A gateway under a paused clock.
pub struct PausedGateway {
    pub clock: Clock,
    pub driver: Arc<Driver>,
    pub upstream: Arc<ModelUpstream>,
    pub metrics: Arc<Metrics>,
    clients: Clients,
    config: Config,
}

impl PausedGateway {
    /// Settings are those of a real account, with `count` clients.
    pub async fn start(
        scenario: Scenario,
        way: Duration,
        count: usize,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        Self::start_on(Arc::new(MemoryStore::default()), scenario, way, count, change).await
    }

    /// The same, on a store of the test's own.
    pub async fn start_on(
        store: Arc<dyn Store>,
        scenario: Scenario,
        way: Duration,
        count: usize,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let clock = Clock::starting_at(BEGIN);
        let mut config = Config::default();
        config.upstream.key = Some(UpstreamKey::new(DEFAULT_KEY));
        config.upstream.balance_every = Duration::ZERO;
        let client = |number| config::Client {
            name: format!("client-{number}"),
            keys: vec![ClientKey::parse(client_key(number).as_bytes()).expect("a key has 32 symbols")],
            ..config::Client::default()
        };
        config.clients = (1..=count).map(client).collect();
        change(&mut config);
        let upstream = ModelUpstream::new(scenario, way, clock);
        let line = Arc::new(Line { upstream: Arc::clone(&upstream), used_at: Arc::default() });
        let metrics = Arc::new(Metrics::default());
        let receivers = Arc::new(NoReceivers);
        let driver = Driver::start(&config, clock, store, line, receivers, Arc::clone(&metrics)).await;
        let driver = Arc::new(driver.expect("the store can be read"));
        let clients = Clients::new(&config, &metrics);
        tokio::spawn(Arc::clone(&upstream).push(Arc::clone(&driver)));
        Self { clock, driver, upstream, metrics, clients, config }
    }

    /// The process is killed, and another one starts on what the store has; `set_back`: by so much the clock is behind.
    pub async fn killed(&self, store: Arc<dyn Store>, set_back: Duration) -> Driver {
        self.driver.kill();
        let clock = Clock::starting_at(self.clock.now() - set_back);
        let line = Arc::new(Line { upstream: Arc::clone(&self.upstream), used_at: Arc::default() });
        let (receivers, metrics) = (Arc::new(NoReceivers), Arc::new(Metrics::default()));
        let driver = Driver::start(&self.config, clock, store, line, receivers, metrics).await;
        driver.expect("the store can be read")
    }

    /// The client with this number, from 1 on.
    pub fn client(&self, number: usize) -> Arc<Client> {
        self.clients.find(Some(client_key(number).as_bytes())).expect("a client's key")
    }

    /// Client 1 uploads.
    pub async fn upload(&self, query: &str) -> CaptchaId {
        let form = Form::decode(query, &Bytes::new()).expect("a query can be read");
        self.driver.submit(&self.client(1), Upload::check(form)).await.expect("it is accepted")
    }
}
