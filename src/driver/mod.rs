//! Decisions carried out. The server asks the [`Driver`]; nothing else in the program talks to the upstream.
//!
//! | file | what it carries out |
//! | --- | --- |
//! | `arriving`, `submitter`, `sending` | uploads, each in its turn |
//! | `repeats` | uploads that come again, and must not be paid twice |
//! | `allowances`, `stops` | what clients may spend, and who was stopped |
//! | `pushes` | answers that the upstream pushes |
//! | `poller`, `looked` | looks at captchas that are due, and what they show |
//! | `answers` | the map that clients' polls read |
//! | `holds` | polls that wait for an answer |
//! | `account`, `statistics` | balance, statistics, load |
//! | `readings` | the balance beside what was answered |
//! | `history`, `money`, `troubles` | the last hour, for people |
//! | `cost` | what an answer costs, told or estimated |
//! | `reports` | what clients say about captchas |
//! | `pingbacks`, `callbacks` | hosts that clients registered, and what is pushed to them |
//! | `recovery` | the start, forgetting, and a store that was down |
//! | `gate` | asks admission, calls, settles |
//! | `budgets` | the budgets across a restart |
//! | `keeper` | hands changes to the store |
//! | `witnesses` | who is told what happens: metrics and audit trail |
//! | `tasks` | starts and ends all of it |

pub mod account;
pub mod allowances;
pub mod answers;
mod arriving;
mod budgets;
pub mod callbacks;
pub mod cost;
mod float;
pub mod gate;
pub mod history;
pub mod holds;
pub mod keeper;
mod looked;
pub mod money;
pub mod pingbacks;
pub mod poller;
pub mod pushes;
pub mod readings;
pub mod recovery;
pub mod refusal;
pub mod repeats;
pub mod reports;
pub mod sending;
pub mod stops;
pub mod submitter;
pub mod tasks;
pub mod troubles;
pub mod witnesses;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rust_decimal::prelude::ToPrimitive;
use tokio_util::sync::CancellationToken;

use crate::audit::Audit;
use crate::clients::Client;
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, Live};
use crate::engine::limits::Limits;
use crate::metrics::Metrics;
use crate::protocol::ids::CaptchaId;
use crate::receivers::Receivers;
use crate::store::{Store, StoreError};
use crate::upstream::Upstream;
use account::Account;
use allowances::Allowances;
use answers::{Answers, Found, Outlook};
use callbacks::Callbacks;
use gate::Gate;
use history::History;
use holds::Holds;
pub use holds::Wait;
use keeper::Keeper;
use money::Balance;
use pingbacks::Pingbacks;
use poller::Poller;
use pushes::Pushes;
use readings::Readings;
pub use refusal::Refusal;
use repeats::Repeats;
use reports::Reports;
use sending::Sender;
use stops::Stops;
use submitter::Submitter;
use tasks::Tasks;
use troubles::Troubles;
pub use witnesses::Witnesses;

/// Everything that the server can ask for.
#[derive(Debug)]
pub struct Driver {
    pub clock: Clock,
    pub gate: Arc<Gate>,
    pub keeper: Arc<Keeper>,
    pub answers: Arc<Answers>,
    pub poller: Arc<Poller>,
    pub account: Account,
    pub allowances: Arc<Allowances>,
    pub stops: Stops,
    pub reports: Reports,
    pub pingbacks: Arc<Pingbacks>,
    pub callbacks: Arc<Callbacks>,
    pub pushes: Arc<Pushes>,
    readings: Arc<Readings>,
    pub history: Arc<History>,
    pub troubles: Arc<Troubles>,
    pub audit: Audit,
    submitter: Submitter,
    tasks: Tasks,
    metrics: Arc<Metrics>,
    holds: Holds,
    live: Live,
    /// The end has been announced: polls are no longer held.
    stopping: CancellationToken,
    /// The same, for every poll to look at: the token's own state is behind a lock.
    is_stopping: AtomicBool,
}

impl Driver {
    /// Recovers what the store holds and starts the tasks, which run on the present runtime.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn start(
        config: &Config,
        clock: Clock,
        store: Arc<dyn Store>,
        upstream: Arc<dyn Upstream>,
        receivers: Arc<dyn Receivers>,
        witnesses: impl Into<Witnesses>,
    ) -> Result<Self, StoreError> {
        Self::start_with(budgets::limits(config), config, clock, store, upstream, receivers, witnesses).await
    }

    /// [`Self::start`] with numbers of admission that no setting gives, for a simulation that shows what each is for.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn start_with(
        limits: Limits,
        config: &Config,
        clock: Clock,
        store: Arc<dyn Store>,
        upstream: Arc<dyn Upstream>,
        receivers: Arc<dyn Receivers>,
        witnesses: impl Into<Witnesses>,
    ) -> Result<Self, StoreError> {
        let Witnesses { metrics, audit } = witnesses.into();
        let mut recovered = recovery::load(&*store, clock.now()).await?;
        let live = Live::new(config.clone());
        let history = Arc::new(History::new(clock));
        let troubles = Arc::new(Troubles::new(clock));
        let allowances = Allowances::recovered(clock, live.clone(), &*store, &recovered.captchas).await?;
        let allowances = Arc::new(allowances);
        let keeper = Keeper::new(clock, store, Arc::clone(&metrics), Arc::clone(&troubles));
        let keeper = Arc::new(keeper.charging(Arc::clone(&allowances)));
        let admission = budgets::restore(config, limits, &recovered, clock.now());
        let gate = Arc::new(Gate::new(
            clock,
            upstream,
            Arc::clone(&keeper),
            Arc::clone(&metrics),
            Arc::clone(&troubles),
            budgets::fingerprint(config),
            admission,
        ));
        let answers = Arc::new(Answers::new(clock));
        let holds = Holds::new(config.polling.held_max, config.polling.interval, Arc::clone(&metrics));
        let tasks = Tasks::new(clock);
        let (last, stopped) = (recovered.reading.take(), std::mem::take(&mut recovered.stopped));
        let last_balance = last.as_ref().filter(|last| last.account == budgets::fingerprint(config));
        let last_balance = last_balance.map(|last| Balance { at: last.at, usd: last.balance });
        let readings =
            Arc::new(Readings::new(clock, Arc::clone(&keeper), budgets::fingerprint(config), last));
        let account = Account::new(
            clock,
            tasks.clone(),
            Arc::clone(&gate),
            Arc::clone(&metrics),
            Arc::clone(&readings),
            live.clone(),
        );
        if let Some(balance) = last_balance {
            metrics.balance(balance.usd.to_f64().unwrap_or_default());
            account.remember(balance);
        }
        let pingbacks = std::mem::take(&mut recovered.pingbacks);
        let pingbacks = Pingbacks::new(Arc::clone(&keeper), receivers, live.clone(), pingbacks);
        let callbacks = Callbacks::new(clock, tasks.clone(), pingbacks, Arc::clone(&metrics), live.clone());
        let looks = poller::Tools {
            clock,
            tasks: tasks.clone(),
            gate: Arc::clone(&gate),
            keeper: Arc::clone(&keeper),
            answers: Arc::clone(&answers),
            callbacks: Arc::clone(&callbacks),
            metrics: Arc::clone(&metrics),
            audit: audit.clone(),
            history: Arc::clone(&history),
            live: live.clone(),
        };
        let poller = Arc::new(Poller::new(looks));
        let repeats = Repeats::new(clock);
        recovery::recover(recovered, clock.now(), &answers, &poller, &repeats, &callbacks);
        let pushes = pushes::start(&tasks, &poller);
        let sender = Sender::new(&poller, Arc::clone(&pushes));
        tasks.spawn(recovery::keep_budgets(Arc::clone(&gate)));
        tasks.spawn_endless(Arc::clone(&poller).run());
        tasks.spawn_endless(Arc::clone(&callbacks).run());
        tasks.spawn_endless(recovery::forget(clock, Arc::clone(&answers), Arc::clone(&keeper)));
        tasks.spawn_endless(readings::take(clock, account.clone(), Arc::clone(&readings), live.clone()));
        tasks.spawn_endless(recovery::mend(clock, Arc::clone(&gate), Arc::clone(&keeper)));
        Ok(Self {
            clock,
            account,
            reports: Reports {
                clock,
                gate: Arc::clone(&gate),
                keeper: Arc::clone(&keeper),
                answers: Arc::clone(&answers),
                metrics: Arc::clone(&metrics),
                audit: audit.clone(),
                tasks: tasks.clone(),
            },
            readings,
            pingbacks: Arc::clone(&callbacks.registered),
            callbacks,
            pushes,
            history,
            troubles,
            submitter: Submitter::start(sender, repeats, Arc::clone(&allowances), &live),
            allowances,
            stops: Stops::new(Arc::clone(&keeper), stopped),
            tasks,
            gate,
            keeper,
            answers,
            poller,
            metrics,
            audit,
            holds,
            live,
            stopping: CancellationToken::new(),
            is_stopping: AtomicBool::new(false),
        })
    }

    /// The settings in force.
    #[must_use]
    pub const fn live(&self) -> &Live {
        &self.live
    }

    /// Takes reloaded settings over. `carry_key` has the upstream's calls carry the key that is in them; it is called
    /// where no call can slip in between.
    pub async fn reload(&self, config: Config, carry_key: impl FnOnce()) {
        let (key, limits) = (budgets::fingerprint(&config), budgets::limits(&config));
        if key != budgets::fingerprint(&self.live.load()) {
            self.account.forget_balances();
        }
        self.gate.reload(limits, &key, carry_key);
        self.readings.set_account(key).await;
        self.poller.reload(&config);
        self.holds.reload(config.polling.interval);
        self.pushes.reload(&config);
        self.live.replace(config);
    }

    /// The end is near: polls that are held are answered at once, and none is held any more. Uploads still get their
    /// turn, until [`Self::drain`].
    pub fn announce_stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.stopping.cancel();
    }

    /// Whether the end was announced.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Refuses the uploads that wait for their turn, lets the calls under way end and their outcomes be kept, at most
    /// for `longest`; then everything stops. The store has all of it when this returns.
    pub async fn drain(&self, longest: std::time::Duration) {
        self.announce_stop();
        self.tasks.drain(longest).await;
        self.keeper.keep_late().await;
        // All calls have ended, so the next start finds the budgets as they are; and the store keeps changes in their
        // order, so that all before this one are kept too. Logged where it failed.
        let _ = self.gate.keep_last().await;
    }

    /// Resolves when a part of the driver that should never end has ended: nothing can be relied on then.
    pub async fn died(&self) {
        self.tasks.died().await;
    }

    /// How many of the driver's tasks have panicked.
    #[must_use]
    pub fn panics(&self) -> u64 {
        self.tasks.panics()
    }

    /// Stops everything where it stands, as the end of the process would.
    pub fn kill(&self) {
        self.tasks.kill();
    }

    /// What is there for a client's poll, whether it would wait or not.
    #[must_use]
    pub fn find(&self, client: &Client, id: CaptchaId, with_price: bool) -> Found {
        self.find_or_wait(client, id, with_price, self.clock.now(), |_| true).0
    }

    /// The same at `now`; and what `waits` says of a poll for which there is no answer yet.
    fn find_or_wait(
        &self,
        client: &Client,
        id: CaptchaId,
        with_price: bool,
        now: Timestamp,
        waits: impl FnOnce(Outlook) -> bool,
    ) -> (Found, bool) {
        let (found, waits) = self.answers.find_or_wait(id, &client.name, with_price, now, waits);
        if let Found::PriceMissing { is_new: true, is_solved, method, uploaded_at } = found
            && self.answers.ask_price(id)
        {
            self.poller.want_price(id, method, uploaded_at, is_solved);
        }
        (found, waits)
    }
}
