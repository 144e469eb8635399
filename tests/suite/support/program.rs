//! The gateway as an operator runs it: a process with settings, in front of a simulator that is a process too.

use std::net::SocketAddr;
use std::path::Path;

use capgate::simulator::DEFAULT_KEY;
use tempfile::TempDir;

use super::wait_until;
use super::wire::{Reply, send};
use super::{ADMIN_TOKEN, TestBinary, client_key};

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

/// What is started, and with what.
pub struct Setup {
    pub folder: TempDir,
    switches: Vec<String>,
    settings: Vec<(String, String)>,
    is_log_read: bool,
}

impl Setup {
    /// One client, `team-a` with the key of client 1, and a store in the folder.
    pub fn new() -> Self {
        let mut settings: Vec<_> =
            SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        settings.push(("CAPGATE_CLIENT__0__KEY".to_owned(), client_key(1)));
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            switches: Vec::new(),
            settings,
            is_log_read: true,
        }
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
        let gateway = Running::start(self.folder.path(), &settings, self.is_log_read);
        TestProgram { folder: self.folder, settings, _simulator: simulator, gateway: Some(gateway) }
    }
}

struct Running {
    binary: TestBinary,
    clients: SocketAddr,
    admin: SocketAddr,
    tls: Option<SocketAddr>,
}

impl Running {
    #[track_caller]
    fn start(folder: &Path, settings: &[(String, String)], is_log_read: bool) -> Self {
        let env: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let config = folder.join("capgate.toml");
        let config = config.to_str().expect("a path in Unicode");
        let arguments: &[&str] =
            if Path::new(config).exists() { &["serve", "--config", config] } else { &["serve"] };
        let start = if is_log_read { TestBinary::start } else { TestBinary::start_unread };
        let binary = start(folder, arguments, &env);
        let address = |line: &str| {
            let (_, address) = line.split_once("://").expect("an address");
            address.split(' ').next().expect("an address").parse().expect("an address")
        };
        let clients = address(&binary.line_with("for clients"));
        let has_tls = settings.iter().any(|(name, _)| name == "CAPGATE_LISTEN__TLS");
        let tls = has_tls.then(|| address(&binary.line_with("https://")));
        let admin = address(&binary.line_with("for operators"));
        Self { binary, clients, admin, tls }
    }
}

/// A gateway that runs.
pub struct TestProgram {
    pub folder: TempDir,
    settings: Vec<(String, String)>,
    _simulator: TestBinary,
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

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.gateway = None;
    }

    /// Another value for a setting at the next start, by its variable.
    pub fn set(&mut self, variable: &str, value: &str) {
        self.settings.push((format!("CAPGATE_{variable}"), value.to_owned()));
    }

    /// Starts it once more, with the same settings and store.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.gateway = Some(Running::start(self.folder.path(), &self.settings, true));
    }

    #[track_caller]
    pub fn get(&self, target: &str) -> Reply {
        get(self.clients(), target)
    }

    #[track_caller]
    pub fn get_admin(&self, target: &str) -> Reply {
        get(self.admin(), target)
    }

    /// What an operator does, with the token.
    #[track_caller]
    pub fn act(&self, path: &str) -> Reply {
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n");
        send(self.admin(), format!("{head}Connection: close\r\nContent-Length: 0\r\n\r\n").as_bytes())
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
    send(address, format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").as_bytes())
}
