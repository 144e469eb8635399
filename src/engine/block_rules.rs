//! The habits for which the upstream locks an account out (protocol.md 5), as rows: one budget each.
//!
//! No answer sequence of the upstream may complete a row's condition: each budget counts a call in flight as if it
//! had ended in the way that the rule forbids. [`super::window`] and [`super::ledger`] prove what their shape promises
//! of *every* window; here stands why that implies the upstream's rule. A reply that is no word at all, an error page or
//! noise, may stand in the place of any: it counts as the bad case, too.
//!
//! - **1001, 1002**: 120 of one error in a minute. A window of 119. It is a second longer than the upstream's, here and
//!   below, because two clocks never run quite alike.
//! - **1003**: no-slot answers N reach three times the captchas sent S, and at least 120. Over which time, nobody says;
//!   the block that follows lasts 30 seconds, so the upstream hardly looks back for longer than minutes. The shape is a
//!   ledger, and S is the accepted ones only. It promises `N <= 79 + S` in every window up to half an hour: cap 47,
//!   trickle 30, grants 2. Were `N >= 3 * S` as well, then `N <= 79 + N / 3`, so `N <= 118`: under 120. The trickle is
//!   what one probe a minute needs; without it, a long time without slots, or an outage that swallows replies, would
//!   stop uploads for as long as the window is.
//! - **1004**: five calls with a wrong key, over which time, nobody says. At most 4 in an hour: a window of 3, and a
//!   grant. The first refusal closes the gate ([`super::waits`]), and until a reply has shown that the key is good, one
//!   call is in flight and counts as refused. A good key that is withdrawn while calls are in flight is beyond this:
//!   they have been sent.
//! - **1005**: calls to res.php R exceed `20 * C + 1200`, C the uploads (we count the accepted ones). A ledger that
//!   promises `R <= 20 * C + 1200` in every window, the account's whole life too: cap 1000, no trickle, and 40 for each
//!   of five pasts that were lost. An upload needs none of it, so an empty ledger stops looks and not the gateway. A batch
//!   of n may count as one call or as n: two ledgers.
//! - **`MAX_USER_TURN`**: over 60 calls to in.php in 3 seconds. A window of 60, and [`super::Limits::upload_gap`].

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::call::{CallKind, Ended};
use super::ledger::LedgerShape;
use crate::protocol::{Code, ErrorCode, Reaction};

/// The shape of a rule's budget, with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// At most `limit` in any `window`; `grant` of them come free a minute after a past was lost.
    Window {
        limit: u32,
        window: Duration,
        grant: u32,
    },
    Ledger(LedgerShape),
}

impl Shape {
    /// The most that the shape lets through in its window, or in one period without an upload, with `lost` pasts.
    pub const fn most(&self, lost: u32) -> u32 {
        match self {
            Self::Window { limit, grant, .. } => limit.saturating_add(grant.saturating_mul(lost)),
            Self::Ledger(shape) => {
                shape.cap.saturating_add(shape.trickle).saturating_add(shape.grant.saturating_mul(lost))
            }
        }
    }

    /// The stretch of time for which that holds.
    pub const fn span(&self) -> Duration {
        match self {
            Self::Window { window, .. } => *window,
            Self::Ledger(shape) => shape.period,
        }
    }

    /// What an accepted upload adds.
    pub const fn earns(&self) -> u32 {
        match self {
            Self::Window { .. } => 0,
            Self::Ledger(shape) => shape.earns,
        }
    }
}

/// What a rule counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    NoSlotAnswers,
    ZeroBalanceAnswers,
    KeyRefusals,
    ResCalls,
    ResLooks,
    Uploads,
}

/// Whether a call counts that was sent and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    No,
    /// What it held in flight.
    AsHeld,
    /// One, whatever it held: a key that was good is refused.
    One,
}

/// One rule of the upstream.
#[derive(Debug)]
pub struct Row {
    pub rule: BlockRule,
    /// Its name in metrics, logs and pages.
    pub label: &'static str,
    /// The code with which the upstream says that it has come.
    pub block: ErrorCode,
    pub counts: Counts,
    pub shape: Shape,
    /// What any shape may let through, see [`Shape::most`].
    pub bound: u32,
    /// How many lost pasts in one span the default numbers pay for.
    pub lost: u32,
    pub help: &'static str,
}

const fn window(limit: u32, window_ms: u64, grant: u32) -> Shape {
    Shape::Window { limit, window: Duration::from_millis(window_ms), grant }
}

const fn ledger(cap: u32, earns: u32, trickle: u32, period_minutes: u64, grant: u32) -> Shape {
    Shape::Ledger(LedgerShape { cap, earns, trickle, period: Duration::from_mins(period_minutes), grant })
}

macro_rules! block_rules {
    ($($name:ident = $label:literal, $block:ident, $counts:ident, $shape:expr, $bound:literal, $lost:literal, $help:literal;)*) => {
        /// A rule of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum BlockRule { $(#[doc = $help] $name,)* }

        /// Every rule, in the order of [`BlockRule`].
        pub const BLOCK_RULES: [Row; BlockRule::COUNT] = [$(Row {
            rule: BlockRule::$name,
            label: $label,
            block: ErrorCode::$block,
            counts: Counts::$counts,
            shape: $shape,
            bound: $bound,
            lost: $lost,
            help: $help,
        },)*];

        impl BlockRule {
            /// Every rule, in the order of the table.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$name,)*];
            /// How many there are.
            pub const COUNT: usize = [$($label,)*].len();

            /// Its name in metrics, logs and pages.
            #[must_use]
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// The rule in one sentence.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$name => $help,)* }
            }

            /// The code with which the upstream says that it has come.
            #[must_use]
            pub const fn block(self) -> ErrorCode {
                match self { $(Self::$name => ErrorCode::$block,)* }
            }
        }
    };
}

// Columns: name, label, block, what it counts, our numbers, bound, lost pasts per span.
#[rustfmt::skip]
block_rules! {
    NoSlotAnswers      = "1001",          Block1001,   NoSlotAnswers,      window(119, 61_000, 0),     119, 0, "120 no-slot answers in a minute";
    ZeroBalanceAnswers = "1002",          Block1002,   ZeroBalanceAnswers, window(119, 61_000, 0),     119, 0, "120 zero-balance answers in a minute";
    NoSlotRatio        = "1003",          Block1003,   NoSlotAnswers,      ledger(47, 1, 30, 30, 1),    79, 2, "no-slot answers reach three times the captchas sent, and 120";
    WrongKeys          = "1004",          Block1004,   KeyRefusals,        window(3, 3_601_000, 1),      4, 1, "five calls with a wrong key";
    ResCalls           = "1005_calls",    Block1005,   ResCalls,           ledger(1_000, 20, 0, 1_440, 40), 1200, 5, "more than 20 calls to res.php a captcha, plus 1200";
    ResLooks           = "1005_looks",    Block1005,   ResLooks,           ledger(1_000, 20, 0, 1_440, 40), 1200, 5, "the same, if a batch of n looks counts n";
    Uploads            = "max_user_turn", MaxUserTurn, Uploads,            window(60, 4_000, 0),        60, 0, "more than 60 calls to in.php in 3 seconds";
}

impl BlockRule {
    /// The rule's row.
    #[must_use]
    pub const fn row(self) -> &'static Row {
        const ROWS: &[Row; BlockRule::COUNT] = &BLOCK_RULES;
        &ROWS[self as usize]
    }

    /// Whether open captchas have a reserve in this rule's budget.
    #[must_use]
    pub const fn keeps_reserve(self) -> bool {
        matches!(self.row().counts, Counts::ResCalls | Counts::ResLooks)
    }

    /// Whether the rule counts what the upstream answers, and not that it was called.
    #[must_use]
    pub const fn counts_answers(self) -> bool {
        matches!(self.row().counts, Counts::NoSlotAnswers | Counts::ZeroBalanceAnswers | Counts::KeyRefusals)
    }

    /// What `call` costs if it ends in the way that the rule forbids. With a key that is known to be good, no refusal
    /// of the key is expected.
    #[must_use]
    pub const fn worst(self, call: CallKind, key_is_good: bool) -> u32 {
        match (self.row().counts, call) {
            (Counts::NoSlotAnswers | Counts::ZeroBalanceAnswers | Counts::Uploads, CallKind::Upload)
            | (Counts::ResCalls, CallKind::Look { .. } | CallKind::Report | CallKind::Balance)
            | (Counts::ResLooks, CallKind::Report | CallKind::Balance) => 1,
            (Counts::ResLooks, CallKind::Look { ids, .. }) => {
                if ids == 0 {
                    1
                } else {
                    ids
                }
            }
            (
                Counts::KeyRefusals,
                CallKind::Upload | CallKind::Look { .. } | CallKind::Report | CallKind::Balance,
            ) => !key_is_good as u32,
            _ => 0,
        }
    }

    /// Whether a call counts that was sent and answered with `ended`.
    #[must_use]
    pub fn counted(self, ended: &Ended) -> Counted {
        let is_wordless = *ended == Ended::NoCode;
        let reaction = match ended {
            Ended::Code(code) => Some(code.reaction()),
            _ => None,
        };
        let counts = match self.row().counts {
            Counts::NoSlotAnswers => is_wordless || reaction == Some(Reaction::WaitForSlot),
            Counts::ZeroBalanceAnswers => is_wordless || reaction == Some(Reaction::WaitForBalance),
            Counts::KeyRefusals if reaction == Some(Reaction::StopCalling) => return Counted::One,
            // A code that nobody knows could be a new word for a wrong key.
            Counts::KeyRefusals => is_wordless || matches!(ended, Ended::Code(Code::Unknown(_))),
            Counts::ResCalls | Counts::ResLooks | Counts::Uploads => true,
        };
        if counts { Counted::AsHeld } else { Counted::No }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_its_rules() {
        for (rule, row) in BlockRule::ALL.iter().zip(&BLOCK_RULES) {
            assert_eq!(*rule, row.rule);
            assert_eq!(rule.row().label, row.label);
        }
    }

    #[test]
    fn the_default_numbers_stay_within_each_rules_bound_with_the_lost_pasts_paid_for() {
        for row in &BLOCK_RULES {
            assert!(row.shape.most(row.lost) <= row.bound, "{}", row.label);
        }
    }

    #[test]
    fn the_bound_of_1003_implies_its_condition_never_holds() {
        for sent in 0..10_000_u32 {
            let most = BlockRule::NoSlotRatio.row().bound + sent;
            assert!(most < 120 || most < 3 * sent, "{sent} sent");
        }
    }

    #[test]
    fn a_batch_costs_one_call_and_as_many_looks_as_it_has_ids() {
        let batch = CallKind::Look { ids: 12, last: false };
        assert_eq!(BlockRule::ResCalls.worst(batch, true), 1);
        assert_eq!(BlockRule::ResLooks.worst(batch, true), 12);
        assert_eq!(BlockRule::Uploads.worst(batch, true), 0);
    }
}
