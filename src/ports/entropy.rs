//! Dice. Each purpose rolls its own, keyed by what it is for, so that one more roll somewhere changes nothing elsewhere
//! and a failing seed replays.

use uuid::Uuid;

use crate::domain::id::MailboxId;

/// What a roll of the dice is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The rest of a lane after a mail.
    LaneRest,
    /// The cooldown of a mailbox after a mail.
    Cooldown,
    /// Which text a mail gets.
    Content,
    /// Whether and when a mail is answered.
    Reply,
    /// The order in which a mailbox that needs another partner tries them.
    FallbackPartner,
    /// Waits between attempts at a service that is away.
    Backoff,
    /// How a simulation's mail hosts behave.
    SimulatedFaults,
}

/// Random numbers and fresh names.
pub trait Entropy: Send + Sync {
    /// Returns 64 random bits from the stream of (`purpose`, `key`). Each call takes the next of that stream.
    fn next_u64(&self, purpose: Purpose, key: u64) -> u64;

    /// Returns a fresh unique id for a Message-ID, a run or a batch.
    fn uuid(&self) -> Uuid;

    /// Returns a number from `low` to `high`, both included, evenly. Where they are one, nothing is rolled.
    fn between(&self, purpose: Purpose, key: u64, low: u64, high: u64) -> u64 {
        if low >= high {
            return low;
        }
        let span = u128::from(high - low) + 1;
        low + ((u128::from(self.next_u64(purpose, key)) * span) >> 64) as u64
    }
}

/// The key of a mailbox's own streams.
pub fn mailbox_key(mailbox: MailboxId) -> u64 {
    mailbox.0 as u64
}
