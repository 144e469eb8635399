//! The https listener, and the certificate that it shows.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, ensure};
use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::listeners::listener;
use crate::config::Listen;

/// The https listener: its socket, and what a handshake needs.
#[derive(Debug)]
pub(super) struct Tls {
    pub listener: TcpListener,
    pub config: ServerConfig,
    pub certificate: Arc<Certificate>,
}

impl Tls {
    /// None when the settings ask for no https.
    pub fn listen(listen: &Listen, inherited: Option<TcpListener>) -> anyhow::Result<Option<Self>> {
        let Some(address) = listen.tls else {
            ensure!(inherited.is_none(), "a socket for https was inherited, and listen.tls is not set");
            return Ok(None);
        };
        let certificate = read(listen)?.context("listen.tls_cert or listen.tls_key is missing")?;
        let certificate = Arc::new(Certificate(ArcSwap::from_pointee(certificate)));
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<Certificate>::clone(&certificate));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Some(Self { listener: listener(inherited, address, "listen.tls")?, config, certificate }))
    }
}

/// The certificate that new handshakes show.
#[derive(Debug)]
pub(super) struct Certificate(ArcSwap<CertifiedKey>);

impl Certificate {
    /// Connections that stand keep the one that they were made with.
    pub fn replace(&self, certificate: CertifiedKey) {
        self.0.store(Arc::new(certificate));
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

/// The certificate in the files that the settings name; none when they name none.
pub(super) fn read(listen: &Listen) -> anyhow::Result<Option<CertifiedKey>> {
    let (Some(certificate), Some(key)) = (&listen.tls_cert, &listen.tls_key) else { return Ok(None) };
    let open = |setting: &str, path: &Path| {
        File::open(path).with_context(|| format!("{setting}: {} cannot be read", path.display()))
    };
    let chain = CertificateDer::pem_reader_iter(open("listen.tls_cert", certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("listen.tls_cert: {} holds no certificate", certificate.display()))?;
    let private = PrivateKeyDer::from_pem_reader(open("listen.tls_key", key)?)
        .with_context(|| format!("listen.tls_key: {} holds no private key", key.display()))?;
    let certified = CertifiedKey::from_der(chain, private, &provider())
        .context("listen.tls_cert and listen.tls_key do not fit together")?;
    Ok(Some(certified))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
