//! How fast changes become durable, next to a bare file with one fdatasync a group; and how fast a full store starts.
//!
//! The ratio is the promise (at least 0.9): both are measured in turns in one run, on one disk, with as many bytes a
//! record. What the store does later, when nobody waits, is timed by itself, and so is a stream without a pause, which
//! has to wait for it.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the time")]
#![expect(clippy::unwrap_used, reason = "a benchmark that fails may panic")]

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use capgate::clock::Timestamp;
use capgate::protocol::answer::{Answer, Solution};
use capgate::protocol::ids::CaptchaId;
use capgate::protocol::methods::Method;
use capgate::protocol::repeat::{Repeat, Sameness};
use capgate::store::sqlite::GROUP_MAX;
use capgate::store::{Change, Day, Intent, IntentId, SqliteStore, Store};
use criterion::Criterion;
use futures_util::future::{BoxFuture, join_all, try_join_all};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

const WIDTHS: [u64; 4] = [1, 16, 64, 256];
/// Runs of each at each width; odd, for the median.
const TURNS: usize = 15;
const RECORDS_PER_TURN: u64 = 10_000;
/// Of one writer, before SQLite's log has its full size.
const TURNS_WHILE_IT_GROWS: usize = 5;
/// More than fit into SQLite's log when each comes alone.
const RECORDS_OF_A_FULL_LOG: u64 = 5_000;
/// Far more than may wait to be folded.
const RECORDS_OF_A_STREAM: u64 = 400_000;
const STREAM_WIDTH: u64 = 64;
const RECORDS_AT_START: u64 = 100_000;
/// What a record takes in the store's journal: 48 bytes for one that is noted, 78 for one that is accepted.
const RECORD_BYTES: usize = 63;

/// Something that makes a numbered record durable.
trait Durable: Send + Sync {
    fn record(&self, number: u64) -> BoxFuture<'_, ()>;
}

/// Uploads are noted and accepted, in turns.
impl Durable for SqliteStore {
    fn record(&self, number: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let (intent, at) = (IntentId(number / 2), Timestamp(1_800_000_000_000 + number));
            let (client, method) = ("team-a".to_owned(), Method::RecaptchaV2);
            let change = if number.is_multiple_of(2) {
                Change::Submitting(Intent { id: intent, client, method, at })
            } else {
                let repeat = Some(Repeat { same: Sameness::from_bytes([7; 32]), key: None });
                Change::Accepted { intent, id: CaptchaId(70_000_000_000 + number), at, repeat }
            };
            self.commit(change).await.unwrap();
        })
    }
}

/// One thread appends what has arrived and calls fdatasync once.
struct BareFile(mpsc::Sender<oneshot::Sender<()>>);

impl BareFile {
    fn open(path: &Path) -> Self {
        let mut file = File::create(path).unwrap();
        let (sender, mut arrived) = mpsc::channel(4_096);
        std::thread::spawn(move || {
            let mut group = Vec::new();
            while arrived.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
                file.write_all(&vec![b'r'; RECORD_BYTES * group.len()]).unwrap();
                file.sync_data().unwrap();
                group.drain(..).for_each(|done: oneshot::Sender<()>| done.send(()).unwrap());
            }
        });
        Self(sender)
    }
}

impl Durable for BareFile {
    fn record(&self, _: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let (done, told) = oneshot::channel();
            self.0.send(done).await.unwrap();
            told.await.unwrap();
        })
    }
}

struct Run {
    per_second: f64,
    p99: Duration,
}

/// `width` uploads at a time, each with its own numbers: two records follow each other.
async fn run(subject: &Arc<dyn Durable>, first: u64, width: u64, records: u64) -> Run {
    let each = (records / width).next_multiple_of(2);
    let started = Instant::now();
    let uploads = (0..width).map(|upload| {
        let subject = Arc::clone(subject);
        tokio::spawn(async move {
            let mut waits = Vec::new();
            for number in (first + upload * each..).take(usize::try_from(each).unwrap()) {
                let asked = Instant::now();
                subject.record(number).await;
                waits.push(asked.elapsed());
            }
            waits
        })
    });
    let mut waits: Vec<_> = try_join_all(uploads).await.unwrap().into_iter().flatten().collect();
    let took = started.elapsed();
    waits.sort();
    let count = u32::try_from(waits.len()).unwrap();
    Run { per_second: f64::from(count) / took.as_secs_f64(), p99: waits[waits.len() * 99 / 100] }
}

/// The middle, and the quarters around it.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| values[values.len() * quarter / 4])
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let [_, middle, _] = quartiles(values.collect());
    middle
}

struct Compared {
    store: Arc<SqliteStore>,
    file: Arc<BareFile>,
    /// No record has been used yet from this number on.
    first: u64,
}

impl Compared {
    /// SQLite's log grows up to a size, and from then on is written over, which costs a disk less.
    fn fill_log(&mut self, runtime: &Runtime) {
        let store: Arc<dyn Durable> = self.store.clone();
        runtime.block_on(run(&store, self.first, 1, RECORDS_OF_A_FULL_LOG));
        runtime.block_on(self.store.ledger(Day(u32::MAX), Timestamp(0))).unwrap();
        self.first += 2 * RECORDS_OF_A_FULL_LOG;
    }

    /// A run of each; how long the store had to work afterwards.
    fn turn(&mut self, runtime: &Runtime, width: u64, records: u64) -> (Run, Run, Duration) {
        let (store, file): (Arc<dyn Durable>, Arc<dyn Durable>) = (self.store.clone(), self.file.clone());
        let of_store = runtime.block_on(run(&store, self.first, width, records));
        let began = Instant::now();
        // Reading usage folds the journal first, so that the file's turn is its own.
        runtime.block_on(self.store.ledger(Day(u32::MAX), Timestamp(0))).unwrap();
        let folding = began.elapsed();
        let of_file = runtime.block_on(run(&file, self.first, width, records));
        self.first += 2 * records;
        (of_store, of_file, folding)
    }

    fn compare(&mut self, runtime: &Runtime, when: &str, width: u64, records: u64, turns: usize) {
        let turns: Vec<_> = (0..turns).map(|_| self.turn(runtime, width, records)).collect();
        let rate =
            |run: fn(&(Run, Run, Duration)) -> &Run| median(turns.iter().map(|turn| run(turn).per_second));
        let wait = |run: fn(&(Run, Run, Duration)) -> &Run| {
            Duration::from_secs_f64(median(turns.iter().map(|turn| run(turn).p99.as_secs_f64())))
        };
        let [low, ratio, high] =
            quartiles(turns.iter().map(|(store, file, _)| store.per_second / file.per_second).collect());
        let count = f64::from(u32::try_from(records).unwrap());
        let folding = median(turns.iter().map(|(.., folding)| folding.as_secs_f64() * 1e6 / count));
        println!(
            "| {width}{when} | {:.0} | {:.1?} | {:.0} | {:.1?} | {ratio:.2} ({low:.2} to {high:.2}) | {folding:.1} us |",
            rate(|turn| &turn.0),
            wait(|turn| &turn.0),
            rate(|turn| &turn.1),
            wait(|turn| &turn.1),
        );
    }
}

fn compare(runtime: &Runtime, place: &Path) {
    let store = Arc::new(SqliteStore::open(&place.join("compared.db")).unwrap());
    let mut compared = Compared { store, file: Arc::new(BareFile::open(&place.join("bare"))), first: 0 };
    println!(
        "| at once | store, records/s | p99 | bare file, records/s | p99 | ratio (quartiles) | folded later, a record |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    compared.compare(runtime, ", in the first minutes of a file", 1, 500, TURNS_WHILE_IT_GROWS);
    compared.fill_log(runtime);
    for width in WIDTHS {
        compared.compare(runtime, "", width, RECORDS_PER_TURN.min(width * 500), TURNS);
    }
    println!("{RECORDS_OF_A_STREAM} records without a pause:");
    compared.compare(runtime, "", STREAM_WIDTH, RECORDS_OF_A_STREAM, 3);
}

/// Opening and loading a store with 100,000 captchas, half of them solved.
fn start(criterion: &mut Criterion, runtime: &Runtime, path: &Path) {
    let store = SqliteStore::open(path).unwrap();
    let numbers: Vec<_> = (0..2 * RECORDS_AT_START).collect();
    for some in numbers.chunks(4_000) {
        runtime.block_on(async {
            for parity in 0..2 {
                join_all(some.iter().filter(|number| *number % 2 == parity).map(|n| store.record(*n))).await;
            }
            join_all(some.iter().filter(|number| *number % 4 == 1).map(|number| {
                let solution = Solution::from(Answer::Text(vec![b't'; 500].into()));
                let (id, at) = (CaptchaId(70_000_000_000 + number), Timestamp(1_800_000_020_000 + number));
                store.commit(Change::Solved { id, solution, at })
            }))
            .await;
        });
    }
    drop(store);
    println!("{RECORDS_AT_START} captchas take {} bytes", std::fs::metadata(path).unwrap().len());
    criterion.bench_function("start with 100,000 captchas", |bencher| {
        bencher.iter(|| {
            let store = SqliteStore::open(path).unwrap();
            let recovered = runtime.block_on(store.load()).unwrap();
            assert_eq!(recovered.captchas.len() as u64, RECORDS_AT_START);
            recovered
        });
    });
}

fn main() {
    let runtime = Runtime::new().unwrap();
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    compare(&runtime, place.path());
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    start(&mut criterion, &runtime, &place.path().join("started.db"));
    criterion.final_summary();
}
