//! What the gateway was told to wait for, kept the naive way: from the replies that reached it, and nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use capgate::clock::Timestamp;
use capgate::protocol::ErrorCode;

use super::promises::Promise;

const NO_SLOT_FIRST: Duration = Duration::from_secs(5);
const ZERO_BALANCE: Duration = Duration::from_mins(1);
/// Five calls with a wrong key block the address, in a time that nobody states. The gateway makes three in an hour, and a
/// second for the clocks, that could be such calls, counted from when they can have arrived, and then none.
const WRONG_KEYS: usize = 3;
const WRONG_KEYS_WITHIN: Duration = Duration::from_secs(3_601);
/// How long a call that got no reply can still be under way.
const LATE: Duration = Duration::from_mins(1);

/// The gateway rests so long after a call that brought no word on a new key, and after each further one.
const AFTER_SILENCE: [Duration; 2] = [Duration::from_secs(10), Duration::from_mins(5)];

/// How a call ended, as the gateway saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// An upload's id.
    Accepted,
    /// Any other reply that can be understood.
    Said,
    Code(ErrorCode),
    /// A page that was asked for; an upstream that refuses the key may show it too.
    Page,
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

/// What the replies say of the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Key {
    /// Nothing yet: one call in flight, and one without a reply may have been refused.
    #[default]
    New,
    /// It was good before the process ended: one call in flight.
    Known,
    Good {
        since: Timestamp,
    },
    Refused {
        told_at: Timestamp,
    },
    /// It was refused just before the process ended: whether the next one knows, nobody can say.
    PerhapsRefused,
}

/// A call that has left.
#[derive(Debug)]
struct Sent {
    /// Whether it may turn out to have been refused without a word.
    is_doubtful: bool,
    /// How often the key had been mended.
    key_number: u32,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Waits {
    block: Option<Wait>,
    no_slot: Option<Wait>,
    zero_balance: Option<Wait>,
    key: Key,
    key_number: u32,
    in_flight: BTreeMap<u64, Sent>,
    /// When the last call ended that could have been refused without a word.
    doubtful_ended_at: Timestamp,
    /// How many such calls the process had not heard of when it ended, or may not have noted.
    unheard: usize,
    /// When calls ended in which the key was refused, or may have been.
    doubts: Vec<Timestamp>,
    /// Calls in a row without a word on a new key, and until when the gateway rests.
    silence: (usize, Timestamp),
}

impl Waits {
    /// A call leaves the gateway.
    pub fn sent(&mut self, call: u64, is_upload: bool, now: Timestamp) -> Result<(), (Promise, String)> {
        let others = self.in_flight.len();
        if self.key == Key::PerhapsRefused {
            self.key = Key::New;
        }
        let sent = Sent { is_doubtful: self.key == Key::New, key_number: self.key_number };
        self.in_flight.insert(call, sent);
        if matches!(self.key, Key::Refused { .. }) {
            return Err((Promise::RefusedKeysRest, "the key is refused".to_owned()));
        }
        if !matches!(self.key, Key::Good { .. }) && others > 0 {
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
        let Some(sent) = self.in_flight.remove(&call) else { return };
        let probes_balance = self.zero_balance.as_ref().is_some_and(|wait| wait.probe == Some(call));
        let probes_block = self.block.as_ref().is_some_and(|wait| wait.probe == Some(call));
        for wait in [&mut self.block, &mut self.no_slot, &mut self.zero_balance] {
            Wait::ended(wait, call);
        }
        let code = if let Told::Code(code) = told { Some(code) } else { None };
        if sent.is_doubtful {
            self.doubtful_ended_at = now;
        }
        if code.is_some_and(refuses_key) {
            self.doubts.push(now);
        } else if told == Told::Nothing && sent.is_doubtful {
            self.is_silent(now);
        }
        let is_word = !matches!(told, Told::Nothing | Told::Page | Told::NotSent);
        let block = code.and_then(block_length);
        if let Some(length) = block {
            let until = self.block.as_ref().map_or(now, |block| block.until).max(arrived_at + length);
            self.block = Some(Wait::new(now, until));
        } else if probes_block && is_word {
            self.block = None;
        }
        let confirms = block.is_none() && is_word;
        match code {
            _ if matches!(self.key, Key::Refused { .. }) || sent.key_number != self.key_number => {}
            Some(code) if refuses_key(code) => self.key = Key::Refused { told_at: now },
            Some(ErrorCode::Block1004 | ErrorCode::IpBanned) => self.key = Key::New,
            _ if confirms && !matches!(self.key, Key::Good { .. }) => self.key = Key::Good { since: now },
            _ => {}
        }
        if self.key != Key::New {
            self.silence = (0, Timestamp(0));
        }
        if is_upload {
            self.upload_ended(told, probes_balance, now);
        }
    }

    /// A call with a new key brought no word on it.
    fn is_silent(&mut self, now: Timestamp) {
        self.doubts.push(now + LATE);
        let (calls, _) = self.silence;
        self.silence = (calls + 1, now + AFTER_SILENCE[calls.min(1)]);
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
    pub fn killed(&mut self, remembered_before: Timestamp) {
        let in_flight = std::mem::take(&mut self.in_flight);
        self.unheard += in_flight.into_values().filter(|sent| sent.is_doubtful).count();
        self.unheard += usize::from(self.doubtful_ended_at >= remembered_before);
        self.key = match self.key {
            Key::Good { since } if since < remembered_before => Key::Known,
            Key::Good { .. } | Key::New => Key::New,
            Key::Refused { told_at } if told_at >= remembered_before => Key::PerhapsRefused,
            key => key,
        };
        for wait in [&mut self.block, &mut self.no_slot, &mut self.zero_balance] {
            *wait = wait.take().filter(|wait| wait.told_at < remembered_before);
            if let Some(wait) = wait {
                wait.probe = None;
            }
        }
    }

    /// The next process starts, and takes the calls that were under way for lost.
    pub fn started(&mut self, now: Timestamp) {
        for _ in 0..std::mem::take(&mut self.unheard) {
            self.is_silent(now);
        }
    }

    /// Somebody mended the key and said so: what was latched may be probed at once, except a block.
    pub fn mended(&mut self) {
        self.silence = (0, Timestamp(0));
        match self.key {
            Key::Refused { .. } => {
                self.key = Key::New;
                self.key_number += 1;
            }
            Key::PerhapsRefused => self.key = Key::New,
            Key::New | Key::Known | Key::Good { .. } => {}
        }
        (self.no_slot, self.zero_balance) = (None, None);
    }

    /// Whether the gateway may wait for somebody to mend the key.
    pub const fn key_needs_mending(&self) -> bool {
        matches!(self.key, Key::Refused { .. } | Key::PerhapsRefused)
    }

    /// Since when no doubt about the key has kept calls back; nothing while one does.
    pub fn key_let_calls_go_since(&self, now: Timestamp) -> Option<Timestamp> {
        match self.key {
            Key::Good { since } => Some(since),
            Key::Known => Some(Timestamp(0)),
            Key::Refused { .. } | Key::PerhapsRefused => None,
            Key::New => {
                // One more may go as soon as one less than the most is in the window.
                let mut ends: Vec<Timestamp> =
                    self.doubts.iter().map(|doubt| *doubt + WRONG_KEYS_WITHIN).collect();
                ends.sort_unstable();
                let since = ends.iter().rev().nth(WRONG_KEYS - 1).copied().unwrap_or_default();
                let since = since.max(self.silence.1);
                Some(since).filter(|since| *since <= now)
            }
        }
    }

    /// When the block ends that the gateway was told of.
    pub fn blocked_until(&self) -> Option<Timestamp> {
        self.block.as_ref().map(|block| block.until)
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }
}
