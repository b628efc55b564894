//! `Worker::ask_caps` requests a grant for each mail of a batch and delays the refused mails.
//!
//! A refusal delays more than its own mail. A fleet cap delays all mails, a user's cap the mails of the user, and a
//! host's cap the mails to the host.

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Worker, batch::REFUSAL_RETRY_DELAY, connections::OpenConnection, outbound::OutboundMail};
use crate::{
    domain::id::MailboxId,
    ports::{CapKind, CapRequest, Connection, Grant, PortError},
};

/// The pause of all replies after a fleet cap refused a mail. Day clock.
const CAPS_SHORT: TimeDelta = TimeDelta::seconds(60);

/// The upper bound of the wait when a host has reached its connection limit. The caps return the expiry of a
/// connection; most connections are given back long before. Day clock.
const CONNECTIONS_SHORT: Duration = Duration::from_secs(1);

/// The granted mails with their connections. A connection whose mail does not start is given back on drop.
#[derive(Default)]
pub(super) struct GrantedBatch {
    pub(super) letters: Vec<OutboundMail>,
    pub(super) open: BTreeMap<MailboxId, OpenConnection>,
}

impl Worker {
    /// Requests a grant for each mail, mails before replies, and returns the granted ones. The others wait as long as
    /// the refusals state.
    pub(super) async fn ask_caps(&mut self, letters: Vec<OutboundMail>, now: DateTime<Utc>) -> GrantedBatch {
        let asks: Vec<CapRequest> =
            letters.iter().map(|letter| self.connections.ask(letter.user(), letter.host())).collect();
        let closed = self.connections.take_closed();
        let grants = match self.ports.caps.grant(self.ports.clock.caps_now(), &asks, &closed).await {
            Ok(grants) => grants,
            Err(error) => {
                tracing::warn!(%error, "no caps, no mail");
                self.connections.keep(closed);
                if matches!(error, PortError::Unknown(_)) {
                    self.connections.keep(asks.iter().filter_map(|ask| self.counted(ask)).collect());
                }
                self.hold_all(now, letters).await;
                return GrantedBatch::default();
            }
        };
        self.batch_limit = next_appetite(self.batch_limit, &grants);
        let mut granted = GrantedBatch::default();
        for ((letter, ask), grant) in letters.into_iter().zip(asks).zip(grants) {
            match grant {
                Grant::Granted => {
                    let open = self.counted(&ask).map(|connection| self.connections.taken(connection));
                    granted.open.extend(open.map(|open| (letter.mailbox(), open)));
                    granted.letters.push(letter);
                }
                Grant::Refused { cap, wait } => {
                    let let_through = granted.letters.iter().filter(|other| other.user() == letter.user()).count();
                    self.refused_by_cap(letter, cap, (wait, let_through), now);
                }
            }
        }
        granted
    }

    /// Returns the connection of a mail if its host limits connections.
    fn counted(&self, ask: &CapRequest) -> Option<Connection> {
        self.ports.caps.counts_connections(&ask.host).then(|| ask.connection())
    }

    /// Delays a refused mail, and others with it. The caps granted `let_through` mails of its user before.
    fn refused_by_cap(
        &mut self,
        letter: OutboundMail,
        cap: CapKind,
        (wait, let_through): (Duration, usize),
        now: DateTime<Utc>,
    ) {
        let most = match cap {
            CapKind::HostConnections => CONNECTIONS_SHORT.min(self.settings.rate_limit_backoff),
            _ => self.settings.rate_limit_backoff,
        };
        let until = now + TimeDelta::from_std(wait.min(most)).unwrap_or(REFUSAL_RETRY_DELAY);
        match cap {
            CapKind::GlobalHour | CapKind::GlobalMinute => {
                self.paused_until = self.paused_until.max(until);
                if matches!(letter, OutboundMail::Mail(_)) {
                    self.replies.pause_until(until.max(self.ports.clock.now() + CAPS_SHORT));
                }
            }
            CapKind::UserHour | CapKind::UserMinute => self.queue.hold(letter.user(), until, let_through),
            CapKind::HostMinute | CapKind::HostHour | CapKind::HostDay | CapKind::HostConnections => {
                self.queue.hold_host(letter.host(), until);
            }
        }
        self.put_back(letter, until);
    }
}

/// Returns the maximum size of the next batch. While a fleet cap refuses, requests for all free lanes would fail again
/// and again. The next batch therefore has twice the mails that were granted last.
fn next_appetite(now: usize, grants: &[Grant]) -> usize {
    let of_fleet =
        |grant: &Grant| matches!(grant, Grant::Refused { cap: CapKind::GlobalHour | CapKind::GlobalMinute, .. });
    if grants.iter().any(of_fleet) {
        2 * grants.iter().filter(|grant| **grant == Grant::Granted).count().max(1)
    } else {
        now.saturating_mul(2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(cap: CapKind) -> Grant {
        Grant::Refused { cap, wait: Duration::from_secs(1) }
    }

    #[test]
    fn a_fleet_that_is_short_asks_for_twice_of_what_it_got_and_for_more_once_it_gets_all() {
        let short = [Grant::Granted, Grant::Granted, Grant::Granted, refused(CapKind::GlobalMinute)];
        assert_eq!(next_appetite(usize::MAX, &short), 6);
        assert_eq!(next_appetite(6, &[refused(CapKind::GlobalHour); 6]), 2);
        assert_eq!(next_appetite(6, &[Grant::Granted; 6]), 12);
        assert_eq!(next_appetite(usize::MAX, &[Grant::Granted]), usize::MAX);
    }

    #[test]
    fn a_user_or_a_host_that_is_short_holds_up_nobody_else() {
        let short = [refused(CapKind::UserHour), refused(CapKind::HostMinute), Grant::Granted];
        assert_eq!(next_appetite(usize::MAX, &short), usize::MAX);
    }
}
