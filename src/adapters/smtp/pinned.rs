//! `PinnedVerifier` also trusts a server certificate that is itself in the operator's file.
//!
//! webpki accepts a certificate of that file only as a root. A self-signed certificate with CA:TRUE, as `openssl req
//! -x509` makes it, may be a root there and is still refused as the server's own certificate. An exact copy in the file
//! states that the operator trusts it: then only its validity period and its names are checked.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

/// `PinnedVerifier` accepts an exact copy of a pinned certificate and leaves all others to the usual verification.
#[derive(Debug)]
pub(super) struct PinnedVerifier {
    /// The usual verifier, which checks the chain up to a root.
    by_roots: Arc<WebPkiServerVerifier>,
    /// The certificates of the operator's file.
    pinned: Vec<CertificateDer<'static>>,
}

impl PinnedVerifier {
    pub(super) fn new(by_roots: Arc<WebPkiServerVerifier>, pinned: Vec<CertificateDer<'static>>) -> PinnedVerifier {
        PinnedVerifier { by_roots, pinned }
    }
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verified = self.by_roots.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            Err(error) if is_about_roots(&error) && self.pinned.iter().any(|pinned| pinned == end_entity) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_roots.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_roots.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_roots.supported_verify_schemes()
    }
}

/// Returns whether a certificate was refused for its role in a chain. webpki checks the validity period first, so then
/// the period is fine.
fn is_about_roots(error: &Error) -> bool {
    // `Other` is rustls's error for a certificate of an authority that is used as a server's.
    matches!(error, Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
    use rustls::RootCertStore;

    use super::*;

    /// Returns a self-signed certificate of an authority for `mail.test`, valid from year `first` until before `last`.
    fn authority(first: i32, last: i32) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["mail.test".to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        (params.not_before, params.not_after) = (date_time_ymd(first, 1, 1), date_time_ymd(last, 1, 1));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    fn verify(file: &CertificateDer<'static>, server: &CertificateDer<'static>, name: &str) -> Result<(), Error> {
        let mut roots = RootCertStore::empty();
        roots.add(file.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let by_roots = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let verifier = PinnedVerifier::new(by_roots, vec![file.clone()]);
        // The middle of 2026, in seconds since 1970.
        let now = UnixTime::since_unix_epoch(Duration::from_secs(1_782_000_000));
        verifier.verify_server_cert(server, &[], &name.try_into().unwrap(), &[], now).map(drop)
    }

    #[test]
    fn a_certificate_of_the_file_itself_is_trusted_for_its_names() {
        let certificate = authority(2020, 2040);
        assert_eq!(verify(&certificate, &certificate, "mail.test"), Ok(()));
        let other_name = verify(&certificate, &certificate, "other.test").unwrap_err();
        assert!(
            matches!(other_name, Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })),
            "{other_name}"
        );
    }

    #[test]
    fn another_certificate_of_the_same_name_is_not_trusted() {
        assert!(verify(&authority(2020, 2040), &authority(2020, 2040), "mail.test").is_err());
    }

    #[test]
    fn a_certificate_of_the_file_counts_only_in_its_time() {
        for (first, last) in [(2020, 2025), (2030, 2040)] {
            let certificate = authority(first, last);
            let error = verify(&certificate, &certificate, "mail.test").unwrap_err();
            assert!(
                matches!(
                    error,
                    Error::InvalidCertificate(
                        CertificateError::ExpiredContext { .. } | CertificateError::NotValidYetContext { .. }
                    )
                ),
                "{error}"
            );
        }
    }
}
