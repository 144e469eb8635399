//! The upstream's block rules (protocol.md 5), counted the naive way: one log of moments for each habit and window.
//!
//! Nothing here is shared with the engine's budgets, which would only agree with themselves. Readings, where the
//! description leaves room: an event leaves a window of N seconds exactly N seconds after it came; a block forgets
//! the habit that led to it; calls during a block are counted in the state and in nothing else, except that wrong
//! keys go on counting towards `IP_BANNED`. 1001 to 1004 begin with the answer that completes them, so the next call
//! is the first to see the code; of `ERROR: 1005`, `MAX_USER_TURN` and `IP_BANNED` the completing call sees it.

mod logs;

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use self::logs::{Log, Usage, is_too_much};
use super::scenario::{BatchCountsAs, Scenario};
use crate::clock::Timestamp;
use crate::protocol::ErrorCode;

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// No-slot or zero-balance answers in a minute that block (1001, 1002), and the least for 1003.
const ANSWERS_FOR_BLOCK: u64 = 120;
/// No-slot answers for each accepted upload that block (1003).
const NO_SLOTS_PER_UPLOAD: u64 = 3;
/// Calls with a wrong key, within a day, that block the address (1004).
const WRONG_KEYS_FOR_BLOCK: u64 = 5;
/// Calls to in.php in three seconds that are still allowed.
const TURNS_MAX: u64 = 60;
const TURN_WINDOW: Duration = Duration::from_secs(3);
/// Rolling windows in which 1005 is checked beside the whole life, since no source names one.
const CALL_WINDOWS: [Duration; 2] = [Duration::from_hours(1), DAY];

/// How long each rule blocks. `IP_BANNED` comes after "many" wrong keys; see the switch `wrong_keys_for_ban`.
const fn length(rule: ErrorCode) -> Duration {
    match rule {
        ErrorCode::Block1001 | ErrorCode::Block1004 => Duration::from_mins(10),
        ErrorCode::Block1003 => Duration::from_secs(30),
        ErrorCode::MaxUserTurn => Duration::from_secs(10),
        _ => Duration::from_mins(5),
    }
}

/// One block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Block {
    /// The code that calls got: `ERROR: 1005`.
    pub rule: &'static str,
    pub since: Timestamp,
    pub until: Timestamp,
    /// Begun by a fault switch (somebody else uses the key), not by the calls.
    pub forced: bool,
    #[serde(skip)]
    code: ErrorCode,
}

/// Blocks that the state page remembers; the total goes on counting.
const BLOCKS_KEPT: usize = 1_000;

/// Every habit's log, the whole-life counters, and the blocks.
#[derive(Clone, Debug)]
pub struct BlockRules {
    enabled: bool,
    reading: BatchCountsAs,
    wrong_keys_for_ban: u64,
    no_slots: Log,
    zero_balances: Log,
    ratio_no_slots: Log,
    ratio_uploads: Log,
    wrong_keys: Log,
    ban_wrong_keys: Log,
    turns: Log,
    windows: [Usage; 2],
    life: (u64, u64, u64),
    running: Vec<Block>,
    seen: VecDeque<Block>,
    earned: u64,
    forced: u64,
}

impl BlockRules {
    pub fn new(scenario: &Scenario) -> Self {
        let ratio_window = Duration::from_millis(scenario.no_slot_ratio_window_ms);
        Self {
            enabled: scenario.block_rules,
            reading: scenario.batch_counts_as,
            wrong_keys_for_ban: scenario.wrong_keys_for_ban,
            no_slots: Log::over(MINUTE),
            zero_balances: Log::over(MINUTE),
            ratio_no_slots: Log::over(ratio_window),
            ratio_uploads: Log::over(ratio_window),
            wrong_keys: Log::over(DAY),
            ban_wrong_keys: Log::over(DAY),
            turns: Log::over(TURN_WINDOW),
            windows: CALL_WINDOWS.map(Usage::over),
            life: (0, 0, 0),
            running: Vec::new(),
            seen: VecDeque::new(),
            earned: 0,
            forced: 0,
        }
    }

    /// Takes changed switches without forgetting anything.
    pub fn switch(&mut self, scenario: &Scenario) {
        self.enabled = scenario.block_rules;
        self.reading = scenario.batch_counts_as;
        self.wrong_keys_for_ban = scenario.wrong_keys_for_ban;
        let ratio_window = Duration::from_millis(scenario.no_slot_ratio_window_ms);
        self.ratio_no_slots.window = ratio_window;
        self.ratio_uploads.window = ratio_window;
    }

    /// The code that every call gets now: the running block that ends last.
    pub fn blocked(&mut self, now: Timestamp) -> Option<ErrorCode> {
        self.running.retain(|block| now < block.until);
        self.running.iter().max_by_key(|block| block.until).map(|block| block.code)
    }

    /// A call to in.php with the right key.
    pub fn turn(&mut self, now: Timestamp) {
        self.turns.add(1, now);
        if self.turns.sum(now) > TURNS_MAX {
            self.begin(ErrorCode::MaxUserTurn, now);
        }
    }

    /// An accepted upload.
    pub fn upload(&mut self, now: Timestamp) {
        self.ratio_uploads.add(1, now);
        self.life.0 += 1;
        for window in &mut self.windows {
            window.uploads.add(1, now);
        }
    }

    /// A call to res.php with the right key that looks at `ids` captchas; 1 for every other action.
    pub fn res_call(&mut self, ids: u64, now: Timestamp) {
        self.life.1 += 1;
        self.life.2 += ids;
        for window in &mut self.windows {
            window.calls.add(1, now);
            window.looks.add(ids, now);
        }
        let (uploads, calls, looks) = self.life;
        let reading = self.reading;
        let is_over = |window: &mut Usage| window.is_too_much(reading, now);
        if is_too_much(calls, looks, uploads, reading) || self.windows.iter_mut().any(is_over) {
            self.begin(ErrorCode::Block1005, now);
        }
    }

    /// An answer of in.php that is no-slot.
    pub fn no_slot(&mut self, now: Timestamp) {
        self.no_slots.add(1, now);
        self.ratio_no_slots.add(1, now);
        let answers = self.ratio_no_slots.sum(now);
        let by_uploads = NO_SLOTS_PER_UPLOAD * self.ratio_uploads.sum(now);
        if self.no_slots.sum(now) >= ANSWERS_FOR_BLOCK {
            self.begin(ErrorCode::Block1001, now);
        }
        if answers >= ANSWERS_FOR_BLOCK && answers >= by_uploads {
            self.begin(ErrorCode::Block1003, now);
        }
    }

    /// An answer of in.php that is zero-balance.
    pub fn zero_balance(&mut self, now: Timestamp) {
        self.zero_balances.add(1, now);
        if self.zero_balances.sum(now) >= ANSWERS_FOR_BLOCK {
            self.begin(ErrorCode::Block1002, now);
        }
    }

    /// A call with a wrong key, during a block too.
    pub fn wrong_key(&mut self, now: Timestamp) {
        let is_blocked = self.blocked(now).is_some();
        self.ban_wrong_keys.add(1, now);
        if self.ban_wrong_keys.sum(now) >= self.wrong_keys_for_ban {
            self.begin(ErrorCode::IpBanned, now);
        }
        if !is_blocked {
            self.wrong_keys.add(1, now);
            if self.wrong_keys.sum(now) >= WRONG_KEYS_FOR_BLOCK {
                self.begin(ErrorCode::Block1004, now);
            }
        }
    }

    /// Begins a block that the calls did not earn: somebody else uses the key.
    pub fn force(&mut self, rule: ErrorCode, now: Timestamp) {
        self.forced += 1;
        self.record(rule, true, now);
    }

    /// Blocks that the calls earned.
    pub const fn earned(&self) -> u64 {
        self.earned
    }

    /// Blocks that the calls earned, blocks that a switch began, and the latest of both.
    pub fn seen(&self) -> (u64, u64, Vec<Block>) {
        (self.earned, self.forced, self.seen.iter().cloned().collect())
    }

    fn begin(&mut self, rule: ErrorCode, now: Timestamp) {
        if !self.enabled {
            return;
        }
        match rule {
            ErrorCode::Block1001 => self.no_slots.clear(),
            ErrorCode::Block1002 => self.zero_balances.clear(),
            ErrorCode::Block1003 => self.ratio_no_slots.clear(),
            ErrorCode::Block1004 => self.wrong_keys.clear(),
            ErrorCode::MaxUserTurn => self.turns.clear(),
            ErrorCode::IpBanned => self.ban_wrong_keys.clear(),
            _ => {
                self.life = (0, 0, 0);
                self.windows.iter_mut().for_each(Usage::clear);
            }
        }
        self.earned += 1;
        self.record(rule, false, now);
    }

    fn record(&mut self, rule: ErrorCode, forced: bool, now: Timestamp) {
        let block = Block { rule: rule.as_str(), since: now, until: now + length(rule), forced, code: rule };
        self.running.push(block.clone());
        if self.seen.len() == BLOCKS_KEPT {
            self.seen.pop_front();
        }
        self.seen.push_back(block);
    }
}

#[cfg(test)]
mod tests;
