//! What the gateway does at present, in one word: which state is shown for which waits, budgets and faults.
//!
//! The table below is the only list of states; the README has it, too. Several can hold at once; the first of them in its order is shown large.

use std::time::Duration;

use serde::Serialize;

use super::facts::Facts;
use crate::clock::Timestamp;
use crate::engine::refusal::{Refusal, Why};

/// A budget that is spent for a shorter time is no news.
const NEWS_FROM: Duration = Duration::from_secs(10);
/// So many calls without an answer in a row are more than a hiccup.
const UNANSWERED_FROM: u64 = 3;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Good,
    /// It passes by itself.
    Waiting,
    /// Uploads are refused, or somebody has to do something.
    Bad,
}

impl Level {
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Waiting => "waiting",
            Self::Bad => "bad",
        }
    }
}

macro_rules! states {
    ($($name:ident = $label:literal, $level:ident, $title:literal, $means:literal, $do:literal;)*) => {
        /// A state of the gateway.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum State { $(#[doc = $means] $name,)* }

        impl State {
            /// Every state, the weightiest first.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Its name in the JSON.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            #[must_use]
            pub const fn level(self) -> Level {
                match self { $(Self::$name => Level::$level,)* }
            }

            /// Its name for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What becomes of clients' calls.
            #[must_use]
            pub const fn means(self) -> &'static str {
                match self { $(Self::$name => $means,)* }
            }

            /// What an operator does about it.
            #[must_use]
            pub const fn to_do(self) -> &'static str {
                match self { $(Self::$name => $do,)* }
            }
        }
    };
}

// Columns: name, label, level, title, what it means, what to do.
#[rustfmt::skip]
states! {
    Draining       = "draining",        Waiting, "Stopping",          "The gateway was told to stop: it takes no new connections, and calls under way may end.", "Nothing.";
    KeyRefused     = "key_refused",     Bad,     "Key refused",       "The service refuses the account's key or this address. Nothing is sent; uploads are told that there is no slot.", "Put the right key into the settings and reload, or allow this address at the service and, with the operators' token, POST /clear-latches.";
    StoreDown      = "store_down",      Bad,     "Store down",        "The store does not take changes. Nothing is bought that cannot be remembered; answers that were paid for are still fetched.", "Make room on the disk, or mend the store. It is tried every second.";
    Blocked        = "blocked",         Bad,     "Blocked",           "The service has locked the account or this address out. Not one call is sent until it is over; then one probe.", "Wait. If it comes again, somebody else uses the key.";
    NoMoney        = "no_money",        Bad,     "No money",          "The account has no money. Uploads are refused at once; answers are still fetched.", "Pay in. One probe a minute finds out.";
    Unanswered     = "unanswered",      Bad,     "Service is down",   "The service gives no answers. Captchas are kept and looked at later; uploads are held, then told that there is no slot.", "Look at the service, and at the way to it.";
    KeyUnconfirmed = "key_unconfirmed", Waiting, "Key not confirmed", "Calls got no reply before one showed that the key is good, and each may have counted as one with a wrong key. After three of them none is made for up to an hour.", "Nothing: it passes, and a restart does not end it. See that replies of the service come through.";
    NoSlot         = "no_slot",         Waiting, "No free slot",      "The service's queue is full. Uploads wait in the fair queue; one probe at a time finds out.", "Wait. If it lasts, raise the account's bid or send less.";
    Holding        = "holding",         Waiting, "Holding back",      "Calls wait for a block rule's budget, so that the account is not blocked.", "Nothing: it passes. The budgets below show which rule.";
    Open           = "open",            Good,    "Open",              "Uploads go out as they come, and answers come back.", "Nothing.";
}

/// A state that holds, and what is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    pub state: State,
    /// What the state's own sentence does not say: a code, a rule, a fault.
    pub detail: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
}

impl Condition {
    pub const fn new(state: State) -> Self {
        Self { state, detail: None, since: None, until: None }
    }

    fn with(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }
}

/// The states that hold, the weightiest first; none when the gateway is open.
#[must_use]
pub fn conditions(facts: &Facts) -> Vec<Condition> {
    let mut all: Vec<_> = facts.waits.iter().filter_map(|wait| waiting(wait, facts.now)).collect();
    if facts.is_draining {
        all.push(Condition::new(State::Draining));
    }
    if let Some(fault) = &facts.store_fault {
        all.push(Condition {
            since: Some(fault.since),
            ..Condition::new(State::StoreDown).with(fault.why.as_str())
        });
    }
    if let Some(run) = facts.unanswered.filter(|run| run.calls >= UNANSWERED_FROM) {
        let detail = format!("{} calls in a row had no answer", run.calls);
        all.push(Condition { since: Some(run.since), ..Condition::new(State::Unanswered).with(detail) });
    }
    all.extend(holding(&facts.held, facts.now));
    all.sort_by_key(|condition| condition.state);
    all
}

fn waiting(wait: &crate::engine::Wait, now: Timestamp) -> Option<Condition> {
    let (state, detail) = match &wait.why {
        Why::KeyRefused(code) => (State::KeyRefused, Some(code.to_string())),
        Why::Blocked(code) => (State::Blocked, Some(code.to_string())),
        Why::ZeroBalance => (State::NoMoney, None),
        Why::NoSlot => (State::NoSlot, None),
        Why::KeyUnconfirmed if wait.until.since(now) >= NEWS_FROM => (State::KeyUnconfirmed, None),
        // What passes in a moment; of rules see `holding`.
        Why::Rule(_) | Why::KeyUnconfirmed => return None,
    };
    let until = (wait.until != Timestamp::NEVER).then_some(wait.until);
    Some(Condition { state, detail, since: Some(wait.since), until })
}

/// Of the calls that would be held back for a while, the one that waits the longest.
fn holding(held: &[Refusal], now: Timestamp) -> Option<Condition> {
    let by_rule = held.iter().filter_map(|refusal| match refusal.why {
        Why::Rule(rule) if refusal.until.since(now) >= NEWS_FROM => Some((refusal.until, rule)),
        _ => None,
    });
    let (until, rule) = by_rule.max()?;
    let detail = format!("{}: {}", rule.block(), rule.help());
    let until = (until != Timestamp::NEVER).then_some(until);
    Some(Condition { until, ..Condition::new(State::Holding).with(detail) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::keeper::Fault;
    use crate::driver::troubles::Unanswered;
    use crate::engine::{BlockRule, Wait};
    use crate::protocol::errors::{Code, ErrorCode};

    const NOW: Timestamp = Timestamp(1_000_000);

    fn states(change: impl FnOnce(&mut Facts)) -> Vec<State> {
        let mut facts = Facts::quiet(NOW);
        change(&mut facts);
        conditions(&facts).iter().map(|condition| condition.state).collect()
    }

    fn wait(why: Why, until: Timestamp) -> Wait {
        Wait { why, since: NOW, until }
    }

    #[test]
    fn a_quiet_gateway_is_open() {
        assert_eq!(states(|_| ()), []);
    }

    #[test]
    fn every_wait_is_a_state_and_a_refused_key_has_no_end() {
        let code = |code: ErrorCode| Code::from(code);
        let soon = NOW + Duration::from_mins(1);
        let mut facts = Facts::quiet(NOW);
        facts.waits = vec![
            wait(Why::NoSlot, soon),
            wait(Why::KeyRefused(code(ErrorCode::KeyDoesNotExist)), Timestamp::NEVER),
            wait(Why::ZeroBalance, soon),
            wait(Why::Blocked(code(ErrorCode::Block1005)), soon),
        ];
        let all = conditions(&facts);
        let seen: Vec<_> = all.iter().map(|it| (it.state, it.until, it.detail.as_deref())).collect();
        assert_eq!(
            seen,
            [
                (State::KeyRefused, None, Some("ERROR_KEY_DOES_NOT_EXIST")),
                (State::Blocked, Some(soon), Some("ERROR: 1005")),
                (State::NoMoney, Some(soon), None),
                (State::NoSlot, Some(soon), None),
            ]
        );
    }

    #[test]
    fn of_several_states_the_one_that_needs_somebody_comes_first() {
        let all = states(|facts| {
            facts.store_fault = Some(Fault { why: "disk full".to_owned(), since: NOW });
            facts.waits = vec![wait(Why::NoSlot, NOW + Duration::from_secs(5))];
            facts.is_draining = true;
        });
        assert_eq!(all, [State::Draining, State::StoreDown, State::NoSlot]);
    }

    #[test]
    fn a_budget_that_is_spent_for_ten_seconds_is_told_and_for_less_is_not() {
        let held = |ms: u64, why: Why| {
            states(|facts| facts.held = vec![Refusal { until: NOW + Duration::from_millis(ms), why }])
        };
        let rule = || Why::Rule(BlockRule::ResCalls);
        assert_eq!(held(10_000, rule()), [State::Holding]);
        assert_eq!(held(9_999, rule()), []);
        assert_eq!(held(60_000, Why::KeyUnconfirmed), []);
    }

    #[test]
    fn a_key_that_may_not_be_tried_for_ten_seconds_is_told_and_for_less_is_not() {
        let unconfirmed = |ms: u64| {
            states(|facts| facts.waits = vec![wait(Why::KeyUnconfirmed, NOW + Duration::from_millis(ms))])
        };
        assert_eq!(unconfirmed(10_000), [State::KeyUnconfirmed]);
        assert_eq!(unconfirmed(9_999), []);
    }

    #[test]
    fn three_calls_without_an_answer_are_told_and_two_are_not() {
        let after = |calls| states(|facts| facts.unanswered = Some(Unanswered { since: NOW, calls }));
        assert_eq!((after(2), after(3)), (vec![], vec![State::Unanswered]));
    }

    #[test]
    fn labels_are_those_of_the_json() {
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.label());
            assert_eq!(serde_json::to_value(state.level()).unwrap(), state.level().label());
        }
    }
}
