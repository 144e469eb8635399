use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};

use super::*;
use crate::clock::Clock;

fn issued(hosts: &[&str]) -> Issued {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    issue(&hosts, Clock::system().now()).unwrap()
}

/// A client that trusts `ca` calls the server by `host`.
fn handshake(issued: &Issued, ca: &str, host: &str) -> Result<(), rustls::Error> {
    let chain =
        CertificateDer::pem_slice_iter(issued.chain.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
    assert_eq!(chain.len(), 2, "leaf and CA");
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap();
    let server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.as_bytes()).unwrap())?;
    let client = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name)?;
    let mut server = ServerConnection::new(Arc::new(server))?;
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut bytes.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut bytes = Vec::new();
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut bytes.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn a_client_with_the_ca_trusts_every_host_and_no_other() {
    let issued = issued(&["gw.internal", "*.example.com", "127.0.0.1", "::1"]);
    for host in ["gw.internal", "a.example.com", "127.0.0.1", "::1"] {
        handshake(&issued, &issued.ca, host).unwrap();
    }
    for host in ["other.internal", "127.0.0.2"] {
        handshake(&issued, &issued.ca, host).unwrap_err();
    }
}

#[test]
fn a_client_with_another_ca_trusts_nothing() {
    let other = issued(&["gw.internal"]);
    handshake(&issued(&["gw.internal"]), &other.ca, "gw.internal").unwrap_err();
}

/// What OpenSSL's strict mode (Python 3.13) asks for, by the DER of each extension.
#[test]
fn the_certificates_have_the_extensions_that_strict_clients_ask_for() {
    let issued = issued(&["gw.internal"]);
    let ca = CertificateDer::from_pem_slice(issued.ca.as_bytes()).unwrap();
    let server = CertificateDer::from_pem_slice(issued.chain.as_bytes()).unwrap();
    let has = |der: &[u8], part: &[u8]| der.windows(part.len()).any(|window| window == part);
    // basicConstraints, critical: CA, path length 0
    assert!(has(&ca, b"\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x08\x30\x06\x01\x01\xff\x02\x01\x00"));
    // keyUsage, critical: keyCertSign and cRLSign
    assert!(has(&ca, b"\x06\x03\x55\x1d\x0f\x01\x01\xff\x04\x04\x03\x02\x01\x06"));
    // basicConstraints, critical: no CA
    assert!(has(&server, b"\x06\x03\x55\x1d\x13\x01\x01\xff\x04\x02\x30\x00"));
    for certificate in [&ca, &server] {
        assert!(has(certificate, b"\x06\x03\x55\x1d\x0e"), "subjectKeyIdentifier");
        assert!(has(certificate, b"\x06\x03\x55\x1d\x23"), "authorityKeyIdentifier");
    }
}

#[test]
fn what_is_no_host_is_refused() {
    let now = Clock::system().now();
    for host in ["", "a b", "https://gw", "*", "é.example.com"] {
        assert!(issue(&[host.to_owned()], now).is_err(), "{host:?}");
    }
}

#[test]
fn files_that_are_there_are_kept_unless_forced_and_the_key_is_for_its_owner_only() {
    let now = Clock::system().now();
    let out = std::env::temp_dir().join(format!("capgate-cert-{}", std::process::id()));
    let _ = fs::remove_dir_all(&out);
    let mut arguments = Arguments { hosts: vec!["gw".to_owned()], out: out.clone(), force: false };
    run(&arguments, now).unwrap();
    let mode = fs::metadata(out.join("server.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let first = fs::read_to_string(out.join("ca.pem")).unwrap();

    let error = run(&arguments, now).unwrap_err().to_string();
    assert!(error.contains("ca.pem is there already"), "{error}");
    assert_eq!(fs::read_to_string(out.join("ca.pem")).unwrap(), first);

    arguments.force = true;
    run(&arguments, now).unwrap();
    assert_ne!(fs::read_to_string(out.join("ca.pem")).unwrap(), first);
    fs::remove_dir_all(&out).unwrap();
}
