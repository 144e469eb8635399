//! Clients that insist on https, with nothing but the private CA.

use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use std::io::Write;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::support::{Reply, TestGateway, client_key, expected, read_reply, run};

fn certificates(folder: &Path) {
    let arguments = ["cert", "--host", "localhost", "127.0.0.1", "gw.internal.example", "--out", "."];
    let made = run(folder, &arguments, &[]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn connect(
    gateway: &TestGateway,
    name: &str,
    roots: RootCertStore,
) -> StreamOwned<ClientConnection, TcpStream> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).expect("a name or an address");
    let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
    StreamOwned::new(connection, TcpStream::connect(gateway.tls()).expect("it listens"))
}

fn private_ca(folder: &Path) -> RootCertStore {
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
        let mut stream = connect(&gateway, name, private_ca(folder.path()));
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

#[test]
fn a_client_that_does_not_know_the_ca_or_calls_by_another_name_is_not_served() {
    let folder = tempfile::tempdir().expect("a folder");
    certificates(folder.path());
    let gateway = TestGateway::builder().tls(folder.path()).start();
    let mut stranger = connect(&gateway, "localhost", RootCertStore::empty());
    assert!(stranger.write_all(b"GET /load.php HTTP/1.1\r\n\r\n").is_err());
    let mut other_name = connect(&gateway, "evil.example", private_ca(folder.path()));
    assert!(other_name.write_all(b"GET /load.php HTTP/1.1\r\n\r\n").is_err());
}
