//! JSON objects of strangers, clients and the upstream: bounded before anything of them is kept.
//!
//! A body of 8 MB can hold a million members, and its values can be nested as deeply. Neither is kept or handed on: it
//! costs us many times the body's size, and whoever reads the nesting, here or behind us, its stack.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// Deepest nesting of a body, the outer object included; the parameters and answers of the documentation have four.
pub const DEPTH_MAX: usize = 32;
/// Most members of the outer object, the same name twice counted twice.
pub const MEMBERS_MAX: usize = 1_000;

/// Why a text is not taken for an object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    #[error("more than {MEMBERS_MAX} members")]
    TooManyMembers,
    #[error("{0}")]
    Malformed(String),
}

/// An object's members in their order, their values unread.
#[derive(Debug)]
pub(crate) struct JsonObject<'a>(pub(crate) Vec<(String, &'a RawValue)>);

impl<'a> JsonObject<'a> {
    /// # Errors
    /// [`JsonError`] for what is no object, and for one that is over the limits.
    pub fn parse(text: &'a str) -> Result<Self, JsonError> {
        if is_deeper_than(text.as_bytes(), DEPTH_MAX) {
            return Err(JsonError::TooDeep);
        }
        serde_json::from_str::<Members<'a>>(text)
            .map_err(|error| JsonError::Malformed(error.to_string()))?
            .0
            .map(Self)
            .ok_or(JsonError::TooManyMembers)
    }
}

/// `None`: there were too many.
struct Members<'a>(Option<Vec<(String, &'a RawValue)>>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Taking;
        impl<'de> Visitor<'de> for Taking {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Some(Vec::new());
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    // Read to the end all the same: a fault behind it is the better answer.
                    members = members.filter(|members| members.len() < MEMBERS_MAX);
                    if let Some(members) = &mut members {
                        members.push(member);
                    }
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Taking)
    }
}

/// Whether brackets outside of strings are nested deeper than `limit`.
fn is_deeper_than(text: &[u8], limit: usize) -> bool {
    let (mut depth, mut is_in_string, mut is_escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_in_string => is_escaped = true,
            b'"' => is_in_string = !is_in_string,
            b'{' | b'[' if !is_in_string => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' if !is_in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1))
    }

    #[test]
    fn as_deep_as_allowed_and_one_deeper() {
        assert!(JsonObject::parse(&nested(DEPTH_MAX)).is_ok());
        assert_eq!(JsonObject::parse(&nested(DEPTH_MAX + 1)).unwrap_err(), JsonError::TooDeep);
        assert_eq!(JsonObject::parse(&nested(1_000_000)).unwrap_err(), JsonError::TooDeep);
    }

    #[test]
    fn brackets_in_a_text_are_no_nesting() {
        let text = format!("{{\"a\":\"{}\\\"{}\"}}", "[".repeat(100), "{".repeat(100));
        assert_eq!(JsonObject::parse(&text).unwrap().0.len(), 1);
    }

    #[test]
    fn as_many_members_as_allowed_and_one_more() {
        let object = |count: usize| {
            let members: Vec<_> = (0..count).map(|n| format!("\"p{n}\":1")).collect();
            format!("{{{}}}", members.join(","))
        };
        assert_eq!(JsonObject::parse(&object(MEMBERS_MAX)).unwrap().0.len(), MEMBERS_MAX);
        assert_eq!(JsonObject::parse(&object(MEMBERS_MAX + 1)).unwrap_err(), JsonError::TooManyMembers);
    }
}
