//! What needs more than one setting to be judged, and what is allowed but hardly ever meant.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use actix_web::http::Uri;
use ipnet::IpNet;

use super::faults::Problem;
use super::reading::Reading;
use super::sections::{AuthMode, Open};
use super::values::StoreUrl;
use super::{Client, Config, table};
use crate::clock::Day;
use crate::engine::BudgetMode;
use crate::protocol::ids::ClientKey;

/// Below this the upstream may block the account; httpx-based clients give a call up after as long.
const FIVE_SECONDS: Duration = Duration::from_secs(5);

/// The days of the longest month.
const DAYS_OF_A_MONTH: u32 = 31;

/// Adds the faults between settings.
pub(super) fn together(config: &Config, reading: &mut Reading, sandbox: bool) {
    listeners(config, reading);
    only_one(reading, &["upstream.key", "upstream.key_file"]);
    only_one(reading, &["admin.token", "admin.token_file"]);
    if !sandbox {
        required(reading, &["upstream.key", "upstream.key_file"]);
    }
    clients(config, reading, sandbox);
    budgets(config, reading);
    let pem = [
        ("listen.tls_cert", &config.listen.tls_cert, "CERTIFICATE"),
        ("listen.tls_key", &config.listen.tls_key, "PRIVATE KEY"),
        ("upstream.ca_file", &config.upstream.ca_file, "CERTIFICATE"),
        ("pingback.ca_file", &config.pingback.ca_file, "CERTIFICATE"),
    ];
    for (name, path, holds) in pem {
        pem_file(reading, name, path.as_deref(), holds);
    }
}

/// A file that the start would need: told here, with all other faults, and not one by one at the start.
fn pem_file(reading: &mut Reading, name: &str, path: Option<&Path>, holds: &str) {
    let Some(path) = path else { return };
    let problem = match std::fs::read(path) {
        Err(error) => Problem::Unreadable(format!("{}: {error}", path.display())),
        Ok(content) if String::from_utf8_lossy(&content).contains(holds) => return,
        Ok(_) => Problem::Unfit {
            found: path.display().to_string(),
            expected: format!("a PEM file with a {}", holds.to_lowercase()),
        },
    };
    let place = reading.place_for(name);
    reading.faults.add(&place, name, problem);
}

fn listeners(config: &Config, reading: &mut Reading) {
    let listen = &config.listen;
    let tls = ["listen.tls", "listen.tls_cert", "listen.tls_key"];
    if tls.iter().any(|name| reading.place(name).is_some()) {
        for name in tls {
            required(reading, &[name]);
        }
    }
    let listeners = [
        ("listen.clients", Some(listen.clients)),
        ("listen.admin", Some(listen.admin)),
        ("listen.tls", listen.tls),
    ];
    for (index, (name, address)) in listeners.iter().enumerate() {
        let fixed = address.filter(|address| address.port() != 0);
        let taken = listeners[..index].iter().find(|(_, other)| fixed.is_some() && *other == fixed);
        match taken {
            Some((other, _)) if reading.place(name).is_none() => repeated(reading, "address", other, name),
            Some((other, _)) => repeated(reading, "address", name, other),
            None => {}
        }
    }
    if config.auth.mode == AuthMode::Open {
        for (name, address) in [listeners[0], listeners[2]] {
            if let Some(address) = address.filter(|address| !address.ip().is_loopback()) {
                let problem = Problem::Unfit {
                    found: format!("\"{address}\""),
                    expected: "a loopback address, because auth.mode is \"open\" and takes any key"
                        .to_owned(),
                };
                let place = reading.place_for(name);
                reading.faults.add(&place, name, problem);
            }
        }
    }
}

fn clients(config: &Config, reading: &mut Reading, sandbox: bool) {
    let numbers = reading.client_numbers();
    let mode_in_doubt = reading.faults.iter().any(|fault| fault.setting == "auth.mode");
    let need_one = !sandbox && !mode_in_doubt && config.auth.mode == AuthMode::Keys;
    if need_one && numbers.is_empty() {
        let expected = "[[client]], one for each client, or auth.mode = \"open\"".to_owned();
        let place = reading.place_for("client.0.name");
        reading.faults.add(&place, "client", Problem::Missing { expected });
    }
    let mut taken = Taken::default();
    for (index, (number, client)) in numbers.into_iter().zip(&config.clients).enumerate() {
        let setting = format!("client.{number}");
        if number != index {
            let place = reading.place_for(&format!("{setting}.name"));
            let problem = Problem::Unfit {
                found: format!("number {number}"),
                expected: format!("{index}: clients are numbered from 0 without gaps"),
            };
            reading.faults.add(&place, &setting, problem);
        }
        one_client(client, &setting, reading, &mut taken);
    }
}

/// A budget is taken up from the usage after a restart, so a month's usage has to be there.
fn budgets(config: &Config, reading: &mut Reading) {
    let is_monthly =
        |client: &&Client| client.monthly_budget_usd.is_some() || client.monthly_budget_captchas.is_some();
    let (name, days) = ("store.usage_days", config.store.usage_days);
    if let Some(client) = config.clients.iter().find(is_monthly)
        && days < DAYS_OF_A_MONTH
    {
        let expected =
            format!("at least {DAYS_OF_A_MONTH}, because client {} has a monthly budget", client.name);
        let place = reading.place_for(name);
        reading.faults.add(&place, name, Problem::Unfit { found: days.to_string(), expected });
    }
}

/// What clients before this one have, and the setting that says so.
#[derive(Default)]
struct Taken<'c> {
    names: HashMap<&'c str, String>,
    keys: HashMap<ClientKey, String>,
}

fn one_client<'c>(client: &'c Client, setting: &str, reading: &mut Reading, taken: &mut Taken<'c>) {
    let name_setting = format!("{setting}.name");
    required(reading, &[&name_setting]);
    if !client.name.is_empty() {
        match taken.names.get(client.name.as_str()) {
            Some(other) => repeated(reading, "name", &name_setting, other),
            None => drop(taken.names.insert(&client.name, name_setting)),
        }
    }
    let key_settings = ["key", "key_sha256", "key_file"].map(|name| format!("{setting}.{name}"));
    let key_settings = key_settings.each_ref().map(String::as_str);
    only_one(reading, &key_settings);
    required(reading, &key_settings);
    let given = key_settings.into_iter().find(|name| reading.place(name).is_some());
    let Some(key_setting) = given else {
        return;
    };
    for key in &client.keys {
        match taken.keys.get(key) {
            Some(other) => repeated(reading, "key", key_setting, other),
            None => drop(taken.keys.insert(*key, key_setting.to_owned())),
        }
    }
}

/// One of the settings `names` has to be there; the first is the one that the fault names.
fn required(reading: &mut Reading, names: &[&str]) {
    if names.iter().all(|name| reading.place(name).is_none()) {
        let expected = table::find(names[0]).map_or_else(String::new, |setting| setting.accepts.words());
        let place = reading.place_for(names[0]);
        reading.faults.add(&place, names[0], Problem::Missing { expected });
    }
}

/// The settings `names` are ways to say the same thing.
fn only_one(reading: &mut Reading, names: &[&str]) {
    let given: Vec<&str> = names.iter().copied().filter(|name| reading.place(name).is_some()).collect();
    if let [first, others @ ..] = given.as_slice() {
        for name in others {
            let place = reading.place_for(name);
            let problem = Problem::Both { other: (*first).to_owned(), place: reading.place_for(first) };
            reading.faults.add(&place, name, problem);
        }
    }
}

fn repeated(reading: &mut Reading, what: &'static str, name: &str, other: &str) {
    let problem = Problem::Repeated { what, other: other.to_owned(), place: reading.place_for(other) };
    let place = reading.place_for(name);
    reading.faults.add(&place, name, problem);
}

pub(super) fn warnings(config: &Config, today: Day) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut warn = |is_so: bool, text: String| {
        if is_so {
            warnings.push(text);
        }
    };
    let polling = &config.polling;
    for (name, time) in [("interval", polling.interval), ("first_look", polling.first_look)] {
        warn(
            time < FIVE_SECONDS,
            format!(
                "polling.{name} is {time:?}: below 5s is only for a simulator; the real upstream blocks accounts for it"
            ),
        );
    }
    warn(
        config.store.url == StoreUrl::Memory,
        "store.url is \"memory:\": NOTHING SURVIVES A RESTART, captchas that were paid for are lost, and the \
         budgets begin anew, so that restarts can have a real account blocked"
            .to_owned(),
    );
    warn(
        config.budget.mode == BudgetMode::Observe,
        "budget.mode is \"observe\": NO BUDGET IS ENFORCED, the upstream may block the account".to_owned(),
    );
    warn(
        sends_in_the_clear(&config.upstream.url),
        "upstream.url is plain http to another machine: the account's key can be read on the way".to_owned(),
    );
    for warning in near(&config.pingback.allow) {
        warn(true, warning);
    }
    warn(
        config.pingback.register_from.iter().any(|network| network.prefix_len() == 0),
        "pingback.register_from is everywhere: any client can have answers pushed to any host".to_owned(),
    );
    let own = |client: &Client| client.hold.map(|hold| (format!("hold of client {}", client.name), hold));
    let holds = [("polling.hold".to_owned(), polling.hold), ("uploads.hold".to_owned(), config.uploads.hold)];
    for (name, hold) in holds.into_iter().chain(config.clients.iter().filter_map(own)) {
        warn(
            hold >= FIVE_SECONDS,
            format!("{name} is {hold:?}: httpx-based clients give up a call after 5s"),
        );
    }
    let is_seen = !config.listen.admin.ip().is_loopback();
    warn(
        is_seen && config.admin.token.is_none(),
        "listen.admin is not on loopback and admin.token is not set: nobody can act on it, and what admin.open does \
         not name is not shown"
            .to_owned(),
    );
    warn(
        is_seen && config.admin.open.contains(&Open::Status),
        "admin.open has status and listen.admin is not on loopback: whoever gets there sees clients, captchas and money"
            .to_owned(),
    );
    for client in &config.clients {
        if let Some(last_day) = client.expires.filter(|last_day| *last_day < today) {
            warnings.push(format!(
                "expires of client {} is {last_day}, which is over: it may not upload",
                client.name
            ));
        }
    }
    warnings
}

/// Addresses at which no client's receiver should be.
fn near(allow: &[IpNet]) -> impl Iterator<Item = String> {
    let near = ["127.0.0.1", "::1", "169.254.169.254", "fd00:ec2::254"];
    let near = near.into_iter().filter_map(|text| text.parse::<IpAddr>().ok());
    let is_allowed = |address: &IpAddr| allow.iter().any(|network| network.contains(address));
    let near: Vec<IpAddr> = near.filter(is_allowed).collect();
    near.into_iter().map(|address| {
        format!("pingback.allow has {address}: clients can make the gateway call what listens on its own machine or its cloud's metadata")
    })
}

fn sends_in_the_clear(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else {
        return false;
    };
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    let is_local =
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    url.scheme_str() == Some("http") && !is_local
}
