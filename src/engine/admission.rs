//! May this call go upstream now? All budgets and waits say yes, or none is spent.
//!
//! ```text
//! admit -> Ticket (in flight: holds the bad case of each rule) -> settle(Accepted | Done | Code | NotSent | Unknown)
//! ```
//! **Invariants.** 1. A refusal changes nothing. 2. Each admitted call is settled once; one whose sender has died is
//! settled as `Unknown` after [`Limits::call_longest`]. 3. In both 1005 ledgers, what is available covers one look for
//! each open captcha that has not had its last look, and for each upload in flight; no other call may touch that
//! reserve. A last look is made alone, so it costs one unit of either ledger and can always be paid. (A start may have to
//! pay for some again; [`Limits::spare_looks`] are kept for that.) 4. Time never goes
//! back: an earlier `now`, from another replica's clock, is taken for the latest seen.
//!
//! The value is the whole truth about the past, so it must be durable before an admitted call is sent. The same
//! function can run inside a database transaction: [`Admission::save`], then [`Past::Shared`].

mod state;
mod view;

use super::block_rules::{BlockRule, Counted};
use super::budget::{Budget, Held, Need, Spent};
use super::ledger::CappedLedger;
use super::limits::{BudgetMode, Limits};
use super::refusal::{CallKind, Ended, Refusal, Why};
use super::waits::Waits;
use crate::clock::Timestamp;
use crate::protocol::{Code, ErrorCode};
use state::{InFlight, State};
pub use state::{Past, SavedAdmission, Ticket};

/// See the module.
#[derive(Clone, Debug)]
pub struct Admission {
    limits: Limits,
    state: State,
}

impl Admission {
    pub fn new(limits: Limits, past: Past, now: Timestamp) -> Self {
        let mut admission = match past {
            Past::Fresh => Self::with(limits, now, |rule, limits| Budget::fresh(limits.shape(rule), now)),
            Past::Unknown => Self::with(limits, now, |rule, limits| {
                Budget::unknown(limits.shape(rule), now, now + limits.late)
            }),
            Past::Saved(SavedAdmission(mut state)) => {
                // The clock was set back. How long we were gone nobody knows then; not at all is the safe answer.
                state.shift_back(state.now.since(now));
                let mut admission = Self { limits, state };
                admission.restart(now);
                admission
            }
            Past::Shared(SavedAdmission(state)) => Self { limits, state },
        };
        admission.reshape(now);
        admission
    }

    fn with(limits: Limits, now: Timestamp, budget: impl Fn(BlockRule, &Limits) -> Budget) -> Self {
        Self {
            state: State {
                now,
                next_ticket: 0,
                in_flight: std::collections::BTreeMap::new(),
                budgets: BlockRule::ALL.map(|rule| budget(rule, &limits)),
                waits: Waits::default(),
                last_upload: None,
                open_captchas: 0,
                last_looks: 0,
            },
            limits,
        }
    }

    fn restart(&mut self, now: Timestamp) {
        let now = self.advance(now);
        for id in self.state.in_flight.keys().copied().collect::<Vec<_>>() {
            self.end(id, &Ended::Unknown, now);
        }
        self.state.waits.restarted();
        self.state.open_captchas = 0;
        self.state.last_looks = 0;
    }

    /// Takes new limits over; what has been spent stays spent.
    pub fn set_limits(&mut self, limits: Limits, now: Timestamp) {
        self.limits = limits;
        self.reshape(now);
    }

    fn reshape(&mut self, now: Timestamp) {
        let now = self.advance(now);
        for (rule, budget) in BlockRule::ALL.into_iter().zip(&mut self.state.budgets) {
            budget.reshape(self.limits.shape(rule), now);
        }
    }

    /// Lets time pass and returns the present.
    fn advance(&mut self, now: Timestamp) -> Timestamp {
        let now = self.state.now.max(now);
        self.state.now = now;
        for budget in &mut self.state.budgets {
            budget.advance(now);
        }
        while let Some((id, call)) = self.state.in_flight.first_key_value()
            && call.sent + self.limits.call_longest < now
        {
            let id = *id;
            self.end(id, &Ended::Unknown, now);
        }
        now
    }

    /// Asks every wait and every budget; if all say yes, each holds the bad case until the call is settled.
    ///
    /// # Errors
    /// Why not, and until when. Ask again then, or sooner when a call settles or a captcha closes.
    pub fn admit(&mut self, call: CallKind, now: Timestamp) -> Result<Ticket, Refusal> {
        let now = self.advance(now);
        let waits = self.state.waits.check(call, self.state.in_flight.len(), now);
        let rules = self.rules_refuse(call, now);
        let observed = match (self.limits.mode, waits, rules) {
            (_, Some(waits), Some(rules)) => return Err(waits.and(rules)),
            (_, Some(refusal), None) | (BudgetMode::Enforce, None, Some(refusal)) => return Err(refusal),
            (BudgetMode::Observe | BudgetMode::Enforce, None, observed) => observed,
        };
        let needs = BlockRule::ALL.map(|rule| self.need(rule, call));
        let id = self.state.next_ticket;
        self.state.next_ticket += 1;
        let mut held = [Held::default(); BlockRule::COUNT];
        for ((held, budget), need) in held.iter_mut().zip(&mut self.state.budgets).zip(needs) {
            *held = budget.hold(need);
        }
        self.state.waits.sent(id, call);
        let key_number = self.state.waits.key_number();
        let flight = InFlight { call, sent: now, key_number, held };
        self.state.in_flight.insert(id, flight);
        match call {
            CallKind::Upload => self.state.last_upload = Some(now),
            CallKind::Look { ids, last: true } => {
                let looked = self.state.last_looks.saturating_add(ids);
                self.state.last_looks = looked.min(self.state.open_captchas);
            }
            CallKind::Look { .. } | CallKind::Report | CallKind::Balance | CallKind::Load => (),
        }
        Ok(Ticket { id, call, key_number, observed })
    }

    /// Whether an admitted call may still leave: not when an answer to another call has made us wait since, nor when
    /// calls carry another key by now, nor after [`Limits::call_longest`]. It is to be settled as `NotSent` then.
    pub fn may_leave(&mut self, ticket: &Ticket, now: Timestamp) -> bool {
        self.advance(now);
        // One that was given up meanwhile holds nothing any more.
        self.state.in_flight.contains_key(&ticket.id)
            && ticket.key_number == self.state.waits.key_number()
            && !self.state.waits.overtakes(ticket.id, ticket.call)
    }

    fn rules_refuse(&self, call: CallKind, now: Timestamp) -> Option<Refusal> {
        let spacing = self
            .state
            .last_upload
            .filter(|_| call == CallKind::Upload)
            .map(|last| last + self.limits.upload_gap)
            .filter(|until| now < *until)
            .map(|until| (BlockRule::Uploads, until));
        BlockRule::ALL
            .into_iter()
            .zip(&self.state.budgets)
            .filter(|(rule, _)| self.limits.enforces(*rule))
            .filter_map(|(rule, budget)| Some((rule, budget.check(self.need(rule, call), now).err()?)))
            .chain(spacing)
            .map(|(rule, until)| Refusal { until, why: Why::Rule(rule) })
            .reduce(Refusal::and)
    }

    fn need(&self, rule: BlockRule, call: CallKind) -> Need {
        let keep = rule.keeps_reserve().then(|| match call {
            // From the reserve; if that has gone short, who is due first is served first.
            CallKind::Look { last: true, .. } => 0,
            CallKind::Balance | CallKind::Report => self.kept_back().saturating_add(self.limits.yield_floor),
            CallKind::Look { .. } | CallKind::Load => self.kept_back(),
            CallKind::Upload => self.reserve(),
        });
        Need {
            units: rule.worst(call, self.state.waits.key_is_good()),
            keep,
            upload: call == CallKind::Upload && self.limits.shape(rule).earns() > 0,
        }
    }

    const fn reserve(&self) -> u32 {
        self.state.reserve()
    }

    /// What ordinary looks leave.
    fn kept_back(&self) -> u32 {
        self.reserve().saturating_add(self.limits.spare_looks.min(self.state.open_captchas))
    }

    /// The call has ended. For an accepted upload, [`Self::captcha_opened`] follows in the same breath.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a ticket is used up, and so is the answer it is settled with"
    )]
    pub fn settle(&mut self, ticket: Ticket, ended: Ended, now: Timestamp) {
        let now = self.advance(now);
        if self.state.in_flight.contains_key(&ticket.id) {
            self.end(ticket.id, &ended, now);
        } else {
            self.reply_after_all(&ticket, &ended, now);
        }
    }

    /// The call was given up, and counted as the bad case; but what the upstream says now is still true.
    fn reply_after_all(&mut self, ticket: &Ticket, ended: &Ended, now: Timestamp) {
        for (rule, budget) in BlockRule::ALL.into_iter().zip(&mut self.state.budgets) {
            let is_code = matches!(ended, Ended::Code(_));
            if is_code && rule.counts_answers() && rule.counted(ended) != Counted::No {
                let again = Spent::Units(rule.worst(ticket.call, false));
                budget.settle(Held::default(), again, false, now);
            }
        }
        self.state.waits.ended(ticket.id, ticket.call, ticket.key_number, ended, &self.limits, now);
    }

    fn end(&mut self, id: u64, ended: &Ended, now: Timestamp) {
        let Some(flight) = self.state.in_flight.remove(&id) else {
            return;
        };
        let late = now + self.limits.late;
        for (rule, (budget, held)) in
            BlockRule::ALL.into_iter().zip(self.state.budgets.iter_mut().zip(flight.held))
        {
            let spent = match ended {
                Ended::NotSent => Spent::Nothing,
                Ended::Unknown => Spent::Perhaps(held.units, late),
                _ => match rule.counted(ended) {
                    Counted::No => Spent::Nothing,
                    Counted::AsHeld => Spent::Units(held.units),
                    Counted::One => Spent::Units(1),
                },
            };
            budget.settle(held, spent, *ended == Ended::Accepted, now);
        }
        if let (CallKind::Look { ids, last: true }, Ended::NotSent) = (flight.call, ended) {
            self.state.last_looks = self.state.last_looks.saturating_sub(ids);
        }
        self.state.waits.ended(id, flight.call, flight.key_number, ended, &self.limits, now);
        if let Ended::Code(Code::Known(ErrorCode::Block1005)) = ended {
            // Somebody else spends the allowance as well: only last looks are left of ours.
            let kept_back = self.kept_back();
            for ledger in self.state.look_ledgers() {
                ledger.drain_to(kept_back);
            }
        }
    }

    /// An upload got its id, or a captcha is found again after a restart: its last look is reserved.
    pub fn captcha_opened(&mut self) {
        self.state.open_captchas = self.state.open_captchas.saturating_add(1);
    }

    /// A captcha has its answer, or nobody will look again.
    pub fn captcha_closed(&mut self) {
        // Which captchas had their last look is not remembered. To take the closed one for one of them keeps the
        // reserve on the safe side.
        self.state.open_captchas = self.state.open_captchas.saturating_sub(1);
        self.state.last_looks = self.state.last_looks.saturating_sub(1);
    }

    /// An operator has mended what was wrong, see [`Waits::clear_latches`].
    pub fn clear_latches(&mut self, now: Timestamp) {
        let now = self.advance(now);
        self.state.waits.clear_latches(now);
    }

    /// Calls carry another key from now on.
    pub fn key_changed(&mut self, now: Timestamp) {
        self.advance(now);
        self.state.waits.key_changed();
    }

    /// The whole state, to be stored.
    #[must_use]
    pub fn save(&self) -> SavedAdmission {
        SavedAdmission(self.state.clone())
    }

    /// The state with up to `most` looks counted as made that were not, as far as they are not kept for captchas; and how
    /// many these are.
    #[must_use]
    pub fn save_ahead(&self, most: u32) -> (SavedAdmission, u32) {
        let free = self.ledgers().map(|ledger| ledger.available().saturating_sub(self.kept_back())).min();
        let paid = free.unwrap_or(0).min(most);
        let mut saved = self.save();
        saved.charge_looks(paid);
        (saved, paid)
    }

    /// The ledgers of rule 1005 that count.
    fn ledgers(&self) -> impl Iterator<Item = &CappedLedger> {
        let rules = BlockRule::ALL.into_iter().zip(&self.state.budgets);
        rules.filter(|(rule, _)| rule.keeps_reserve() && self.limits.enforces(*rule)).filter_map(
            |(_, budget)| match budget {
                Budget::Ledger(ledger) => Some(ledger),
                Budget::Window(_) => None,
            },
        )
    }
}

#[cfg(test)]
mod tests;
