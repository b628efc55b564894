//! `RedisCaps` implements the caps with one EVALSHA of `lua/caps.lua` per batch.

mod distinct;
mod server_clock;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use redis::{Script, ScriptInvocation};

use self::{
    distinct::Distinct,
    server_clock::{Expectation, ServerClock},
};
use super::{Keys, Pool, pool};
use crate::{
    domain::{
        caps::{
            CapKind, CapLimits, CapOutOfRange, CapRequest, Connection, DEVIATION_MICROS, FUTURE_MICROS, Grant,
            HostCaps, HostRates, Rates,
        },
        lease::MachineTime,
    },
    ports::{Caps, Clock, PortError},
};

/// The time to live of a bucket after its last use. A user who sends once a week would wait if a full bucket expired,
/// so it is longer than a week. A deleted user's buckets last no longer.
const KEPT: Duration = Duration::from_secs(8 * 24 * 60 * 60);

/// `RedisCaps` stores the token buckets in Redis.
pub struct RedisCaps {
    pool: Pool,
    keys: Keys,
    rates: Rates,
    hosts: HostCaps,
    script: Script,
    server_clock: Option<ServerClock>,
}

impl RedisCaps {
    /// Creates the caps with these limits and the buckets under `prefix`. No host is limited.
    ///
    /// Returns an error if the script's numbers can't count a limit exactly.
    pub fn new(pool: Pool, prefix: &str, limits: CapLimits) -> Result<RedisCaps, CapOutOfRange> {
        let script = Script::new(include_str!("../../../lua/caps.lua"));
        let (keys, rates) = (Keys::new(prefix), Rates::of(&limits)?);
        Ok(RedisCaps { pool, keys, rates, hosts: HostCaps::default(), script, server_clock: None })
    }

    /// Adds a machine clock that detects a change of the server's clock.
    pub fn with_clock(self, machine: Arc<dyn Clock>) -> RedisCaps {
        RedisCaps { server_clock: Some(ServerClock::new(machine)), ..self }
    }

    /// Adds limits for hosts.
    pub fn with_hosts(self, hosts: HostCaps) -> RedisCaps {
        RedisCaps { hosts, ..self }
    }

    /// Builds the call with the keys and arguments in the order of the script's head.
    fn invocation(
        &self,
        now: Option<i64>,
        expected: Option<Expectation>,
        asks: &[CapRequest],
        closed: &[&Connection],
    ) -> ScriptInvocation<'_> {
        let users = Distinct::of(asks.iter().map(|ask| Some(ask.user)));
        let limited = |host: &'_ str| self.hosts.rates(host).is_some();
        let named = closed.iter().map(|connection| connection.host.as_str());
        let named = named.chain(asks.iter().map(|ask| ask.host.as_str()));
        let hosts = Distinct::of(named.map(|host| Some(host).filter(|host| limited(host))));
        let mut call = self.script.prepare_invoke();
        for kind in [CapKind::GlobalHour, CapKind::GlobalMinute] {
            call.key(self.keys.fleet_cap(kind));
        }
        for user in &users.values {
            for kind in [CapKind::UserHour, CapKind::UserMinute] {
                call.key(self.keys.user_cap(kind, *user));
            }
        }
        for host in &hosts.values {
            for kind in CapKind::OF_HOSTS.into_iter().chain([CapKind::HostConnections]) {
                call.key(self.keys.host_cap(kind, host));
            }
        }
        call.key(self.keys.cap_clock());
        call.arg(now.map(|micros| micros.to_string()).unwrap_or_default()).arg(KEPT.as_millis() as u64);
        for (_, rate) in self.rates.iter() {
            call.arg(rate.capacity_micros()).arg(rate.token_micros());
        }
        call.arg(users.values.len()).arg(hosts.values.len()).arg(self.hosts.lasts_micros()).arg(closed.len());
        call.arg(self.future_micros());
        call.arg(expected.map(|expected| expected.micros.to_string()).unwrap_or_default());
        call.arg(expected.map(|expected| expected.generation.to_string()).unwrap_or_default()).arg(DEVIATION_MICROS);
        hosts.values.iter().filter_map(|host| self.hosts.rates(host)).for_each(|rates| limits(&mut call, rates));
        let (of_closed, of_asks) = hosts.places.split_at(closed.len());
        for (connection, host) in closed.iter().zip(of_closed) {
            call.arg(*host).arg(connection.slot.to_string());
        }
        for ((ask, user), host) in asks.iter().zip(&users.places).zip(of_asks) {
            call.arg(*user).arg(*host).arg(ask.slot.to_string());
        }
        call
    }

    /// Returns how far in the future a bucket may lie, in microseconds, scaled with the clock of the caps.
    fn future_micros(&self) -> u64 {
        let future = Duration::from_micros(FUTURE_MICROS.unsigned_abs());
        let scaled = self.server_clock.as_ref().map_or(future, |clock| clock.span(future));
        u64::try_from(scaled.as_micros()).unwrap_or(u64::MAX)
    }
}

/// Adds the seven arguments of a host.
fn limits(call: &mut ScriptInvocation<'_>, rates: &HostRates) {
    for (_, rate) in rates.iter() {
        let (capacity, token) = rate.map_or((0, 0), |rate| (rate.capacity_micros(), rate.token_micros()));
        call.arg(capacity).arg(token);
    }
    call.arg(rates.connections.unwrap_or(0));
}

#[async_trait]
impl Caps for RedisCaps {
    async fn grant(
        &self,
        now: Option<i64>,
        asks: &[CapRequest],
        closed: &[Connection],
    ) -> Result<Vec<Grant>, PortError> {
        let counted = |connection: &&Connection| self.hosts.counts_connections(&connection.host);
        let closed: Vec<&Connection> = closed.iter().filter(counted).collect();
        if asks.is_empty() && closed.is_empty() {
            return Ok(Vec::new());
        }
        let clock = self.server_clock.as_ref().filter(|_| now.is_none());
        // Only the last call counts, because a Redis whose keys moved is called twice.
        let last_question: Mutex<Option<(MachineTime, Option<Expectation>)>> = Mutex::default();
        let build = || {
            let question = clock.map(|clock| {
                let asked_at = clock.machine_time();
                (asked_at, clock.expectation(asked_at))
            });
            *last_question.lock().unwrap_or_else(PoisonError::into_inner) = question;
            self.invocation(now, question.and_then(|(_, expected)| expected), asks, &closed)
        };
        let mut answers: Vec<(u64, u64)> = pool::run_built(&self.pool, &build).await?;
        let question = *last_question.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(clock), Some((asked_at, expected)), Some((micros, generation))) = (clock, question, answers.pop())
        {
            if expected.is_some_and(|expected| expected.generation < generation) {
                tracing::warn!("Redis' clock was set: the caps count from 0 again, as after a restart of Redis");
            }
            clock.record(i64::try_from(micros).unwrap_or(i64::MAX), generation, asked_at);
        }
        let grants: Option<Vec<Grant>> = answers.into_iter().map(grant).collect();
        grants
            .filter(|grants| grants.len() == asks.len())
            .ok_or_else(|| PortError::Unknown("Redis: the caps script gave an answer that is none".into()))
    }

    fn counts_connections(&self, host: &str) -> bool {
        self.hosts.counts_connections(host)
    }
}

fn grant((wait_ms, cap): (u64, u64)) -> Option<Grant> {
    match usize::try_from(cap).ok()?.checked_sub(1) {
        None => Some(Grant::Granted),
        Some(index) => {
            let cap = *CapKind::ALL.get(index)?;
            Some(Grant::Refused { cap, wait: Duration::from_millis(wait_ms) })
        }
    }
}
