//! The simulated upstream as a value: calls go in, replies come out, and `now` is an argument.
//!
//! The order of a call: workers that are due finish; a running block answers everything; a fault may strike; the key
//! is checked; the call is counted by the block rules; then in.php or res.php does its work. Work per call depends on
//! what the call names and on what became due since the last one, never on how many captchas there were. A call that a
//! fault keeps from being carried out is counted by the block rules all the same: it has reached the upstream.

mod in_php;
mod res_php;

use std::collections::BTreeMap;

use serde_json::Value;

use super::block_rules::BlockRules;
use super::captchas::{Captcha, CaptchaSums, Captchas};
use super::faults::{Endpoint, FaultKind, Faults};
use super::pushes::{Push, Pushes};
use super::random::Random;
use super::reply::{Reply, Say};
use super::scenario::{Scenario, ScenarioError};
use super::solving;
use super::state::{Counts, State, ratio};
use super::values::Money;
use crate::clock::Timestamp;
use crate::protocol::ids::KEY_SYMBOLS;
use crate::protocol::{CaptchaId, ErrorCode, Form, Method};

/// First ids lie between this and seven times as much, so that all have 11 digits (protocol.md 1).
const FIRST_ID_MIN: u64 = 10_000_000_000;

/// The simulated upstream.
#[derive(Clone, Debug)]
pub struct Model {
    scenario: Scenario,
    rules: BlockRules,
    faults: Faults,
    captchas: Captchas,
    counts: Counts,
    prices: BTreeMap<Method, Money>,
    pushes: Pushes,
    last_id: u64,
    ids: Random,
    times: Random,
}

impl Model {
    /// An upstream to which nothing has happened before `now`.
    pub fn new(scenario: Scenario, now: Timestamp) -> Self {
        let seed = scenario.seed;
        let mut ids = Random::new(seed, "ids");
        Self {
            rules: BlockRules::new(&scenario),
            faults: Faults::new(&scenario.faults, seed),
            captchas: Captchas::new(scenario.balance, CaptchaSums::default()),
            counts: Counts::since(now),
            prices: prices(seed),
            pushes: Pushes::default(),
            last_id: FIRST_ID_MIN + ids.below(6 * FIRST_ID_MIN),
            ids,
            times: Random::new(seed, "solve times"),
            scenario,
        }
    }

    /// Answers one call.
    pub fn handle(&mut self, endpoint: Endpoint, form: &Form, now: Timestamp) -> Reply {
        self.answer(endpoint, form, now, |model, is_lost| match endpoint {
            Endpoint::InPhp => model.in_php(form, now),
            Endpoint::ResPhp => model.res_php(form, is_lost, now),
            Endpoint::LoadPhp => model.load(),
        })
    }

    /// Answers a call whose body could not be read; `query` is what its address held.
    pub fn handle_unreadable(&mut self, endpoint: Endpoint, query: &Form, now: Timestamp) -> Reply {
        self.answer(endpoint, query, now, |model, _| {
            if endpoint == Endpoint::InPhp {
                model.counts.uploads_refused += 1;
                Say::Code(ErrorCode::Upload)
            } else {
                Say::Code(ErrorCode::BadParameters)
            }
        })
    }

    /// What was seen up to `now`.
    pub fn state(&self, now: Timestamp) -> State {
        let (captchas, waiting, balance) = self.captchas.settled(now);
        let (blocks, blocks_forced, block_log) = self.rules.seen();
        State {
            now,
            counts: self.counts.clone(),
            calls_per_captcha: ratio(self.counts.r, self.counts.c),
            waiting,
            balance,
            captchas,
            blocks,
            blocks_forced,
            block_log,
            faults: self.faults.struck(),
            pingback_addresses: self.pushes.addresses().to_vec(),
            prices: self.prices.iter().map(|(method, price)| (method.label(), *price)).collect(),
        }
    }

    /// Blocks that the calls earned so far: what [`State`] says, without the cost of a whole one.
    pub const fn blocks(&self) -> u64 {
        self.rules.earned()
    }

    /// The captchas of the last 15 minutes, oldest first, with how they were asked for.
    pub fn captchas(&self) -> impl Iterator<Item = &Captcha> {
        self.captchas.all()
    }

    /// One of them.
    pub fn captcha(&mut self, id: CaptchaId, now: Timestamp) -> Option<&Captcha> {
        self.captchas.known(id, now).map(|captcha| &*captcha)
    }

    /// When an answer is to be pushed next.
    pub fn next_push_at(&self) -> Timestamp {
        self.pushes.next_at()
    }

    /// The answers that are to be pushed now, each with what `code` is to be.
    pub fn pushes_due(&mut self, now: Timestamp) -> Vec<(Push, String)> {
        let pushes = self.pushes.due(now);
        self.pushed(pushes, now)
    }

    /// The answers that are to be pushed before the reply to the call at hand leaves.
    pub fn early_pushes(&mut self, now: Timestamp) -> Vec<(Push, String)> {
        let pushes = self.pushes.early();
        self.pushed(pushes, now)
    }

    fn pushed(&mut self, pushes: Vec<Push>, now: Timestamp) -> Vec<(Push, String)> {
        self.captchas.settle(now);
        self.counts.pushes += u64::try_from(pushes.len()).unwrap_or(u64::MAX);
        let mut code = |id| match self.captchas.known(id, now).map(|found| found.outcome(now)) {
            Some(Ok(answer)) => answer.plain.clone(),
            Some(Err(code)) => code.as_str().to_owned(),
            None => "nobody-asked".to_owned(),
        };
        pushes.into_iter().map(|push| (push.clone(), code(push.id))).collect()
    }

    /// A push was taken by its receiver: the captcha's outcome is told.
    pub fn push_taken(&mut self, id: CaptchaId, now: Timestamp) {
        self.counts.pushes_taken += 1;
        self.captchas.tell(id, now);
    }

    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Takes other switches while running; what was counted stays. A new seed begins new streams, and ids go on.
    pub fn switch(&mut self, scenario: Scenario) {
        if scenario.seed != self.scenario.seed {
            self.faults = Faults::new(&scenario.faults, scenario.seed);
            self.times = Random::new(scenario.seed, "solve times");
            self.prices = prices(scenario.seed);
        }
        if scenario.balance != self.scenario.balance {
            self.captchas.balance = scenario.balance;
        }
        self.faults.switch(&scenario.faults);
        self.rules.switch(&scenario);
        self.scenario = scenario;
    }

    /// Takes the members of a JSON object for its switches, see [`Scenario::merged`].
    ///
    /// # Errors
    /// Whatever is wrong with the object; nothing is changed then.
    pub fn change(&mut self, patch: &Value) -> Result<(), ScenarioError> {
        let scenario = self.scenario.merged(patch)?;
        self.switch(scenario);
        Ok(())
    }

    /// Begins counting anew and ends every block; captchas and their answers stay.
    pub fn reset(&mut self, now: Timestamp) {
        self.rules = BlockRules::new(&self.scenario);
        self.counts = Counts::since(now);
        self.captchas.sums = CaptchaSums::default();
        self.faults.reset();
    }

    fn answer(
        &mut self,
        endpoint: Endpoint,
        form: &Form,
        now: Timestamp,
        carry_out: impl FnOnce(&mut Self, bool) -> Say,
    ) -> Reply {
        self.captchas.settle(now);
        if let Some(code) = self.rules.blocked(now) {
            return self.answer_blocked(code, endpoint, form, now);
        }
        let fault = self.faults.strike(endpoint, FaultKind::hits_call);
        let admitted = self.admit(endpoint, form, now);
        let said = match (admitted, fault) {
            (Err(code), _) => Say::Code(code),
            (Ok(()), Some(FaultKind::Code(code))) => self.forced(code, endpoint, now),
            (Ok(()), Some(FaultKind::UnknownCode)) => Say::UnknownCode,
            (Ok(()), Some(kind)) if kind.prevents() => Say::Text(String::new()),
            (Ok(()), fault) => carry_out(self, fault.is_some_and(FaultKind::loses_reply)),
        };
        if let Say::Code(code) = said {
            self.counts.error(code.as_str());
        }
        let reply = said.render(form);
        match fault {
            Some(kind) => reply.spoilt_by(kind, self.scenario.slow_ms, self.faults.random()),
            None => reply,
        }
    }

    fn answer_blocked(&mut self, code: ErrorCode, endpoint: Endpoint, form: &Form, now: Timestamp) -> Reply {
        self.counts.calls_while_blocked += 1;
        let is_wrong = endpoint != Endpoint::LoadPhp && self.check_key(form).is_err();
        if is_wrong {
            self.rules.wrong_key(now);
        }
        self.counts.error(code.as_str());
        Say::Code(code).render(form)
    }

    /// Checks the key and counts the call; the call that completes 1005 or `MAX_USER_TURN` gets the code itself.
    fn admit(&mut self, endpoint: Endpoint, form: &Form, now: Timestamp) -> Result<(), ErrorCode> {
        if endpoint == Endpoint::LoadPhp {
            self.counts.load_php_calls += 1;
            return Ok(());
        }
        if let Err(code) = self.check_key(form) {
            self.rules.wrong_key(now);
            // The call that completes the ban is the first to see it; 1004's goes by unnoticed.
            let banned = self.rules.blocked(now).filter(|code| *code == ErrorCode::IpBanned);
            return Err(banned.unwrap_or(code));
        }
        if endpoint == Endpoint::InPhp {
            self.counts.in_php_calls += 1;
            self.rules.turn(now);
        } else {
            let ids = res_php::ids_in(form);
            self.counts.r += 1;
            self.counts.r_each += ids;
            self.rules.res_call(ids, now);
        }
        self.rules.blocked(now).map_or(Ok(()), Err)
    }

    fn check_key(&self, form: &Form) -> Result<(), ErrorCode> {
        let key = form.word("key").unwrap_or_default();
        if key.len() != KEY_SYMBOLS {
            Err(ErrorCode::WrongUserKey)
        } else if key != self.scenario.key.0.as_bytes() {
            Err(ErrorCode::KeyDoesNotExist)
        } else {
            Ok(())
        }
    }

    /// A code that a fault switch asked for, with all that follows from having told it.
    fn forced(&mut self, code: ErrorCode, endpoint: Endpoint, now: Timestamp) -> Say {
        use ErrorCode::{
            Block1001, Block1002, Block1003, Block1004, Block1005, IpBanned, KeyDoesNotExist, MaxUserTurn,
            WrongUserKey,
        };
        match code {
            Block1001 | Block1002 | Block1003 | Block1004 | Block1005 | MaxUserTurn | IpBanned => {
                self.rules.force(code, now);
            }
            KeyDoesNotExist | WrongUserKey => self.rules.wrong_key(now),
            _ => {}
        }
        if endpoint == Endpoint::InPhp {
            return self.refused(code, now);
        }
        Say::Code(code)
    }

    /// load.php (protocol.md 3.1); the numbers follow from the queue.
    fn load(&self) -> Say {
        let waiting = self.scenario.slots.saturating_sub(self.captchas.waiting());
        let used = u64::try_from(self.captchas.waiting()).unwrap_or(u64::MAX);
        let slots = u64::try_from(self.scenario.slots).unwrap_or(u64::MAX);
        Say::Xml(format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<response>\n  <waiting>{waiting}</waiting>\n  \
             <load>{:.1}</load>\n  <minbid>0.014</minbid>\n  \
             <averageRecognitionTime>14.965</averageRecognitionTime>\n</response>\n",
            ratio(used.saturating_mul(100), slots)
        ))
    }
}

fn prices(seed: u64) -> BTreeMap<Method, Money> {
    Method::ALL.iter().map(|method| (*method, solving::price(*method, seed))).collect()
}

#[cfg(test)]
mod fault_tests;
#[cfg(test)]
mod push_tests;
#[cfg(test)]
mod tests;
