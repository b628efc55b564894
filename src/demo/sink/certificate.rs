//! A certificate of its own: made at each start, trusted through a PEM file, worth nothing elsewhere.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio_rustls::TlsAcceptor;

use super::SinkError;

/// A self-signed identity of a server.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, for clients to trust.
    pub pem: String,
    /// Speaks TLS as that server.
    pub acceptor: TlsAcceptor,
}

/// Makes an identity for a server that is reached by any of `names`: host names or addresses.
pub fn self_signed(names: &[&str]) -> Result<Identity, SinkError> {
    let fault = |error: String| SinkError::Certificate(error);
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| fault(error.to_string()))?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key))
        .map_err(|error| fault(error.to_string()))?;
    Ok(Identity { pem: made.cert.pem(), acceptor: TlsAcceptor::from(Arc::new(config)) })
}
