//! What is started, and with what.

use capgate::simulator::DEFAULT_KEY;
use tempfile::TempDir;

use super::{TestProgram, write};
use crate::support::{ADMIN_TOKEN, TestBinary, client_key};

/// Settings that every test of the program needs; its own go over them.
const SETTINGS: &[(&str, &str)] = &[
    ("CAPGATE_LISTEN__CLIENTS", "127.0.0.1:0"),
    ("CAPGATE_LISTEN__ADMIN", "127.0.0.1:0"),
    ("CAPGATE_UPSTREAM__KEY", DEFAULT_KEY),
    ("CAPGATE_ADMIN__TOKEN", ADMIN_TOKEN),
    ("CAPGATE_POLLING__INTERVAL", "50ms"),
    ("CAPGATE_POLLING__FIRST_LOOK", "50ms"),
    ("CAPGATE_POLLING__FIRST_LOOK_TOKEN", "50ms"),
    ("CAPGATE_CLIENT__0__NAME", "team-a"),
];

/// A gateway and its simulator, before they run.
pub struct Setup {
    pub folder: TempDir,
    switches: Vec<String>,
    settings: Vec<(String, String)>,
    through: Vec<String>,
    is_log_read: bool,
}

impl Setup {
    /// One client, `team-a` with the key of client 1, and a store in the folder.
    pub fn new() -> Self {
        let mut settings: Vec<_> =
            SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        settings.push(("CAPGATE_CLIENT__0__KEY".to_owned(), client_key(1)));
        let (folder, switches, through) = (tempfile::tempdir().expect("a folder"), Vec::new(), Vec::new());
        Self { folder, switches, settings, through, is_log_read: true }
    }

    /// As many clients, `client-1` and so on, each with its [`client_key`].
    pub fn clients(mut self, count: usize) -> Self {
        for number in 1..=count {
            let variable = |name| format!("CAPGATE_CLIENT__{}__{name}", number - 1);
            self.settings.push((variable("NAME"), format!("client-{number}")));
            self.settings.push((variable("KEY"), client_key(number)));
        }
        self
    }

    /// The gateway is started by way of this program, which becomes it.
    pub fn through(mut self, words: &[&str]) -> Self {
        self.through = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Switches of the simulator's command line.
    pub fn simulator(mut self, switches: &[&str]) -> Self {
        self.switches.extend(switches.iter().map(|switch| (*switch).to_owned()));
        self
    }

    /// Sets a setting by its variable, such as `UPLOADS__HOLD`.
    pub fn set(mut self, variable: &str, value: impl Into<String>) -> Self {
        self.settings.push((format!("CAPGATE_{variable}"), value.into()));
        self
    }

    /// Leaves out what is set for every test, where this one sets it otherwise.
    pub fn without(mut self, variable: &str) -> Self {
        self.settings.retain(|(name, _)| !name.contains(variable));
        self
    }

    /// Nobody reads the gateway's log before its end.
    pub fn unread_log(mut self) -> Self {
        self.is_log_read = false;
        self
    }

    /// A settings file, which names all clients.
    pub fn file(mut self, text: &str) -> Self {
        self.settings.retain(|(name, _)| !name.starts_with("CAPGATE_CLIENT__"));
        write(&self.folder, text);
        self
    }

    #[track_caller]
    pub fn start(self) -> TestProgram {
        let switches: Vec<&str> = ["simulate", "--listen", "127.0.0.1:0"]
            .into_iter()
            .chain(self.switches.iter().map(String::as_str))
            .collect();
        let simulator = TestBinary::start(self.folder.path(), &switches, &[]);
        let line = simulator.line_with("simulated upstream on");
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).expect("an address");
        let mut settings = self.settings;
        settings.push(("CAPGATE_UPSTREAM__URL".to_owned(), url.to_owned()));
        let simulated = url["http://".len()..].parse().expect("an address");
        let mut program = TestProgram {
            folder: self.folder,
            settings,
            through: self.through,
            _simulator: simulator,
            simulated,
            gateway: None,
        };
        let start = if self.is_log_read { TestBinary::start_through } else { TestBinary::start_unread };
        program.gateway = Some(program.run_by(start));
        program
    }
}
