//! Every key that we use in Redis, built in one place. All carry one hash tag, the prefix in braces, so that a script
//! may touch several of them on a Redis Cluster too, and two fleets with different prefixes can share a server.

use crate::{
    domain::{caps::CapKind, id::UserId},
    ports::LeaseKey,
};

/// The keys of one fleet.
#[derive(Clone, Debug)]
pub struct Keys {
    tag: String,
}

impl Keys {
    /// Builds keys under `prefix` (`WARMUP_REDIS_PREFIX`).
    pub fn new(prefix: &str) -> Keys {
        Keys { tag: format!("{{{prefix}}}") }
    }

    /// What all keys match, as an ACL writes it.
    pub fn pattern(&self) -> String {
        format!("~{}:*", self.tag)
    }

    /// The bucket of a cap of the whole fleet.
    pub fn fleet_cap(&self, kind: CapKind) -> String {
        format!("{}:cap:{}", self.tag, kind.as_str())
    }

    /// The bucket of a cap of one user.
    pub fn user_cap(&self, kind: CapKind, user: UserId) -> String {
        format!("{}:cap:{}:{user}", self.tag, kind.as_str())
    }

    /// The bucket of a cap of one mail host, or its connections.
    pub fn host_cap(&self, kind: CapKind, host: &str) -> String {
        format!("{}:cap:{}:{host}", self.tag, kind.as_str())
    }

    /// The generation of the server's clock, for the caps.
    pub fn cap_clock(&self) -> String {
        format!("{}:cap:clock", self.tag)
    }

    /// The channel on which the fleet is told of orders.
    pub fn bell(&self) -> String {
        format!("{}:bell", self.tag)
    }

    /// The lease on `key`.
    pub fn lease(&self, key: LeaseKey) -> String {
        match key {
            LeaseKey::Solo => format!("{}:lease:solo", self.tag),
            LeaseKey::Leader => format!("{}:lease:leader", self.tag),
            // A heartbeat names thousands: in one piece, where `format!` would grow them.
            LeaseKey::Shard(shard) => [&self.tag, ":lease:shard:", &shard.to_string()].concat(),
            LeaseKey::Name(hash) => format!("{}:lease:name:{hash:016x}", self.tag),
        }
    }

    /// Whose members they are: the identity of their fleet.
    pub fn fleet(&self) -> String {
        format!("{}:fleet", self.tag)
    }

    /// What the start-up check writes to and takes away again.
    pub fn trial(&self) -> String {
        format!("{}:trial", self.tag)
    }

    /// How far the database had come.
    pub fn mark(&self) -> String {
        format!("{}:mark", self.tag)
    }

    /// The live workers, by the end of their time.
    pub fn members(&self) -> String {
        format!("{}:members", self.tag)
    }

    /// What each live worker says of itself.
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
