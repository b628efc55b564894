//! `resolve` and `open` lead from a host name to a socket. The name is resolved once, its addresses are checked, and
//! only a checked address is connected to. A second resolution at the connect could return another address after the
//! check.

use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;

use super::{address::is_public, resolver::Resolver};
use crate::domain::{lease::MachineTime, outcome::classify::DialogueEnd};

/// Returns the permitted addresses of a mail host, in the resolver's order.
///
/// Returns `Lost` if there is no address, and `PrivateHost` if all are private and `allow_private` is false.
pub(super) async fn resolve(
    resolver: &Resolver,
    (host, port): (&str, u16),
    allow_private: bool,
    now: MachineTime,
) -> Result<Vec<SocketAddr>, DialogueEnd> {
    let lost = |error: std::io::Error| DialogueEnd::Lost(format!("{host}: {error}"));
    let found = resolver.addresses(host, now).await.map_err(lost)?;
    let admitted: Vec<IpAddr> = found.iter().copied().filter(|ip| allow_private || is_public(*ip)).collect();
    match (found.first(), admitted.is_empty()) {
        (None, _) => Err(DialogueEnd::Lost(format!("{host} has no address"))),
        (Some(private), true) => Err(DialogueEnd::PrivateHost(format!(
            "{host} is {private}; private hosts need WARMUP_ALLOW_PRIVATE_HOSTS=true"
        ))),
        (Some(_), false) => Ok(admitted.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()),
    }
}

/// Connects to `address` with Nagle off. Body and final dot are two writes; with Nagle the second one waits for the
/// host's delayed acknowledgement of the first, 40 ms per mail.
pub(super) async fn open(address: SocketAddr) -> Result<TcpStream, DialogueEnd> {
    let lost = |error: std::io::Error| DialogueEnd::Lost(format!("{address}: {error}"));
    let stream = TcpStream::connect(address).await.map_err(lost)?;
    stream.set_nodelay(true).map_err(lost)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use std::time::Duration;

    use super::*;

    const NOW: MachineTime = MachineTime(Duration::ZERO);

    #[tokio::test]
    async fn the_opened_stream_has_nagle_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = open(listener.local_addr().unwrap()).await.unwrap();
        assert!(stream.nodelay().unwrap());
    }

    async fn resolved(host: &str, allow_private: bool) -> Result<Vec<SocketAddr>, DialogueEnd> {
        resolve(&Resolver::default(), (host, 25), allow_private, NOW).await
    }

    #[tokio::test]
    async fn a_private_host_is_refused_unless_allowed() {
        assert!(matches!(resolved("127.0.0.1", false).await.unwrap_err(), DialogueEnd::PrivateHost(_)));
        assert_eq!(resolved("127.0.0.1", true).await.unwrap(), ["127.0.0.1:25".parse().unwrap()]);
        assert!(resolved("8.8.8.8", false).await.is_ok());
    }

    #[tokio::test]
    async fn a_host_whose_addresses_are_known_is_checked_all_the_same() {
        let resolver = Resolver::default();
        let resolved = async |allow| resolve(&resolver, ("127.0.0.1", 25), allow, NOW).await;
        assert!(resolved(true).await.is_ok());
        assert!(matches!(resolved(false).await, Err(DialogueEnd::PrivateHost(_))));
    }
}
