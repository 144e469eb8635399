//! A store that forgets everything when the process ends: for trying out, and for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;

use super::usage::{Outline, State, USAGE_KEPT_DAYS, Usage};
use super::{
    CaptchaRecord, Change, Day, Intent, IntentId, NotAccepted, Recovered, Store, StoreError, UsageKey,
    UsageTable,
};
use crate::clock::Timestamp;
use crate::protocol::ids::CaptchaId;

/// Keeps changes in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    captchas: BTreeMap<CaptchaId, CaptchaRecord>,
    intents: BTreeMap<IntentId, Noted>,
    pingbacks: BTreeSet<(String, String)>,
    budgets: Option<String>,
    usage: UsageTable,
}

#[derive(Debug)]
struct Noted {
    intent: Intent,
    is_unknown: bool,
}

impl Kept {
    fn apply(&mut self, change: Change) -> Result<(), StoreError> {
        match change {
            Change::Submitting(intent) => {
                self.intents.insert(intent.id, Noted { intent, is_unknown: false });
            }
            Change::Accepted { intent, id, at } => self.accept(intent, id, at)?,
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
            Change::Budgets(budgets) => self.budgets = Some(budgets),
            Change::Forget { uploaded_before } => self.forget(uploaded_before),
        }
        Ok(())
    }

    fn accept(&mut self, intent: IntentId, id: CaptchaId, at: Timestamp) -> Result<(), StoreError> {
        if self.captchas.contains_key(&id) {
            return Err(StoreError::Duplicate(id));
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
        };
        self.captchas.insert(id, record);
        Ok(())
    }

    fn forget(&mut self, uploaded_before: Timestamp) {
        for captcha in self.captchas.values().filter(|captcha| captcha.uploaded_at < uploaded_before) {
            self.usage.add(key_of(captcha), &usage_of(captcha, true));
        }
        for Noted { intent, .. } in self.intents.values().filter(|noted| noted.intent.at < uploaded_before) {
            self.usage.add(key_of_intent(intent), &Usage::of_unknown());
        }
        self.captchas.retain(|_, captcha| captcha.uploaded_at >= uploaded_before);
        self.intents.retain(|_, noted| noted.intent.at >= uploaded_before);
        self.usage.forget_before(Day::of(uploaded_before).days_before(USAGE_KEPT_DAYS));
    }

    fn usage(&self, since: Day) -> UsageTable {
        let mut usage = self.usage.clone();
        for captcha in self.captchas.values() {
            usage.add(key_of(captcha), &usage_of(captcha, false));
        }
        for Noted { intent, .. } in self.intents.values().filter(|noted| noted.is_unknown) {
            usage.add(key_of_intent(intent), &Usage::of_unknown());
        }
        usage.forget_before(since);
        usage
    }
}

fn key_of(captcha: &CaptchaRecord) -> UsageKey {
    let (day, client) = (Day::of(captcha.uploaded_at), captcha.client.clone());
    UsageKey { day, client, method: captcha.method }
}

fn key_of_intent(intent: &Intent) -> UsageKey {
    UsageKey { day: Day::of(intent.at), client: intent.client.clone(), method: intent.method }
}

fn usage_of(captcha: &CaptchaRecord, is_forgotten: bool) -> Usage {
    let solution = captcha.solution.as_ref();
    Usage::of(&Outline {
        uploaded_at: captcha.uploaded_at,
        solved_at: captcha.solved_at,
        state: solution.map_or(State::Open, |solution| State::of(&solution.answer)),
        price: solution.and_then(|solution| solution.price.as_deref()),
        report: captcha.report,
        is_forgotten,
    })
}

impl MemoryStore {
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
            budgets: kept.budgets.clone(),
        };
        Box::pin(std::future::ready(Ok(recovered)))
    }

    fn commit(&self, change: Change) -> BoxFuture<'_, Result<(), StoreError>> {
        let applied = self.kept().apply(change);
        Box::pin(std::future::ready(applied))
    }

    fn usage(&self, since: Day) -> BoxFuture<'_, Result<UsageTable, StoreError>> {
        let usage = self.kept().usage(since);
        Box::pin(std::future::ready(Ok(usage)))
    }
}
