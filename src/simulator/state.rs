//! What the simulated upstream has seen: the JSON state page, and the same for tests in-process.

use std::collections::BTreeMap;

use serde::Serialize;

use super::block_rules::Block;
use super::captchas::CaptchaSums;
use super::values::Money;
use crate::clock::Timestamp;

/// Counters since the start or the last reset. Calls that arrive during a block are in `calls_while_blocked` only.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Counts {
    /// When counting began.
    pub since: Timestamp,
    /// Accepted uploads.
    #[serde(rename = "C")]
    pub c: u64,
    /// Calls to res.php with the right key, whatever their action; a batch is one.
    #[serde(rename = "R")]
    pub r: u64,
    /// R when a batch of N ids counts as N.
    #[serde(rename = "R_each")]
    pub r_each: u64,
    /// Looks at one captcha, alone or in a batch, known or not.
    pub looks: u64,
    /// Calls with `ids`.
    pub batches: u64,
    /// Most ids in one call.
    pub batch_max: u64,
    /// Calls to in.php with the right key.
    pub in_php_calls: u64,
    pub load_php_calls: u64,
    pub uploads_accepted: u64,
    pub uploads_refused: u64,
    /// Codes that were told, as whole replies and as pieces of batches; `CAPCHA_NOT_READY` too.
    pub errors: BTreeMap<&'static str, u64>,
    /// Calls during blocks; a well-behaved sender makes none.
    pub calls_while_blocked: u64,
    pub reports: u64,
    /// Answers that were pushed, and those that a receiver took; neither counts towards R.
    pub pushes: u64,
    pub pushes_taken: u64,
}

impl Counts {
    pub fn since(now: Timestamp) -> Self {
        Self { since: now, ..Self::default() }
    }

    pub fn error(&mut self, code: &'static str) {
        *self.errors.entry(code).or_default() += 1;
    }
}

/// The state at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct State {
    pub now: Timestamp,
    #[serde(flatten)]
    pub counts: Counts,
    #[serde(flatten)]
    pub captchas: CaptchaSums,
    /// R for each accepted upload; 0 before the first.
    pub calls_per_captcha: f64,
    /// Captchas at work.
    pub waiting: usize,
    /// USD left.
    pub balance: Money,
    /// Blocks that the calls earned.
    pub blocks: u64,
    /// Blocks that a fault switch began.
    pub blocks_forced: u64,
    /// The latest blocks of both kinds, oldest first.
    pub block_log: Vec<Block>,
    /// How often each fault struck.
    pub faults: BTreeMap<String, u64>,
    pub pingback_addresses: Vec<String>,
    /// USD for a solved captcha, by method label.
    pub prices: BTreeMap<&'static str, Money>,
}

/// `part` for each of `whole`, to three places; 0 when there is none.
pub fn ratio(part: u64, whole: u64) -> f64 {
    let thousandths = part.saturating_mul(1_000).checked_div(whole).unwrap_or(0);
    f64::from(u32::try_from(thousandths).unwrap_or(u32::MAX)) / 1_000.0
}
