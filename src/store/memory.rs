//! A store that forgets everything when the process ends: for trying out, and for tests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use futures_util::future::BoxFuture;

use super::{CaptchaRecord, Change, Intent, IntentId, NotAccepted, Recovered, Store, StoreError};
use crate::protocol::ids::CaptchaId;

/// Keeps changes in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    captchas: BTreeMap<CaptchaId, CaptchaRecord>,
    intents: BTreeMap<IntentId, Intent>,
    pingbacks: BTreeSet<(String, String)>,
    budgets: Option<String>,
}

impl Kept {
    fn apply(&mut self, change: Change) -> Result<(), StoreError> {
        match change {
            Change::Submitting(intent) => {
                self.intents.insert(intent.id, intent);
            }
            Change::Accepted { intent, id, at } => {
                let intent = self
                    .intents
                    .remove(&intent)
                    .ok_or_else(|| StoreError::Failed(format!("captcha {id} was never about to be sent")))?;
                let Intent { client, method, .. } = intent;
                let record =
                    CaptchaRecord { id, client, method, uploaded_at: at, solution: None, report: None };
                self.captchas.insert(id, record);
            }
            Change::NotAccepted { intent, how: NotAccepted::Refused, .. } => {
                self.intents.remove(&intent);
            }
            Change::NotAccepted { how: NotAccepted::Unknown, .. } => {}
            Change::Solved { id, solution, .. } => {
                if let Some(captcha) = self.captchas.get_mut(&id) {
                    captcha.solution = Some(solution);
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
            Change::Forget { uploaded_before } => {
                self.captchas.retain(|_, captcha| captcha.uploaded_at >= uploaded_before);
                self.intents.retain(|_, intent| intent.at >= uploaded_before);
            }
        }
        Ok(())
    }
}

impl Store for MemoryStore {
    fn load(&self) -> BoxFuture<'_, Result<Recovered, StoreError>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let recovered = Recovered {
            captchas: kept.captchas.values().cloned().collect(),
            unknown: kept.intents.values().cloned().collect(),
            pingbacks: kept.pingbacks.iter().cloned().collect(),
            budgets: kept.budgets.clone(),
        };
        Box::pin(std::future::ready(Ok(recovered)))
    }

    fn commit(&self, change: Change) -> BoxFuture<'_, Result<(), StoreError>> {
        let applied = self.kept.lock().unwrap_or_else(PoisonError::into_inner).apply(change);
        Box::pin(std::future::ready(applied))
    }
}
