//! `CapsModel` computes the grants of all caps of a fleet, by the rules of `lua/caps.lua`.
//!
//! A mail takes a token of each of its buckets, or of none. Production decides caps in Redis; this model serves the
//! simulation and the conformance suite.

use std::{collections::HashMap, time::Duration};

use crate::domain::{
    caps::{Bucket, CapKind, CapRequest, Connection, Connections, Grant, HostCaps, HostRates, Rate, Rates},
    id::UserId,
};

/// The buckets of the fleet, and of each user and host with a request so far.
#[derive(Clone, Debug)]
pub struct CapsModel {
    rates: Rates,
    hosts: HostCaps,
    of_fleet: Own,
    of_users: HashMap<UserId, Own>,
    of_hosts: HashMap<String, Own>,
    connections: HashMap<String, Connections>,
}

/// The buckets of one owner by kind; `None` for a bucket without a request so far.
type Own = [Option<Bucket>; CapKind::ALL.len()];

/// The owners of the buckets that one mail needs.
struct Owners<'a> {
    fleet: &'a mut Own,
    user: &'a mut Own,
    host: Option<&'a mut Own>,
}

impl CapsModel {
    /// Creates a model without buckets: each is cold at its first request. No host is limited.
    pub fn new(rates: Rates) -> CapsModel {
        let hosts = HostCaps::default();
        let (of_fleet, of_users, of_hosts) = (Own::default(), HashMap::new(), HashMap::new());
        CapsModel { rates, hosts, of_fleet, of_users, of_hosts, connections: HashMap::new() }
    }

    /// Adds the limits of mail hosts.
    pub fn with_hosts(self, hosts: HostCaps) -> CapsModel {
        CapsModel { hosts, ..self }
    }

    /// Gives `closed` back, then answers each of `asks` at `now` (microseconds since the epoch), in order of urgency. A
    /// refusal concerns its own mail only, not the following ones.
    pub fn grant(&mut self, now: i64, asks: &[CapRequest], closed: &[Connection]) -> Vec<Grant> {
        for connection in closed.iter().filter(|connection| self.hosts.counts_connections(&connection.host)) {
            connections(&mut self.connections, &connection.host, now, self.hosts.lasts_micros()).close(connection.slot);
        }
        asks.iter().map(|ask| self.grant_one(now, ask)).collect()
    }

    /// Loses all state, like a Redis that lost its data or whose clock was set.
    pub fn lose(&mut self) {
        self.of_fleet = Own::default();
        self.of_users.clear();
        self.of_hosts.clear();
        self.connections.clear();
    }

    fn grant_one(&mut self, now: i64, ask: &CapRequest) -> Grant {
        let (limits, lasts) = (self.hosts.rates(&ask.host).copied(), self.hosts.lasts_micros());
        let mut owners = Owners {
            fleet: &mut self.of_fleet,
            user: self.of_users.entry(ask.user).or_default(),
            host: limits.map(|_| self.of_hosts.entry(ask.host.clone()).or_default()),
        };
        let mut slowest = (CapKind::GlobalHour, 0);
        for (kind, rate) in demands(&self.rates, limits.as_ref()) {
            let wait = owners.fill(kind, rate, now);
            if wait > slowest.1 {
                slowest = (kind, wait);
            }
        }
        let most = limits.and_then(|limits| limits.connections);
        let wait = most.map_or(0, |most| connections(&mut self.connections, &ask.host, now, lasts).wait(most, now));
        if wait > slowest.1 {
            slowest = (CapKind::HostConnections, wait);
        }
        match slowest {
            (_, 0) => {
                demands(&self.rates, limits.as_ref()).for_each(|(kind, rate)| owners.bucket(kind, now).take(rate));
                if most.is_some() {
                    connections(&mut self.connections, &ask.host, now, lasts).open(ask.slot, now, lasts);
                }
                Grant::Granted
            }
            (cap, wait) => Grant::Refused { cap, wait: Duration::from_micros(wait.unsigned_abs()) },
        }
    }
}

/// Returns the buckets from which a mail needs a token, in the numbering of the script.
fn demands(rates: &Rates, limits: Option<&HostRates>) -> impl Iterator<Item = (CapKind, Rate)> {
    let of_host = limits.into_iter().flat_map(|limits| limits.iter());
    rates.iter().chain(of_host.filter_map(|(kind, rate)| Some((kind, rate?))))
}

impl Owners<'_> {
    /// Fills a bucket up to `now` and stores it even if the mail is refused, because a new bucket must begin to fill.
    /// Returns the wait for a token, in microseconds.
    fn fill(&mut self, kind: CapKind, rate: Rate, now: i64) -> i64 {
        let bucket = self.bucket(kind, now);
        *bucket = bucket.filled(rate, now);
        bucket.wait(rate, now)
    }

    fn bucket(&mut self, kind: CapKind, now: i64) -> &mut Bucket {
        let own = match (kind, &mut self.host) {
            (CapKind::GlobalHour | CapKind::GlobalMinute, _) => &mut *self.fleet,
            (CapKind::UserHour | CapKind::UserMinute, _) | (_, None) => &mut *self.user,
            (_, Some(host)) => &mut **host,
        };
        own[kind as usize].get_or_insert(Bucket::cold(now))
    }
}

/// Returns the connections to `host`; cold if none is known, or if the clock was set back.
fn connections<'a>(
    known: &'a mut HashMap<String, Connections>,
    host: &str,
    now: i64,
    lasts_micros: i64,
) -> &'a mut Connections {
    let connections = known.entry(host.to_owned()).or_insert_with(|| Connections::cold(now, lasts_micros));
    if connections.is_ahead(now, lasts_micros) {
        *connections = Connections::cold(now, lasts_micros);
    }
    connections
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::{
        caps::{CapLimits, ConnectionId},
        hosts::{HostLimits, read},
        id::RunId,
    };

    const SECOND: i64 = 1_000_000;

    fn ask(user: i64, host: &str, number: u64) -> CapRequest {
        CapRequest { user: UserId(user), host: host.to_owned(), slot: ConnectionId { run: RunId(Uuid::nil()), number } }
    }

    /// Returns one mail of each of `users`, to a host without limits.
    fn of(users: &[UserId]) -> Vec<CapRequest> {
        users.iter().map(|user| ask(user.0, "mail.test", 0)).collect()
    }

    fn buckets(limits: CapLimits) -> CapsModel {
        CapsModel::new(Rates::of(&limits).unwrap())
    }

    fn wide() -> CapLimits {
        CapLimits {
            global_hour: 100_000,
            global_minute: 100_000,
            user_hour: 100_000,
            user_minute: 100_000,
            burst: 0.05,
        }
    }

    #[test]
    fn a_refusal_takes_from_none_of_the_four_and_skips_only_that_mail() {
        let mut buckets = buckets(CapLimits { global_minute: 40, user_minute: 1, ..wide() });
        let (one, other) = (UserId(1), UserId(2));
        buckets.grant(0, &of(&[one, other]), &[]);
        let answers = buckets.grant(120 * SECOND, &of(&[one, one, one, other]), &[]);
        assert_eq!(answers[0], Grant::Granted);
        for refused in &answers[1..3] {
            assert!(matches!(refused, Grant::Refused { cap: CapKind::UserMinute, .. }), "{refused:?}");
        }
        assert_eq!(answers[3], Grant::Granted, "the second and last global token was not taken by a refused mail");
    }

    #[test]
    fn the_slowest_of_the_short_caps_is_named_with_its_wait() {
        let mut buckets = buckets(CapLimits { global_hour: 1, user_minute: 1, ..wide() });
        let hour = Grant::Refused { cap: CapKind::GlobalHour, wait: Duration::from_secs(3_605) };
        assert_eq!(buckets.grant(0, &of(&[UserId(1)]), &[]), [hour]);
    }

    #[test]
    fn each_user_has_buckets_of_its_own() {
        let mut buckets = buckets(CapLimits { user_minute: 1, ..wide() });
        buckets.grant(0, &of(&[UserId(1)]), &[]);
        let answers = buckets.grant(65 * SECOND, &of(&[UserId(1), UserId(2)]), &[]);
        assert_eq!(answers[0], Grant::Granted);
        let wait = Duration::from_secs(65);
        assert_eq!(answers[1], Grant::Refused { cap: CapKind::UserMinute, wait }, "its own bucket is cold");
    }

    #[test]
    fn the_fleets_buckets_are_one_for_all_users() {
        let mut buckets = buckets(CapLimits { global_minute: 1, ..wide() });
        buckets.grant(0, &of(&[UserId(1), UserId(2)]), &[]);
        let answers = buckets.grant(65 * SECOND, &of(&[UserId(1), UserId(2)]), &[]);
        let wait = Duration::from_secs(65);
        assert_eq!(answers, [Grant::Granted, Grant::Refused { cap: CapKind::GlobalMinute, wait }]);
    }

    fn limited(limits: &str) -> CapsModel {
        let limits = HostLimits::with(read(limits).unwrap());
        buckets(wide()).with_hosts(HostCaps::of(&limits, 0.05, Duration::from_secs(60)).unwrap())
    }

    #[test]
    fn a_host_s_rate_refuses_its_mails_and_takes_nothing_from_the_others() {
        let mut buckets = limited("a.org rate=1/minute\n");
        let mails = [ask(1, "a.org", 1), ask(1, "a.org", 2), ask(1, "b.org", 3)];
        buckets.grant(0, &mails, &[]);
        let wait = Duration::from_secs(65);
        let short = Grant::Refused { cap: CapKind::HostMinute, wait };
        assert_eq!(buckets.grant(65 * SECOND, &mails, &[]), [Grant::Granted, short, Grant::Granted]);
    }

    #[test]
    fn a_connection_is_free_again_when_it_is_given_back_or_its_time_is_over() {
        let mut buckets = limited("a.org connections=1\n");
        let mails: Vec<CapRequest> = (0..4).map(|number| ask(1, "a.org", number)).collect();
        let short = |seconds| Grant::Refused { cap: CapKind::HostConnections, wait: Duration::from_secs(seconds) };
        assert_eq!(buckets.grant(0, &mails[..1], &[]), [short(60)], "nothing is known of it");
        assert_eq!(buckets.grant(60 * SECOND, &mails[..2], &[]), [Grant::Granted, short(60)]);
        let closed = [mails[0].connection()];
        assert_eq!(buckets.grant(61 * SECOND, &mails[2..], &closed), [Grant::Granted, short(60)]);
        assert_eq!(buckets.grant(121 * SECOND, &mails[3..], &closed), [Grant::Granted]);
    }

    #[test]
    fn what_was_lost_may_all_be_open() {
        let mut buckets = limited("a.org connections=5\n");
        let mails = [ask(1, "a.org", 1)];
        buckets.grant(0, &mails, &[]);
        buckets.lose();
        let short = |seconds| Grant::Refused { cap: CapKind::HostConnections, wait: Duration::from_secs(seconds) };
        assert_eq!(buckets.grant(90 * SECOND, &mails, &[]), [short(60)]);
    }
}
