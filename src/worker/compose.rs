//! `Worker::compose` writes a mail or reply: text, partners, Message-ID and the request to the ledger.

use super::{DayPairing, Worker, outbound::OutboundMail, queue::Mail};
use crate::{
    domain::{
        content::Draft,
        pairing::{PairingSender, Partner},
        plan::MailboxPlan,
        reply::{DueReply, ReplyIntent},
        time::today,
    },
    ports::{
        Flight, PartnerOption, ReserveRequest,
        entropy::{Purpose, mailbox_key},
        mailer::Thread,
    },
};

/// The number of fallback partners beside the planned one. If the ledger refuses them all, the next request offers
/// `EVERYBODY` of them, and one more for each attempt. So it offers a repeat only after all unused partners. In a small
/// fleet so large a number includes repeats over several rounds. When most partners are full, the others write to one
/// another again.
const ALTERNATIVES: usize = 3;
const EVERYBODY: usize = 512;

/// A mail or reply with its text and its request to the ledger.
pub(super) struct ComposedMail {
    pub(super) letter: OutboundMail,
    pub(super) draft: Draft,
    pub(super) ask: ReserveRequest,
}

impl ComposedMail {
    /// Returns the thread that a reply continues; `None` for a mail.
    pub(super) fn thread(&self) -> Option<Thread> {
        match &self.letter {
            OutboundMail::Mail(_) => None,
            // The answered mail began the thread.
            OutboundMail::Reply(DueReply { message_id, .. }) => Some(Thread::answering(message_id, &[])),
        }
    }

    /// Returns the trace of the mail that a reply answers, if it was stored.
    pub(super) fn answered_trace(&self) -> Option<String> {
        match &self.letter {
            OutboundMail::Mail(_) => None,
            OutboundMail::Reply(reply) => reply.trace.clone(),
        }
    }
}

impl Worker {
    /// Chooses text and partners, and creates the Message-ID.
    pub(super) fn compose(&self, letter: OutboundMail) -> ComposedMail {
        let dice = self.ports.entropy.next_u64(Purpose::Content, mailbox_key(letter.mailbox()));
        let (draft, ask) = match &letter {
            OutboundMail::Mail(mail) => self.mail_words(mail, dice),
            OutboundMail::Reply(reply) => self.reply_words(reply, dice),
        };
        ComposedMail { letter, draft, ask }
    }

    fn mail_words(&self, mail: &Mail, dice: u64) -> (Draft, ReserveRequest) {
        let (planned, draft) = (&mail.planned, self.texts.mail(dice));
        let ask = ReserveRequest {
            mailbox: planned.mailbox,
            shard: planned.shard,
            day: planned.day,
            attempts: planned.attempts,
            choices: self.partner_options(mail),
            message_id: self.message_id(&planned.domain),
            subject: draft.subject.clone(),
            answers: None,
        };
        (draft, ask)
    }

    fn reply_words(&self, reply: &DueReply, dice: u64) -> (Draft, ReserveRequest) {
        let draft = self.texts.reply(dice, &reply.subject);
        let ask = ReserveRequest {
            mailbox: reply.mailbox,
            shard: reply.shard,
            day: today(reply.zone, self.ports.clock.now()),
            attempts: 0,
            choices: vec![PartnerOption { partner: reply.partner, round: 0 }],
            message_id: self.message_id(&reply.domain),
            subject: draft.subject.clone(),
            answers: Some(reply.id),
        };
        (draft, ask)
    }

    fn message_id(&self, domain: &str) -> String {
        format!("{}@{domain}", self.ports.entropy.uuid())
    }

    fn partner_options(&self, mail: &Mail) -> Vec<PartnerOption> {
        let planned = &mail.planned;
        let Some(DayPairing { pairing, .. }) = self.pairings.get(&planned.day) else { return Vec::new() };
        let k = planned.attempts + 1;
        let dice = self.ports.entropy.next_u64(Purpose::FallbackPartner, mailbox_key(planned.mailbox));
        let MailboxPlan { mailbox, user, verified, .. } = *planned;
        let sender = PairingSender { mailbox, user, domain: &planned.domain, verified };
        let planned_partner = pairing.planned(sender, k).into_iter();
        let partners: Vec<Partner> = if mail.walk {
            let everybody = pairing.fallback_partners(sender, k, dice, EVERYBODY + usize::from(k));
            let rounds = 2 + EVERYBODY / everybody.len().max(1);
            let later = |again: &Vec<Partner>| Some(again.iter().copied().map(Partner::in_next_round).collect());
            let repeats = std::iter::successors(Some(everybody), later).take(rounds);
            planned_partner.chain(repeats.flatten()).collect()
        } else {
            planned_partner.chain(pairing.fallback_partners(sender, k, dice, ALTERNATIVES)).collect()
        };
        // The ledger stores the round as a smallint: a partner with a larger round can't be offered.
        let choice =
            |partner: Partner| Some(PartnerOption { partner: partner.mailbox, round: partner.round.try_into().ok()? });
        partners.into_iter().filter_map(choice).collect()
    }

    /// Decides by a random number whether the partner answers this mail. A reply is never answered.
    pub(super) fn intent(&self, flight: &Flight) -> Option<ReplyIntent> {
        let key = mailbox_key(flight.recipient.mailbox);
        let answers = flight.answers.is_none()
            && self.ports.entropy.between(Purpose::Reply, key, 0, 99) < u64::from(flight.answering.rate);
        answers.then(|| ReplyIntent {
            answering: flight.answering,
            delay: self.between(Purpose::Reply, key, self.settings.reply_delay_min, self.settings.reply_delay_max),
            active: self.settings.active_hours,
        })
    }
}
