//! The caps over the instants of the grants themselves: at every grant, each of its rolling windows is counted exactly.

use std::collections::{BTreeMap, VecDeque};

use warmup::{
    domain::{
        caps::{CapKind, CapLimits},
        hosts::HostLimits,
        id::UserId,
    },
    ports::{CapRequest, Grant},
};

use super::{Checker, Guard};

const MINUTE: i64 = 60_000_000;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Fleet,
    User(UserId),
    Host(String),
}

/// The grants of the last hours, each list as long as its limit.
pub struct Windows {
    limits: CapLimits,
    hosts: HostLimits,
    names: Vec<String>,
    granted: BTreeMap<(CapKind, Whose), VecDeque<i64>>,
}

impl Windows {
    pub fn new(limits: CapLimits, hosts: HostLimits, names: Vec<String>) -> Windows {
        Windows { limits, hosts, names, granted: BTreeMap::new() }
    }

    pub(super) fn connections(&self) -> BTreeMap<String, usize> {
        let limit = |name: &String| Some((name.clone(), self.hosts.get(name)?.connections? as usize));
        self.names.iter().filter_map(limit).collect()
    }

    fn of(&self, ask: &CapRequest) -> Vec<(CapKind, Whose, u32, i64)> {
        let CapLimits { global_hour, global_minute, user_hour, user_minute, .. } = self.limits;
        let user = || Whose::User(ask.user);
        let mut all = vec![
            (CapKind::GlobalHour, Whose::Fleet, global_hour, 60 * MINUTE),
            (CapKind::GlobalMinute, Whose::Fleet, global_minute, MINUTE),
            (CapKind::UserHour, user(), user_hour, 60 * MINUTE),
            (CapKind::UserMinute, user(), user_minute, MINUTE),
        ];
        if let Some(host) = self.hosts.get(&ask.host) {
            let name = || Whose::Host(ask.host.clone());
            let rates = [
                (CapKind::HostMinute, host.minute, MINUTE),
                (CapKind::HostHour, host.hour, 60 * MINUTE),
                (CapKind::HostDay, host.day, 24 * 60 * MINUTE),
            ];
            all.extend(rates.into_iter().filter_map(|(kind, limit, window)| Some((kind, name(), limit?, window))));
        }
        all
    }

    /// Notes a grant at `now` and returns the caps that it passes.
    fn grant(&mut self, now: i64, ask: &CapRequest) -> Vec<CapKind> {
        let mut passed = Vec::new();
        for (kind, whose, limit, window) in self.of(ask) {
            let granted = self.granted.entry((kind, whose)).or_default();
            granted.push_back(now);
            if granted.len() > limit as usize {
                let first = granted.pop_front().unwrap_or(now);
                if now - first <= window {
                    passed.push(kind);
                }
            }
        }
        passed
    }
}

impl Checker {
    /// Looks at the caps' answer to a worker.
    pub fn granted(&self, asks: &[CapRequest], grants: &[Grant]) {
        let now = self.clock.now().timestamp_micros();
        for (ask, grant) in asks.iter().zip(grants) {
            match grant {
                Grant::Granted => {
                    let passed = self.windows.lock().unwrap().grant(now, ask);
                    self.demand(passed.is_empty(), || format!("I2: a grant to {ask:?} passes {passed:?}"));
                    let machine = self.clock.machine();
                    self.books().asked_caps.insert(ask.slot.run, machine);
                }
                Grant::Refused { cap, .. } => self.guard(refusal(*cap), 1),
            }
        }
    }
}

fn refusal(cap: CapKind) -> Guard {
    match cap {
        CapKind::GlobalHour => Guard::CapGlobalHour,
        CapKind::GlobalMinute => Guard::CapGlobalMinute,
        CapKind::UserHour => Guard::CapUserHour,
        CapKind::UserMinute => Guard::CapUserMinute,
        CapKind::HostMinute => Guard::CapHostMinute,
        CapKind::HostHour => Guard::CapHostHour,
        CapKind::HostDay => Guard::CapHostDay,
        CapKind::HostConnections => Guard::CapHostConnections,
    }
}
