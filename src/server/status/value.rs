//! What operators are shown, as one value: made from the facts, without effects; the page and the JSON both come from it.

use std::collections::BTreeMap;
use std::time::Duration;

use rust_decimal::Decimal;
use serde::{Serialize, Serializer};

use super::past::{self, Recent, Stretch};
use super::state::{self, Condition, Level, State};
use crate::clock::Timestamp;
use crate::driver::history::LastHour;
use crate::driver::money::{self, Balances};
use crate::driver::troubles::{Trouble, Unanswered};
use crate::engine::allowance::Left;
use crate::engine::refusal::Refusal;
use crate::engine::{BudgetMode, BudgetState, Wait};
use crate::metrics::Numbers;

/// Most clients that are listed, those with most at present first.
pub const CLIENTS_MAX: usize = 50;
/// A rate of spending is never taken from a shorter time.
const SPENDING_OVER_MIN: Duration = Duration::from_mins(1);

/// What of the settings is shown.
#[derive(Clone, Debug)]
pub struct About {
    /// Without user, query and key.
    pub upstream: String,
    pub budget_mode: BudgetMode,
}

/// What the driver and the metrics tell at one moment.
#[derive(Clone, Debug)]
pub struct Facts {
    pub now: Timestamp,
    pub is_draining: bool,
    pub waits: Vec<Wait>,
    pub budgets: Vec<BudgetState>,
    /// Why an upload, and why a look, would have to wait now.
    pub held: Vec<Refusal>,
    pub store_fault: Option<String>,
    pub unanswered: Option<Unanswered>,
    pub numbers: Numbers,
    /// By the client's name.
    pub standings: BTreeMap<String, Standing>,
    pub hour: LastHour,
    pub balances: Balances,
    /// The latest first.
    pub troubles: Vec<Trouble>,
}

/// What a configured client may do at present.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// An operator has stopped it, or its last day is over.
    pub is_stopped: bool,
    pub left: Vec<Left>,
}

/// A moment, in RFC 3339 and UTC; `never` for the end of what has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub Timestamp);

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&self.0)
    }
}

/// See the module. The names of its fields are those of the JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    pub at: Moment,
    pub state: StateShown,
    /// Further states that hold beside the first.
    pub also: Vec<StateShown>,
    /// Whether `/readyz` says yes.
    pub ready: bool,
    pub store: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store_fault: Option<String>,
    pub waits: Vec<WaitShown>,
    pub budget_mode: BudgetMode,
    pub budgets: Vec<BudgetShown>,
    pub captchas_open: u64,
    pub uploads_waiting: u64,
    pub uploads_waiting_limit: u64,
    pub money: Money,
    pub recent: Recent,
    pub clients: Vec<ClientShown>,
    pub clients_left_out: usize,
    pub history: Vec<Stretch>,
    pub troubles: Vec<TroubleShown>,
    pub batch_size: u64,
    pub upstream: String,
    pub version: &'static str,
    pub started: Moment,
    pub uptime_seconds: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct StateShown {
    pub name: State,
    pub level: Level,
    pub title: &'static str,
    pub means: &'static str,
    pub to_do: &'static str,
    pub detail: Option<String>,
    pub since: Option<Moment>,
    pub until: Option<Moment>,
}

impl From<Condition> for StateShown {
    fn from(condition: Condition) -> Self {
        let Condition { state, detail, since, until } = condition;
        let (since, until) = (since.map(Moment), until.map(Moment));
        Self {
            name: state,
            level: state.level(),
            title: state.title(),
            means: state.means(),
            to_do: state.to_do(),
            detail,
            since,
            until,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct WaitShown {
    pub reason: &'static str,
    pub text: String,
    pub since: Moment,
    pub until: Moment,
}

#[derive(Clone, Debug, Serialize)]
pub struct BudgetShown {
    pub rule: &'static str,
    /// The rule in one sentence.
    pub help: &'static str,
    pub limit: u32,
    pub used: u32,
    pub left: u32,
    /// When more is left by itself.
    pub until: Moment,
}

impl BudgetShown {
    /// What is used of the limit, in per cent.
    #[must_use]
    pub fn used_percent(&self) -> u32 {
        let percent = u64::from(self.used) * 100 / u64::from(self.limit.max(1));
        u32::try_from(percent.min(100)).unwrap_or(100)
    }

    /// How near the rule is.
    #[must_use]
    pub fn level(&self) -> Level {
        match self.used_percent() {
            0..70 => Level::Good,
            70..95 => Level::Waiting,
            _ => Level::Bad,
        }
    }
}

/// Where a rate of spending is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// What the balance fell by in the last six hours.
    Balance,
    /// What the last hour's answers cost, as far as prices are known or set.
    Answers,
}

/// The account's money.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Money {
    #[serde(serialize_with = "as_number")]
    pub balance_usd: Option<Decimal>,
    pub told: Option<Moment>,
    #[serde(serialize_with = "as_number")]
    pub spending_usd_per_hour: Option<Decimal>,
    pub spending_from: Option<Source>,
    /// When it is used up at that rate; nothing when nothing is spent.
    pub lasts_until: Option<Moment>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientShown {
    pub name: String,
    /// Captchas that it waits for.
    pub open: u64,
    /// Uploads waiting for their turn.
    pub waiting: u64,
    /// Since the start: uploads that got an id, and that got none.
    pub accepted: u64,
    pub refused: u64,
    /// Since the start: captchas that ended with an answer, and without.
    pub solved: u64,
    pub unsolved: u64,
    /// An operator has stopped it, or its last day is over.
    pub stopped: bool,
    /// Those that it has.
    pub budgets: Vec<ClientBudget>,
}

/// What a client may spend or upload in a day or month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClientBudget {
    /// `day` or `month`.
    pub period: &'static str,
    /// `USD` or `captchas`.
    pub unit: &'static str,
    #[serde(serialize_with = "number")]
    pub limit: Decimal,
    #[serde(serialize_with = "number")]
    pub left: Decimal,
    /// When the next period begins.
    pub until: Moment,
}

impl ClientBudget {
    /// What is left of it, in per cent.
    #[must_use]
    pub fn left_percent(&self) -> u8 {
        let percent = (self.left * Decimal::ONE_HUNDRED).checked_div(self.limit).unwrap_or_default();
        u8::try_from(percent.trunc().min(Decimal::ONE_HUNDRED)).unwrap_or(0)
    }

    #[must_use]
    pub fn level(&self) -> Level {
        match self.left_percent() {
            0 => Level::Bad,
            1..20 => Level::Waiting,
            _ => Level::Good,
        }
    }
}

impl ClientShown {
    /// The budget of which the smallest part is left.
    #[must_use]
    pub fn tightest(&self) -> Option<&ClientBudget> {
        self.budgets.iter().min_by_key(|budget| budget.left_percent())
    }

    /// The numbers in the order of the page's columns.
    pub(super) fn columns(&self) -> [u64; 5] {
        [self.open, self.waiting, self.solved, self.unsolved, self.refused]
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct TroubleShown {
    /// The kind of call, or `store`.
    pub place: &'static str,
    pub text: String,
    pub count: u64,
    pub first: Moment,
    pub last: Moment,
}

impl Status {
    /// What `facts` come to.
    #[must_use]
    pub fn of(about: &About, facts: &Facts) -> Self {
        let mut states = state::conditions(facts).into_iter();
        let state = states.next().unwrap_or(Condition::new(State::Open)).into();
        let also = states.map(StateShown::from).collect();
        let (clients, clients_left_out) = clients(&facts.numbers, &facts.standings);
        Self {
            at: Moment(facts.now),
            ready: is_ready(facts),
            store: if facts.store_fault.is_some() { "down" } else { "up" },
            store_fault: facts.store_fault.clone(),
            state,
            also,
            waits: facts.waits.iter().map(wait).collect(),
            budget_mode: about.budget_mode,
            budgets: facts.budgets.iter().map(budget).collect(),
            captchas_open: facts.numbers.captchas_open,
            uploads_waiting: facts.numbers.uploads_waiting,
            uploads_waiting_limit: facts.numbers.uploads_waiting_limit,
            money: money(&facts.balances, &facts.hour, facts.now),
            recent: past::recent(&facts.hour, facts.now),
            clients,
            clients_left_out,
            history: past::stretches(&facts.hour),
            troubles: facts.troubles.iter().map(trouble).collect(),
            batch_size: facts.numbers.batch_size,
            upstream: about.upstream.clone(),
            version: env!("CARGO_PKG_VERSION"),
            started: Moment(facts.hour.started),
            uptime_seconds: facts.now.since(facts.hour.started).as_secs(),
        }
    }
}

/// Whether it makes sense to send uploads here: not while the gateway is stopping, the store is down or the upstream
/// refuses our key. Shorter waits (no slot, a block) are shown and pass by themselves.
fn is_ready(facts: &Facts) -> bool {
    let states = state::conditions(facts);
    !states.iter().any(|it| matches!(it.state, State::Draining | State::KeyRefused | State::StoreDown))
}

fn wait(wait: &Wait) -> WaitShown {
    let (since, until) = (Moment(wait.since), Moment(wait.until));
    WaitShown { reason: wait.why.label(), text: wait.why.to_string(), since, until }
}

fn budget(budget: &BudgetState) -> BudgetShown {
    let BudgetState { rule, limit, used, left, until } = *budget;
    BudgetShown { rule: rule.label(), help: rule.help(), limit, used, left, until: Moment(until) }
}

fn trouble(trouble: &Trouble) -> TroubleShown {
    let Trouble { place, count, .. } = *trouble;
    let (first, last) = (Moment(trouble.first), Moment(trouble.last));
    TroubleShown { place, text: trouble.text.clone(), count, first, last }
}

/// The clients with most at present, and how many are left out.
fn clients(numbers: &Numbers, standings: &BTreeMap<String, Standing>) -> (Vec<ClientShown>, usize) {
    let mut clients: Vec<_> = numbers
        .clients
        .iter()
        .map(|(name, of)| ClientShown {
            name: name.clone(),
            open: of.open,
            waiting: of.waiting,
            accepted: of.accepted,
            refused: of.refused,
            solved: of.solved,
            unsolved: of.unsolved,
            stopped: standings.get(name).is_some_and(|standing| standing.is_stopped),
            budgets: standings
                .get(name)
                .into_iter()
                .flat_map(|standing| &standing.left)
                .map(client_budget)
                .collect(),
        })
        .collect();
    // Only where some are left out does it matter who has most; else rows that change places cannot be read.
    if clients.len() > CLIENTS_MAX {
        clients.sort_by_key(|client| std::cmp::Reverse((client.open + client.waiting, client.accepted)));
    }
    let left_out = clients.len().saturating_sub(CLIENTS_MAX);
    clients.truncate(CLIENTS_MAX);
    (clients, left_out)
}

fn client_budget(left: &Left) -> ClientBudget {
    let Left { quota, limit, left, until } = *left;
    ClientBudget { period: quota.period(), unit: quota.unit(), limit, left, until: Moment(until) }
}

fn money(balances: &Balances, hour: &LastHour, now: Timestamp) -> Money {
    let last = balances.last();
    let spent = hour.slots().fold(Decimal::ZERO, |spent, slot| spent.saturating_add(slot.cost));
    let over = now.since(hour.since()).max(SPENDING_OVER_MIN);
    let by_balance = balances.falls_per_hour().map(|rate| (rate, Source::Balance));
    let rate = by_balance.or_else(|| money::per_hour(spent, over).map(|rate| (rate, Source::Answers)));
    let lasts_until = last.zip(rate).and_then(|(last, (rate, _))| {
        let hours = last.usd.checked_div(rate).filter(|hours| !hours.is_sign_negative())?;
        let ms = u64::try_from((hours * Decimal::from(3_600_000_u64)).trunc()).ok()?;
        Some(Moment(last.at + Duration::from_millis(ms)))
    });
    Money {
        balance_usd: last.map(|last| last.usd),
        told: last.map(|last| Moment(last.at)),
        spending_usd_per_hour: rate.map(|(rate, _)| rate),
        spending_from: rate.map(|(_, source)| source),
        lasts_until,
    }
}

/// A JSON number, for whoever reads the JSON with a program.
fn number<S: Serializer>(amount: &Decimal, to: S) -> Result<S::Ok, S::Error> {
    as_number(&Some(*amount), to)
}

#[expect(clippy::ref_option, reason = "as serde calls it")]
fn as_number<S: Serializer>(amount: &Option<Decimal>, to: S) -> Result<S::Ok, S::Error> {
    amount.and_then(|amount| amount.to_string().parse::<f64>().ok()).serialize(to)
}

#[cfg(test)]
mod tests;
