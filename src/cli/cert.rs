//! `capgate cert --host NAME…`: a private CA and a server certificate, for clients that insist on https.
//!
//! The CA's key is used once and never written down: nobody can sign anything else that clients of this CA trust.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::DnsName;

use crate::clock::Timestamp;

const DAY: Duration = Duration::from_hours(24);
/// Apple's limit for a server's certificate; the last second counts.
const SERVER_LIFETIME: Duration = DAY.saturating_mul(825).saturating_sub(Duration::from_secs(1));
const CA_LIFETIME: Duration = DAY.saturating_mul(3652);

#[derive(Args, Debug)]
pub struct Arguments {
    /// A name or address by which clients call the gateway; several are allowed.
    #[arg(long = "host", value_name = "NAME", required = true, num_args = 1..)]
    hosts: Vec<String>,
    /// The folder for ca.pem, server.pem and server.key.
    #[arg(long, value_name = "DIR", default_value = ".")]
    out: PathBuf,
    /// Replace what is there; clients then need the new ca.pem.
    #[arg(long)]
    force: bool,
}

pub(super) fn run(arguments: &Arguments, now: Timestamp) -> anyhow::Result<()> {
    let issued = issue(&arguments.hosts, now)?;
    let out = &arguments.out;
    fs::create_dir_all(out).with_context(|| format!("{} cannot be made", out.display()))?;
    let files = [
        ("ca.pem", &issued.ca, 0o644),
        ("server.pem", &issued.chain, 0o644),
        ("server.key", &issued.key, 0o600),
    ];
    for (name, ..) in files {
        let path = out.join(name);
        ensure!(
            arguments.force || !path.exists(),
            "{} is there already; --force replaces it, and clients then need the new ca.pem",
            path.display()
        );
    }
    for (name, text, mode) in files {
        let path = out.join(name);
        write(&path, text, mode).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    writeln!(
        std::io::stdout(),
        "{0}/ca.pem      give it to the clients\n{0}/server.pem  listen.tls_cert\n{0}/server.key  listen.tls_key",
        out.display()
    )?;
    Ok(())
}

/// PEM texts.
struct Issued {
    ca: String,
    /// The server's certificate, then the CA's.
    chain: String,
    key: String,
}

fn issue(hosts: &[String], now: Timestamp) -> anyhow::Result<Issued> {
    for host in hosts {
        let name = host.strip_prefix("*.").unwrap_or(host);
        ensure!(
            host.parse::<IpAddr>().is_ok() || DnsName::try_from(name).is_ok(),
            "{host:?} is neither a host name nor an address"
        );
    }
    // A day back: the clocks of clients differ.
    let start = date_time_ymd(1970, 1, 1) + Duration::from_millis(now.as_millis()) - DAY;

    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, format!("capgate private CA {}", start.date()));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = (start, start + CA_LIFETIME);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(hosts)?;
    params.distinguished_name.push(DnType::CommonName, "capgate");
    // Spelt out, because without it rcgen leaves out basicConstraints and subjectKeyIdentifier.
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = (start, start + SERVER_LIFETIME);
    let server = params.signed_by(&key, &ca)?;

    Ok(Issued { ca: ca.pem(), chain: format!("{}{}", server.pem(), ca.pem()), key: key.serialize_pem() })
}

/// A new file every time: one that is there already would keep its mode, and may be open elsewhere.
fn write(path: &Path, text: &str, mode: u32) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests;
