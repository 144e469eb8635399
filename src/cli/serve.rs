//! `capgate serve`: the gateway, in front of a real upstream or, with `--sandbox`, of the built-in simulator.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context;
use rand::TryRng;
use rand::rngs::SysRng;

use super::File;
use crate::app::{Addresses, App, Inherited, Signals};
use crate::clock::{Clock, Day};
use crate::config::{AdminToken, AuthMode, Client, Config, StoreUrl, TOKEN_SYMBOLS_MIN};
use crate::protocol::ids::{ClientKey, UpstreamKey, hex};
use crate::simulator::{DEFAULT_KEY, Scenario, Simulator};
use crate::telemetry::{Logs, log_panics};

/// The key of the sandbox's client; 32 symbols, and no secret.
const SANDBOX_CLIENT_KEY: &str = "sandbox-client-key-not-a-secret0";

/// Runs until the process is told to stop.
///
/// # Errors
/// Faults in the settings, or what keeps the gateway from starting.
pub(super) fn run(config: Option<PathBuf>, is_sandbox: bool) -> anyhow::Result<()> {
    let file = File { config };
    let mut config = file.clone().load(is_sandbox)?;
    // Before any thread.
    let inherited = Inherited::take(super::environment().get("LISTEN_FDNAMES").map(String::as_str))?;
    let logs = Logs::start(&config.log);
    log_panics();
    actix_web::rt::System::new().block_on(async move {
        // First: a signal that nobody watches would end the process.
        let signals = Signals::watch()?;
        // Held while the gateway runs.
        let simulator = if is_sandbox { Some(simulator()?) } else { None };
        let sandbox = match &simulator {
            Some(simulator) => Some(Sandbox { simulator: simulator.url(), token: random_token()? }),
            None => None,
        };
        let is_own_token = config.admin.token.is_none();
        if let Some(sandbox) = &sandbox {
            sandbox.enter(&mut config);
        }
        for warning in config.warnings(Day::of(Clock::system().now())) {
            tracing::warn!("{warning}");
        }
        let app = App::build_on(inherited, &config).await?;
        log_start(app.addresses(), &config);
        greet(app.addresses(), &config, sandbox.as_ref(), is_own_token);
        let read = move || {
            let mut config = file.clone().load(is_sandbox)?;
            if let Some(sandbox) = &sandbox {
                sandbox.enter(&mut config);
            }
            Ok(config)
        };
        app.run_until_stopped(signals, Box::new(read), logs).await
    })
}

fn simulator() -> anyhow::Result<Simulator> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Ok(Simulator::start(Scenario::default(), listen)?)
}

/// What a sandbox has that no setting gives it.
struct Sandbox {
    /// Where the simulator is.
    simulator: String,
    /// For operators, until the process ends.
    token: String,
}

impl Sandbox {
    /// Puts the simulator in the place of the upstream, a client at the door if there is none, and gives operators a
    /// token if they have none.
    fn enter(&self, config: &mut Config) {
        self.simulator.clone_into(&mut config.upstream.url);
        config.upstream.key = Some(UpstreamKey::new(DEFAULT_KEY));
        // Whatever the settings say: a real account's captchas have nothing to do with the simulator's.
        config.store.url = StoreUrl::Memory;
        config.audit.file = None;
        if config.clients.is_empty() && config.auth.mode == AuthMode::Keys {
            let keys = ClientKey::parse(SANDBOX_CLIENT_KEY.as_bytes()).into_iter().collect();
            config.clients.push(Client { name: "sandbox".into(), keys, ..Client::default() });
        }
        config.admin.token = config.admin.token.or_else(|| AdminToken::parse(&self.token));
    }
}

fn random_token() -> anyhow::Result<String> {
    let mut random = [0; TOKEN_SYMBOLS_MIN / 2];
    SysRng.try_fill_bytes(&mut random).context("the operating system gives no randomness")?;
    Ok(hex(&random))
}

/// Says where everything is, in the log for programs.
fn log_start(addresses: Addresses, config: &Config) {
    let Addresses { clients, tls, admin } = addresses;
    let tls = tls.map(tracing::field::display);
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"), %clients, tls, %admin, upstream = %config.upstream.url,
        store = %config.store.url, "capgate serves"
    );
}

/// Says where everything is, on the standard output; in a sandbox also how to try it.
fn greet(addresses: Addresses, config: &Config, sandbox: Option<&Sandbox>, is_own_token: bool) {
    let clients = addresses.clients;
    println!("capgate listens on http://{clients} for clients (in.php, res.php, load.php)");
    if let Some(tls) = addresses.tls {
        println!("               and https://{tls}");
    }
    println!(
        "               on http://{} for operators: the status page, /metrics, /healthz, /readyz",
        addresses.admin
    );
    let Some(Sandbox { simulator, token }) = sandbox else {
        println!("upstream: {}", config.upstream.url);
        return;
    };
    println!("upstream: the built-in simulator, {simulator}/state shows what it saw");
    let is_own = config.clients.iter().any(|client| client.name == "sandbox");
    let key = if is_own { SANDBOX_CLIENT_KEY } else { "YOUR_CLIENT_KEY" };
    println!();
    println!("A client key to try:  {key}");
    println!("Upload a captcha:     curl 'http://{clients}/in.php?key={key}&textcaptcha=Two+and+three'");
    println!("Ask for its answer:   curl 'http://{clients}/res.php?key={key}&action=get&id=ID'");
    if is_own && is_own_token {
        println!(
            "Stop the client:      curl -X POST -H 'Authorization: Bearer {token}' http://{}/clients/sandbox/stop",
            addresses.admin
        );
    }
    println!("An answer takes 5 to 20 seconds here; until then the reply is CAPCHA_NOT_READY.");
    println!();
    println!(
        "Point a real client at it: where its library takes a server, host or base URL, give it {clients};"
    );
    println!(
        "one that insists on https needs `capgate cert` and listen.tls first. For example unicaps (Python):"
    );
    println!("  unicaps._service.twocaptcha.Service.BASE_URL = 'http://{clients}'");
}
