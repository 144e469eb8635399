//! What the upstream's last answers forbid, and the one probe that finds out whether they still do.
//!
//! ```text
//! upload  no slot            Open -> NoSlot(5 s) -probe: no slot-> NoSlot(10, 20, 40, 60 s) -any upload accepted-> Open
//! upload  no money           Open -> ZeroBalance(60 s) -probe: no money-> ZeroBalance(60 s) -accepted, or no slot-> Open
//! any     ERROR: NNNN etc.   Open -> Blocked(its length) -probe: a block-> Blocked -probe: any other reply-> Open
//! any     key refused        New | Known | Good -> Refused -key changed, or an operator-> New
//! any     any other reply    New | Known -> Good
//! any     no word            New -> New(10 s) -again no word-> New(5 min), as often as it comes
//! ```
//! **Invariant.** While a wait lasts, no call that it concerns is sent; when it is over, one probe, and no second one
//! before the first has ended. So a wait can end early only by an answer to a call that was sent before it began.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limits::Limits;
use super::moments::RECHECK;
use super::refusal::{CallKind, Ended, Refusal, Why, code_as_text};
use crate::clock::Timestamp;
use crate::protocol::{Code, ErrorCode, Reaction};

/// A wait as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wait {
    pub why: Why,
    pub since: Timestamp,
    /// Then one probe goes; never for a refused key.
    pub until: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Gate {
    since: Timestamp,
    until: Timestamp,
    delay: Duration,
    /// The ticket of the probe in flight.
    probe: Option<u64>,
}

impl Gate {
    fn closed(delay: Duration, now: Timestamp) -> Self {
        Self { since: now, until: now + delay, delay, probe: None }
    }

    fn shift_back(&mut self, by: Duration) {
        self.since = self.since - by;
        self.until = self.until - by;
    }

    fn refuses(&self, now: Timestamp) -> Option<Timestamp> {
        if now < self.until { Some(self.until) } else { self.probe.map(|_| now + RECHECK) }
    }

    fn is_probe(&self, ticket: u64) -> bool {
        self.probe == Some(ticket)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Block {
    #[serde(with = "code_as_text")]
    code: Code,
    gate: Gate,
}

/// After a call that brought no word on a key that is not known to be good: each may have been a refusal, and a few an
/// hour is all that rule 1004 allows. So they are spread, and a short outage does not use them up.
const AFTER_SILENCE: [Duration; 2] = [Duration::from_secs(10), Duration::from_mins(5)];

/// Calls in a row that brought no word on a new key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Silence {
    calls: usize,
    since: Timestamp,
    until: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Key {
    /// No reply yet: one call at a time, and one without a reply counts as refused.
    New,
    /// It was good before a restart: one call at a time.
    Known,
    Good,
    Refused {
        #[serde(with = "code_as_text")]
        code: Code,
        since: Timestamp,
    },
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    block: Option<Block>,
    no_slot: Option<Gate>,
    zero_balance: Option<Gate>,
    key: Key,
    silence: Option<Silence>,
    /// Counts the keys: a reply to a call with an earlier one says nothing about this one.
    key_number: u32,
}

impl Default for Waits {
    fn default() -> Self {
        Self { block: None, no_slot: None, zero_balance: None, key: Key::New, silence: None, key_number: 0 }
    }
}

impl Waits {
    /// Whether a reply lost on the way could not have been a refusal of the key.
    pub const fn key_is_good(&self) -> bool {
        matches!(self.key, Key::Good | Key::Known)
    }

    /// Which key a call that goes out now carries.
    pub const fn key_number(&self) -> u32 {
        self.key_number
    }

    /// After a restart nobody knows whether the key is still good.
    pub fn restarted(&mut self) {
        if self.key == Key::Good {
            self.key = Key::Known;
        }
    }

    /// The clock was set back by so much: what was waited for lasts as long as before.
    pub fn shift_back(&mut self, by: Duration) {
        let gates = [
            self.block.as_mut().map(|block| &mut block.gate),
            self.no_slot.as_mut(),
            self.zero_balance.as_mut(),
        ];
        gates.into_iter().flatten().for_each(|gate| gate.shift_back(by));
        if let Some(silence) = &mut self.silence {
            silence.since = silence.since - by;
            silence.until = silence.until - by;
        }
        if let Key::Refused { since, .. } = &mut self.key {
            *since = *since - by;
        }
    }

    /// A new key, perhaps another account's: what the old one's account lacked is forgotten. A block is not: it may be
    /// about our address.
    pub fn key_changed(&mut self) {
        self.key = Key::New;
        self.silence = None;
        self.key_number = self.key_number.wrapping_add(1);
        self.no_slot = None;
        self.zero_balance = None;
    }

    /// An operator has mended what was wrong: the next call of each kind is a probe. A block must still be waited out.
    pub fn clear_latches(&mut self, now: Timestamp) {
        if matches!(self.key, Key::Refused { .. }) {
            self.key = Key::New;
            self.key_number = self.key_number.wrapping_add(1);
        }
        self.silence = None;
        for gate in [&mut self.no_slot, &mut self.zero_balance].into_iter().flatten() {
            gate.until = gate.until.min(now);
        }
    }

    /// Why `call` may not go now, if so.
    pub fn check(&self, call: CallKind, in_flight: usize, now: Timestamp) -> Option<Refusal> {
        let mut refusal: Option<Refusal> = None;
        let mut refuse = |until, why| {
            let other = Refusal { until, why };
            refusal = Some(match refusal.take() {
                Some(refusal) => refusal.and(other),
                None => other,
            });
        };
        match &self.key {
            Key::Refused { code, .. } => refuse(Timestamp::NEVER, Why::KeyRefused(code.clone())),
            Key::New | Key::Known if in_flight > 0 && call != CallKind::Load => {
                refuse(now + RECHECK, Why::KeyUnconfirmed);
            }
            Key::New | Key::Known | Key::Good => (),
        }
        if let Some(silence) = self.silence.as_ref().filter(|silence| now < silence.until)
            && call != CallKind::Load
        {
            refuse(silence.until, Why::KeyUnconfirmed);
        }
        if let Some(block) = &self.block
            && let Some(until) = block.gate.refuses(now)
        {
            refuse(until, Why::Blocked(block.code.clone()));
        }
        if call == CallKind::Upload {
            if let Some(until) = self.zero_balance.as_ref().and_then(|gate| gate.refuses(now)) {
                refuse(until, Why::ZeroBalance);
            }
            if let Some(until) = self.no_slot.as_ref().and_then(|gate| gate.refuses(now)) {
                refuse(until, Why::NoSlot);
            }
        }
        refusal
    }

    /// Whether a call that was admitted and has not left yet must stay: a wait that concerns it began since.
    pub fn overtakes(&self, ticket: u64, call: CallKind) -> bool {
        let began_since = |gate: &Gate| !gate.is_probe(ticket);
        matches!(self.key, Key::Refused { .. })
            || self.block.as_ref().is_some_and(|block| began_since(&block.gate))
            || (call == CallKind::Upload
                && [&self.no_slot, &self.zero_balance].into_iter().flatten().any(began_since))
    }

    /// A call goes out that [`Self::check`] allowed: it is the probe of each wait that concerns it.
    pub fn sent(&mut self, ticket: u64, call: CallKind) {
        let upload = call == CallKind::Upload;
        let gates = [
            self.block.as_mut().map(|block| &mut block.gate).filter(|_| call != CallKind::Load),
            self.no_slot.as_mut().filter(|_| upload),
            self.zero_balance.as_mut().filter(|_| upload),
        ];
        for gate in gates.into_iter().flatten() {
            gate.probe = Some(ticket);
        }
    }

    /// A call that carried the key `key_number` has ended.
    pub fn ended(
        &mut self,
        ticket: u64,
        call: CallKind,
        key_number: u32,
        ended: &Ended,
        limits: &Limits,
        now: Timestamp,
    ) {
        if key_number == self.key_number && call != CallKind::Load {
            self.judge_key(ended, now);
        }
        self.judge_block(ticket, ended, limits, now);
        if call == CallKind::Upload && key_number == self.key_number {
            self.judge_no_slot(ticket, ended, limits, now);
            self.judge_balance(ticket, ended, limits, now);
        }
        let gates = [
            (self.block.as_mut().map(|block| &mut block.gate), limits.no_slot_first),
            (self.no_slot.as_mut(), limits.no_slot_first),
            // One that is lost may have been another answer that there is no money.
            (self.zero_balance.as_mut(), limits.zero_balance_probe),
        ];
        for (gate, again) in gates {
            let Some(gate) = gate.filter(|gate| gate.is_probe(ticket)) else { continue };
            gate.probe = None;
            if matches!(ended, Ended::Unknown | Ended::NoCode | Ended::Page | Ended::Code(Code::Unknown(_))) {
                gate.until = now + gate.delay.min(again);
            }
        }
    }

    fn judge_key(&mut self, ended: &Ended, now: Timestamp) {
        if matches!(self.key, Key::Refused { .. }) {
            return;
        }
        match ended {
            Ended::Accepted | Ended::Done => self.key = Key::Good,
            Ended::Code(code) => match (code.reaction(), code.known()) {
                (Reaction::StopCalling, _) => {
                    self.key = Key::Refused { code: code.clone(), since: now };
                }
                // These two say that the key was taken for wrong before.
                (_, Some(ErrorCode::Block1004 | ErrorCode::IpBanned)) => self.key = Key::New,
                // A block says nothing of the key, and an unknown code could be a new word for a wrong one.
                (Reaction::WaitOutBlock(_), _) => (),
                (_, None) => self.no_word(now),
                (_, Some(_)) => self.key = Key::Good,
            },
            Ended::NoCode | Ended::Unknown => self.no_word(now),
            Ended::NotSent | Ended::Page => (),
        }
        if self.key != Key::New {
            self.silence = None;
        }
    }

    fn no_word(&mut self, now: Timestamp) {
        let (calls, since) = self.silence.as_ref().map_or((0, now), |silence| (silence.calls, silence.since));
        let pause = AFTER_SILENCE[calls.min(AFTER_SILENCE.len() - 1)];
        self.silence = Some(Silence { calls: calls + 1, since, until: now + pause });
    }

    fn judge_block(&mut self, ticket: u64, ended: &Ended, limits: &Limits, now: Timestamp) {
        // A word that nobody knows may be one for the block.
        let replied = match ended {
            Ended::Accepted | Ended::Done => true,
            Ended::Code(code) => code.known().is_some(),
            Ended::NotSent | Ended::Page | Ended::NoCode | Ended::Unknown => false,
        };
        if let Ended::Code(code) = ended
            && let Reaction::WaitOutBlock(seconds) = code.reaction()
        {
            let length = Duration::from_secs(seconds.into()) + limits.block_margin;
            let mut gate = Gate::closed(length, now);
            if let Some(earlier) = &self.block {
                gate.since = earlier.gate.since;
                gate.until = gate.until.max(earlier.gate.until);
            }
            self.block = Some(Block { code: code.clone(), gate });
        } else if replied && self.block.as_ref().is_some_and(|block| block.gate.is_probe(ticket)) {
            self.block = None;
        }
    }

    fn judge_no_slot(&mut self, ticket: u64, ended: &Ended, limits: &Limits, now: Timestamp) {
        match ended {
            Ended::Accepted => self.no_slot = None,
            Ended::Code(code) if code.reaction() == Reaction::WaitForSlot => match &mut self.no_slot {
                None => self.no_slot = Some(Gate::closed(limits.no_slot_first, now)),
                // One burst of refused uploads is one refusal: only a probe's answer doubles the wait.
                Some(gate) => {
                    if gate.is_probe(ticket) {
                        gate.delay = (gate.delay * 2).min(limits.no_slot_longest);
                    }
                    gate.until = gate.until.max(now + gate.delay);
                }
            },
            _ => (),
        }
    }

    fn judge_balance(&mut self, ticket: u64, ended: &Ended, limits: &Limits, now: Timestamp) {
        match ended {
            Ended::Accepted => self.zero_balance = None,
            Ended::Code(code) => match code.reaction() {
                Reaction::WaitForBalance => {
                    let mut gate = Gate::closed(limits.zero_balance_probe, now);
                    if let Some(earlier) = &self.zero_balance {
                        gate.since = earlier.since;
                        gate.probe = earlier.probe.filter(|probe| *probe != ticket);
                    }
                    self.zero_balance = Some(gate);
                }
                // It looked for a slot, so there is money again.
                Reaction::WaitForSlot => {
                    self.zero_balance.take_if(|gate| gate.is_probe(ticket));
                }
                _ => (),
            },
            _ => (),
        }
    }

    /// What is being waited for, as operators see it; a wait whose probe is due or under way lasts until now.
    /// `keys`: since when and until when rule 1004 lets no call with a key go that is not known to be good, if so.
    pub fn list(&self, keys: Option<(Timestamp, Timestamp)>, now: Timestamp) -> Vec<Wait> {
        let of = |gate: &Gate, why| Wait { why, since: gate.since, until: gate.until.max(now) };
        let mut waits = Vec::new();
        if let Key::Refused { code, since } = &self.key {
            waits.push(Wait { why: Why::KeyRefused(code.clone()), since: *since, until: Timestamp::NEVER });
        }
        waits.extend(self.block.iter().map(|block| of(&block.gate, Why::Blocked(block.code.clone()))));
        waits.extend(self.zero_balance.iter().map(|gate| of(gate, Why::ZeroBalance)));
        waits.extend(self.no_slot.iter().map(|gate| of(gate, Why::NoSlot)));
        let silence = self.silence.as_ref().map(|silence| (silence.since, silence.until.max(now)));
        let keys = keys.filter(|_| matches!(self.key, Key::New));
        let unconfirmed =
            silence.into_iter().chain(keys).reduce(|one, two| (one.0.min(two.0), one.1.max(two.1)));
        waits.extend(unconfirmed.map(|(since, until)| Wait { why: Why::KeyUnconfirmed, since, until }));
        waits
    }
}
