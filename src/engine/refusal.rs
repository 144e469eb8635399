//! The words between the engine and whoever asks it: why a call may not go, and until when. What a call is, and how it
//! ended, is [`super::call`]'s.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::block_rules::BlockRule;
pub use super::call::{CallKind, Ended};
use crate::clock::Timestamp;
use crate::protocol::Code;

/// Why a call may not go upstream now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// It could complete the condition of this rule.
    Rule(BlockRule),
    /// The account's queue is full: uploads wait for the next probe.
    NoSlot,
    /// The account has no money: uploads are refused from memory until the next probe.
    ZeroBalance,
    /// The upstream has locked us out; then one probe goes first.
    Blocked(#[serde(with = "code_as_text")] Code),
    /// The upstream refuses our key or our address: nothing goes until the key changes or an operator says so.
    KeyRefused(#[serde(with = "code_as_text")] Code),
    /// No answer has shown yet that the key is good: one call at a time.
    KeyUnconfirmed,
}

impl Why {
    /// The reason as a metric's label: one of a closed list.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Rule(rule) => rule.label(),
            Self::NoSlot => "no_slot",
            Self::ZeroBalance => "zero_balance",
            Self::Blocked(_) => "blocked",
            Self::KeyRefused(_) => "key_refused",
            Self::KeyUnconfirmed => "key_unconfirmed",
        }
    }

    /// Of several reasons, people and the driver are told the one that explains most.
    const fn weight(&self) -> u8 {
        match self {
            Self::KeyRefused(_) => 5,
            Self::Blocked(_) => 4,
            Self::ZeroBalance => 3,
            Self::NoSlot => 2,
            Self::KeyUnconfirmed => 1,
            Self::Rule(_) => 0,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(rule) => write!(f, "could complete block rule {}: {}", rule.block(), rule.help()),
            Self::NoSlot => f.write_str("the upstream has no free slot"),
            Self::ZeroBalance => f.write_str("the account has no money"),
            Self::Blocked(code) => write!(f, "the upstream has blocked us: {code}"),
            Self::KeyRefused(code) => write!(f, "the upstream refuses our key or address: {code}"),
            Self::KeyUnconfirmed => f.write_str("the key is not confirmed yet: one call at a time"),
        }
    }
}

/// Not now: until when, and why.
///
/// When captchas end, calls settle or uploads earn, the answer can change sooner than `until`: ask again then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{why}, until {until}")]
pub struct Refusal {
    pub until: Timestamp,
    pub why: Why,
}

impl Refusal {
    /// Both refuse: the weightier reason, until the later moment.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let until = self.until.max(other.until);
        let rank = |refusal: &Self| (refusal.why.weight(), refusal.until);
        let why = if rank(&other) > rank(&self) { other.why } else { self.why };
        Self { until, why }
    }
}

/// A code is stored as it stands on the wire.
pub(super) mod code_as_text {
    use super::{Code, Cow, Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
        code.as_str().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Code::parse(text.as_bytes()).ok_or_else(|| serde::de::Error::custom("not a code of the upstream"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ErrorCode;

    #[test]
    fn of_two_refusals_the_weightier_reason_and_the_later_moment_are_told() {
        let soon = Refusal { until: Timestamp(5), why: Why::Blocked(ErrorCode::Block1005.into()) };
        let late = Refusal { until: Timestamp(9), why: Why::Rule(BlockRule::Uploads) };
        let both = Refusal { until: Timestamp(9), why: soon.why.clone() };
        assert_eq!(soon.clone().and(late.clone()), both);
        assert_eq!(late.and(soon), both);
    }

    #[test]
    fn a_refusal_reads_as_a_sentence_and_survives_being_stored() {
        let refusal =
            Refusal { until: Timestamp(0), why: Why::Blocked(Code::parse(b"ERROR: 1017").unwrap()) };
        assert_eq!(
            refusal.to_string(),
            "the upstream has blocked us: ERROR: 1017, until 1970-01-01T00:00:00.000Z"
        );
        let stored = serde_json::to_string(&refusal).unwrap();
        assert_eq!(serde_json::from_str::<Refusal>(&stored).unwrap(), refusal);
    }
}
