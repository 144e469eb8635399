//! Every switch of the simulator: name, default and bounds. The same names are members of `POST /scenario`.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::faults::{FaultPoint, Rate};
use super::solving::SolveTimes;
use super::values::{Money, Span};
use crate::protocol::ids::KEY_SYMBOLS;

/// The key that the simulator takes unless told otherwise; it opens nothing else.
pub const DEFAULT_KEY: &str = "simulator-key-not-for-real-use-0";

/// How a batch of N ids counts towards R of rule 1005; no source says (protocol.md 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum BatchCountsAs {
    /// As one call.
    One,
    /// As N calls.
    Each,
    /// In both ways at once: whichever reading is broken first blocks.
    Both,
}

/// The account's key; never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub String);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// The switches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scenario {
    /// Decides ids, prices, solve times and which calls faults strike.
    pub seed: u64,
    /// 32 symbols; the account's only key.
    pub key: Key,
    /// `real`, `fast`, or `MIN-MAX` in milliseconds.
    pub solve_times: SolveTimes,
    /// Solve times are multiplied by it; above 0, at most 1000.
    pub time_scale: f64,
    /// Captchas that may wait for a worker; one more is `ERROR_NO_SLOT_AVAILABLE`.
    pub slots: usize,
    /// USD on the account; setting it to another value replaces what is left.
    pub balance: Money,
    /// Faults and their rates, see [`super::faults`].
    pub faults: BTreeMap<FaultPoint, Rate>,
    /// How late a `slow` reply comes.
    pub slow_ms: Span,
    /// Fraction of text answers to images that hold a `|`; the upload's hash decides which.
    pub piped_answers: f64,
    /// Off: the rules are not enforced.
    pub block_rules: bool,
    /// The reading of a batch in rule 1005.
    pub batch_counts_as: BatchCountsAs,
    /// The time over which 1003 compares no-slot answers with uploads; no source names one.
    pub no_slot_ratio_window_ms: u64,
    /// Calls with a wrong key, within a day, that ban the address ("many", protocol.md 5).
    pub wrong_keys_for_ban: u64,
    /// Largest image, bytes; sources say 100 kB and 600 kB (protocol.md 2.4).
    pub image_max_bytes: usize,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            seed: 1,
            key: Key(DEFAULT_KEY.to_owned()),
            solve_times: SolveTimes::Real,
            time_scale: 1.0,
            slots: 1_000,
            balance: Money(1_000 * 100_000),
            faults: BTreeMap::new(),
            slow_ms: Span { min_ms: 2_000, max_ms: 10_000 },
            piped_answers: 0.0,
            block_rules: true,
            batch_counts_as: BatchCountsAs::Both,
            no_slot_ratio_window_ms: 60_000,
            wrong_keys_for_ban: 20,
            image_max_bytes: 600 * 1024,
        }
    }
}

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    #[error("the switches could not be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error("{0}")]
    OutOfBounds(&'static str),
}

impl Scenario {
    /// # Errors
    /// The first switch that is out of its bounds.
    pub fn check(self) -> Result<Self, ScenarioError> {
        let is_fraction = |value: f64| (0.0..=1.0).contains(&value);
        let bounds = [
            (self.key.0.len() == KEY_SYMBOLS, "key: it must have 32 symbols"),
            (self.time_scale > 0.0 && self.time_scale <= 1_000.0, "time_scale: above 0, at most 1000"),
            (is_fraction(self.piped_answers), "piped_answers: 0 to 1"),
            (self.no_slot_ratio_window_ms > 0, "no_slot_ratio_window_ms: above 0"),
            (self.wrong_keys_for_ban > 0, "wrong_keys_for_ban: above 0"),
        ];
        match bounds.into_iter().find(|(holds, _)| !holds) {
            Some((_, fault)) => Err(ScenarioError::OutOfBounds(fault)),
            None => Ok(self),
        }
    }

    /// These switches with those of `patch` in place of their own (RFC 7396: `null` returns one to its default).
    ///
    /// # Errors
    /// No JSON object, an unknown switch, or a value that cannot be read or is out of bounds.
    pub fn merged(&self, patch: &Value) -> Result<Self, ScenarioError> {
        if !patch.is_object() {
            return Err(ScenarioError::OutOfBounds("the switches: they come as one JSON object"));
        }
        let mut whole = serde_json::to_value(self)?;
        merge(&mut whole, patch);
        serde_json::from_value::<Self>(whole)?.check()
    }
}

fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(members) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(serde_json::Map::new());
    }
    let Value::Object(into) = into else { return };
    for (name, value) in members {
        if value.is_null() {
            into.remove(name);
        } else {
            merge(into.entry(name.as_str()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_changes_what_it_names_and_null_heals() {
        let broken = Scenario::default()
            .merged(&json!({"faults": {"html@res": 0.5, "hang": "1/20"}, "slots": 3, "solve_times": "fast"}))
            .unwrap();
        assert_eq!((broken.slots, broken.faults.len()), (3, 2));
        let healing = broken.merged(&json!({"faults": {"hang": null}})).unwrap();
        assert_eq!((healing.slots, healing.faults.len()), (3, 1));
        let healed = healing.merged(&json!({"faults": null, "slots": null, "solve_times": null})).unwrap();
        assert_eq!(healed, Scenario::default());
    }

    #[test]
    fn unknown_switches_and_values_out_of_bounds_are_errors() {
        for patch in [
            json!({"slot": 3}),
            json!({"key": "short"}),
            json!({"time_scale": 0}),
            json!({"piped_answers": 1.1}),
            json!({"faults": {"html": 2}}),
            json!({"faults": {"htmk": 1}}),
            json!([]),
        ] {
            assert!(Scenario::default().merged(&patch).is_err(), "{patch}");
        }
    }

    #[test]
    fn the_default_key_fits_and_is_never_printed() {
        let scenario = Scenario::default().check().unwrap();
        assert!(!format!("{scenario:?}").contains(DEFAULT_KEY));
    }
}
