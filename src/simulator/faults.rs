//! Faults by switch: what can go wrong, on which calls, and how often.
//!
//! A fault is written `KIND[@in|@res|@load]` and its rate as a probability (`0.1`), every Nth call (`1/20`) or the
//! next N calls (`next 3`); the same on the command line (`--fault html@res=0.1`) and in a scenario's JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::random::Random;
use super::values::{Malformed, as_text};
use crate::protocol::{ErrorCode, Reaction};

/// Which script a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Endpoint {
    InPhp,
    ResPhp,
    LoadPhp,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// An HTML page with status 200; nothing is taken.
    Html,
    /// An HTML page with status 500; nothing is taken.
    Html500,
    /// An HTML page with status 502; nothing is taken.
    Html502,
    /// An HTML page with status 521; nothing is taken.
    Html521,
    /// The call is carried out and its reply never comes.
    Hang,
    /// The connection ends before the call is carried out.
    ResetBefore,
    /// The call is carried out (an upload is accepted and charged), then the connection ends without a reply.
    ResetAfter,
    /// The call is carried out; the reply is noise.
    Garbage,
    /// The call is carried out; the reply is empty.
    Empty,
    /// The call is carried out; the connection ends in the middle of the reply's body.
    Truncated,
    /// The call is carried out; the reply comes late (switch `slow_ms`).
    Slow,
    /// A body without end; nothing is taken.
    Endless,
    /// A batch comes back with fewer pieces than ids.
    ShortBatch,
    /// A code that no description has.
    UnknownCode,
    /// A code of the table. One that ends a captcha is decided at its upload and told as its answer; a block's code
    /// begins that block; any other is the reply to the call.
    Code(ErrorCode),
}

/// The code that [`FaultKind::UnknownCode`] sends.
pub const UNKNOWN_CODE: &str = "ERROR_NEVER_SEEN_BEFORE";

#[rustfmt::skip]
const NAMES: &[(&str, FaultKind)] = &[
    ("html",         FaultKind::Html),
    ("html_500",     FaultKind::Html500),
    ("html_502",     FaultKind::Html502),
    ("html_521",     FaultKind::Html521),
    ("hang",         FaultKind::Hang),
    ("reset_before", FaultKind::ResetBefore),
    ("reset_after",  FaultKind::ResetAfter),
    ("garbage",      FaultKind::Garbage),
    ("empty",        FaultKind::Empty),
    ("truncated",    FaultKind::Truncated),
    ("slow",         FaultKind::Slow),
    ("endless",      FaultKind::Endless),
    ("short_batch",  FaultKind::ShortBatch),
    ("unknown_code", FaultKind::UnknownCode),
    ("unsolvable",   FaultKind::Code(ErrorCode::Unsolvable)),
    ("no_slot",      FaultKind::Code(ErrorCode::NoSlotAvailable)),
    ("zero_balance", FaultKind::Code(ErrorCode::ZeroBalance)),
    ("wrong_key",    FaultKind::Code(ErrorCode::KeyDoesNotExist)),
];

impl FaultKind {
    /// The HTTP status and title of the page, for the page faults.
    pub const fn page(self) -> Option<(u16, &'static str)> {
        match self {
            Self::Html => Some((200, "Site maintenance")),
            Self::Html500 => Some((500, "500 Internal Server Error")),
            Self::Html502 => Some((502, "502 Bad Gateway")),
            Self::Html521 => Some((521, "Web server is down")),
            _ => None,
        }
    }

    /// Whether the captcha of an upload ends with it.
    pub fn ends_captcha(self) -> bool {
        matches!(self, Self::Code(code) if code.reaction() == Reaction::EndCaptcha)
    }

    /// Whether it hits a call as a whole, whatever the call says.
    pub fn hits_call(self) -> bool {
        self != Self::ShortBatch && !self.ends_captcha()
    }

    /// Whether the call is not carried out.
    pub const fn prevents(self) -> bool {
        self.page().is_some() || matches!(self, Self::ResetBefore | Self::Endless)
    }

    /// Whether the sender does not get to read the reply.
    pub const fn loses_reply(self) -> bool {
        self.prevents()
            || matches!(self, Self::Hang | Self::ResetAfter | Self::Garbage | Self::Empty | Self::Truncated)
    }

    /// The calls that it hits when none are named.
    fn is_natural_on(self, endpoint: Endpoint) -> bool {
        match self {
            Self::ShortBatch => endpoint == Endpoint::ResPhp,
            Self::Code(ErrorCode::NoSlotAvailable | ErrorCode::ZeroBalance) => endpoint == Endpoint::InPhp,
            Self::Code(_) if self.ends_captcha() => endpoint == Endpoint::InPhp,
            Self::Code(_) | Self::UnknownCode => endpoint != Endpoint::LoadPhp,
            _ => true,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, kind)| kind == self).map(|(name, _)| *name);
        match (name, self) {
            (Some(name), _) => f.write_str(name),
            (None, Self::Code(code)) => f.write_str(code.as_str()),
            (None, other) => write!(f, "{other:?}"),
        }
    }
}

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
        let named = NAMES.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
        let kind = named.or_else(|| ErrorCode::parse(name.as_bytes()).map(FaultKind::Code));
        Ok(Self { kind: kind.ok_or_else(malformed)?, endpoint })
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
