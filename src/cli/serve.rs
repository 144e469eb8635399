//! `capgate serve`: the gateway, in front of a real upstream or, with `--sandbox`, of the built-in simulator.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::File;
use crate::app::{Addresses, App, Inherited, Signals};
use crate::clock::{Clock, Day};
use crate::config::{AuthMode, Client, Config, StoreUrl};
use crate::protocol::ids::{ClientKey, UpstreamKey};
use crate::simulator::{DEFAULT_KEY, Scenario, Simulator};
use crate::telemetry::Logs;

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
    actix_web::rt::System::new().block_on(async move {
        // First: a signal that nobody watches would end the process.
        let signals = Signals::watch()?;
        // Held while the gateway runs.
        let simulator = if is_sandbox { Some(simulator()?) } else { None };
        let url = simulator.as_ref().map(Simulator::url);
        if let Some(url) = &url {
            sandbox(&mut config, url);
        }
        for warning in config.warnings(Day::of(Clock::system().now())) {
            tracing::warn!("{warning}");
        }
        let app = App::build_on(inherited, &config).await?;
        greet(app.addresses(), &config, simulator.as_ref());
        let read = move || {
            let mut config = file.clone().load(is_sandbox)?;
            if let Some(url) = &url {
                sandbox(&mut config, url);
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

/// Puts the simulator in the place of the upstream, and a client at the door if there is none.
fn sandbox(config: &mut Config, simulator: &str) {
    simulator.clone_into(&mut config.upstream.url);
    config.upstream.key = Some(UpstreamKey::new(DEFAULT_KEY));
    // Whatever the settings say: a real account's captchas have nothing to do with the simulator's.
    config.store.url = StoreUrl::Memory;
    if config.clients.is_empty() && config.auth.mode == AuthMode::Keys {
        let keys = ClientKey::parse(SANDBOX_CLIENT_KEY.as_bytes()).into_iter().collect();
        config.clients.push(Client { name: "sandbox".into(), keys, ..Client::default() });
    }
}

/// Says where everything is, on the standard output; in a sandbox also how to try it.
fn greet(addresses: Addresses, config: &Config, simulator: Option<&Simulator>) {
    let clients = addresses.clients;
    println!("capgate listens on http://{clients} for clients (in.php, res.php, load.php)");
    if let Some(tls) = addresses.tls {
        println!("               and https://{tls}");
    }
    println!(
        "               on http://{} for operators: the status page, /metrics, /healthz, /readyz",
        addresses.admin
    );
    let Some(simulator) = simulator else {
        println!("upstream: {}", config.upstream.url);
        return;
    };
    println!("upstream: the built-in simulator, {}/state shows what it saw", simulator.url());
    let is_own = config.clients.iter().any(|client| client.name == "sandbox");
    let key = if is_own { SANDBOX_CLIENT_KEY } else { "YOUR_CLIENT_KEY" };
    println!();
    println!("A client key to try:  {key}");
    println!("Upload a captcha:     curl 'http://{clients}/in.php?key={key}&textcaptcha=Two+and+three'");
    println!("Ask for its answer:   curl 'http://{clients}/res.php?key={key}&action=get&id=ID'");
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
