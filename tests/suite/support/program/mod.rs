//! The gateway as an operator runs it: a process with settings, in front of a simulator that is a process too.

mod setup;

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::wait_until;
use super::wire::{Reply, send};
use super::{ADMIN_TOKEN, TestBinary, client_key, run};
pub use setup::Setup;

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
        self.gateway = Some(self.run_by(TestBinary::start_through));
    }

    #[track_caller]
    fn run_by(&self, start: impl FnOnce(&[&str], &Path, &[&str], &[(&str, &str)]) -> TestBinary) -> Running {
        let binary = self.with_arguments(&self.through, start);
        let address = |line: &str| {
            let (_, address) = line.split_once("://").expect("an address");
            address.split(' ').next().expect("an address").parse().expect("an address")
        };
        let clients = address(&binary.line_with("for clients"));
        let has_tls = self.settings.iter().any(|(name, _)| name == "CAPGATE_LISTEN__TLS");
        let tls = has_tls.then(|| address(&binary.line_with("https://")));
        let admin = address(&binary.line_with("for operators"));
        Running { binary, clients, admin, tls }
    }

    /// Tries to start it once more, by way of a program that becomes it: the one line that says why it does not.
    #[track_caller]
    pub fn refused_start(&self, through: &[&str]) -> String {
        let through: Vec<_> = through.iter().map(|word| (*word).to_owned()).collect();
        let mut binary = self.with_arguments(&through, TestBinary::start_through);
        wait_until("it refuses to start", || binary.has_ended());
        let (status, _, said) = binary.ended();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        let mut faults = said.lines().filter(|line| line.starts_with("capgate: "));
        let fault = faults.next().expect("it says why").to_owned();
        assert_eq!(faults.next(), None, "{said}");
        fault
    }

    fn with_arguments(
        &self,
        through: &[String],
        start: impl FnOnce(&[&str], &Path, &[&str], &[(&str, &str)]) -> TestBinary,
    ) -> TestBinary {
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
