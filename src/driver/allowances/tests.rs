use std::time::Duration;

use super::*;
use crate::clients::Clients;
use crate::config::{self, Config, Exact};
use crate::metrics::Metrics;
use crate::protocol::answer::{Answer, Solution};
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::ClientKey;
use crate::store::{Intent, IntentId, MemoryStore, NotAccepted};

const KEY: &[u8] = b"fake-client-key-0000000000000001";
const NOON: Timestamp = Timestamp(1_795_089_600_000);
/// What an image costs by default.
const IMAGE: &str = "0.001";

fn usd(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// A client with 1 USD a day, 9 USD a month and 100 captchas a day.
fn client() -> Arc<Client> {
    let settings = config::Client {
        name: "team-a".into(),
        keys: vec![ClientKey::parse(KEY).unwrap()],
        max_open: Some(50),
        daily_budget_usd: Some(Exact(usd("1"))),
        monthly_budget_usd: Some(Exact(usd("9"))),
        daily_budget_captchas: Some(100),
        ..config::Client::default()
    };
    let config = Config { clients: vec![settings], ..Config::default() };
    Clients::new(&config, &Metrics::default()).find(Some(KEY)).unwrap()
}

fn allowances() -> Arc<Allowances> {
    Arc::new(Allowances::new(Clock::starting_at(NOON), Live::new(Config::default())))
}

/// Money of the day and the month, and captchas of the day.
fn left(allowances: &Allowances) -> [String; 3] {
    let left = allowances.left(&client());
    [0, 2, 1].map(|index| left[index].left.normalize().to_string())
}

fn solved(id: u64, price: Option<&str>) -> Change {
    let answer = Answer::Text("five".into());
    let solution = Solution { answer, price: price.map(str::to_owned) };
    Change::Solved { id: CaptchaId(id), solution, at: NOON }
}

fn failed(id: u64) -> Change {
    let solution = Answer::Failed(ErrorCode::Unsolvable.into()).into();
    Change::Solved { id: CaptchaId(id), solution, at: NOON }
}

fn accepted(allowances: &Arc<Allowances>, id: u64) {
    let mut reserved = allowances.reserve(&client(), Method::Image).unwrap();
    reserved.sent();
    reserved.accepted(CaptchaId(id), allowances.clock.now());
}

#[tokio::test(start_paused = true)]
async fn what_was_not_bought_is_given_back_and_what_may_have_been_is_not() {
    let allowances = allowances();
    let mut reserved = allowances.reserve(&client(), Method::Image).unwrap();
    assert_eq!(
        (left(&allowances), allowances.open("team-a")),
        (["0.999", "8.999", "99"].map(String::from), 1)
    );
    reserved.sent();
    reserved.not_taken();
    drop(reserved);
    assert_eq!((left(&allowances), allowances.open("team-a")), (["1", "9", "100"].map(String::from), 0));
    let mut reserved = allowances.reserve(&client(), Method::Image).unwrap();
    reserved.sent();
    drop(reserved);
    assert_eq!(
        (left(&allowances), allowances.open("team-a")),
        (["0.999", "8.999", "99"].map(String::from), 0)
    );
}

#[tokio::test(start_paused = true)]
async fn an_answers_price_takes_the_place_of_the_settings_and_a_failed_captcha_is_free() {
    let allowances = allowances();
    for id in 1..=4 {
        accepted(&allowances, id);
    }
    assert_eq!(left(&allowances), ["0.996", "8.996", "96"]);
    allowances.note(&solved(1, Some("0.00077")));
    allowances.note(&solved(2, None));
    allowances.note(&failed(3));
    assert_eq!(
        (left(&allowances), allowances.open("team-a")),
        (["0.99723", "8.99723", "96"].map(String::from), 1)
    );
    // The same again, and what is nobody's.
    for change in [solved(1, Some("0.00077")), failed(3), solved(2, None), solved(9, Some("1"))] {
        allowances.note(&change);
    }
    assert_eq!((left(&allowances)[0].as_str(), allowances.open("team-a")), ("0.99723", 1));
    // A price that is told late, one that is none, and one that comes too late.
    allowances.note(&Change::Priced { id: CaptchaId(2), price: "0.00123".into() });
    assert_eq!(left(&allowances)[0], "0.997");
    accepted(&allowances, 5);
    allowances.note(&solved(5, Some("free")));
    assert_eq!(left(&allowances)[0], "0.996");
    allowances.clock.sleep(LIFETIME).await;
    assert_eq!(allowances.open("team-a"), 0, "the fourth gets no answer any more, and no look costs");
    allowances.note(&Change::Priced { id: CaptchaId(5), price: "0.5".into() });
    assert_eq!(left(&allowances)[0], "0.996", "what has no answer counts as it was taken");
    let state = allowances.state();
    assert_eq!(state.charged.len() + state.by_age.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_balance_is_what_is_left_of_the_tighter_limit_and_never_rounded_up() {
    let allowances = allowances();
    assert_eq!(allowances.balance(&client()).as_deref(), Some("1.00000"));
    accepted(&allowances, 1);
    allowances.note(&solved(1, Some("0.000001")));
    assert_eq!(allowances.balance(&client()).as_deref(), Some("0.99999"));
    let without = Clients::new(
        &Config { auth: config::Auth { mode: config::AuthMode::Open }, ..Config::default() },
        &Metrics::default(),
    );
    assert_eq!(allowances.balance(&without.find(None).unwrap()), None);
}

/// What the driver does with an upload, in the store and in the allowances.
async fn play(store: &MemoryStore, allowances: &Arc<Allowances>, id: u64, ends: Option<Change>) {
    let at = allowances.clock.now();
    let intent = IntentId(id);
    let upload = Intent { id: intent, client: "team-a".into(), method: Method::Image, at };
    let mut reserved = allowances.reserve(&client(), Method::Image).unwrap();
    store.commit(Change::Submitting(upload)).await.unwrap();
    reserved.sent();
    let Some(end) = ends else {
        return store.commit(Change::NotAccepted { intent, how: NotAccepted::Unknown, at }).await.unwrap();
    };
    store.commit(Change::Accepted { intent, id: CaptchaId(id), at, repeat: None }).await.unwrap();
    reserved.accepted(CaptchaId(id), at);
    allowances.note(&end);
    store.commit(end).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_as_much_is_spent_and_open_as_before() {
    let (store, before) = (MemoryStore::default(), allowances());
    let nothing = |id| Some(Change::Delivered { id: CaptchaId(id) });
    let yesterdays = [None, Some(solved(1, Some("0.3"))), Some(failed(2)), nothing(3), Some(solved(4, None))];
    for (id, end) in (0..).zip(yesterdays) {
        play(&store, &before, id, end).await;
    }
    // To the next day; what was open is forgotten, and stays spent.
    before.clock.sleep(Duration::from_hours(13)).await;
    let uploaded_before = before.clock.now() - LIFETIME;
    store.commit(Change::Forget { uploaded_before }).await.unwrap();
    let todays = [
        None,
        Some(solved(11, Some("0.2"))),
        Some(failed(12)),
        nothing(13),
        Some(solved(14, None)),
        nothing(15),
    ];
    for (id, end) in (10..).zip(todays) {
        play(&store, &before, id, end).await;
    }
    let captchas = store.load().await.unwrap().captchas;
    let live = Live::new(Config::default());
    let after = Allowances::recovered(before.clock, live, &store, &captchas).await.unwrap();
    assert_eq!((left(&after), after.open("team-a")), (left(&before), before.open("team-a")));
    assert_eq!((left(&after)[0].as_str(), after.open("team-a")), ("0.796", 2));
    // And from there on both go the same way.
    for change in
        [failed(13), solved(15, Some("0.1")), Change::Priced { id: CaptchaId(14), price: "0.04".into() }]
    {
        before.note(&change);
        after.note(&change);
    }
    assert_eq!((left(&after), after.open("team-a")), (left(&before), before.open("team-a")));
    assert_eq!((left(&after)[0].as_str(), after.open("team-a")), ("0.659", 0));
    assert_eq!(usd(IMAGE), Prices::default().of_one(Method::Image));
}

#[tokio::test(start_paused = true)]
async fn on_the_first_of_a_month_yesterdays_open_captchas_are_taken_up_as_well() {
    let first: Day = "2026-12-01".parse().unwrap();
    assert_eq!(Allowances::needs_since(first.start()), "2026-11-30".parse().unwrap());
    assert_eq!(Allowances::needs_since(Timestamp(first.start().0 - 1)), "2026-11-01".parse().unwrap());
}
