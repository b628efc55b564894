//! `Entropy` generates random numbers and unique ids.
//!
//! Each purpose has its own streams, one per key. An additional random number in one place therefore changes no number
//! in another place, and a failed simulation seed can be replayed.

use uuid::Uuid;

use crate::domain::id::MailboxId;

/// The purpose of a random number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The rest of a lane after a mail.
    LaneRest,
    /// The cooldown of a mailbox after a mail.
    Cooldown,
    /// The text of a mail.
    Content,
    /// The decision to answer a mail, and the delay of the reply.
    Reply,
    /// The order in which a mailbox tries its fallback partners.
    FallbackPartner,
    /// The wait between two attempts while a service is away.
    Backoff,
    /// The behavior of mail hosts in a simulation.
    SimulatedFaults,
}

/// A source of random numbers and unique ids.
pub trait Entropy: Send + Sync {
    /// Returns the next 64 random bits of the stream of (`purpose`, `key`).
    fn next_u64(&self, purpose: Purpose, key: u64) -> u64;

    /// Returns a new unique id for a Message-ID, a run or a batch.
    fn uuid(&self) -> Uuid;

    /// Returns a uniform random number from `low` to `high`, both included. Draws no number if both are equal.
    fn between(&self, purpose: Purpose, key: u64, low: u64, high: u64) -> u64 {
        if low >= high {
            return low;
        }
        let span = u128::from(high - low) + 1;
        low + ((u128::from(self.next_u64(purpose, key)) * span) >> 64) as u64
    }
}

/// Returns the stream key of a mailbox.
pub fn mailbox_key(mailbox: MailboxId) -> u64 {
    mailbox.0 as u64
}
