//! Users at their daily limit burn no grants of the others. What a worker asks for beyond a limit takes tokens from the caps,
//! and is refused. It does so when other workers, or replies, have used the room that its last plan saw. So between two
//! plans of a worker one batch at most has mails of a user refused for the limit: what it teaches is remembered.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use warmup::{
    domain::id::{RunId, UserId},
    ports::{Refusal, Reservation, ReserveBatch},
};

use super::Checker;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct BurnedGrants {
    /// Refused for the limit since the last plan of a worker.
    since_plan: BTreeSet<(RunId, UserId, NaiveDate)>,
    all: BTreeMap<(UserId, NaiveDate), u64>,
}

impl BurnedGrants {
    pub(super) fn most(&self) -> u64 {
        self.all.values().copied().max().unwrap_or_default()
    }
}

impl Checker {
    /// A worker makes a plan: it reads what room the limits leave.
    pub fn plans(&self, run: Option<RunId>) {
        self.books().burned.since_plan.retain(|(of, ..)| Some(*of) != run);
    }

    /// Looks at what of a batch was refused for daily limits.
    pub(super) fn burns(&self, batch: &ReserveBatch, answer: &[Reservation]) {
        let limit = |reservation: &Reservation| matches!(reservation, Reservation::Refused(Refusal::UserDailyLimit));
        let refused = batch.asks.iter().zip(answer).filter(|(_, reservation)| limit(reservation));
        let mut users = BTreeMap::new();
        for (ask, _) in refused {
            if let Some(mailbox) = self.world.mailbox(ask.mailbox) {
                *users.entry((mailbox.user, ask.day)).or_insert(0) += 1;
            }
        }
        for ((user, day), mails) in users {
            let is_first = {
                let burned = &mut self.books().burned;
                *burned.all.entry((user, day)).or_default() += mails;
                burned.since_plan.insert((batch.run, user, day))
            };
            self.demand(is_first, || {
                format!(
                    "I21: {mails} grants of user {user}, whose daily limit this worker knows to be reached, are burned"
                )
            });
        }
    }
}
