//! What admission shows of itself, without changing: to the poller, to metrics and to operators.

use std::time::Duration;

use super::Admission;
use crate::clock::Timestamp;
use crate::engine::block_rules::BlockRule;
use crate::engine::budget::{Budget, BudgetState, Need};
use crate::engine::limits::BudgetMode;
use crate::engine::refusal::{CallKind, Refusal};
use crate::engine::waits::Wait;

/// The widest that poll spacing grows, as a multiple of `polling.interval`.
const LOOK_GAP_FACTOR_MAX: u32 = 8;

impl Admission {
    /// Whether a reply has shown that the key is good.
    #[must_use]
    pub const fn key_is_confirmed(&self) -> bool {
        self.state.waits.key_is_good()
    }

    /// The time to leave between two looks at one captcha: `interval` while the 1005 ledgers are at least half full
    /// beside their reserve, and up to eight times as long as they run low.
    pub fn look_gap(&self, interval: Duration, now: Timestamp) -> Duration {
        let mut present = self.clone_budgets(now);
        let fullness = BlockRule::ALL
            .into_iter()
            .zip(&mut present)
            .filter(|(rule, _)| rule.keeps_reserve() && self.limits.enforces(*rule))
            .map(|(rule, budget)| {
                let state = budget.state(rule, now);
                let free = u64::from(state.left.saturating_sub(self.kept_back()));
                free * 100 / u64::from(state.limit.max(1))
            })
            .min()
            .unwrap_or(100);
        let lacking = u32::try_from(50_u64.saturating_sub(fullness)).unwrap_or(0);
        interval + interval * (lacking * (LOOK_GAP_FACTOR_MAX - 1)) / 50
    }

    /// Why `call` would be refused now; nothing is spent.
    pub fn foresee(&self, call: CallKind, now: Timestamp) -> Option<Refusal> {
        let mut present = self.clone();
        let now = present.advance(now);
        let waits = present.state.waits.check(call, present.state.in_flight.len(), now);
        let rules = present.rules_refuse(call, now).filter(|_| self.limits.mode == BudgetMode::Enforce);
        waits.into_iter().chain(rules).reduce(Refusal::and)
    }

    /// Each rule's budget as operators see it.
    pub fn budgets(&self, now: Timestamp) -> Vec<BudgetState> {
        BlockRule::ALL
            .into_iter()
            .zip(self.clone_budgets(now))
            .map(|(rule, budget)| budget.state(rule, self.state.now.max(now)))
            .collect()
    }

    fn clone_budgets(&self, now: Timestamp) -> [Budget; BlockRule::COUNT] {
        let mut budgets = self.state.budgets.clone();
        for budget in &mut budgets {
            budget.advance(self.state.now.max(now));
        }
        budgets
    }

    /// What the upstream's answers make us wait for, the weightiest first; empty when all is well.
    pub fn waits(&self, now: Timestamp) -> Vec<Wait> {
        let one = Need { units: 1, ..Need::default() };
        let refused = self.clone_budgets(now)[BlockRule::WrongKeys as usize].check(one, now).err();
        let window = self.limits.shape(BlockRule::WrongKeys).span();
        self.state.waits.list(refused.map(|until| (until - window, until)), now)
    }

    /// Open captchas, for each of which a look is kept until it has had its last.
    pub const fn open_captchas(&self) -> u32 {
        self.state.open_captchas
    }

    /// Calls that have been admitted and not settled.
    pub fn in_flight(&self) -> usize {
        self.state.in_flight.len()
    }
}
