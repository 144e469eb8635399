//! The internal callers: who they are, and what was set for each.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::config::{self, AuthMode, Config, Exact};
use crate::engine::{Allowance, Policy, allowance};
use crate::metrics::{ClientCounters, Metrics};
use crate::protocol::errors::ErrorCode;
use crate::protocol::ids::ClientKey;

/// The client that everybody is when `auth.mode` is `open`.
pub const OPEN_CLIENT: &str = "open";

/// One internal caller.
#[derive(Debug)]
pub struct Client {
    pub name: Arc<str>,
    /// Its share of the upload queue, relative to others'.
    pub weight: u32,
    /// How long its polls may wait for an answer.
    pub poll_hold: Duration,
    pub counters: ClientCounters,
    /// What it may do.
    pub policy: Policy,
    /// What it may spend.
    pub allowance: Allowance,
    /// Smooths its uploads at the door. A token bucket lets burst + rate through in one window, so it guards no block
    /// rule.
    limiter: Option<Arc<DefaultDirectRateLimiter>>,
    rate: Option<f64>,
}

impl Client {
    /// `before` is the same client as it was before a reload: what it has used of its rate stays used.
    fn new(settings: &config::Client, config: &Config, metrics: &Metrics, before: Option<&Self>) -> Self {
        let before = before.filter(|before| before.rate == settings.rate);
        let allowance = allowance_of(settings);
        for quota in allowance::Quota::ALL.into_iter().filter(|quota| allowance.limit(*quota).is_some()) {
            metrics.may_refuse(&settings.name, quota.rule().label());
        }
        Self {
            name: Arc::from(settings.name.as_str()),
            weight: settings.weight,
            poll_hold: settings.hold.unwrap_or(config.polling.hold),
            counters: metrics.client_counters(&settings.name),
            policy: Policy {
                is_stopped: settings.stopped,
                last_day: settings.expires,
                methods: settings.methods.clone(),
                pages: settings.pages.clone(),
                page_required: settings.page_required,
            },
            allowance,
            limiter: match before {
                Some(before) => before.limiter.clone(),
                None => settings.rate.and_then(limiter).map(Arc::new),
            },
            rate: settings.rate,
        }
    }

    /// Whether one more upload is within the client's `rate`.
    ///
    /// # Errors
    /// How long the client should wait before the next.
    pub fn check_rate(&self) -> Result<(), Duration> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        limiter.check().map_err(|not_until| not_until.wait_time_from(DefaultClock::default().now()))
    }
}

/// Finds the client that a key belongs to. A reload changes all of them at once; a call goes on with the client that it
/// has found.
#[derive(Debug)]
pub struct Clients(ArcSwap<Table>);

#[derive(Debug, Default)]
struct Table {
    by_key: HashMap<ClientKey, Arc<Client>>,
    open: Option<Arc<Client>>,
}

impl Clients {
    #[must_use]
    pub fn new(config: &Config, metrics: &Metrics) -> Self {
        Self(ArcSwap::from_pointee(Table::default().reloaded(config, metrics)))
    }

    /// From now on these are the clients.
    pub fn reload(&self, config: &Config, metrics: &Metrics) {
        self.0.store(Arc::new(self.0.load().reloaded(config, metrics)));
    }

    /// The client with this name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Arc<Client>> {
        let table = self.0.load();
        table.by_key.values().chain(&table.open).find(|client| &*client.name == name).map(Arc::clone)
    }

    /// Every client, in the order of their names.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Client>> {
        let table = self.0.load();
        let all = table.by_key.values().chain(&table.open);
        let by_name: BTreeMap<_, _> = all.map(|client| (Arc::clone(&client.name), client)).collect();
        by_name.into_values().map(Arc::clone).collect()
    }

    /// The client whose key this is.
    ///
    /// # Errors
    /// `ERROR_WRONG_USER_KEY` for what has not the form of a key, `ERROR_KEY_DOES_NOT_EXIST` for an unknown one.
    pub fn find(&self, key: Option<&[u8]>) -> Result<Arc<Client>, ErrorCode> {
        let table = self.0.load();
        if let Some(open) = &table.open {
            return Ok(Arc::clone(open));
        }
        let key = ClientKey::parse(key.unwrap_or_default())?;
        table.by_key.get(&key).map(Arc::clone).ok_or(ErrorCode::KeyDoesNotExist)
    }
}

impl Table {
    fn reloaded(&self, config: &Config, metrics: &Metrics) -> Self {
        let before: HashMap<&str, &Client> =
            self.by_key.values().chain(&self.open).map(|client| (&*client.name, &**client)).collect();
        let client = |settings: &config::Client| {
            Arc::new(Client::new(settings, config, metrics, before.get(settings.name.as_str()).copied()))
        };
        let mut by_key = HashMap::new();
        for settings in &config.clients {
            let client = client(settings);
            by_key.extend(settings.keys.iter().map(|key| (*key, Arc::clone(&client))));
        }
        let everybody = || config::Client { name: OPEN_CLIENT.to_owned(), ..config::Client::default() };
        let is_open = config.auth.mode == AuthMode::Open;
        Self { by_key, open: is_open.then(|| client(&everybody())) }
    }
}

fn allowance_of(settings: &config::Client) -> Allowance {
    Allowance {
        open: settings.max_open,
        daily_usd: settings.daily_budget_usd.map(|Exact(usd)| usd),
        daily_captchas: settings.daily_budget_captchas,
        monthly_usd: settings.monthly_budget_usd.map(|Exact(usd)| usd),
        monthly_captchas: settings.monthly_budget_captchas,
        warning: settings.budget_warning.0,
    }
}

/// At most `rate` uploads a second, and a second's worth at once.
fn limiter(rate: f64) -> Option<DefaultDirectRateLimiter> {
    let period = Duration::try_from_secs_f64(1.0 / rate).ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rate is positive and bounded"
    )]
    let burst = NonZeroU32::new(rate.ceil() as u32)?;
    Some(RateLimiter::direct(Quota::with_period(period)?.allow_burst(burst)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"fake-client-key-0000000000000001";

    fn config(change: impl FnOnce(&mut Config)) -> Config {
        let mut config = Config::default();
        let keys = vec![ClientKey::parse(KEY).unwrap()];
        config.clients = vec![config::Client { name: "team-a".into(), keys, ..Default::default() }];
        change(&mut config);
        config
    }

    fn clients(change: impl FnOnce(&mut Config)) -> Clients {
        Clients::new(&config(change), &Metrics::default())
    }

    #[test]
    fn a_key_leads_to_its_client_and_no_other_key_does() {
        let clients = clients(|_| {});
        assert_eq!(&*clients.find(Some(KEY)).unwrap().name, "team-a");
        let unknown =
            clients.find(Some(b"fake-client-key-0000000000000002")).map(|client| client.name.clone());
        assert_eq!(unknown, Err(ErrorCode::KeyDoesNotExist));
        assert_eq!(clients.find(None).map(|client| client.name.clone()), Err(ErrorCode::WrongUserKey));
    }

    #[test]
    fn everybody_is_one_client_when_the_door_is_open() {
        let clients = clients(|config| config.auth.mode = AuthMode::Open);
        assert_eq!(&*clients.find(Some(b"anything")).unwrap().name, OPEN_CLIENT);
    }

    #[test]
    fn a_rate_lets_a_seconds_worth_through_and_not_one_more() {
        let clients = clients(|config| config.clients[0].rate = Some(3.0));
        let client = clients.find(Some(KEY)).unwrap();
        assert_eq!((0..4).filter(|_| client.check_rate().is_ok()).count(), 3);
    }

    #[test]
    fn a_reload_changes_the_clients_and_gives_no_one_a_fresh_rate() {
        let metrics = Metrics::default();
        let clients = clients(|config| config.clients[0].rate = Some(1.0));
        let old = clients.find(Some(KEY)).unwrap();
        assert!(old.check_rate().is_ok());
        clients.reload(
            &config(|config| {
                config.clients[0].rate = Some(1.0);
                config.clients[0].weight = 7;
            }),
            &metrics,
        );
        let same = clients.find(Some(KEY)).unwrap();
        assert_eq!((old.weight, same.weight), (1, 7), "a call goes on with what it found");
        assert!(same.check_rate().is_err(), "its second is used up");
        clients.reload(&config(|config| config.clients[0].rate = Some(2.0)), &metrics);
        assert!(clients.find(Some(KEY)).unwrap().check_rate().is_ok(), "another rate begins anew");
        clients.reload(&config(|config| config.clients.clear()), &metrics);
        assert_eq!(clients.find(Some(KEY)).map(|client| client.weight), Err(ErrorCode::KeyDoesNotExist));
    }
}
