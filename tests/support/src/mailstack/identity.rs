//! `Authority` is a certificate authority for a single test.

use std::{path::Path, sync::Arc};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use tempfile::NamedTempFile;
use uuid::Uuid;

/// A certificate authority; the file of its certificate suits `WARMUP_TLS_CA_FILE`.
#[derive(Clone)]
pub struct Authority(Arc<Inner>);

struct Inner {
    issuer: Issuer<'static, KeyPair>,
    file: NamedTempFile,
}

impl Authority {
    /// Creates an authority that no client trusts yet.
    pub fn new() -> Authority {
        let key = KeyPair::generate().expect("a key can be made");
        // Each authority has its own name: two with one name would look like one with bad signatures.
        let mut params = named(&format!("warmup test authority {}", Uuid::now_v7()));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let certificate: Certificate = params.self_signed(&key).expect("a key signs");
        let file = NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), certificate.pem()).expect("a temporary file is written");
        Authority(Arc::new(Inner { issuer: Issuer::new(params, key), file }))
    }

    /// Returns the PEM file of the authority's certificate. The file exists as long as the authority.
    pub fn file(&self) -> &Path {
        self.0.file.path()
    }

    /// Returns the certificate of a server called `host`, and its key, as PEM.
    pub(crate) fn issue(&self, host: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = named(host);
        params.subject_alt_names = vec![rcgen::SanType::DnsName(host.try_into().expect("a host name is ASCII"))];
        // The nodes of a Redis Cluster also use their certificate as clients of each other.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.0.issuer).expect("the authority signs");
        (certificate.pem(), key.serialize_pem())
    }
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}

fn named(name: &str) -> CertificateParams {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    let mut params = CertificateParams::default();
    params.distinguished_name = distinguished;
    params
}
