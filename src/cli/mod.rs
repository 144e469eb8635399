//! The command line: every subcommand with its arguments, one file each.

mod cert;
mod check_config;
mod healthcheck;
mod new_key;
mod serve;
mod simulate;
mod usage;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::clock::Clock;
use crate::config::{Config, Faults};

/// A self-hosted gateway for the 2Captcha API.
#[derive(Debug, Parser)]
#[command(name = "capgate", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the gateway.
    Serve {
        /// The settings file; `CAPGATE_CONFIG` names it too.
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// In front of the built-in simulator: no account is needed, nothing is spent.
        #[arg(long)]
        sandbox: bool,
    },
    /// Run the simulator alone: in.php, res.php and load.php, with the block rules.
    Simulate(crate::simulator::Options),
    /// Report all faults in the settings at once, or print the settings in force, secrets as ***.
    CheckConfig(File),
    /// Make a key for a client, and the settings lines for it.
    NewKey {
        /// The client's name: 1 to 64 letters (a-z, A-Z), digits, dots, hyphens and underscores.
        name: String,
    },
    /// Report who used what and what it cost, from the settings' store; a gateway may run on it or not.
    Usage(usage::Arguments),
    /// Make a private CA and a server certificate, for clients that insist on https.
    Cert(cert::Arguments),
    /// Ask the running gateway whether it is ready; the exit status is for container health checks.
    Healthcheck(healthcheck::Arguments),
}

/// Where the settings file is.
#[derive(Args, Clone, Debug, Default)]
pub struct File {
    /// The settings file; `CAPGATE_CONFIG` names it too.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// What the user has to be told; the exit status is then 1.
    pub fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Serve { config, sandbox } => serve::run(config, sandbox),
            Command::Simulate(options) => simulate::run(options),
            Command::CheckConfig(file) => check_config::run(file),
            Command::NewKey { name } => new_key::run(&name),
            Command::Usage(arguments) => usage::run(arguments, Clock::system().now()),
            Command::Cert(arguments) => cert::run(&arguments, Clock::system().now()),
            Command::Healthcheck(arguments) => healthcheck::run(arguments),
        }
    }
}

impl File {
    /// The settings from the file, here or named by `CAPGATE_CONFIG`, and the environment.
    ///
    /// # Errors
    /// All faults in them.
    pub fn load(self, sandbox: bool) -> Result<Config, Faults> {
        let env = environment();
        Config::load(self.or_from(&env).as_deref(), env.into_iter(), sandbox)
    }

    fn or_from(self, env: &BTreeMap<String, String>) -> Option<PathBuf> {
        let named = || env.get("CAPGATE_CONFIG").filter(|path| !path.is_empty());
        self.config.or_else(|| named().map(PathBuf::from))
    }
}

/// The program's only look at its environment. What is no Unicode is taken as near as it can be, and then refused by
/// the setting that it is for.
fn environment() -> BTreeMap<String, String> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(variable, value)| (text(variable), text(value))).collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_subcommands_are_those_of_the_contract() {
        let command = Cli::command();
        command.clone().debug_assert();
        let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
        let expected = ["serve", "simulate", "check-config", "new-key", "usage", "cert", "healthcheck"];
        assert_eq!(names, expected);
    }

    #[test]
    fn the_argument_goes_over_the_variable_that_names_the_settings_file() {
        let named = |config: Option<&str>, variable: &str| {
            let env = BTreeMap::from([("CAPGATE_CONFIG".to_owned(), variable.to_owned())]);
            let config = config.map(PathBuf::from);
            File { config }.or_from(&env)
        };
        assert_eq!(named(Some("a.toml"), "b.toml"), Some(PathBuf::from("a.toml")));
        assert_eq!(named(None, "b.toml"), Some(PathBuf::from("b.toml")));
        assert_eq!(named(None, ""), None);
    }
}
