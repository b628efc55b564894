//! This module creates a self-signed certificate at each start of the sink. Clients trust it through a PEM file.

use std::sync::Arc;

use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use tokio_rustls::TlsAcceptor;

use super::SinkError;

/// An `Identity` is the self-signed certificate of a server and its key.
#[derive(Clone)]
pub struct Identity {
    /// The certificate that clients trust, in PEM.
    pub pem: String,
    /// The TLS acceptor of the server.
    pub acceptor: TlsAcceptor,
}

/// Creates an identity for a server that clients reach by any of `names`: host names or addresses.
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
