//! The numbers that admission works with. The defaults are the safe reading of the upstream's rules.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::block_rules::{BLOCK_RULES, BlockRule, Shape};

/// What happens when a budget says no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BudgetMode {
    /// The call waits.
    #[default]
    Enforce,
    /// The call goes, and its ticket tells what would have been refused. For trying out: nothing is promised. What the
    /// upstream itself has said (a block, no slot, no money, a refused key) is still obeyed.
    Observe,
}

/// How a batch of n looks counts under rule 1005; nobody says (protocol.md 3.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BatchCountsAs {
    /// Both ledgers must allow it.
    #[default]
    Unknown,
    One,
    Each,
}

/// Every number of admission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    pub mode: BudgetMode,
    pub batch_counts_as: BatchCountsAs,
    /// The numbers of each rule, in the order of the table.
    pub shapes: [Shape; BlockRule::COUNT],
    /// The shortest time between two uploads (protocol.md 2.5).
    pub upload_gap: Duration,
    /// Units of the 1005 ledgers that balance and similar calls leave to others.
    pub yield_floor: u32,
    /// Most units that ordinary looks leave in them beside the reserve, one for each open captcha: a start has to pay
    /// again for last looks that may have been made just before a crash, and the others' must not go short by it.
    pub spare_looks: u32,
    /// The first wait after a no-slot answer; it doubles with each probe that finds none.
    pub no_slot_first: Duration,
    pub no_slot_longest: Duration,
    /// One probe in this time when there is no money.
    pub zero_balance_probe: Duration,
    /// Added to each block that the upstream declares.
    pub block_margin: Duration,
    /// How long after we gave a call up the upstream could still see it.
    pub late: Duration,
    /// A call in flight for longer is given up as unknown: its sender has died.
    pub call_longest: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            mode: BudgetMode::Enforce,
            batch_counts_as: BatchCountsAs::Unknown,
            shapes: BLOCK_RULES.map(|row| row.shape),
            upload_gap: Duration::from_millis(100),
            yield_floor: 100,
            spare_looks: 100,
            no_slot_first: Duration::from_secs(5),
            no_slot_longest: Duration::from_mins(1),
            zero_balance_probe: Duration::from_mins(1),
            block_margin: Duration::from_secs(2),
            late: Duration::from_mins(1),
            call_longest: Duration::from_mins(5),
        }
    }
}

impl Limits {
    /// The numbers of one rule.
    pub const fn shape(&self, rule: BlockRule) -> Shape {
        self.shapes[rule as usize]
    }

    /// The numbers of one rule, to change them.
    pub const fn shape_mut(&mut self, rule: BlockRule) -> &mut Shape {
        &mut self.shapes[rule as usize]
    }

    /// Whether a budget's no counts; one of the two readings of rule 1005 may be known to be the wrong one.
    pub const fn enforces(&self, rule: BlockRule) -> bool {
        !matches!(
            (self.batch_counts_as, rule),
            (BatchCountsAs::One, BlockRule::ResLooks) | (BatchCountsAs::Each, BlockRule::ResCalls)
        )
    }

    /// Rules whose numbers promise less than the upstream demands: a settings check names them.
    pub fn unsafe_rules(&self) -> Vec<BlockRule> {
        BLOCK_RULES
            .iter()
            .filter(|row| {
                let shape = self.shape(row.rule);
                shape.most(0) > row.bound
                    || shape.earns() > row.shape.earns()
                    || shape.span() < row.shape.span()
            })
            .map(|row| row.rule)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_safe_and_one_more_is_not() {
        let mut limits = Limits::default();
        assert_eq!(limits.unsafe_rules(), vec![]);
        if let Shape::Window { limit, .. } = limits.shape_mut(BlockRule::Uploads) {
            *limit += 1;
        }
        if let Shape::Ledger(shape) = limits.shape_mut(BlockRule::ResLooks) {
            shape.cap += 201;
        }
        assert_eq!(limits.unsafe_rules(), vec![BlockRule::ResLooks, BlockRule::Uploads]);
    }
}
