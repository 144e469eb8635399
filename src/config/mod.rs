//! Every setting: its type, default, bounds and doc, and how a [`Config`] comes from its sources.
//!
//! Defaults come first, then the TOML file, then the environment: `CAPGATE_POLLING__INTERVAL` is `polling.interval`
//! and `CAPGATE_CLIENT__0__NAME` the first client's name. Every value is tried on its own, so that one start reports
//! all the faults of all sources, each with its place. A secret's value never gets into a fault, a `Debug` or
//! [`Config::effective`].
//!
//! | file | what is in it |
//! | --- | --- |
//! | `sections` | the types that the rest of the program reads, and their defaults |
//! | `table` | the settings table: every name with its bounds and its doc |
//! | `prices`, `exact` | what answers cost; numbers taken by their digits |
//! | `reference` | the table as the reference file and for the README |
//! | `sources` | the file and the environment as settings, each with its place |
//! | `values`, `secrets`, `token` | how single values, and keys and tokens from files, are read |
//! | `reading` | one value at a time: known? readable? within its bounds? |
//! | `live`, `reload` | the settings in force, and what a reload changes of them |
//! | `check` | what needs more than one setting to be judged; the warnings |

mod check;
mod exact;
mod faults;
mod live;
mod prices;
mod reading;
mod reference;
mod reload;
mod secrets;
mod sections;
mod sources;
mod table;
mod token;
mod values;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use exact::Exact;
pub use faults::{Fault, Faults, Problem};
pub use live::Live;
pub use prices::Prices;
pub use reference::{reference_file, settings_table};
pub use reload::{Changes, ReadFile};
pub use sections::{
    Admin, Audit, Auth, AuthMode, Budget, Cache, Client, Listen, Log, LogFormat, Open, Pingback, Polling,
    StoreSettings, Uploads, UpstreamSettings,
};
pub(crate) use table::CLIENT_NAME;
pub use table::{Accepts, Applies, Items, LIST_MAX, SETTINGS, Setting};
pub use token::{AdminToken, TOKEN_SYMBOLS_MAX, TOKEN_SYMBOLS_MIN};
pub use values::StoreUrl;
pub(crate) use values::is_client_name;

use crate::clock::Day;
use reading::Reading;

/// The settings in force. A field's meaning and bounds are its row in [`SETTINGS`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub listen: Listen,
    pub upstream: UpstreamSettings,
    pub polling: Polling,
    pub uploads: Uploads,
    pub budget: Budget,
    pub store: StoreSettings,
    pub pingback: Pingback,
    pub auth: Auth,
    pub admin: Admin,
    pub audit: Audit,
    pub log: Log,
    pub cache: Cache,
    pub prices: Prices,
    #[serde(rename = "client", skip_serializing_if = "Vec::is_empty")]
    pub clients: Vec<Client>,
    /// The files that settings name, as they were when this was read.
    #[serde(skip)]
    pub files: Vec<ReadFile>,
}

impl Config {
    /// Defaults, then `file`, then the `CAPGATE_SECTION__NAME` variables in `env`. A `sandbox` brings its own upstream
    /// and client, so neither has to be configured.
    ///
    /// # Errors
    /// All faults of all sources at once.
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        sandbox: bool,
    ) -> Result<Self, Faults> {
        let (config, faults) = Self::read(file, env, sandbox);
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }

    /// Where the admin listener is, for a health check. It looks past faults elsewhere: a running gateway keeps its
    /// settings when a reload finds a fault, so an edit gone wrong must not get it killed.
    ///
    /// # Errors
    /// The faults that leave this address in doubt.
    pub fn admin_address(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<SocketAddr, Faults> {
        let (config, faults) = Self::read(file, env, true);
        let faults = faults.about(&["listen.admin"]);
        if faults.is_empty() { Ok(config.listen.admin) } else { Err(faults) }
    }

    /// Where the usage is and what answers cost, for a report. It looks past faults elsewhere, for whoever asks may not
    /// be let at the account's key.
    ///
    /// # Errors
    /// The faults that leave these in doubt.
    pub fn for_usage(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
    ) -> Result<(StoreUrl, Prices), Faults> {
        let (config, faults) = Self::read(file, env, true);
        let faults = faults.about(&["store", "prices"]);
        if faults.is_empty() { Ok((config.store.url, config.prices)) } else { Err(faults) }
    }

    fn read(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        sandbox: bool,
    ) -> (Self, Faults) {
        let mut reading = Reading::new(file);
        for found in sources::file(file, &mut reading.faults) {
            reading.take(found);
        }
        for found in sources::environment(env) {
            reading.take(found);
        }
        let config = reading.config();
        // What a file that could not be read leaves open is not missing.
        if reading.faults.iter().all(|fault| !fault.setting.is_empty()) {
            check::together(&config, &mut reading, sandbox);
        }
        (config, reading.faults)
    }

    /// The settings in force as TOML, secrets as `***`.
    ///
    /// # Errors
    /// A path that is not Unicode; [`Config::load`] lets none in.
    pub fn effective(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// What is allowed and yet hardly ever meant.
    #[must_use]
    pub fn warnings(&self, today: Day) -> Vec<String> {
        check::warnings(self, today)
    }
}
