//! Faults by switch: what can go wrong, on which calls, and how often.
//!
//! A fault is written `KIND[@in|@res|@load]` and its rate as a probability (`0.1`), every Nth call (`1/20`) or the
//! next N calls (`next 3`); the same on the command line (`--fault html@res=0.1`) and in a scenario's JSON.

mod kinds;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

pub use self::kinds::{Endpoint, FaultKind, UNKNOWN_CODE};
use super::random::Random;
use super::values::{Malformed, as_text};

/// A fault and the calls that it hits; without an endpoint those that suit the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FaultPoint {
    pub kind: FaultKind,
    pub endpoint: Option<Endpoint>,
}

impl FaultPoint {
    fn is_on(self, endpoint: Endpoint) -> bool {
        self.endpoint.map_or_else(|| self.kind.is_natural_on(endpoint), |only| only == endpoint)
    }
}

impl fmt::Display for FaultPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)?;
        f.write_str(match self.endpoint {
            None => "",
            Some(Endpoint::InPhp) => "@in",
            Some(Endpoint::ResPhp) => "@res",
            Some(Endpoint::LoadPhp) => "@load",
        })
    }
}

impl FromStr for FaultPoint {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed::new(text, "a fault, KIND or KIND@in, KIND@res, KIND@load");
        let (name, endpoint) = match text.split_once('@') {
            None => (text, None),
            Some((name, "in")) => (name, Some(Endpoint::InPhp)),
            Some((name, "res")) => (name, Some(Endpoint::ResPhp)),
            Some((name, "load")) => (name, Some(Endpoint::LoadPhp)),
            Some(_) => return Err(malformed()),
        };
        Ok(Self { kind: FaultKind::named(name).ok_or_else(malformed)?, endpoint })
    }
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    Probability(f64),
    /// Every Nth call that it could strike.
    Every(u32),
    /// The next N calls that it could strike, from when the switch was set.
    Next(u32),
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probability(probability) => probability.fmt(f),
            Self::Every(nth) => write!(f, "1/{nth}"),
            Self::Next(count) => write!(f, "next {count}"),
        }
    }
}

impl FromStr for Rate {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let malformed = || Malformed::new(text, "a rate: a probability, 1/N or \"next N\"");
        if let Some(nth) = text.strip_prefix("1/") {
            let nth = nth.parse().ok().filter(|nth| *nth > 0);
            return nth.map(Self::Every).ok_or_else(malformed);
        }
        if let Some(count) = text.strip_prefix("next ") {
            return count.parse().map(Self::Next).map_err(|_| malformed());
        }
        let probability = text.parse().ok().filter(|value| (0.0..=1.0).contains(value));
        probability.map(Self::Probability).ok_or_else(malformed)
    }
}

as_text!(FaultPoint, Rate);

/// The faults that are switched on, and how often each could have struck.
#[derive(Clone, Debug)]
pub struct Faults {
    armed: Vec<(FaultPoint, Rate, u64)>,
    random: Random,
    struck: BTreeMap<FaultKind, u64>,
}

impl Faults {
    pub fn new(switches: &BTreeMap<FaultPoint, Rate>, seed: u64) -> Self {
        let mut faults =
            Self { armed: Vec::new(), random: Random::new(seed, "faults"), struck: BTreeMap::new() };
        faults.switch(switches);
        faults
    }

    /// Takes new switches; those that stay the same go on counting.
    pub fn switch(&mut self, switches: &BTreeMap<FaultPoint, Rate>) {
        let before = std::mem::take(&mut self.armed);
        self.armed.extend(switches.iter().map(|(point, rate)| {
            let same = before.iter().find(|old| old.0 == *point && old.1 == *rate);
            (*point, *rate, same.map_or(0, |old| old.2))
        }));
    }

    /// The fault, of those `wanted`, that strikes this call; the first of the list when several do.
    pub fn strike(&mut self, endpoint: Endpoint, wanted: impl Fn(FaultKind) -> bool) -> Option<FaultKind> {
        let mut hit = None;
        for (point, rate, calls) in &mut self.armed {
            if !point.is_on(endpoint) || !wanted(point.kind) {
                continue;
            }
            *calls += 1;
            let strikes = match *rate {
                Rate::Probability(probability) => self.random.fraction() < probability,
                Rate::Every(nth) => calls.is_multiple_of(u64::from(nth)),
                Rate::Next(count) => *calls <= u64::from(count),
            };
            if strikes && hit.is_none() {
                hit = Some(point.kind);
            }
        }
        if let Some(kind) = hit {
            *self.struck.entry(kind).or_default() += 1;
        }
        hit
    }

    /// How often each fault struck.
    pub fn struck(&self) -> BTreeMap<String, u64> {
        self.struck.iter().map(|(kind, count)| (kind.to_string(), *count)).collect()
    }

    /// Forgets how often each struck; "next N" is not begun anew.
    pub fn reset(&mut self) {
        self.struck.clear();
    }

    /// Numbers for what a fault needs to be made up.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }
}

#[cfg(test)]
mod tests;
