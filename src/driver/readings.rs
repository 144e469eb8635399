//! Keeps readings of the account's balance beside what was answered, for `capgate usage`.
//!
//! Every balance that the upstream tells is one, whoever asked. Where no client asks, the gateway does, and only when
//! captchas were answered since: an idle one calls nobody.

use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;
use tokio::sync::Mutex;

use super::account::{Account, Question};
use super::keeper::Keeper;
use crate::clock::{Clock, Timestamp};
use crate::config::Live;
use crate::store::{Change, Reading, UsageTable};

/// The first reading comes this soon after the start, for what is spent before it is compared with nothing.
const FIRST_AFTER: Duration = Duration::from_mins(1);

/// The account's readings.
#[derive(Debug)]
pub struct Readings {
    clock: Clock,
    keeper: Arc<Keeper>,
    /// What tells the account's key from another.
    account: Mutex<String>,
    last: Mutex<Option<Reading>>,
}

impl Readings {
    #[must_use]
    pub fn new(clock: Clock, keeper: Arc<Keeper>, account: String, last: Option<Reading>) -> Self {
        Self { clock, keeper, account: Mutex::new(account), last: Mutex::new(last) }
    }

    /// Another key may be another account's.
    pub async fn set_account(&self, account: String) {
        *self.account.lock().await = account;
    }

    /// Keeps a balance as the upstream wrote it. One that comes while another is being kept is passed over.
    pub async fn keep(&self, balance: &str) {
        let (Ok(balance), Ok(mut last)) = (balance.trim().parse::<Decimal>(), self.last.try_lock()) else {
            return;
        };
        let Some(usage) = self.usage(last.as_ref()).await else { return };
        let account = self.account.lock().await.clone();
        let reading = Reading::after(last.as_ref(), self.clock.now(), &account, balance, &usage);
        // Only what is kept is gone on from. A failure is logged and counted where it is met.
        if let Some(reading) = reading
            && self.keeper.commit(Change::Balance(reading.clone())).await.is_ok()
        {
            *last = Some(reading);
        }
    }

    /// Whether a reading would show anything that the last one does not.
    async fn is_outdated(&self) -> bool {
        let last = self.last.lock().await;
        let Some(last) = last.as_ref() else { return true };
        self.usage(Some(last)).await.is_some_and(|usage| last.is_outdated(&usage))
    }

    async fn usage(&self, last: Option<&Reading>) -> Option<UsageTable> {
        let since = Reading::usage_since(last, self.clock.now());
        // Whether an open captcha is too old for an answer makes no difference here.
        match self.keeper.ledger(since, Timestamp(0)).await {
            Ok(ledger) => Some(ledger.usage),
            Err(error) => {
                tracing::warn!(%error, "usage cannot be read; this balance is compared with nothing");
                None
            }
        }
    }
}

/// Asks for the balance, for ever, as often as `upstream.balance_every` says.
pub(super) async fn take(clock: Clock, account: Account, readings: Arc<Readings>, live: Live) {
    let mut changes = live.changes();
    let (mut longest, mut asked_at) = (FIRST_AFTER, clock.now());
    loop {
        let every = live.load().upstream.balance_every;
        let next = if every.is_zero() { Timestamp::NEVER } else { asked_at + every.min(longest) };
        tokio::select! {
            biased;
            _ = changes.changed() => {}
            () = clock.sleep_until(next) => {
                if readings.is_outdated().await {
                    // A call that may not go now, or fails, is logged and counted where it is made; the next one tells
                    // as much.
                    let _ = account.ask(Question::Balance).await;
                }
                (longest, asked_at) = (Duration::MAX, clock.now());
            }
        }
    }
}
