//! What the gateway was told to wait for, kept the naive way: from the replies that reached it, and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use capgate::clock::Timestamp;
use capgate::protocol::ErrorCode;

use super::promises::Promise;

const NO_SLOT_FIRST: Duration = Duration::from_secs(5);
const ZERO_BALANCE: Duration = Duration::from_mins(1);
/// Five calls with a wrong key block the address, in a time that nobody states. The gateway makes three in an hour that
/// could be such calls, counted from when the last of them can have arrived, and then none.
const WRONG_KEYS: usize = 3;
const WRONG_KEYS_WITHIN: Duration = Duration::from_secs(3_601 + 120);

/// How a call ended, as the gateway saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// An upload's id.
    Accepted,
    /// Any other reply that can be understood.
    Said,
    Code(ErrorCode),
    /// Not a word, or none that can be understood.
    Nothing,
    NotSent,
}

/// How long each block lasts (protocol.md 5).
pub const fn block_length(code: ErrorCode) -> Option<Duration> {
    match code {
        ErrorCode::Block1001 | ErrorCode::Block1004 => Some(Duration::from_mins(10)),
        ErrorCode::Block1002 | ErrorCode::Block1005 | ErrorCode::IpBanned => Some(Duration::from_mins(5)),
        ErrorCode::Block1003 => Some(Duration::from_secs(30)),
        ErrorCode::MaxUserTurn => Some(Duration::from_secs(10)),
        _ => None,
    }
}

const fn refuses_key(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::WrongUserKey | ErrorCode::KeyDoesNotExist | ErrorCode::IpNotAllowed)
}

#[derive(Debug)]
struct Wait {
    told_at: Timestamp,
    until: Timestamp,
    probe: Option<u64>,
}

impl Wait {
    const fn new(told_at: Timestamp, until: Timestamp) -> Self {
        Self { told_at, until, probe: None }
    }

    fn sent(&mut self, call: u64, now: Timestamp, what: &str) -> Result<(), String> {
        if now < self.until {
            return Err(format!("{what} lasts until {}", self.until));
        }
        if let Some(probe) = self.probe.replace(call) {
            return Err(format!("{what} is being probed by call {probe} already"));
        }
        Ok(())
    }

    fn ended(wait: &mut Option<Self>, call: u64) {
        if let Some(wait) = wait.as_mut().filter(|wait| wait.probe == Some(call)) {
            wait.probe = None;
        }
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Waits {
    block: Option<Wait>,
    no_slot: Option<Wait>,
    zero_balance: Option<Wait>,
    key_refused_at: Option<Timestamp>,
    key_is_confirmed: bool,
    /// Whether the key was confirmed when each call left.
    in_flight: BTreeMap<u64, bool>,
    /// When calls ended in which the key was refused, or may have been: no reply came, and it was not confirmed.
    doubts: Vec<Timestamp>,
}

impl Waits {
    /// A call leaves the gateway.
    pub fn sent(&mut self, call: u64, is_upload: bool, now: Timestamp) -> Result<(), (Promise, String)> {
        let others = self.in_flight.len();
        self.in_flight.insert(call, self.key_is_confirmed);
        if self.key_refused_at.is_some() {
            return Err((Promise::RefusedKeysRest, "the key is refused".to_owned()));
        }
        if !self.key_is_confirmed && others > 0 {
            return Err((
                Promise::RefusedKeysRest,
                format!("the key is unconfirmed, {others} other calls in flight"),
            ));
        }
        if let Some(block) = &mut self.block {
            block.sent(call, now, "a block").map_err(|how| (Promise::BlocksAreWaitedOut, how))?;
        }
        if is_upload {
            for (wait, what) in [(&mut self.no_slot, "no slot"), (&mut self.zero_balance, "zero balance")] {
                if let Some(wait) = wait {
                    wait.sent(call, now, what).map_err(|how| (Promise::OneProbe, how))?;
                }
            }
        }
        Ok(())
    }

    /// A call comes back to the gateway; it had arrived, if at all, at `arrived_at`.
    pub fn ended(&mut self, call: u64, is_upload: bool, told: Told, arrived_at: Timestamp, now: Timestamp) {
        let Some(was_confirmed) = self.in_flight.remove(&call) else { return };
        let probes_balance = self.zero_balance.as_ref().is_some_and(|wait| wait.probe == Some(call));
        let probes_block = self.block.as_ref().is_some_and(|wait| wait.probe == Some(call));
        for wait in [&mut self.block, &mut self.no_slot, &mut self.zero_balance] {
            Wait::ended(wait, call);
        }
        let code = if let Told::Code(code) = told { Some(code) } else { None };
        if code.is_some_and(refuses_key) || (told == Told::Nothing && !was_confirmed) {
            self.doubts.push(now);
        }
        let block = code.and_then(block_length);
        if let Some(length) = block {
            let until = self.block.as_ref().map_or(now, |block| block.until).max(arrived_at + length);
            self.block = Some(Wait::new(now, until));
        } else if probes_block && !matches!(told, Told::Nothing | Told::NotSent) {
            self.block = None;
        }
        match code {
            Some(code) if refuses_key(code) => self.key_refused_at = Some(now),
            Some(ErrorCode::Block1004 | ErrorCode::IpBanned) => self.key_is_confirmed = false,
            _ => {
                let confirms = block.is_none() && !matches!(told, Told::Nothing | Told::NotSent);
                self.key_is_confirmed |= confirms;
            }
        }
        if is_upload {
            self.upload_ended(told, probes_balance, now);
        }
    }

    fn upload_ended(&mut self, told: Told, probes_balance: bool, now: Timestamp) {
        match told {
            Told::Accepted => (self.no_slot, self.zero_balance) = (None, None),
            Told::Code(ErrorCode::NoSlotAvailable) => {
                let probe = self.no_slot.as_ref().and_then(|wait| wait.probe);
                self.no_slot = Some(Wait { probe, ..Wait::new(now, now + NO_SLOT_FIRST) });
                if probes_balance {
                    self.zero_balance = None;
                }
            }
            Told::Code(ErrorCode::ZeroBalance) => {
                let probe = self.zero_balance.as_ref().and_then(|wait| wait.probe);
                self.zero_balance = Some(Wait { probe, ..Wait::new(now, now + ZERO_BALANCE) });
            }
            _ => {}
        }
    }

    /// The process ends. What it was told in the last moment may not have reached the disk.
    pub fn killed(&mut self, remembered_before: Timestamp, now: Timestamp) {
        let doubtful =
            std::mem::take(&mut self.in_flight).into_values().filter(|was_confirmed| !was_confirmed);
        self.doubts.extend(doubtful.map(|_| now));
        self.key_is_confirmed = false;
        self.key_refused_at = self.key_refused_at.filter(|at| *at < remembered_before);
        for wait in [&mut self.block, &mut self.no_slot, &mut self.zero_balance] {
            *wait = wait.take().filter(|wait| wait.told_at < remembered_before);
            if let Some(wait) = wait {
                wait.probe = None;
            }
        }
    }

    /// Somebody mended the key and said so: what was latched may be probed at once, except a block.
    pub fn mended(&mut self) {
        self.key_refused_at = None;
        self.key_is_confirmed = false;
        (self.no_slot, self.zero_balance) = (None, None);
    }

    pub const fn key_is_refused(&self) -> bool {
        self.key_refused_at.is_some()
    }

    /// Until when the key was or is in doubt so often that nothing may be sent.
    pub fn doubted_until(&self) -> Timestamp {
        let ends = self.doubts.windows(WRONG_KEYS).filter_map(|doubts| {
            let [first, .., last] = doubts else { return None };
            let end = *first + WRONG_KEYS_WITHIN;
            (*last < end).then_some(end)
        });
        ends.max().unwrap_or_default()
    }

    /// When the block ends that the gateway was told of.
    pub fn blocked_until(&self) -> Option<Timestamp> {
        self.block.as_ref().map(|block| block.until)
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }
}
