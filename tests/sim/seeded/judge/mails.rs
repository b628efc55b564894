//! What the judge sees of mails on the wire.

use chrono::TimeDelta;
use warmup::{
    domain::outcome::Stage,
    ports::{SendPermit, Submission},
};

use super::{Checker, Guard};

/// A grant older than this is not used.
const GRANT_HOLDS_SECONDS: u64 = 3;

impl Checker {
    /// A worker begins to send: under a grant that is fresh, and what it has reserved.
    pub fn begins(&self, mail: &Submission) {
        self.trace("", "begins", &mail.flight.id);
        let Some(flying) = self.flying_mail(mail) else {
            if self.is_lost(mail) {
                return;
            }
            return self.violated(format!("flight {} begins, and is not reserved", mail.flight.id));
        };
        let asked = self.books().asked_caps.get(&flying.run).copied();
        let age = asked.map(|asked| self.clock.machine().since(asked).as_secs());
        self.demand(age.is_some_and(|age| age <= GRANT_HOLDS_SECONDS), || {
            format!("flight {} begins under a grant of {age:?} s ago", mail.flight.id)
        });
    }

    pub fn gate_closed(&self, mail: &Submission, gate: &SendPermit, stage: Stage) {
        self.trace("", "gate closed", &(mail.flight.id, stage));
        self.guard(
            match stage {
                _ if gate.cancel.is_cancelled() => Guard::DrainCancelled,
                Stage::Connect => Guard::GateBeforeConnect,
                _ => Guard::GateBeforeDot,
            },
            1,
        );
    }

    pub fn cancelled(&self, mail: &Submission, stage: Stage) {
        self.trace("", "cancelled", &(mail.flight.id, stage));
        self.guard(Guard::DrainCancelled, 1);
    }

    /// A connection is opened. Returns whether it is one that is known.
    pub fn opens(&self, mail: &Submission) -> bool {
        let (flight, host) = (&mail.flight, &mail.flight.endpoint.host);
        self.trace("", "opens", &flight.id);
        if self.world.is_trying(flight.sender.mailbox) {
            self.guard(Guard::HalfOpenProbe, 1);
        }
        let Some(run) = self.flying_mail(mail).map(|flying| flying.run) else { return false };
        let (now, mut books) = (self.clock.now(), self.books());
        let longest = TimeDelta::from_std(self.mail_deadline).unwrap_or(TimeDelta::MAX) + TimeDelta::seconds(4);
        let open = books.open.entry(host.clone()).or_default();
        open.insert(flight.id, (run, now));
        let open = open.clone();
        // Of one that is stopped in its tracks, connections stay open past their slots.
        let counted =
            open.values().filter(|(run, since)| !books.frozen.contains(run) && now - *since <= longest).count();
        drop(books);
        if let Some(most) = self.connections.get(host) {
            self.demand(counted <= *most, || format!("{counted} connections to {host}, {most} may be"));
        }
        true
    }

    pub fn closes(&self, mail: &Submission) {
        if let Some(open) = self.books().open.get_mut(&mail.flight.endpoint.host) {
            open.remove(&mail.flight.id);
        }
    }

    /// The write of the dot begins.
    pub fn dot(&self, mail: &Submission) {
        self.trace("", "dot", &mail.flight.id);
        if let Some(flying) = self.flying_mail(mail) {
            self.holds_lease(flying.run, flying.shard, "a dot");
        }
    }

    /// A host takes a message completely.
    pub fn takes(&self, mail: &Submission) {
        let id = &mail.flight.message_id;
        self.trace("", "takes", id);
        let (new, known) = {
            let mut books = self.books();
            let known = books.message_ids.contains(id);
            (books.taken.insert(id.clone()), known)
        };
        self.demand(new, || format!("I4: {id} is submitted twice"));
        self.demand(known, || format!("{id} was never reserved"));
        self.takes_answer(mail);
    }

    /// And says so: 250.
    pub fn answers(&self, mail: &Submission) {
        self.trace("", "answers", &mail.flight.id);
        self.books().answered.insert(mail.flight.message_id.clone());
    }
}
