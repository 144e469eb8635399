//! What clients may spend, kept while their captchas come and go. By name, so that a reload of the settings changes the
//! limits and nothing of what is spent.
//!
//! **Limits.** One entry for each captcha of the last 15 minutes. After a restart the store's usage says what was spent;
//! what was open counts with the present prices.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rust_decimal::{Decimal, RoundingStrategy};

use crate::clients::Client;
use crate::clock::{Clock, Day, Timestamp};
use crate::config::{Live, Prices};
use crate::engine::Denied;
use crate::engine::allowance::{Charge, Left, Spending, Tally};
use crate::engine::captcha::LIFETIME;
use crate::protocol::answer::price_of;
use crate::protocol::ids::CaptchaId;
use crate::protocol::methods::Method;
use crate::store::{CaptchaRecord, Change, Store, StoreError, Usage, UsageTable};

/// Decimal places of a balance, as the upstream writes them.
const BALANCE_PLACES: u32 = 5;

/// What clients have spent.
#[derive(Debug)]
pub struct Allowances {
    clock: Clock,
    live: Live,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    clients: HashMap<Arc<str>, Spending>,
    charged: HashMap<CaptchaId, Charged>,
    /// In the order of their uploads.
    by_age: VecDeque<(Timestamp, CaptchaId)>,
}

/// A captcha whose cost may still change.
#[derive(Debug)]
struct Charged {
    client: Arc<str>,
    charge: Charge,
    is_open: bool,
}

/// One captcha that was asked for and has no id yet. Dropped, it is given back, unless it was sent: then nobody knows.
#[derive(Debug)]
pub struct Reserved {
    allowances: Arc<Allowances>,
    client: Arc<str>,
    charge: Option<Charge>,
    is_sent: bool,
}

impl Allowances {
    #[must_use]
    pub fn new(clock: Clock, live: Live) -> Self {
        Self { clock, live, state: Mutex::default() }
    }

    /// What clients have spent, as a store that has just been loaded knows it: what was about to be sent is unknown then.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn recovered(
        clock: Clock,
        live: Live,
        store: &dyn Store,
        captchas: &[CaptchaRecord],
    ) -> Result<Self, StoreError> {
        let (allowances, now) = (Self::new(clock, live), clock.now());
        let ledger = store.ledger(Self::needs_since(now), now - LIFETIME).await?;
        allowances.restore(&ledger.usage, captchas);
        Ok(allowances)
    }

    /// This month, and yesterday, whose captchas may still be open.
    fn needs_since(now: Timestamp) -> Day {
        let today = Day::of(now);
        today.month().min(today.days_before(1))
    }

    fn restore(&self, usage: &UsageTable, captchas: &[CaptchaRecord]) {
        let prices = &self.live.load().prices;
        let mut state = self.state();
        for (key, used) in usage.rows() {
            let spent =
                Tally { usd: cost_of(used, key.method, prices), captchas: used.uploads + used.unknown };
            state.spending(&key.client).restore(key.day, spent);
        }
        let mut captchas: Vec<&CaptchaRecord> = captchas.iter().collect();
        captchas.sort_by_key(|captcha| captcha.uploaded_at);
        let may_change = |captcha: &&CaptchaRecord| {
            captcha.solution.as_ref().is_none_or(|told| told.price.is_none() && !told.answer.is_failed())
        };
        for captcha in captchas.into_iter().filter(may_change) {
            let (client, is_open) = (Arc::from(captcha.client.as_str()), captcha.solution.is_none());
            if is_open {
                state.spending(&client).reopen();
            }
            let charge = Charge { day: Day::of(captcha.uploaded_at), usd: prices.of_one(captcha.method) };
            state.add(captcha.id, client, charge, is_open, captcha.uploaded_at);
        }
        state.end_old(self.clock.now());
    }

    /// Takes one captcha out of what the client may spend, before it is uploaded.
    ///
    /// # Errors
    /// Which limit refuses it.
    pub fn reserve(self: &Arc<Self>, client: &Client, method: Method) -> Result<Reserved, Denied> {
        let (now, price) = (self.clock.now(), self.live.load().prices.of_one(method));
        let mut state = self.state();
        state.end_old(now);
        let spending = state.spending(&client.name);
        let charge = spending.take(&client.allowance, price, now)?;
        for Left { quota, limit, left, until } in spending.warnings(&client.allowance, now) {
            let (limit, left) = (limit.normalize(), left.normalize());
            tracing::warn!(
                client = %client.name, %limit, %left, unit = quota.unit(), period = quota.period(), %until,
                "a client's budget runs out"
            );
        }
        drop(state);
        let (allowances, client) = (Arc::clone(self), Arc::clone(&client.name));
        Ok(Reserved { allowances, client, charge: Some(charge), is_sent: false })
    }

    /// What has happened to a captcha, by what the store is told of it. The same again changes nothing.
    pub fn note(&self, change: &Change) {
        match change {
            Change::Solved { id, solution, .. } => {
                let known = if solution.answer.is_failed() {
                    Some(Decimal::ZERO)
                } else {
                    solution.price.as_deref().and_then(price_of)
                };
                self.state().ended(*id, known);
            }
            Change::Priced { id, price } => self.state().ended(*id, price_of(price)),
            _ => {}
        }
    }

    /// What is left of each of the client's limits.
    #[must_use]
    pub fn left(&self, client: &Client) -> Vec<Left> {
        self.state().spending(&client.name).left(&client.allowance, self.clock.now())
    }

    /// The money that the client may still spend, as the upstream writes a balance: what is left of a limit in money, and
    /// none when its captchas are used up. Without either, the client has no balance of its own.
    #[must_use]
    pub fn balance(&self, client: &Client) -> Option<String> {
        let tells = |left: &Left| left.quota.is_usd() || left.left.is_zero();
        let left = self.left(client).into_iter().filter(tells).map(|left| left.left).min()?;
        // What is left is never rounded up.
        let left = left.round_dp_with_strategy(BALANCE_PLACES, RoundingStrategy::ToZero);
        Some(format!("{left:.*}", BALANCE_PLACES as usize))
    }

    /// The client's captchas that are open or wait for their turn.
    #[must_use]
    pub fn open(&self, client: &str) -> u32 {
        let mut state = self.state();
        state.end_old(self.clock.now());
        state.spending(client).open()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is not known to be free counts with the settings' price.
fn cost_of(usage: &Usage, method: Method, prices: &Prices) -> Decimal {
    let estimated = usage.unpriced() + usage.open() + usage.unanswered + usage.unknown;
    prices.of_one(method).saturating_mul(estimated.into()).saturating_add(usage.cost)
}

impl State {
    fn spending(&mut self, client: &str) -> &mut Spending {
        if !self.clients.contains_key(client) {
            self.clients.insert(Arc::from(client), Spending::default());
        }
        self.clients.get_mut(client).expect("it was there or is now")
    }

    fn add(
        &mut self,
        id: CaptchaId,
        client: Arc<str>,
        charge: Charge,
        is_open: bool,
        uploaded_at: Timestamp,
    ) {
        self.charged.insert(id, Charged { client, charge, is_open });
        self.by_age.push_back((uploaded_at, id));
    }

    /// A captcha has ended, or what it costs is known at last.
    fn ended(&mut self, id: CaptchaId, known: Option<Decimal>) {
        let Some(Charged { client, charge, is_open }) = self.charged.get_mut(&id) else { return };
        let Some(spending) = self.clients.get_mut(client) else { return };
        if std::mem::take(is_open) {
            spending.close();
        }
        if let Some(usd) = known {
            spending.put_right(charge, usd);
            self.charged.remove(&id);
        }
    }

    /// No answer comes any more to what is older than 15 minutes, and no price.
    fn end_old(&mut self, now: Timestamp) {
        while let Some((_, id)) = self.by_age.pop_front_if(|(uploaded_at, _)| *uploaded_at + LIFETIME <= now)
        {
            self.ended(id, None);
            self.charged.remove(&id);
        }
    }
}

impl Reserved {
    /// It goes to the upstream now, and may be paid for.
    pub const fn sent(&mut self) {
        self.is_sent = true;
    }

    /// The upstream certainly has not taken it; it may be sent again.
    pub const fn not_taken(&mut self) {
        self.is_sent = false;
    }

    /// It has an id, and stays spent until more is known of it.
    pub fn accepted(&mut self, id: CaptchaId, at: Timestamp) {
        if let Some(charge) = self.charge.take() {
            self.allowances.state().add(id, Arc::clone(&self.client), charge, true, at);
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        let Some(charge) = self.charge.take() else { return };
        let mut state = self.allowances.state();
        let spending = state.spending(&self.client);
        if self.is_sent { spending.close() } else { spending.give_back(charge) }
    }
}

#[cfg(test)]
mod tests;
