//! How long a call and its reply are under way, and which calls do not get through at all.

use std::time::Duration;

use capgate::simulator::random::Random;

/// Longest that the gateway waits for a reply.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest that a call can be under way: the gateway has given it up by then.
const LATEST_MS: u64 = 85_000;

/// One call's way.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    /// The connection is refused: not a byte goes out.
    pub is_refused: bool,
    pub out: Duration,
    pub back: Duration,
}

impl Way {
    /// Whether the call arrives after the gateway has given it up.
    pub fn is_late(&self) -> bool {
        self.out >= TIMEOUT
    }
}

/// See the module.
#[derive(Debug)]
pub struct Network {
    random: Random,
    /// Of the usual ways, milliseconds.
    pub usual_ms: u64,
    /// How often a connection is refused.
    pub refuses: f64,
    /// How often a call is held up beyond all patience, and arrives all the same.
    pub holds_up: f64,
}

impl Network {
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed, "network"), usual_ms: 120, refuses: 0.0, holds_up: 0.0 }
    }

    pub fn way(&mut self) -> Way {
        let is_refused = self.random.fraction() < self.refuses;
        let mut out = self.one_way();
        if self.random.fraction() < self.holds_up {
            out = Duration::from_millis(1_000 + self.random.below(LATEST_MS - 1_000));
        }
        Way { is_refused, out, back: self.one_way() }
    }

    /// Now and then ten times as long as usual, so that calls overtake each other.
    fn one_way(&mut self) -> Duration {
        let most = if self.random.below(50) == 0 { self.usual_ms * 10 } else { self.usual_ms };
        Duration::from_millis(2 + self.random.below(most))
    }
}
