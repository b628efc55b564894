//! Counts refusals in a row, as `refused_senders` of `close.sql` does.

use std::time::Duration;

use super::super::Ending;
use crate::{
    adapters::memory::world::Tables,
    domain::{
        id::MailboxId,
        outcome::{Fate, refusals::pause_after},
    },
};

impl Tables {
    /// Counts a refusal of `sender`, and ends the count at a success. Returns the pause that the refusal leads to.
    pub(super) fn count_refusal(&mut self, end: &Ending, sender: MailboxId) -> Option<Duration> {
        if end.is(Fate::Sent) {
            self.refusals.remove(&sender);
        }
        let target = end.outcome.refusal_target().filter(|_| !end.is_reduced)?;
        let count = self.refusals.entry(sender).or_default();
        *count = count.saturating_add(1);
        pause_after(*count, target).and_then(|pause| pause.to_std().ok())
    }
}
