//! `capgate healthcheck`: is the gateway ready? For a container's health check, which has no other program at hand.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use actix_web::http::Uri;
use anyhow::{Context, anyhow, ensure};
use clap::Args;

use super::{File, environment};
use crate::config::Config;

/// Shorter than the time that a container's health check has by default.
const TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    file: File,
    /// Where the admin listener is, instead of what the settings say.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

pub(super) fn run(arguments: Arguments) -> anyhow::Result<()> {
    let url = if let Some(url) = &arguments.url {
        ready_url(url)?
    } else {
        let env = environment();
        let file = arguments.file.or_from(&env);
        address_url(Config::admin_address(file.as_deref(), env.into_iter())?)?
    };
    actix_web::rt::System::new().block_on(ask(&url))
}

async fn ask(url: &str) -> anyhow::Result<()> {
    let client = awc::Client::builder().timeout(TIMEOUT).disable_redirects().finish();
    let reply = client.get(url).send().await;
    // awc's errors are not `Sync`.
    let reply = reply.map_err(|error| anyhow!("not ready: {url}: {error}"))?;
    ensure!(reply.status() == 200, "not ready: {url}: status {}", reply.status());
    Ok(())
}

/// `/readyz` on an address to listen on, which may be "every address of this machine".
fn address_url(mut address: SocketAddr) -> anyhow::Result<String> {
    ensure!(address.port() != 0, "listen.admin has port 0, so the port in use is not known: give --url");
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok(format!("http://{address}/readyz"))
}

/// The URL as it was given, with `/readyz` where it has no path.
fn ready_url(url: &str) -> anyhow::Result<String> {
    let parsed: Uri = url.parse().with_context(|| format!("{url:?} is no URL"))?;
    let plain = parsed.scheme_str() == Some("http") && parsed.host().is_some();
    ensure!(plain, "{url:?}: expected an http URL, the admin listener has no https");
    Ok(match parsed.path() {
        "" | "/" => format!("{}/readyz", url.trim_end_matches('/')),
        _ => url.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_this_machine_is_asked_on_loopback() {
        let url = |address: &str| address_url(address.parse().unwrap());
        assert_eq!(url("0.0.0.0:9464").unwrap(), "http://127.0.0.1:9464/readyz");
        assert_eq!(url("[::]:9464").unwrap(), "http://[::1]:9464/readyz");
        assert_eq!(url("10.0.0.1:1").unwrap(), "http://10.0.0.1:1/readyz");
        assert!(url("127.0.0.1:0").is_err());
    }

    #[test]
    fn a_url_without_a_path_is_completed() {
        assert_eq!(ready_url("http://gw:9464/").unwrap(), "http://gw:9464/readyz");
        assert_eq!(ready_url("http://gw:9464/x").unwrap(), "http://gw:9464/x");
        assert!(ready_url("https://gw:9464").is_err());
        assert!(ready_url("gw").is_err());
    }
}
