//! This module defines the ids as newtypes, so that a mailbox id is never passed as a user id.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// An enrolled account that sends and receives: `mailboxes.id`.
    MailboxId(i64)
);
id!(
    /// The owner of mailboxes: `users.id`.
    UserId(i64)
);
id!(
    /// One reservation, from the reserve to its log row or its release: `in_flight.id`, later `logs.id`.
    FlightId(i64)
);
id!(
    /// A scheduled reply, by the flight id of the mail that it answers: `scheduled_replies.id`.
    ReplyId(i64)
);
id!(
    /// The mails that were reserved together: `batches.id`.
    BatchId(i64)
);
id!(
    /// A group of mailboxes by hash of their id, 0 to `WARMUP_SHARDS` - 1.
    ShardId(i32)
);
id!(
    /// The epoch of a shard. Postgres raises it for each new owner, and a reserve with an earlier epoch finds
    /// nothing.
    Epoch(i64)
);
id!(
    /// One start of a worker process. A restarted worker keeps its name and gets a new run.
    RunId(Uuid)
);

/// The name of a worker, `WARMUP_WORKER_ID`: stable over restarts if the operator sets it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub String);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The fleet of a worker: all workers on one database have the same id. It is empty if unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FleetId(pub String);

impl FleetId {
    /// Returns the part that a restored copy of the database shares.
    pub fn lineage(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// Returns true if both ids are known and differ.
    pub fn differs(&self, other: &FleetId) -> bool {
        !self.0.is_empty() && !other.0.is_empty() && self != other
    }
}
