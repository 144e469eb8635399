//! The gateway as an operator runs it: a process with settings, in front of a simulator that is a process too.

use std::net::SocketAddr;
use std::path::Path;

use capgate::simulator::DEFAULT_KEY;
use serde_json::Value;
use tempfile::TempDir;

use super::process::run_through;
use super::wait_until;
use super::wire::{Reply, send};
use super::{TestBinary, client_key, run};

/// Settings that every test of the program needs; its own go over them.
const SETTINGS: &[(&str, &str)] = &[
    ("CAPGATE_LISTEN__CLIENTS", "127.0.0.1:0"),
    ("CAPGATE_LISTEN__ADMIN", "127.0.0.1:0"),
    ("CAPGATE_UPSTREAM__KEY", DEFAULT_KEY),
    ("CAPGATE_POLLING__INTERVAL", "50ms"),
    ("CAPGATE_POLLING__FIRST_LOOK", "50ms"),
    ("CAPGATE_POLLING__FIRST_LOOK_TOKEN", "50ms"),
    ("CAPGATE_CLIENT__0__NAME", "team-a"),
];

/// What is started, and with what.
pub struct Setup {
    pub folder: TempDir,
    switches: Vec<String>,
    settings: Vec<(String, String)>,
    through: Vec<String>,
}

impl Setup {
    /// One client, `team-a` with the key of client 1, and a store in the folder.
    pub fn new() -> Self {
        let mut settings: Vec<_> =
            SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        settings.push(("CAPGATE_CLIENT__0__KEY".to_owned(), client_key(1)));
        let (folder, switches, through) = (tempfile::tempdir().expect("a folder"), Vec::new(), Vec::new());
        Self { folder, switches, settings, through }
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
        program.start_again();
        program
    }
}

struct Running {
    binary: TestBinary,
    clients: SocketAddr,
    admin: SocketAddr,
    tls: Option<SocketAddr>,
}

/// A gateway that runs.
pub struct TestProgram {
    pub folder: TempDir,
    settings: Vec<(String, String)>,
    through: Vec<String>,
    _simulator: TestBinary,
    simulated: SocketAddr,
    gateway: Option<Running>,
}

impl TestProgram {
    fn running(&self) -> &Running {
        self.gateway.as_ref().expect("it runs")
    }

    pub fn clients(&self) -> SocketAddr {
        self.running().clients
    }

    pub fn admin(&self) -> SocketAddr {
        self.running().admin
    }

    pub fn tls(&self) -> SocketAddr {
        self.running().tls.expect("the test asked for https")
    }

    /// Writes the settings file anew; nobody is told.
    pub fn write(&self, text: &str) {
        write(&self.folder, text);
    }

    /// The gateway's process id.
    pub fn id(&self) -> u32 {
        self.running().binary.id()
    }

    pub fn signal(&self, name: &str) {
        self.running().binary.signal(name);
    }

    /// Waits for the gateway's end: whether it ended well, and what it logged.
    #[track_caller]
    pub fn ended(&mut self) -> (bool, String) {
        let (status, _, logged) = self.gateway.take().expect("it runs").binary.ended();
        (status.success(), logged)
    }

    /// Stops the gateway as an operator does; with what it printed and logged.
    #[track_caller]
    pub fn stop(&mut self) -> (String, String) {
        self.gateway.take().expect("it runs").binary.stop()
    }

    /// `kill -9`, with what it had logged.
    #[track_caller]
    pub fn kill(&mut self) -> String {
        let binary = self.gateway.take().expect("it runs").binary;
        binary.signal("KILL");
        let (_, _, logged) = binary.ended();
        logged
    }

    /// Another value for a setting at the next start, by its variable.
    pub fn set(&mut self, variable: &str, value: &str) {
        self.settings.push((format!("CAPGATE_{variable}"), value.to_owned()));
    }

    /// Starts it once more, with the same settings and store.
    #[track_caller]
    pub fn start_again(&mut self) {
        let binary = self.with_arguments(&self.through, TestBinary::start_through);
        let address = |line: &str| {
            let (_, address) = line.split_once("://").expect("an address");
            address.split(' ').next().expect("an address").parse().expect("an address")
        };
        let clients = address(&binary.line_with("for clients"));
        let has_tls = self.settings.iter().any(|(name, _)| name == "CAPGATE_LISTEN__TLS");
        let tls = has_tls.then(|| address(&binary.line_with("https://")));
        let admin = address(&binary.line_with("for operators"));
        self.gateway = Some(Running { binary, clients, admin, tls });
    }

    /// Tries to start it once more, by way of a program that becomes it: the one line that says why it does not.
    #[track_caller]
    pub fn refused_start(&self, through: &[&str]) -> String {
        let through: Vec<_> = through.iter().map(|word| (*word).to_owned()).collect();
        let output = self.with_arguments(&through, run_through);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        let mut faults = said.lines().filter(|line| line.starts_with("capgate: "));
        let fault = faults.next().expect("it says why").to_owned();
        assert_eq!(faults.next(), None, "{said}");
        fault
    }

    fn with_arguments<T>(
        &self,
        through: &[String],
        start: impl FnOnce(&[&str], &Path, &[&str], &[(&str, &str)]) -> T,
    ) -> T {
        let folder = self.folder.path();
        let env: Vec<_> = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let through: Vec<_> = through.iter().map(String::as_str).collect();
        let config = folder.join("capgate.toml");
        let config = config.to_str().expect("a path in Unicode");
        let arguments: &[&str] =
            if Path::new(config).exists() { &["serve", "--config", config] } else { &["serve"] };
        start(&through, folder, arguments, &env)
    }

    /// A page of the simulator: `/state` or `/captchas`.
    #[track_caller]
    pub fn simulated(&self, page: &str) -> Value {
        get(self.simulated, page).json()
    }

    /// What `capgate usage` tells of this gateway's store, as JSON.
    #[track_caller]
    pub fn usage(&self, by: &str) -> Value {
        let env: Vec<_> = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let output = run(self.folder.path(), &["usage", "--by", by, "--format", "json"], &env);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    #[track_caller]
    pub fn get(&self, target: &str) -> Reply {
        get(self.clients(), target)
    }

    #[track_caller]
    pub fn get_admin(&self, target: &str) -> Reply {
        get(self.admin(), target)
    }

    /// Uploads a question as client `number`.
    #[track_caller]
    pub fn upload_as(&self, number: usize, text: &str) -> Reply {
        self.get(&format!("/in.php?key={}&textcaptcha={text}", client_key(number)))
    }

    /// Polls as client `number` until there is another answer than "not ready".
    #[track_caller]
    pub fn answer_as(&self, number: usize, id: &str) -> String {
        let mut text = String::new();
        wait_until(&format!("an answer to {id}"), || {
            let poll = format!("/res.php?key={}&action=get&id={id}", client_key(number));
            self.get(&poll).text().clone_into(&mut text);
            text != "CAPCHA_NOT_READY"
        });
        text
    }

    /// The value of a metric, summed over the rows whose labels contain `labels`.
    #[track_caller]
    pub fn metric(&self, name: &str, labels: &str) -> f64 {
        metric(self.get_admin("/metrics").text(), name, labels)
    }
}

fn write(folder: &TempDir, text: &str) {
    std::fs::write(folder.path().join("capgate.toml"), text).expect("the folder is ours");
}

/// The value of a metric in an exposition, summed over the rows whose labels contain `labels`.
pub fn metric(exposition: &str, name: &str, labels: &str) -> f64 {
    let rows = exposition.lines().filter_map(|line| line.strip_prefix(name)?.rsplit_once(' '));
    let rows = rows.filter(|(row, _)| row.is_empty() || row.starts_with('{'));
    rows.filter(|(row, _)| row.contains(labels)).filter_map(|(_, value)| value.parse::<f64>().ok()).sum()
}

#[track_caller]
fn get(address: SocketAddr, target: &str) -> Reply {
    send(address, format!("GET {target} HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n").as_bytes())
}
