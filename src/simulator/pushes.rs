//! Answers that the simulated upstream pushes by itself (protocol.md 4): to hosts that were registered before, once, by
//! the moment at which the worker is done, unless a fault says otherwise.
//!
//! Nothing is known of how the service tries again, so it does not.

use std::collections::BTreeMap;

use super::faults::FaultKind;
use super::random::Random;
use super::values::Span;
use crate::clock::Timestamp;
use crate::protocol::CaptchaId;

/// Addresses that can be registered.
const ADDRESSES_MAX: usize = 100;
/// Ids of captchas that nobody uploaded begin here, far above those that the model gives out.
const FOREIGN_ID_MIN: u64 = 900_000_000_000;

/// A push that is due: `code` is to be told to `url`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    pub id: CaptchaId,
    pub url: String,
}

/// What is registered, and what is to be pushed when.
#[derive(Clone, Debug, Default)]
pub struct Pushes {
    addresses: Vec<String>,
    /// By the moment, and in the order in which they were planned.
    due: BTreeMap<(Timestamp, u64), Push>,
    early: Vec<Push>,
    planned: u64,
}

impl Pushes {
    /// Registers an address; false when there are too many.
    pub fn register(&mut self, address: String) -> bool {
        if self.addresses.contains(&address) {
            return true;
        }
        let has_room = self.addresses.len() < ADDRESSES_MAX;
        if has_room {
            self.addresses.push(address);
        }
        has_room
    }

    /// Takes back one address, or `all`.
    pub fn remove(&mut self, address: &[u8]) {
        self.addresses.retain(|known| address != b"all" && known.as_bytes() != address);
    }

    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Whether a URL is on a registered host: since 2018 a host is registered and not a URL.
    pub fn is_registered(&self, url: &str) -> bool {
        self.addresses.iter().any(|known| host(known) == host(url))
    }

    /// A captcha that is done at `ready_at` is to be told to `url`, as the fault leaves it.
    pub fn plan(
        &mut self,
        id: CaptchaId,
        url: &str,
        ready_at: Timestamp,
        fault: Option<FaultKind>,
        late: Span,
        random: &mut Random,
    ) {
        let push = |id| Push { id, url: url.to_owned() };
        let Self { due, planned, .. } = self;
        let mut add = |at: Timestamp, push: Push| {
            *planned += 1;
            due.insert((at, *planned), push);
        };
        match fault {
            Some(FaultKind::PushLost) => {}
            Some(FaultKind::PushEarly) => self.early.push(push(id)),
            Some(FaultKind::PushTwice) => {
                add(ready_at, push(id));
                add(ready_at, push(id));
            }
            Some(FaultKind::PushLate) => add(ready_at + late.draw(random), push(id)),
            Some(FaultKind::PushForeign) => {
                add(ready_at, push(CaptchaId(FOREIGN_ID_MIN + random.below(1_000_000))));
                add(ready_at, push(id));
            }
            _ => add(ready_at, push(id)),
        }
    }

    /// When the next push is due.
    pub fn next_at(&self) -> Timestamp {
        self.due.keys().next().map_or(Timestamp::NEVER, |(at, _)| *at)
    }

    /// The pushes that do not wait for anything.
    pub fn early(&mut self) -> Vec<Push> {
        std::mem::take(&mut self.early)
    }

    /// The pushes that are due.
    pub fn due(&mut self, now: Timestamp) -> Vec<Push> {
        let mut due = Vec::new();
        while let Some(first) = self.due.first_entry()
            && first.key().0 <= now
        {
            due.push(first.remove());
        }
        due
    }
}

/// The host of an address, with or without a scheme, a port and a path.
fn host(address: &str) -> String {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let host =
        authority.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(authority, |(host, _)| host);
    host.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE: Span = Span { min_ms: 500, max_ms: 500 };

    fn planned(fault: Option<FaultKind>) -> Vec<(u64, bool)> {
        let mut pushes = Pushes::default();
        let mut random = Random::new(1, "test");
        pushes.plan(CaptchaId(7), "http://us/x", Timestamp(1_000), fault, LATE, &mut random);
        let mut told = Vec::new();
        while pushes.next_at() != Timestamp::NEVER {
            let at = pushes.next_at();
            told.extend(pushes.due(at).into_iter().map(|push| (at.0, push.id == CaptchaId(7))));
        }
        told
    }

    #[test]
    fn each_fault_leaves_what_its_name_says() {
        assert_eq!(planned(None), [(1_000, true)]);
        assert_eq!(planned(Some(FaultKind::PushLost)), []);
        assert_eq!(planned(Some(FaultKind::PushTwice)), [(1_000, true), (1_000, true)]);
        assert_eq!(planned(Some(FaultKind::PushLate)), [(1_500, true)]);
        assert_eq!(planned(Some(FaultKind::PushForeign)), [(1_000, false), (1_000, true)]);
    }

    #[test]
    fn any_url_on_a_registered_host_is_registered_and_no_other() {
        let mut pushes = Pushes::default();
        assert!(pushes.register("http://Us.example/answer.php".to_owned()));
        for (url, is_registered) in [
            ("us.example", true),
            ("https://us.example:8443/x?y=1", true),
            ("http://us.example.evil/", false),
            ("http://them.example/us.example", false),
            ("", false),
        ] {
            assert_eq!(pushes.is_registered(url), is_registered, "{url}");
        }
    }
}
