//! https on either side, with nothing but a private CA: clients that insist on it, and an upstream.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use std::io::Write;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};

use crate::support::{Recorder, Reply, Say, TestGateway, client_key, expected, read_reply, run};

pub fn certificates(folder: &Path) {
    let arguments = ["cert", "--host", "localhost", "127.0.0.1", "gw.internal.example", "--out", "."];
    let made = run(folder, &arguments, &[]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

pub(super) fn connect(
    address: SocketAddr,
    name: &str,
    roots: RootCertStore,
) -> StreamOwned<ClientConnection, TcpStream> {
    connect_offering(&[], address, name, roots)
}

/// The same by a client that speaks these protocols.
fn connect_offering(
    protocols: &[&str],
    address: SocketAddr,
    name: &str,
    roots: RootCertStore,
) -> StreamOwned<ClientConnection, TcpStream> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let name = ServerName::try_from(name.to_owned()).expect("a name or an address");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    StreamOwned::new(connection, TcpStream::connect(address).expect("it listens"))
}

pub(super) fn private_ca(folder: &Path) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(folder.join("ca.pem")).expect("ca.pem is there") {
        roots.add(certificate.expect("a certificate")).expect("a CA");
    }
    roots
}

#[test]
fn a_client_that_trusts_the_private_ca_works_over_https() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates(folder.path());
    let gateway = TestGateway::builder().tls(folder.path()).start();
    let key = client_key(1);
    let call = |name: &str, target: &str| -> Reply {
        let mut stream = connect(gateway.tls(), name, private_ca(folder.path()));
        let call = format!("GET {target} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
        stream.write_all(call.as_bytes()).expect("the certificate is trusted");
        read_reply(&mut stream)
    };
    for name in ["localhost", "127.0.0.1", "gw.internal.example"] {
        let fields = [("textcaptcha", name)];
        let id = call(name, &format!("/in.php?key={key}&textcaptcha={name}")).id();
        let answer = call(name, &format!("/res.php?key={key}&action=get&id={id}"));
        assert_eq!(answer.text(), format!("OK|{}", expected(&fields, 0.0).plain), "{name}");
    }
    let absolute = call("localhost", &format!("https://2captcha.com/res.php?key={key}&action=getbalance"));
    assert!(absolute.text().starts_with("999."), "{}", absolute.text());
    assert!(
        gateway.get(&format!("/res.php?key={key}&action=getbalance")).text().starts_with("999."),
        "http too"
    );
}

/// The library for HTTP/2 that is in the program, because another needs it, has a known flaw.
#[test]
fn http_2_is_spoken_with_nobody_whatever_a_client_offers() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates(folder.path());
    let gateway = TestGateway::builder().tls(folder.path()).start();
    let connect = |protocols: &[&str]| {
        connect_offering(protocols, gateway.tls(), "localhost", private_ca(folder.path()))
    };
    let call = format!(
        "GET /res.php?key={}&action=getbalance HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n",
        client_key(1)
    );
    for (offered, chosen) in
        [(&["h2", "http/1.1"][..], Some("http/1.1")), (&["http/1.1"], Some("http/1.1")), (&[], None)]
    {
        let mut stream = connect(offered);
        stream.write_all(call.as_bytes()).expect("it is taken");
        assert_eq!(read_reply(&mut stream).status, 200, "{offered:?}");
        assert_eq!(stream.conn.alpn_protocol(), chosen.map(str::as_bytes), "{offered:?}");
    }
    let mut only = connect(&["h2"]);
    let error = only.write_all(call.as_bytes()).expect_err("there is no other protocol");
    assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    // What speaks HTTP/2 unasked, with or without TLS, is no call.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    let mut encrypted = connect(&["http/1.1"]);
    encrypted.write_all(preface).expect("it is taken");
    assert_ne!(read_reply(&mut encrypted).status, 200);
    assert_ne!(gateway.send(preface).status, 200);
}

#[test]
fn a_client_that_does_not_know_the_ca_or_calls_by_another_name_is_not_served() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates(folder.path());
    let gateway = TestGateway::builder().tls(folder.path()).start();
    let mut stranger = connect(gateway.tls(), "localhost", RootCertStore::empty());
    assert!(stranger.write_all(b"GET /load.php HTTP/1.1\r\n\r\n").is_err());
    let mut other_name = connect(gateway.tls(), "evil.example", private_ca(folder.path()));
    assert!(other_name.write_all(b"GET /load.php HTTP/1.1\r\n\r\n").is_err());
}

pub(super) fn server_config(folder: &Path) -> ServerConfig {
    let chain = CertificateDer::pem_file_iter(folder.join("server.pem")).expect("server.pem is there");
    let chain = chain.map(|certificate| certificate.expect("a certificate")).collect();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).expect("server.key is there");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("the key is the certificate's")
}

#[test]
fn an_upstream_over_https_is_trusted_by_its_ca_and_a_reply_that_it_breaks_off_is_a_lost_one() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates(folder.path());
    let upstream = Recorder::start_tls(server_config(folder.path()), |call| match call.path() {
        // Half of the second would be another captcha's id.
        "/in.php" if call.contains("whole") => Say::Text("OK|51555".into()),
        "/in.php" => Say::HalfOfChunks("OK|5155526394351555263943".into()),
        _ => Say::Text("CAPCHA_NOT_READY".into()),
    });
    let ca_file = folder.path().join("ca.pem");
    let trusting = TestGateway::builder()
        .upstream(&upstream.url())
        .settings(|config| config.upstream.ca_file = Some(ca_file))
        .start();
    assert_eq!(trusting.upload(&[("textcaptcha", "whole")]).text(), "OK|51555");
    assert_eq!(trusting.upload(&[("textcaptcha", "cut")]).text(), "ERROR_NO_SLOT_AVAILABLE");
    assert_eq!(upstream.uploads().len(), 2);

    let strange = TestGateway::fronting(&upstream.url());
    assert_eq!(strange.upload(&[("textcaptcha", "whole")]).text(), "ERROR_NO_SLOT_AVAILABLE");
    assert_eq!(upstream.uploads().len(), 2, "nothing is sent to whom we do not trust");
    assert!(
        strange.metric("capgate_uploads_total", "outcome=\"unknown\"") < 1.0,
        "it is known not to be sent"
    );
}
