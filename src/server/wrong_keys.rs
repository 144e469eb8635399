//! Calls with a key that is no client's: never forwarded, and slowed down where many come from one address.
//!
//! The right key of another client behind the same address is never looked at here, so it is never slowed down. What is
//! remembered is bounded: an address beyond the limit is forgotten, and then answered at once again.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::ConnectionType;
use moka::sync::Cache;

use super::respond::Respond;
use crate::clock::Clock;
use crate::metrics::{Metrics, StrangerAnswered};
use crate::protocol::errors::ErrorCode;

/// Wrong keys from one address within a minute, counted from the first, that are answered at once.
pub const AT_ONCE_MAX: u32 = 60;
const WINDOW: Duration = Duration::from_mins(1);
/// How long each further one waits for its answer, the last of its connection; httpx-based clients give up a call after 5 s.
pub const HELD_FOR: Duration = Duration::from_secs(2);
/// How many of one address wait at once; one more is answered at once, and its connection closed.
pub const HELD_MAX: u32 = 16;
/// Addresses that are remembered.
pub const ADDRESSES_MAX: u64 = 10_000;

/// Addresses from which wrong keys came within the last minute.
#[derive(Debug)]
pub struct WrongKeys {
    clock: Clock,
    metrics: Arc<Metrics>,
    by_address: Cache<IpAddr, Arc<Strangers>>,
}

/// Who calls with wrong keys from one address.
#[derive(Debug, Default)]
struct Strangers {
    calls: AtomicU32,
    held: AtomicU32,
}

/// One of the places for calls that wait.
#[derive(Debug)]
struct Held(Arc<Strangers>);

impl WrongKeys {
    #[must_use]
    pub fn new(clock: Clock, metrics: Arc<Metrics>) -> Self {
        let by_address = Cache::builder().max_capacity(ADDRESSES_MAX).time_to_live(WINDOW).build();
        Self { clock, metrics, by_address }
    }

    /// Answers a call with a wrong key.
    pub(super) async fn answer(
        &self,
        from: Option<IpAddr>,
        page: &'static str,
        respond: Respond,
        code: ErrorCode,
    ) -> HttpResponse {
        let (answered, place) = from.map_or((StrangerAnswered::AtOnce, None), |from| self.judge(from));
        self.metrics.stranger_called(page, answered);
        // Polls have no lines.
        if page == "in.php" {
            tracing::info!(%code, answered = answered.label(), "upload refused: no client has its key");
        }
        if place.is_some() {
            self.clock.sleep(HELD_FOR).await;
        }
        let mut reply = respond.code(code, code.help());
        if answered != StrangerAnswered::AtOnce {
            reply.head_mut().set_connection_type(ConnectionType::Close);
        }
        reply
    }

    /// How a call is answered; one that is held back has a place for as long.
    fn judge(&self, from: IpAddr) -> (StrangerAnswered, Option<Held>) {
        let strangers = self.by_address.get_with(network_of(from), Arc::default);
        let calls = strangers.calls.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if calls == AT_ONCE_MAX + 1 {
            tracing::warn!(%from, "many wrong keys from one address: it is answered slowly");
        }
        if calls <= AT_ONCE_MAX {
            return (StrangerAnswered::AtOnce, None);
        }
        let has_place = |held| (held < HELD_MAX).then_some(held + 1);
        match strangers.held.fetch_update(Ordering::AcqRel, Ordering::Acquire, has_place) {
            Ok(_) => (StrangerAnswered::Held, Some(Held(strangers))),
            Err(_) => (StrangerAnswered::Closed, None),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Whoever has one IPv6 address has all of its /64.
fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong_keys() -> WrongKeys {
        WrongKeys::new(Clock::system(), Arc::default())
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn how(wrong_keys: &WrongKeys, from: &str) -> StrangerAnswered {
        wrong_keys.judge(address(from)).0
    }

    #[tokio::test]
    async fn so_many_are_answered_at_once_and_so_many_wait_and_the_rest_is_cut_off() {
        let (wrong_keys, from) = (wrong_keys(), address("192.0.2.7"));
        let handled: Vec<_> = (0..=AT_ONCE_MAX + HELD_MAX).map(|_| wrong_keys.judge(from)).collect();
        let count = |how| handled.iter().filter(|(answered, _)| *answered == how).count();
        assert_eq!(count(StrangerAnswered::AtOnce), AT_ONCE_MAX as usize);
        assert_eq!(count(StrangerAnswered::Held), HELD_MAX as usize);
        assert_eq!(count(StrangerAnswered::Closed), 1);
        assert_eq!(how(&wrong_keys, "192.0.2.8"), StrangerAnswered::AtOnce, "another address");
        drop(handled);
        assert_eq!(how(&wrong_keys, "192.0.2.7"), StrangerAnswered::Held, "a place is free again");
    }

    #[tokio::test]
    async fn a_whole_ipv6_network_is_one_address() {
        let wrong_keys = wrong_keys();
        for host in 0..AT_ONCE_MAX {
            wrong_keys.judge(address(&format!("2001:db8:1:2::{host:x}")));
        }
        assert_eq!(how(&wrong_keys, "2001:db8:1:2:ffff::1"), StrangerAnswered::Held);
        assert_eq!(how(&wrong_keys, "2001:db8:1:3::1"), StrangerAnswered::AtOnce);
        assert_eq!(network_of(address("::ffff:192.0.2.7")), address("192.0.2.7"));
    }

    #[tokio::test]
    async fn addresses_are_remembered_up_to_a_limit() {
        let wrong_keys = wrong_keys();
        for number in 0..u32::try_from(ADDRESSES_MAX).unwrap() + 1_000 {
            wrong_keys.judge(IpAddr::V4((0x0A00_0000 + number).into()));
        }
        wrong_keys.by_address.run_pending_tasks();
        assert_eq!(wrong_keys.by_address.entry_count(), ADDRESSES_MAX);
    }
}
