//! `TlsTicketCache` stores TLS sessions for resumption, shared by all connections to a host. Resumption saves both
//! sides the certificates.
//!
//! A TLS 1.3 ticket is good for one connection (RFC 8446 appendix C.4), and a batch opens one connection per mail at
//! once. rustls stores eight tickets per host, so most of a batch would find none. The rest is left to rustls.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustls::{
    NamedGroup,
    client::{ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue},
    pki_types::ServerName,
};

/// The largest number of hosts with tickets; beyond it the host that was added first is removed.
const HOSTS: usize = 256;

/// The largest number of tickets per host: more than lanes that are likely to begin at once. A ticket takes some
/// kilobytes with the host's certificates.
const TICKETS: usize = 64;

/// The number of sessions that `ClientSessionMemoryCache` counts for each of its hosts.
const SESSIONS_A_HOST: usize = 8;

/// `TlsTicketCache` stores the TLS sessions of all hosts.
pub(super) struct TlsTicketCache {
    others: ClientSessionMemoryCache,
    tickets: Mutex<Tickets>,
}

#[derive(Default)]
struct Tickets {
    of: HashMap<ServerName<'static>, VecDeque<Tls13ClientSessionValue>>,
    /// The hosts in the order of their arrival.
    came: VecDeque<ServerName<'static>>,
}

impl Default for TlsTicketCache {
    fn default() -> TlsTicketCache {
        TlsTicketCache { others: ClientSessionMemoryCache::new(HOSTS * SESSIONS_A_HOST), tickets: Mutex::default() }
    }
}

impl TlsTicketCache {
    fn tickets(&self) -> MutexGuard<'_, Tickets> {
        // Poisoned only by a panic between two plain writes; at worst a session is not resumed.
        self.tickets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tickets {
    fn of(&mut self, host: ServerName<'static>) -> &mut VecDeque<Tls13ClientSessionValue> {
        if !self.of.contains_key(&host) {
            if self.came.len() == HOSTS
                && let Some(first) = self.came.pop_front()
            {
                self.of.remove(&first);
            }
            self.came.push_back(host.clone());
        }
        self.of.entry(host).or_default()
    }
}

impl ClientSessionStore for TlsTicketCache {
    fn insert_tls13_ticket(&self, host: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut tickets = self.tickets();
        let tickets = tickets.of(host);
        if tickets.len() == TICKETS {
            tickets.pop_front();
        }
        tickets.push_back(ticket);
    }

    fn take_tls13_ticket(&self, host: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.tickets().of.get_mut(host)?.pop_back()
    }

    fn set_kx_hint(&self, host: ServerName<'static>, group: NamedGroup) {
        self.others.set_kx_hint(host, group);
    }

    fn kx_hint(&self, host: &ServerName<'_>) -> Option<NamedGroup> {
        self.others.kx_hint(host)
    }

    fn set_tls12_session(&self, host: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.others.set_tls12_session(host, session);
    }

    fn tls12_session(&self, host: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.others.tls12_session(host)
    }

    fn remove_tls12_session(&self, host: &ServerName<'static>) {
        self.others.remove_tls12_session(host);
    }
}

/// Omits the sessions, which are secrets.
impl fmt::Debug for TlsTicketCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write, sync::Arc};

    use rustls::{ClientConfig, ClientConnection, ConnectionCommon, HandshakeKind, ServerConnection, SideData};
    use tempfile::NamedTempFile;

    use super::{super::tls::client_config, *};
    use crate::demo::sink::certificate::{Identity, self_signed};

    const HOST: &str = "mail.test";
    const BATCH: usize = 50;

    fn begin(config: &Arc<ClientConfig>) -> ClientConnection {
        ClientConnection::new(Arc::clone(config), HOST.try_into().unwrap()).unwrap()
    }

    fn carry<A: SideData, B: SideData>(from: &mut ConnectionCommon<A>, to: &mut ConnectionCommon<B>) {
        let mut bytes = Vec::new();
        while from.wants_write() {
            from.write_tls(&mut bytes).unwrap();
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            to.read_tls(&mut rest).unwrap();
            to.process_new_packets().unwrap();
        }
    }

    /// Performs the handshake, reads the host's tickets, and returns the kind of the handshake.
    fn converse(mut client: ClientConnection, host: &Identity) -> Option<HandshakeKind> {
        let mut server = ServerConnection::new(Arc::clone(host.acceptor.config())).unwrap();
        while client.wants_write() || server.wants_write() {
            carry(&mut client, &mut server);
            carry(&mut server, &mut client);
        }
        client.handshake_kind()
    }

    #[test]
    fn a_whole_batch_takes_sessions_up_again() {
        let host = self_signed(&[HOST]).unwrap();
        let mut root = NamedTempFile::new().unwrap();
        write!(root, "{}", host.pem).unwrap();
        let config = client_config(Some(root.path())).unwrap();

        let batch = || (0..BATCH).map(|_| begin(&config)).collect::<Vec<_>>();
        let kinds = |batch: Vec<ClientConnection>| -> Vec<_> {
            batch.into_iter().map(|client| converse(client, &host)).collect()
        };
        assert_eq!(kinds(batch()), [Some(HandshakeKind::Full); BATCH]);
        assert_eq!(kinds(batch()), [Some(HandshakeKind::Resumed); BATCH]);
    }

    #[test]
    fn of_hosts_without_number_the_last_are_known() {
        let mut tickets = Tickets::default();
        for host in 0..=HOSTS {
            tickets.of(format!("mail{host}.test").try_into().unwrap());
        }
        let known = |host: &str| tickets.of.contains_key(&host.to_owned().try_into().unwrap());
        assert_eq!((tickets.of.len(), tickets.came.len()), (HOSTS, HOSTS));
        assert!(!known("mail0.test") && known("mail1.test"));
    }
}
