//! The sections of the settings as the rest of the program reads them, with their defaults.
//!
//! A field's meaning and bounds are its row in [`SETTINGS`](super::SETTINGS), not said a second time here.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use jiff::fmt::serde::unsigned_duration::friendly::compact;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::exact::Exact;
use super::token::AdminToken;
use super::values::{self, StoreUrl};
use crate::clock::Day;
use crate::engine::{BatchCountsAs, BudgetMode, Limits};
use crate::protocol::hosts::PagePattern;
use crate::protocol::ids::{ClientKey, UpstreamKey};
use crate::protocol::methods::Method;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    pub clients: SocketAddr,
    pub admin: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_key: Option<PathBuf>,
    pub connections_max: usize,
    pub connections_per_address: usize,
    #[serde(with = "values::networks")]
    pub trusted_proxies: Vec<IpNet>,
    #[serde(with = "compact::required")]
    pub drain: Duration,
    #[serde(with = "compact::required")]
    pub drain_delay: Duration,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            clients: SocketAddr::from(([127, 0, 0, 1], 8080)),
            admin: SocketAddr::from(([127, 0, 0, 1], 9464)),
            tls: None,
            tls_cert: None,
            tls_key: None,
            connections_max: 10_000,
            connections_per_address: 2_000,
            trusted_proxies: Vec::new(),
            drain: Duration::from_secs(25),
            drain_delay: Duration::ZERO,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UpstreamSettings {
    /// Scheme, host and path, without a slash at the end.
    #[serde(deserialize_with = "values::upstream_url")]
    pub url: String,
    #[serde(with = "values::upstream_key", skip_serializing_if = "Option::is_none")]
    pub key: Option<UpstreamKey>,
    #[serde(with = "compact::required")]
    pub timeout: Duration,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    pub batch_counts_as: BatchCountsAs,
    /// Zero: never.
    #[serde(with = "compact::required")]
    pub balance_every: Duration,
    /// Without a slash at the end.
    #[serde(deserialize_with = "values::own_url", skip_serializing_if = "Option::is_none")]
    pub pingback_url: Option<String>,
    #[serde(deserialize_with = "values::token", skip_serializing_if = "Option::is_none")]
    pub pingback_token: Option<String>,
}

impl Default for UpstreamSettings {
    fn default() -> Self {
        Self {
            url: "https://2captcha.com".to_owned(),
            key: None,
            timeout: Duration::from_secs(30),
            ca_file: None,
            batch_counts_as: BatchCountsAs::Unknown,
            balance_every: Duration::from_hours(1),
            pingback_url: None,
            pingback_token: None,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Polling {
    #[serde(with = "compact::required")]
    pub interval: Duration,
    #[serde(with = "compact::required")]
    pub first_look: Duration,
    #[serde(with = "compact::required")]
    pub first_look_token: Duration,
    pub max_ids: usize,
    #[serde(with = "compact::required")]
    pub hold: Duration,
    pub held_max: usize,
}

impl Default for Polling {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(5),
            first_look: Duration::from_secs(5),
            first_look_token: Duration::from_secs(15),
            max_ids: 100,
            hold: Duration::from_secs(4),
            held_max: 10_000,
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Uploads {
    #[serde(with = "compact::required")]
    pub hold: Duration,
    pub queue_max: usize,
    pub queue_bytes_max: u64,
}

impl Default for Uploads {
    fn default() -> Self {
        Self { hold: Duration::from_secs(3), queue_max: 10_000, queue_bytes_max: 256 << 20 }
    }
}

/// The budgets that keep the account from being blocked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Budget {
    pub mode: BudgetMode,
    #[serde(with = "compact::required")]
    pub upload_gap: Duration,
}

impl Default for Budget {
    fn default() -> Self {
        let limits = Limits::default();
        Self { mode: limits.mode, upload_gap: limits.upload_gap }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    pub url: StoreUrl,
    pub usage_days: u32,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { url: StoreUrl::default(), usage_days: 400 }
    }
}

/// What clients' receivers of pingback may be, and how they are tried.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pingback {
    #[serde(with = "values::networks")]
    pub allow: Vec<IpNet>,
    #[serde(with = "values::networks")]
    pub register_from: Vec<IpNet>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    #[serde(with = "compact::required")]
    pub timeout: Duration,
    #[serde(with = "compact::required")]
    pub retry_after: Duration,
    #[serde(with = "compact::required")]
    pub retry_for: Duration,
}

impl Default for Pingback {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            register_from: Vec::new(),
            ca_file: None,
            timeout: Duration::from_secs(10),
            retry_after: Duration::from_secs(5),
            retry_for: Duration::from_hours(1),
        }
    }
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    pub mode: AuthMode,
}

/// Who may do what on the admin listener.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<AdminToken>,
    pub open: Vec<Open>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<PagePattern>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { token: None, open: vec![Open::Metrics], hosts: Vec::new() }
    }
}

/// What the admin listener shows without a token where it is not on loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Open {
    /// `/metrics`.
    Metrics,
    /// The status page and all else that is only shown.
    Status,
}

/// Who is a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// Whoever brings a configured key.
    #[default]
    Keys,
    /// Whoever gets here, with any key, all as one client: a sidecar.
    Open,
}

/// Where it is written down who did what.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// None: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    pub file_bytes_max: u64,
    pub files_kept: u32,
}

impl Default for Audit {
    fn default() -> Self {
        Self { file: None, file_bytes_max: 64 << 20, files_kept: 10 }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    /// An `EnvFilter` directive string.
    #[serde(deserialize_with = "values::log_level")]
    pub level: String,
    pub lines_per_second: u32,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Pretty, level: "info".to_owned(), lines_per_second: 50 }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Pretty,
    Json,
}

/// How long one upstream reply serves everybody.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    #[serde(with = "compact::required")]
    pub balance: Duration,
    #[serde(with = "compact::required")]
    pub stats: Duration,
    #[serde(with = "compact::required")]
    pub load: Duration,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            balance: Duration::from_secs(30),
            stats: Duration::from_mins(5),
            load: Duration::from_secs(30),
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Client {
    #[serde(deserialize_with = "values::client_name")]
    pub name: String,
    /// From `key`, `key_sha256` or `key_file`: one, or two while rotating.
    #[serde(rename = "key_sha256", with = "values::client_keys")]
    pub keys: Vec<ClientKey>,
    pub weight: u32,
    /// Calls per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    #[serde(with = "compact::optional", skip_serializing_if = "Option::is_none")]
    pub hold: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_open: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily_budget_usd: Option<Exact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub daily_budget_captchas: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly_budget_usd: Option<Exact>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monthly_budget_captchas: Option<u64>,
    pub budget_warning: Exact,
    /// Empty: all.
    #[serde(with = "values::methods", skip_serializing_if = "BTreeSet::is_empty")]
    pub methods: BTreeSet<Method>,
    /// Empty: all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<PagePattern>,
    pub page_required: bool,
    pub stopped: bool,
    /// The last day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Day>,
}

/// What a `[[client]]` is before its own settings; a name and a key are required.
impl Default for Client {
    fn default() -> Self {
        Self {
            name: String::new(),
            keys: Vec::new(),
            weight: 1,
            rate: None,
            hold: None,
            max_open: None,
            daily_budget_usd: None,
            daily_budget_captchas: None,
            monthly_budget_usd: None,
            monthly_budget_captchas: None,
            budget_warning: Exact(Decimal::new(8, 1)),
            methods: BTreeSet::new(),
            pages: Vec::new(),
            page_required: false,
            stopped: false,
            expires: None,
        }
    }
}
