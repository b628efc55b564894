//! An `Address` combines REDIS_URL with the roots that Redis's certificate is checked against.
//!
//! The library uses either the public roots or those that it is given. `WARMUP_TLS_CA_FILE` promises both, so if it is
//! set, the public roots are given too, as whole certificates.

use std::{fmt, path::Path};

use base64::{Engine, prelude::BASE64_STANDARD};
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, TlsCertificates};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

use crate::ports::PortError;

/// An `Address` is one server's address with credentials and roots, neither of which is ever shown.
#[derive(Clone)]
pub struct Address(ConnectionInfo);

impl Address {
    /// Parses `url`, and reads additional roots for its certificate from `ca_file`.
    ///
    /// Returns `Permanent` if either can't be used. The URL may hold a password and is never part of an error.
    pub fn of(url: &str, ca_file: Option<&Path>) -> Result<Address, PortError> {
        let info = url.into_connection_info().map_err(|_| {
            PortError::Permanent(
                "REDIS_URL is not the address of a Redis: write redis://[[user]:password@]host[:port][/database], or \
                 rediss:// for TLS, with special characters in the password percent-encoded"
                    .into(),
            )
        })?;
        match ca_file {
            Some(path) if matches!(info.addr(), ConnectionAddr::TcpTls { .. }) => trusting(info, path).map(Address),
            _ => Ok(Address(info)),
        }
    }

    pub(super) fn client(&self) -> redis::RedisResult<Client> {
        Client::open(self.info())
    }

    pub(super) fn info(&self) -> ConnectionInfo {
        self.0.clone()
    }

    /// Returns the address of another node of the cluster, with unchanged credentials, TLS and roots.
    pub(super) fn at(&self, to_host: &str, to_port: u16) -> Address {
        let addr = match self.0.addr().clone() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
                ConnectionAddr::TcpTls { host: to_host.to_owned(), port: to_port, insecure, tls_params }
            }
            _ => ConnectionAddr::Tcp(to_host.to_owned(), to_port),
        };
        Address(self.0.clone().set_addr(addr))
    }

    /// Returns host and port; `None` for a Unix socket.
    pub(super) fn place(&self) -> Option<(&str, u16)> {
        match self.0.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => Some((host, *port)),
            _ => None,
        }
    }

    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self.0.addr(), ConnectionAddr::TcpTls { .. })
    }

    /// Returns the address of this server without TLS and without credentials.
    pub(super) fn plain(&self) -> Address {
        let Some((host, port)) = self.place() else { return self.clone() };
        let addr = ConnectionAddr::Tcp(host.to_owned(), port);
        Address(self.0.clone().set_addr(addr).set_redis_settings(RedisConnectionInfo::default()))
    }

    /// Returns the address of this server with TLS and without credentials.
    pub(super) fn encrypted(&self) -> Address {
        let Some((host, port)) = self.place() else { return self.clone() };
        let addr = ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure: false, tls_params: None };
        Address(self.0.clone().set_addr(addr).set_redis_settings(RedisConnectionInfo::default()))
    }
}

/// Shows the address without its credentials.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.addr().fmt(f)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// Returns the address with trust in the public roots and in those of the file at `path`.
fn trusting(info: ConnectionInfo, path: &Path) -> Result<ConnectionInfo, PortError> {
    let unusable = |fault: String| {
        PortError::Permanent(format!(
            "WARMUP_TLS_CA_FILE {}: {fault}; give a PEM file with at least one certificate",
            path.display()
        ))
    };
    let own = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    if !own.windows(BEGIN.len()).any(|line| line == BEGIN.as_bytes()) {
        return Err(unusable("it holds no certificate".into()));
    }
    let certificates = TlsCertificates { client_tls: None, root_cert: Some(with_public_roots(own)) };
    let client = Client::build_with_tls(info, certificates).map_err(|error| unusable(error.to_string()))?;
    Ok(client.get_connection_info().clone())
}

/// Appends the public roots to a PEM file.
fn with_public_roots(mut pem: Vec<u8>) -> Vec<u8> {
    for root in TLS_SERVER_ROOT_CERTS {
        pem.extend_from_slice(format!("\n{BEGIN}\n{}\n{END}\n", BASE64_STANDARD.encode(root)).as_bytes());
    }
    pem
}

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

#[cfg(test)]
mod tests {
    use rustls::pki_types::{CertificateDer, pem::PemObject};

    use super::*;

    #[test]
    fn another_node_has_the_same_credentials_and_encryption() {
        let address = Address::of("rediss://fleet:hunter2@one:6380", None).unwrap();
        let other = address.at("two", 6381);
        assert_eq!((other.place(), other.is_encrypted()), (Some(("two", 6381)), true));
        assert_eq!(other.info().redis_settings().password(), Some("hunter2"));
        assert!(!Address::of("redis://one", None).unwrap().at("two", 1).is_encrypted());
        assert!(!format!("{other} {other:?}").contains("hunter2"));
    }

    #[test]
    fn the_public_roots_stay_beside_further_ones() {
        let own = format!("{BEGIN}\nAAAA\n{END}");
        let read: Result<Vec<CertificateDer<'_>>, _> =
            CertificateDer::pem_slice_iter(&with_public_roots(own.into_bytes())).collect();
        let read = read.unwrap();
        assert!(read.len() > 100 && read[0].as_ref() == [0, 0, 0], "{} roots", read.len());
        assert_eq!(read[1..], *TLS_SERVER_ROOT_CERTS);
    }

    #[test]
    fn a_file_of_roots_is_read_only_where_tls_is_spoken() {
        let file = tempfile::NamedTempFile::new().unwrap();
        Address::of("redis://one", Some(file.path())).unwrap();
        let error = Address::of("rediss://one", Some(file.path())).unwrap_err().to_string();
        assert!(error.contains("WARMUP_TLS_CA_FILE") && error.contains("no certificate"), "{error}");
        std::fs::write(file.path(), format!("{BEGIN}\nbm90IG9uZQ==\n{END}\n")).unwrap();
        let error = Address::of("rediss://one", Some(file.path())).unwrap_err().to_string();
        assert!(error.contains("WARMUP_TLS_CA_FILE"), "{error}");
    }
}
