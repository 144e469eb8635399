//! How large the store's file is while a million captchas pass through it, each forgotten 16 minutes after its upload as
//! the gateway forgets it, at the highest pace that the upstream takes for long: 20 a second.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the time")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails may panic")]

use std::path::Path;
use std::time::{Duration, Instant};

use capgate::clock::{Day, Timestamp};
use capgate::protocol::answer::{Answer, Solution};
use capgate::protocol::ids::CaptchaId;
use capgate::protocol::methods::Method;
use capgate::protocol::repeat::{Repeat, Sameness};
use capgate::store::{Change, Intent, IntentId, SqliteStore, Store};
use futures_util::future::try_join_all;
use tokio::runtime::Runtime;

const CAPTCHAS: u64 = 1_000_000;
const CAPTCHAS_PER_SECOND: u64 = 20;
const BEGIN: Timestamp = Timestamp(1_800_000_000_000);
/// A captcha stays so long, and what is too old leaves so often (driver/recovery).
const KEPT: Duration = Duration::from_mins(16);
const FORGET_EVERY_SECONDS: u64 = 30;
/// A reCAPTCHA's token is about so long.
const ANSWER_BYTES: usize = 700;
/// Budgets are kept before each call and after it; about so long.
const BUDGETS_BYTES: usize = 3_000;
const BUDGETS_PER_CAPTCHA: u64 = 4;

/// All changes of the captchas of `FORGET_EVERY_SECONDS`, in the order in which they depend on each other.
async fn half_a_minute(store: &SqliteStore, first: u64) {
    let numbers = || first..first + CAPTCHAS_PER_SECOND * FORGET_EVERY_SECONDS;
    let at = |number: u64| BEGIN + Duration::from_millis(number * 1_000 / CAPTCHAS_PER_SECOND);
    let method = |number: u64| if number.is_multiple_of(3) { Method::Image } else { Method::RecaptchaV2 };
    let client = |number: u64| format!("team-{}", number % 10);
    let repeat = Some(Repeat { same: Sameness::from_bytes([7; 32]), key: None });
    let budgets = "b".repeat(BUDGETS_BYTES);
    let solution = || Solution::from(Answer::Text(vec![b't'; ANSWER_BYTES].into()));
    let noted = numbers().map(|number| {
        let (client, method, at) = (client(number), method(number), at(number));
        store.commit(Change::Submitting(Intent { id: IntentId(number), client, method, at }))
    });
    try_join_all(noted).await.unwrap();
    for _ in 0..BUDGETS_PER_CAPTCHA {
        try_join_all(numbers().map(|_| store.commit(Change::Budgets(budgets.clone())))).await.unwrap();
    }
    let accepted = numbers().map(|number| {
        let (intent, id, at) = (IntentId(number), CaptchaId(70_000_000_000 + number), at(number));
        store.commit(Change::Accepted { intent, id, at, repeat })
    });
    try_join_all(accepted).await.unwrap();
    let told =
        numbers().map(|number| store.commit(Change::Delivered { id: CaptchaId(70_000_000_000 + number) }));
    try_join_all(told).await.unwrap();
    let solved = numbers().map(|number| {
        let (id, at) = (CaptchaId(70_000_000_000 + number), at(number) + Duration::from_secs(20));
        store.commit(Change::Solved { id, solution: solution(), at })
    });
    try_join_all(solved).await.unwrap();
    let now = at(numbers().end);
    store.commit(Change::Forget { uploaded_before: now - KEPT }).await.unwrap();
}

fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |file| file.len())
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = place.path().join("capgate.db");
    let store = SqliteStore::open(&path).unwrap();
    println!("| captchas so far | in the file | the file, MB | its log, MB | seconds |");
    println!("| ---: | ---: | ---: | ---: | ---: |");
    let began = Instant::now();
    let show = |so_far: u64| {
        let recovered = runtime.block_on(store.load()).unwrap();
        let mb = |name: &str| bytes(&path.with_file_name(name)) / 1_000_000;
        let (file, log) = (mb("capgate.db"), mb("capgate.db-wal"));
        let (kept, took) = (recovered.captchas.len(), began.elapsed().as_secs());
        println!("| {so_far} | {kept} | {file} | {log} | {took} |");
    };
    let step = CAPTCHAS_PER_SECOND * FORGET_EVERY_SECONDS;
    for first in (0..CAPTCHAS).step_by(usize::try_from(step).unwrap()) {
        runtime.block_on(half_a_minute(&store, first));
        if (first + step).is_multiple_of(102_000) || first + step >= CAPTCHAS {
            show(first + step);
        }
    }
    let usage = runtime.block_on(store.ledger(Day(0), Timestamp(0))).unwrap().usage;
    assert_eq!(usage.total().uploads, CAPTCHAS.next_multiple_of(step));
    drop(store);
    println!("closed: {} MB in the file, {} rows of usage", bytes(&path) / 1_000_000, usage.rows().count());
}
