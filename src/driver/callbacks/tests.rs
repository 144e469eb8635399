use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::*;
use crate::driver::troubles::Troubles;
use crate::protocol::pingback::{Host, Push};
use crate::receivers::NotTaken;
use crate::store::{Day, Dead, Delivery, Ledger, MemoryStore, Recovered, Store};

const START: Timestamp = Timestamp(1_800_000_000_000);
const TARGET: &str = "http://gw.example/x";

/// Takes everything that is pushed.
#[derive(Default)]
struct Taking(Mutex<Vec<(CaptchaId, Bytes)>>);

impl Taking {
    fn told(&self) -> Vec<(u64, Bytes)> {
        self.0.lock().unwrap().iter().map(|(id, code)| (id.0, code.clone())).collect()
    }
}

impl Receivers for Taking {
    fn resolve(&self, _: &Host, _: &config::Pingback) -> BoxFuture<'static, Result<Vec<IpAddr>, NotTaken>> {
        Box::pin(std::future::ready(Ok(vec![IpAddr::from([10, 0, 0, 1])])))
    }

    fn push(
        &self,
        _: &Target,
        body: Bytes,
        _: &config::Pingback,
    ) -> BoxFuture<'static, Result<(), NotTaken>> {
        let Push { id, code } = Push::parse("", &body).unwrap();
        self.0.lock().unwrap().push((id, code));
        Box::pin(std::future::ready(Ok(())))
    }
}

/// A store that can be down.
#[derive(Default)]
struct Moody {
    is_down: AtomicBool,
    inner: MemoryStore,
}

impl Store for Moody {
    fn load(&self) -> BoxFuture<'_, Result<Recovered, StoreError>> {
        self.inner.load()
    }

    fn commit(&self, change: Change) -> BoxFuture<'_, Result<(), StoreError>> {
        if self.is_down.load(Ordering::Relaxed) {
            return std::future::ready(Err(StoreError::Failed("down".into()))).boxed();
        }
        self.inner.commit(change)
    }

    fn ledger(&self, since: Day, open_since: Timestamp) -> BoxFuture<'_, Result<Ledger, StoreError>> {
        self.inner.ledger(since, open_since)
    }
}

struct Bench {
    clock: Clock,
    store: Arc<Moody>,
    receivers: Arc<Taking>,
    callbacks: Arc<Callbacks>,
}

impl Bench {
    /// With one client, `team-a`, that has registered `gw.example`.
    fn start() -> Self {
        let (clock, metrics) = (Clock::starting_at(START), Arc::new(Metrics::default()));
        let (store, receivers) = (Arc::new(Moody::default()), Arc::new(Taking::default()));
        let troubles = Arc::new(Troubles::new(clock));
        let keeper =
            Arc::new(Keeper::new(clock, Arc::<Moody>::clone(&store), Arc::clone(&metrics), troubles));
        let live = Live::new(config::Config::default());
        let all: Arc<dyn Receivers> = Arc::<Taking>::clone(&receivers);
        let hosts = vec![("team-a".to_owned(), "gw.example".to_owned())];
        let registered = Pingbacks::new(keeper, all, live.clone(), hosts);
        let tasks = Tasks::new(clock);
        let callbacks = Callbacks::new(clock, tasks.clone(), registered, metrics, live);
        tasks.spawn_endless(Arc::clone(&callbacks).run());
        Self { clock, store, receivers, callbacks }
    }

    fn promise(&self, client: &str) -> Result<Wanted, Refusal> {
        self.callbacks.promise(&client.into(), Target::parse(TARGET.as_bytes()).unwrap())
    }

    /// A captcha whose outcome is wanted was accepted, and that was kept.
    async fn accept(&self, id: u64) {
        let wanted = self.promise("team-a").unwrap();
        let change = self.callbacks.accepted(CaptchaId(id), wanted, self.clock.now());
        self.store.commit(change).await.unwrap();
    }

    async fn sleep(&self, seconds: u64) {
        self.clock.sleep(Duration::from_secs(seconds)).await;
    }

    async fn kept(&self) -> Vec<Delivery> {
        self.store.load().await.unwrap().deliveries
    }
}

fn delivery(id: u64, since: Timestamp, code: Option<&'static str>) -> Delivery {
    let (client, target) = ("team-a".to_owned(), TARGET.to_owned());
    Delivery { id: CaptchaId(id), client, target, since, code: code.map(Bytes::from), dead: None }
}

#[tokio::test(start_paused = true)]
async fn a_client_waits_for_so_many_outcomes_and_not_one_more() {
    let bench = Bench::start();
    let mut wanted: Vec<Wanted> = (0..OPEN_MAX).map(|_| bench.promise("team-a").unwrap()).collect();
    assert_eq!(bench.promise("team-a").map(drop), Err(Refusal::PingbacksFull));
    wanted.pop();
    assert!(bench.promise("team-a").is_ok(), "a place is free");
    assert!(matches!(bench.promise("team-b"), Err(Refusal::Wrong(_))), "the host is another client's");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_pushed_before_it_is_kept() {
    let bench = Bench::start();
    bench.accept(1).await;
    bench.store.is_down.store(true, Ordering::Relaxed);
    bench.callbacks.ended(CaptchaId(1), || "x".into());
    bench.sleep(600).await;
    assert_eq!(bench.receivers.told(), []);
    bench.store.is_down.store(false, Ordering::Relaxed);
    bench.sleep(2).await;
    assert_eq!(bench.receivers.told(), [(1, "x".into())]);
    assert_eq!((bench.kept().await, bench.callbacks.counts()), (Vec::new(), (0, 0)));
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_was_never_kept_is_in_the_list_and_was_not_pushed() {
    let bench = Bench::start();
    bench.accept(1).await;
    bench.store.is_down.store(true, Ordering::Relaxed);
    bench.callbacks.ended(CaptchaId(1), || "x".into());
    bench.sleep(3_602).await;
    let [letter] = &bench.callbacks.dead_letters()[..] else { panic!("it is not in the list") };
    assert_eq!(letter.dead.why, "it could not be kept: the store failed: down");
    assert_eq!(bench.receivers.told(), []);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_is_told_once_and_only_of_captchas_whose_client_wants_it() {
    let bench = Bench::start();
    bench.accept(1).await;
    for id in [1, 1, 2] {
        bench.callbacks.ended(CaptchaId(id), || "x".into());
    }
    bench.sleep(10).await;
    assert_eq!(bench.receivers.told(), [(1, "x".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_restart_takes_each_delivery_up_where_it_was() {
    let bench = Bench::start();
    let old = START - Duration::from_hours(2);
    let young = START - Duration::from_mins(1);
    let mut dead = delivery(6, old, Some("dead"));
    dead.dead = Some(Dead { at: young, why: "status 500".to_owned() });
    let recovered = vec![
        delivery(1, young, Some("due")),
        delivery(2, young, None), // solved, and the process ended before it was due
        delivery(3, young, None), // still open
        delivery(4, young, None), // never accepted: nobody was told of it
        delivery(5, old, None),   // forgotten without an answer
        dead,
        delivery(7, old, Some("too old")),
    ];
    let outcome = |id: CaptchaId| match id.0 {
        2 => Some(Some("solved".into())),
        3 => Some(None),
        _ => None,
    };
    bench.callbacks.recover(recovered, outcome, START - Duration::from_mins(15));
    bench.sleep(10).await;
    let mut told = bench.receivers.told();
    told.sort();
    assert_eq!(told, [(1, "due".into()), (2, "solved".into()), (5, EXPIRED.as_str().into())]);
    assert_eq!(bench.callbacks.counts(), (1, 0));
    let dead: Vec<u64> = bench.callbacks.dead_letters().iter().map(|letter| letter.id.0).collect();
    assert_eq!(dead, [7, 6], "newest first");
    bench.callbacks.ended(CaptchaId(3), || "late".into());
    assert_eq!(bench.callbacks.revive().await, Ok(2));
    bench.sleep(10).await;
    assert_eq!(bench.receivers.told().len(), 6);
    assert_eq!((bench.kept().await, bench.callbacks.dead_letters().len()), (Vec::new(), 0));
}
