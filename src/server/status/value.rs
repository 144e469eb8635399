//! What operators are shown, as one value: made from the facts, without effects; the page and the JSON both come from it.

use serde::Serialize;

use super::clients::{self, ClientShown};
use super::facts::{About, Facts, Moment};
use super::money::{self, Money};
use super::past::{self, Recent, Stretch};
use super::state::{self, Condition, Level, State};
use crate::driver::troubles::Trouble;
use crate::engine::{BudgetMode, BudgetState, Wait};

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
        let (clients, clients_left_out) = clients::listed(&facts.numbers, &facts.standings);
        Self {
            at: Moment(facts.now),
            ready: is_ready(facts),
            store: if facts.store_fault.is_some() { "down" } else { "up" },
            store_fault: facts.store_fault.as_ref().map(|fault| fault.why.clone()),
            state,
            also,
            waits: facts.waits.iter().map(wait).collect(),
            budget_mode: about.budget_mode,
            budgets: facts.budgets.iter().map(budget).collect(),
            captchas_open: facts.numbers.captchas_open,
            uploads_waiting: facts.numbers.uploads_waiting,
            uploads_waiting_limit: facts.numbers.uploads_waiting_limit,
            money: money::of(&facts.balances, &facts.hour, facts.now),
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

#[cfg(test)]
mod tests;
