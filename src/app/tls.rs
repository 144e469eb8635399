//! The https listener, and the certificate that it shows.

use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::listeners::listener;
use crate::config::Listen;

pub(super) fn tls_listener(listen: &Listen) -> anyhow::Result<Option<(TcpListener, rustls::ServerConfig)>> {
    let (Some(address), Some(certificate), Some(key)) = (listen.tls, &listen.tls_cert, &listen.tls_key)
    else {
        return Ok(None);
    };
    let tls = tls_config(certificate, key)?;
    Ok(Some((listener(address, "listen.tls")?, tls)))
}

fn tls_config(certificate: &Path, key: &Path) -> anyhow::Result<rustls::ServerConfig> {
    let open = |setting: &str, path: &Path| {
        File::open(path).with_context(|| format!("{setting}: {} cannot be read", path.display()))
    };
    let chain = CertificateDer::pem_reader_iter(open("listen.tls_cert", certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("listen.tls_cert: {} holds no certificate", certificate.display()))?;
    let private = PrivateKeyDer::from_pem_reader(open("listen.tls_key", key)?)
        .with_context(|| format!("listen.tls_key: {} holds no private key", key.display()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .context("listen.tls_cert and listen.tls_key do not fit together")
}
