//! What is wrong with the settings, said so that it can be put right: where, which setting, found and expected.

use std::fmt;
use std::ops::Deref;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `capgate.toml:12:3`, the variable's name, or the file as a whole.
    pub place: String,
    /// The setting's full name (`polling.interval`, `client.0.name`); empty when the file as a whole is at fault.
    pub setting: String,
    pub problem: Problem,
}

/// In which way it is wrong. No variant ever holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("is not TOML: {0}")]
    Syntax(String),
    #[error("unknown setting{}", nearest.as_ref().map_or_else(String::new, |name| format!("; did you mean {name}?")))]
    Unknown { nearest: Option<String> },
    #[error("found {found}, expected {expected}")]
    Unfit { found: String, expected: String },
    #[error("missing, expected {expected}")]
    Missing { expected: String },
    #[error("{other} is given too, expected one of them ({place})")]
    Both { other: String, place: String },
    #[error("the same {what} as {other} ({place}), expected another")]
    Repeated { what: &'static str, other: String, place: String },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.setting.is_empty() {
            write!(f, "{}: {}", self.place, self.problem)
        } else {
            write!(f, "{}: {}: {}", self.place, self.setting, self.problem)
        }
    }
}

/// All faults of all sources: those of single values in the order of the sources, then those between settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    pub(super) fn add(&mut self, place: &str, setting: &str, problem: Problem) {
        self.0.push(Fault { place: place.to_owned(), setting: setting.to_owned(), problem });
    }

    /// Those that leave settings, or whole sections, in doubt: their own, and those of the file as a whole.
    pub(super) fn about(mut self, settings: &[&str]) -> Self {
        let is_of = |name: &str, setting: &&str| {
            name.strip_prefix(setting).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.0.retain(|Fault { setting: name, .. }| {
            name.is_empty() || settings.iter().any(|setting| is_of(name, setting))
        });
        self
    }
}

impl Deref for Faults {
    type Target = Vec<Fault>;
    fn deref(&self) -> &Vec<Fault> {
        &self.0
    }
}

/// One fault a line.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
