//! A store that forgets everything when the process ends: for trying out, and for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;

use super::deliveries::{DEAD_KEPT, DEAD_MAX, Dead, Delivery};
use super::usage::{Outline, State, USAGE_KEPT_DAYS, Usage};
use super::{
    CaptchaRecord, Change, Day, Intent, IntentId, Ledger, NotAccepted, Reading, Recovered, Store, StoreError,
    UsageKey, UsageTable,
};
use crate::clock::Timestamp;
use crate::protocol::ids::CaptchaId;
use crate::protocol::repeat::Repeat;

/// Keeps changes in memory.
#[derive(Debug)]
pub struct MemoryStore {
    kept: Mutex<Kept>,
    /// How many days of usage stay.
    usage_kept_days: u32,
}

#[derive(Debug, Default)]
struct Kept {
    captchas: BTreeMap<CaptchaId, CaptchaRecord>,
    intents: BTreeMap<IntentId, Noted>,
    pingbacks: BTreeSet<(String, String)>,
    deliveries: BTreeMap<CaptchaId, Delivery>,
    stopped: BTreeSet<String>,
    budgets: Option<String>,
    usage: UsageTable,
    /// By hour; the first of the hour, and the last if there is another.
    readings: BTreeMap<(u64, Place), Reading>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    First,
    Last,
}

#[derive(Debug)]
struct Noted {
    intent: Intent,
    is_unknown: bool,
}

impl Kept {
    fn apply(&mut self, change: Change, usage_kept_days: u32) -> Result<(), StoreError> {
        match change {
            Change::Submitting(intent) => {
                self.intents.insert(intent.id, Noted { intent, is_unknown: false });
            }
            Change::Accepted { intent, id, at, repeat } => self.accept(intent, id, at, repeat)?,
            Change::Delivered { id } => {
                if let Some(captcha) = self.captchas.get_mut(&id) {
                    captcha.is_delivered = true;
                }
            }
            Change::NotAccepted { intent, how: NotAccepted::Refused, .. } => {
                self.intents.remove(&intent);
            }
            Change::NotAccepted { intent, how: NotAccepted::Unknown, .. } => {
                if let Some(noted) = self.intents.get_mut(&intent) {
                    noted.is_unknown = true;
                }
            }
            Change::Solved { id, solution, at } => {
                if let Some(captcha) = self.captchas.get_mut(&id) {
                    (captcha.solution, captcha.solved_at) = (Some(solution), Some(at));
                }
            }
            Change::Priced { id, price } => {
                if let Some(solution) =
                    self.captchas.get_mut(&id).and_then(|captcha| captcha.solution.as_mut())
                {
                    solution.price = Some(price);
                }
            }
            Change::Reported { id, verdict, .. } => {
                if let Some(captcha) = self.captchas.get_mut(&id) {
                    captcha.report = Some(verdict);
                }
            }
            Change::PingbackAdded { client, address } => {
                self.pingbacks.insert((client, address));
            }
            Change::PingbackRemoved { client, address } => {
                self.pingbacks.remove(&(client, address));
            }
            Change::PingbacksCleared { client } => self.pingbacks.retain(|(owner, _)| *owner != client),
            Change::DeliveryWanted { id, client, target, at } => {
                if self.deliveries.get(&id).is_none_or(|known| known.dead.is_some()) {
                    let wanted = Delivery { id, client, target, since: at, code: None, dead: None };
                    self.deliveries.insert(id, wanted);
                }
            }
            Change::DeliveryDue { id, client, target, code, at } => {
                let due = Delivery { id, client, target, since: at, code: Some(code), dead: None };
                self.deliveries.insert(id, due);
            }
            Change::DeliveryOver { id } => {
                self.deliveries.remove(&id);
            }
            Change::DeliveryDead { id, why, at } => self.bury(id, Dead { at, why }),
            Change::ClientStopped { client, is_stopped: true } => drop(self.stopped.insert(client)),
            Change::ClientStopped { client, is_stopped: false } => drop(self.stopped.remove(&client)),
            Change::Budgets(budgets) => self.budgets = Some(budgets),
            Change::Balance(reading) => {
                let hour = reading.hour();
                let is_first = !self.readings.contains_key(&(hour, Place::First));
                self.readings.insert((hour, if is_first { Place::First } else { Place::Last }), reading);
            }
            Change::Forget { uploaded_before } => self.forget(uploaded_before, usage_kept_days),
        }
        Ok(())
    }

    fn accept(
        &mut self,
        intent: IntentId,
        id: CaptchaId,
        at: Timestamp,
        repeat: Option<Repeat>,
    ) -> Result<(), StoreError> {
        match (self.intents.contains_key(&intent), self.captchas.get(&id)) {
            (true, Some(_)) => return Err(StoreError::Duplicate(id)),
            (false, Some(kept)) if (kept.uploaded_at, kept.repeat) == (at, repeat) => return Ok(()),
            _ => {}
        }
        let Noted { intent: Intent { client, method, .. }, .. } =
            self.intents.remove(&intent).ok_or(StoreError::NoIntent(id))?;
        let record = CaptchaRecord {
            id,
            client,
            method,
            uploaded_at: at,
            solution: None,
            solved_at: None,
            report: None,
            repeat,
            is_delivered: false,
        };
        self.captchas.insert(id, record);
        Ok(())
    }

    fn bury(&mut self, id: CaptchaId, dead: Dead) {
        if let Some(delivery) = self.deliveries.get_mut(&id) {
            delivery.dead = Some(dead);
        }
        let mut buried: Vec<_> =
            self.deliveries.values().filter_map(|known| Some((known.dead.as_ref()?.at, known.id))).collect();
        buried.sort_unstable();
        for (_, id) in &buried[..buried.len().saturating_sub(DEAD_MAX)] {
            self.deliveries.remove(id);
        }
    }

    fn forget(&mut self, uploaded_before: Timestamp, usage_kept_days: u32) {
        for captcha in self.captchas.values().filter(|captcha| captcha.uploaded_at < uploaded_before) {
            self.usage.add(key_of(captcha), &usage_of(captcha, true));
        }
        for Noted { intent, .. } in self.intents.values().filter(|noted| noted.intent.at < uploaded_before) {
            self.usage.add(key_of_intent(intent), &Usage::of_unknown());
        }
        self.captchas.retain(|_, captcha| captcha.uploaded_at >= uploaded_before);
        self.intents.retain(|_, noted| noted.intent.at >= uploaded_before);
        let is_kept = |dead: &Dead| dead.at >= uploaded_before - DEAD_KEPT;
        self.deliveries.retain(|_, delivery| delivery.dead.as_ref().is_none_or(is_kept));
        let first_day = Day::of(uploaded_before).days_before(usage_kept_days);
        self.usage.forget_before(first_day);
        self.readings.retain(|_, reading| reading.at >= first_day.start());
    }

    fn ledger(&self, since: Day, open_since: Timestamp) -> Ledger {
        let mut usage = self.usage.clone();
        for captcha in self.captchas.values() {
            usage.add(key_of(captcha), &usage_of(captcha, captcha.uploaded_at < open_since));
        }
        let is_unknown = |noted: &&Noted| noted.is_unknown || noted.intent.at < open_since;
        for Noted { intent, .. } in self.intents.values().filter(is_unknown) {
            usage.add(key_of_intent(intent), &Usage::of_unknown());
        }
        usage.forget_before(since);
        let readings =
            self.readings.values().filter(|reading| reading.at >= since.start()).cloned().collect();
        Ledger { usage, readings }
    }
}

fn key_of(captcha: &CaptchaRecord) -> UsageKey {
    let (day, client) = (Day::of(captcha.uploaded_at), captcha.client.clone());
    UsageKey { day, client, method: captcha.method }
}

fn key_of_intent(intent: &Intent) -> UsageKey {
    UsageKey { day: Day::of(intent.at), client: intent.client.clone(), method: intent.method }
}

fn usage_of(captcha: &CaptchaRecord, is_over: bool) -> Usage {
    let solution = captcha.solution.as_ref();
    Usage::of(&Outline {
        uploaded_at: captcha.uploaded_at,
        solved_at: captcha.solved_at,
        state: solution.map_or(State::Open, |solution| State::of(&solution.answer)),
        price: solution.and_then(|solution| solution.price.as_deref()),
        report: captcha.report,
        is_over,
    })
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::keeping(USAGE_KEPT_DAYS)
    }
}

impl MemoryStore {
    /// An empty store in which usage stays for so many days.
    #[must_use]
    pub fn keeping(usage_kept_days: u32) -> Self {
        Self { kept: Mutex::default(), usage_kept_days }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for MemoryStore {
    fn load(&self) -> BoxFuture<'_, Result<Recovered, StoreError>> {
        let mut kept = self.kept();
        kept.intents.values_mut().for_each(|noted| noted.is_unknown = true);
        let recovered = Recovered {
            captchas: kept.captchas.values().cloned().collect(),
            unknown: kept.intents.values().map(|noted| noted.intent.clone()).collect(),
            pingbacks: kept.pingbacks.iter().cloned().collect(),
            deliveries: kept.deliveries.values().cloned().collect(),
            stopped: kept.stopped.iter().cloned().collect(),
            budgets: kept.budgets.clone(),
            reading: kept.readings.last_key_value().map(|(_, reading)| reading.clone()),
        };
        Box::pin(std::future::ready(Ok(recovered)))
    }

    fn commit(&self, change: Change) -> BoxFuture<'_, Result<(), StoreError>> {
        let applied = self.kept().apply(change, self.usage_kept_days);
        Box::pin(std::future::ready(applied))
    }

    fn ledger(&self, since: Day, open_since: Timestamp) -> BoxFuture<'_, Result<Ledger, StoreError>> {
        let ledger = self.kept().ledger(since, open_since);
        Box::pin(std::future::ready(Ok(ledger)))
    }
}
