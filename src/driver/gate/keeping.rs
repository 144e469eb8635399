//! The budgets are durable before a call that they allow leaves.

use std::sync::atomic::Ordering;

use super::Gate;
use crate::driver::budgets::{self, Ahead};
use crate::engine::refusal::CallKind as Asked;
use crate::store::{Change, StoreError};

impl Gate {
    /// Whether a call may leave although the budgets were not kept.
    pub(super) fn may_leave_unkept(&self, call: Asked) -> bool {
        match call {
            Asked::Look { last: true, .. } => true,
            Asked::Look { ids, last: false } => self.float.take(ids.max(1)),
            _ => false,
        }
    }

    /// Makes the budgets durable as they are now, or a little later.
    ///
    /// # Errors
    /// When the store does not take them.
    pub async fn keep(&self) -> Result<(), StoreError> {
        let wanted = self.keeps.fetch_add(1, Ordering::AcqRel) + 1;
        let mut kept = self.kept.lock().await;
        if kept.0 < wanted {
            *kept = (self.keeps.load(Ordering::Acquire), self.keep_state(Ahead::Float).await);
        }
        kept.1.clone()
    }

    /// Makes the budgets durable as they are in the end: no call leaves after this one.
    ///
    /// # Errors
    /// When the store does not take them.
    pub async fn keep_last(&self) -> Result<(), StoreError> {
        let _kept = self.kept.lock().await;
        self.keep_state(Ahead::Nothing).await
    }

    async fn keep_state(&self, ahead: Ahead) -> Result<(), StoreError> {
        let keeping = self.float.keeping();
        let (budgets, paid) = self.with(|admission, _| budgets::save(&self.key(), admission, ahead));
        self.keeper.commit(Change::Budgets(budgets)).await?;
        self.float.kept(&keeping, paid);
        Ok(())
    }
}
