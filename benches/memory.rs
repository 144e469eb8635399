//! What the gateway keeps of captchas, counted by its allocator: bytes for each that is open, the ids that the store knows
//! by heart among them, and whether anything stays of those that have come and gone. Days pass under a paused clock.

mod quiet;
#[path = "tool/records.rs"]
mod records;

use std::alloc::System;
use std::time::Duration;

use capgate::protocol::ids::CaptchaId;
use capgate::store::SqliteStore;
use clap::Parser;
use quiet::Quiet;
use records::FIRST_ID;
use serde_json::json;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::runtime::Runtime;

#[global_allocator]
static COUNTED: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Captchas that come at once while they come and go.
const TOGETHER: u64 = 1_000;
/// So that some 100,000 are remembered at any time: each for 16 minutes.
const EVERY: Duration = Duration::from_secs(10);
/// The first looks are made within it, and the moments of the next are known.
const LOOKED_AT_WITHIN: Duration = Duration::from_mins(1);

#[derive(Parser)]
struct Options {
    /// How many are open; repeatable.
    #[arg(long = "open")]
    open: Vec<u64>,
    /// How many come and go.
    #[arg(long, default_value_t = 0)]
    churn: u64,
    /// Cargo adds it.
    #[arg(long, hide = true)]
    bench: bool,
}

fn paused() -> Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without IO starts")
}

/// Bytes that are in use and were not when `since` began.
fn grown(since: &Region<'_, System>) -> f64 {
    let change = since.change();
    #[expect(clippy::cast_precision_loss, reason = "bytes of a machine's memory")]
    let bytes = |count: usize| count as f64;
    bytes(change.bytes_allocated) - bytes(change.bytes_deallocated)
}

#[expect(clippy::cast_precision_loss, reason = "as many as a machine has room for")]
fn each(bytes: f64, count: u64) -> f64 {
    bytes / count as f64
}

/// Bytes that the driver has of each open captcha, and the store.
fn of_open(count: u64) -> anyhow::Result<(f64, f64)> {
    let runtime = paused();
    let quiet = runtime.block_on(Quiet::start(&quiet::settings(), quiet::NOT_READY));
    let since = Region::new(COUNTED);
    runtime.block_on(async {
        (0..count).for_each(|number| quiet.open(CaptchaId(FIRST_ID + number)));
        quiet.clock.sleep(LOOKED_AT_WITHIN).await;
    });
    let by_driver = grown(&since);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let store = SqliteStore::open(&folder.path().join("memory.db"))?;
    let since = Region::new(COUNTED);
    records::write(&store, count, 0)?;
    Ok((each(by_driver, count), each(grown(&since), count)))
}

/// Bytes in use when the first fifth has come, and when all have. From then on as many go as come.
fn of_churn(count: u64) -> (f64, f64) {
    let runtime = paused();
    let quiet = runtime.block_on(Quiet::start(&quiet::settings(), "answer"));
    let since = Region::new(COUNTED);
    let come = |from: u64, until: u64| {
        runtime.block_on(async {
            let mut number = from;
            while number < until {
                (number..number + TOGETHER).for_each(|number| quiet.open(CaptchaId(FIRST_ID + number)));
                number += TOGETHER;
                quiet.clock.sleep(EVERY).await;
            }
        });
    };
    come(0, count / 5);
    let before = grown(&since);
    come(count / 5, count);
    (before, grown(&since))
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let mut sizes = Vec::new();
    for count in &options.open {
        let (by_driver, by_store) = of_open(*count)?;
        sizes.push(json!({ "open": count, "by_driver": by_driver, "by_store": by_store }));
    }
    let (before, after) = of_churn(options.churn);
    let churn =
        json!({ "captchas": options.churn, "first": options.churn / 5, "before": before, "after": after });
    println!("{}", json!({ "sizes": sizes, "churn": churn }));
    Ok(())
}
