//! `Keys` builds every key that the fleet uses in Redis. All keys carry one hash tag, the prefix in braces. So a script
//! may use several of them on a Redis Cluster too, and two fleets with different prefixes can share a server.

use crate::{
    domain::{caps::CapKind, id::UserId},
    ports::LeaseKey,
};

/// `Keys` builds the keys of one fleet.
#[derive(Clone, Debug)]
pub struct Keys {
    tag: String,
}

impl Keys {
    /// Creates keys under `prefix` (`WARMUP_REDIS_PREFIX`).
    pub fn new(prefix: &str) -> Keys {
        Keys { tag: format!("{{{prefix}}}") }
    }

    /// Returns the pattern that all keys match, in ACL syntax.
    pub fn pattern(&self) -> String {
        format!("~{}:*", self.tag)
    }

    /// Returns the key of a fleet cap's bucket.
    pub fn fleet_cap(&self, kind: CapKind) -> String {
        format!("{}:cap:{}", self.tag, kind.as_str())
    }

    /// Returns the key of a user cap's bucket.
    pub fn user_cap(&self, kind: CapKind, user: UserId) -> String {
        format!("{}:cap:{}:{user}", self.tag, kind.as_str())
    }

    /// Returns the key of a mail host's bucket, or of its connections.
    pub fn host_cap(&self, kind: CapKind, host: &str) -> String {
        format!("{}:cap:{}:{host}", self.tag, kind.as_str())
    }

    /// Returns the key of the generation of the server's clock, for the caps.
    pub fn cap_clock(&self) -> String {
        format!("{}:cap:clock", self.tag)
    }

    /// Returns the channel of the fleet's notifications.
    pub fn bell(&self) -> String {
        format!("{}:bell", self.tag)
    }

    /// Returns the key of the lease `key`.
    pub fn lease(&self, key: LeaseKey) -> String {
        match key {
            LeaseKey::Solo => format!("{}:lease:solo", self.tag),
            LeaseKey::Leader => format!("{}:lease:leader", self.tag),
            // A heartbeat builds thousands of these: `concat` allocates once, `format!` would grow the string.
            LeaseKey::Shard(shard) => [&self.tag, ":lease:shard:", &shard.to_string()].concat(),
            LeaseKey::Name(hash) => format!("{}:lease:name:{hash:016x}", self.tag),
        }
    }

    /// Returns the key of the identity of the members' fleet.
    pub fn fleet(&self) -> String {
        format!("{}:fleet", self.tag)
    }

    /// Returns the key that the start-up check writes and deletes.
    pub fn trial(&self) -> String {
        format!("{}:trial", self.tag)
    }

    /// Returns the key of the mark of the database's progress.
    pub fn mark(&self) -> String {
        format!("{}:mark", self.tag)
    }

    /// Returns the key of the living workers, sorted by the end of their membership.
    pub fn members(&self) -> String {
        format!("{}:members", self.tag)
    }

    /// Returns the key of the living workers' statuses.
    pub fn statuses(&self) -> String {
        format!("{}:statuses", self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::ShardId;

    #[test]
    fn every_key_carries_the_prefix_as_its_hash_tag() {
        let keys = Keys::new("warmup");
        assert_eq!(keys.fleet_cap(CapKind::GlobalHour), "{warmup}:cap:global_hour");
        assert_eq!(keys.user_cap(CapKind::UserMinute, UserId(7)), "{warmup}:cap:user_minute:7");
        assert_eq!(keys.host_cap(CapKind::HostDay, "a.org"), "{warmup}:cap:host_day:a.org");
        assert_eq!(keys.bell(), "{warmup}:bell");
        assert_eq!(keys.lease(LeaseKey::Solo), "{warmup}:lease:solo");
        assert_eq!(keys.lease(LeaseKey::Leader), "{warmup}:lease:leader");
        assert_eq!(keys.lease(LeaseKey::Shard(ShardId(255))), "{warmup}:lease:shard:255");
        assert_eq!(keys.lease(LeaseKey::Name(255)), "{warmup}:lease:name:00000000000000ff");
        assert_eq!((keys.fleet(), keys.trial()), ("{warmup}:fleet".into(), "{warmup}:trial".into()));
        assert_eq!(keys.mark(), "{warmup}:mark");
        assert_eq!((keys.members(), keys.statuses()), ("{warmup}:members".into(), "{warmup}:statuses".into()));
    }
}
