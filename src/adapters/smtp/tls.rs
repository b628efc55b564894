//! `client_config` and `handshake` set up TLS to a mail host. A certificate must chain to a public root or one of the
//! operator's, and name the host. A certificate of the operator's file may also be the server's own (`pinned.rs`).

use std::{path::Path, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    client::{Resumption, WebPkiServerVerifier},
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::{SetupError, pinned::PinnedVerifier, tls_tickets::TlsTicketCache};
use crate::domain::outcome::classify::DialogueEnd;

/// Builds the one client configuration that all connections share.
pub(super) fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, SetupError> {
    let setup = |error: &dyn std::error::Error| SetupError::Tls(error.to_string());
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let own = ca_file.map(|path| add_roots(&mut roots, path)).transpose()?.unwrap_or_default();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let by_roots = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| setup(&error))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| setup(&error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(PinnedVerifier::new(by_roots, own)))
        .with_no_client_auth();
    config.resumption = Resumption::store(Arc::new(TlsTicketCache::default()));
    Ok(Arc::new(config))
}

/// Adds the certificates of a file to `roots`, and returns them.
fn add_roots(roots: &mut RootCertStore, path: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let unreadable = |fault: String| SetupError::CaFile { path: path.to_owned(), fault };
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(error.to_string()))?;
    if certificates.is_empty() {
        return Err(unreadable("it holds no certificate".into()));
    }
    for certificate in &certificates {
        roots.add(certificate.clone()).map_err(|error| unreadable(error.to_string()))?;
    }
    Ok(certificates)
}

/// Performs the TLS handshake on `stream`, and verifies that the certificate belongs to `host`.
pub(super) async fn handshake(
    config: Arc<ClientConfig>,
    host: &str,
    stream: TcpStream,
) -> Result<TlsStream<TcpStream>, DialogueEnd> {
    let name = ServerName::try_from(host.trim_end_matches('.').to_owned())
        .map_err(|error| DialogueEnd::TlsFailed(format!("{host}: {error}")))?;
    TlsConnector::from(config).connect(name, stream).await.map_err(|error| classify(&error))
}

/// Maps a handshake error to its end: a bad certificate is distinct from a broken handshake.
fn classify(error: &std::io::Error) -> DialogueEnd {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(fault @ (rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented)) => {
            DialogueEnd::CertificateBad(fault.to_string())
        }
        _ => DialogueEnd::TlsFailed(error.to_string()),
    }
}
