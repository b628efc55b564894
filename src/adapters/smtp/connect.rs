//! From a host name to a socket: resolved once, checked, and exactly a checked address connected to. Resolving again
//! at the connect would let a name change its mind after the check.

use std::net::SocketAddr;

use tokio::net::{TcpStream, lookup_host};

use super::address::is_public;
use crate::domain::outcome::judge::Evidence;

/// Returns the addresses of a mail host that may be connected to, in the resolver's order.
///
/// Returns `Lost` when there is none, `PrivateHost` when all are private and `allow_private` is false.
pub(super) async fn resolve(host: &str, port: u16, allow_private: bool) -> Result<Vec<SocketAddr>, Evidence> {
    let found = lookup_host((host, port)).await.map_err(|error| Evidence::Lost(format!("{host}: {error}")))?;
    let found: Vec<SocketAddr> = found.collect();
    let admitted: Vec<SocketAddr> = found.iter().copied().filter(|at| allow_private || is_public(at.ip())).collect();
    match (found.first(), admitted.is_empty()) {
        (None, _) => Err(Evidence::Lost(format!("{host} has no address"))),
        (Some(private), true) => Err(Evidence::PrivateHost(format!(
            "{host} is {}; private hosts need WARMUP_ALLOW_PRIVATE_HOSTS=true",
            private.ip()
        ))),
        (Some(_), false) => Ok(admitted),
    }
}

/// Connects to `address`, with Nagle off: body and final dot are two writes, and with Nagle the second waits for the
/// host's delayed acknowledgement of the first, 40 ms for each mail.
pub(super) async fn open(address: SocketAddr) -> Result<TcpStream, Evidence> {
    let lost = |error: std::io::Error| Evidence::Lost(format!("{address}: {error}"));
    let stream = TcpStream::connect(address).await.map_err(lost)?;
    stream.set_nodelay(true).map_err(lost)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn the_opened_stream_has_nagle_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = open(listener.local_addr().unwrap()).await.unwrap();
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn a_private_host_is_refused_unless_allowed() {
        let refused = resolve("127.0.0.1", 25, false).await.unwrap_err();
        assert!(matches!(refused, Evidence::PrivateHost(_)));
        assert_eq!(resolve("127.0.0.1", 25, true).await.unwrap(), ["127.0.0.1:25".parse().unwrap()]);
        assert!(resolve("8.8.8.8", 25, false).await.is_ok());
    }
}
