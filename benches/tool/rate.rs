//! Load at a fixed rate, whatever the server does: an open loop. How long a call took counts from the moment at which it
//! was to leave, so that a server that stalls is not asked less.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::Args;
use serde_json::json;

use crate::wire::Line;

/// Its place in a call is taken by the call's number, with as many digits.
const NUMBER: &[u8] = b"0000000000";
/// Between two looks at the connections; what is asked of the system, which makes some 50 us more of it.
const NAP: Duration = Duration::from_micros(10);
/// How long the last replies are waited for.
const REPLIES_WITHIN: Duration = Duration::from_secs(10);

/// Sends the same call at a fixed rate.
#[derive(Args)]
pub struct Options {
    #[arg(long)]
    to: SocketAddr,
    /// A file with the whole call.
    #[arg(long)]
    call: PathBuf,
    /// What every reply's body has to begin with.
    #[arg(long)]
    expect: String,
    /// Calls in a second.
    #[arg(long)]
    rate: f64,
    #[arg(long)]
    seconds: f64,
    /// Connections, used in turns.
    #[arg(long, default_value_t = 64)]
    connections: usize,
}

struct Underway {
    line: Line,
    due: Instant,
}

struct Call {
    text: Vec<u8>,
    number_at: Option<usize>,
}

impl Call {
    fn read(path: &PathBuf) -> anyhow::Result<Self> {
        let text = std::fs::read(path)?;
        let number_at = text.windows(NUMBER.len()).position(|bytes| bytes == NUMBER);
        Ok(Self { text, number_at })
    }

    fn numbered(&mut self, number: u64) -> &[u8] {
        if let Some(at) = self.number_at {
            let digits = format!("{number:010}");
            self.text[at..at + NUMBER.len()].copy_from_slice(digits.as_bytes());
        }
        &self.text
    }
}

#[expect(clippy::cast_precision_loss, reason = "a benchmark does not last for years")]
fn due(begin: Instant, number: u64, rate: f64) -> Instant {
    begin + Duration::from_secs_f64(number as f64 / rate)
}

pub fn run(options: &Options) -> anyhow::Result<()> {
    let mut call = Call::read(&options.call)?;
    let mut free = VecDeque::new();
    for _ in 0..options.connections {
        free.push_back(Line::open(options.to)?.without_waiting()?);
    }
    let mut underway: Vec<Underway> = Vec::new();
    let mut took: Vec<Duration> = Vec::new();
    let (begin, mut sent) = (Instant::now(), 0_u64);
    let end = begin + Duration::from_secs_f64(options.seconds);
    loop {
        let now = Instant::now();
        while due(begin, sent, options.rate) <= now
            && due(begin, sent, options.rate) < end
            && let Some(mut line) = free.pop_front()
        {
            line.send(call.numbered(sent))?;
            underway.push(Underway { line, due: due(begin, sent, options.rate) });
            sent += 1;
        }
        let mut at = 0;
        while at < underway.len() {
            let Some(body) = underway[at].line.reply()? else {
                at += 1;
                continue;
            };
            let is_right = body.starts_with(options.expect.as_bytes());
            ensure!(is_right, "a reply that was not expected: {}", String::from_utf8_lossy(body));
            took.push(underway[at].due.elapsed());
            free.push_back(underway.swap_remove(at).line);
        }
        if due(begin, sent, options.rate) >= end && underway.is_empty() {
            break;
        }
        ensure!(now < end + REPLIES_WITHIN, "{} replies never came", underway.len());
        std::thread::sleep(NAP);
    }
    took.sort_unstable();
    let at = |part: usize| took[(took.len() * part / 1_000).min(took.len() - 1)].as_secs_f64() * 1e6;
    println!(
        "{}",
        json!({ "calls": took.len(), "p50_us": at(500), "p99_us": at(990), "p999_us": at(999), "max_us": at(1_000) })
    );
    Ok(())
}
