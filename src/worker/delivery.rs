//! `DeliveryTask` sends one reserved mail and hands its result to the settler.
//!
//! Each task occupies one lane. It frees the lane even if the mailer panics; the mail is then uncertain.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use chrono::TimeDelta;
use futures_util::FutureExt;
use tokio::sync::mpsc;

use super::{
    Event,
    connections::OpenConnection,
    lanes::{LaneEnd, Lanes},
    settler::ResultSender,
};
use crate::{
    domain::{
        host_window::HostSign,
        mailbox::domain_of,
        outcome::{Effects, Outcome, OutcomeKind, Stage},
        reply::ReplyIntent,
    },
    observe::mail_spans::{BatchSpans, MailSpan, MailSpanData},
    ports::{Clock, Flight, LoggedMail, Mailer, SendPermit, SendReport, Settlement, Submission, mailer::Thread},
};

/// A `DeliveryTask` owns everything that one delivery needs.
pub(super) struct DeliveryTask {
    pub(super) mailer: Arc<dyn Mailer>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) gate: SendPermit,
    pub(super) text: String,
    /// The thread that a reply continues; `None` for a mail.
    pub(super) thread: Option<Thread>,
    /// The reply to schedule if the server accepts the mail.
    pub(super) intent: Option<ReplyIntent>,
    pub(super) flight: Flight,
    /// The mail host, as the queue names it.
    pub(super) host: Arc<str>,
    /// The granted connection, if the host limits its connections.
    pub(super) connection: Option<OpenConnection>,
    pub(super) cooldown: TimeDelta,
    pub(super) lanes: Arc<Lanes>,
    /// The rest of the lane after the mail.
    pub(super) rest: TimeDelta,
    pub(super) results: ResultSender,
    pub(super) trail: BatchSpans,
    /// The trace of the mail that a reply answers, if it was stored.
    pub(super) answers: Option<String>,
    pub(super) events_tx: mpsc::UnboundedSender<Event>,
}

impl DeliveryTask {
    /// Sends the mail and hands on its result.
    pub(super) fn run(self) -> impl Future<Output = ()> {
        let DeliveryTask { mailer, clock, gate, text, thread, intent, flight, host, connection, .. } = self;
        let DeliveryTask { cooldown, lanes, rest, results, trail, answers, events_tx: tell, .. } = self;
        let outgoing = Submission { flight, text, thread, date: clock.now() };
        async move {
            let began = clock.machine();
            let mut delivery = deliver(&*mailer, &outgoing, &gate).await;
            let domain = domain_of(&outgoing.flight.sender.email);
            delivery.outcome.effects = delivery.outcome.effects.in_domain(&domain);
            // Before the event to the loop, which must see the closed connection to give it back.
            let counted = connection.is_some();
            drop(connection);
            // Measured by the machine clock, because the day clock may be set during the delivery.
            let lasted = TimeDelta::from_std(clock.caps_span(clock.machine().since(began))).unwrap_or_default();
            let (flight, at) = (&outgoing.flight, outgoing.date + lasted);
            let (mailbox, partner) = (flight.sender.mailbox, flight.recipient.mailbox);
            tracing::debug!(flight = %flight.id, %mailbox, %partner, fate = ?delivery.outcome.fate, reason = delivery.outcome.reason, latency = ?delivery.latency, "mail");
            let trail = trail.mail(MailSpanData {
                is_reply: flight.answers.is_some(),
                message_id: &flight.message_id,
                mailbox: mailbox.0,
                host: &flight.endpoint.host,
                port: flight.endpoint.port,
                began,
                latency: delivery.latency,
                steps: &delivery.steps,
                outcome: &delivery.outcome,
                answers: answers.as_deref(),
            });
            let sign = HostSign::from_outcome(&delivery.outcome, delivery.latency);
            // Before the result: after the settlement the mailbox may occupy a lane with its next mail.
            let is_awaited = lanes.end(LaneEnd { mailbox, sign }, &host);
            let result = Settlement {
                flight: flight.id,
                batch: flight.batch,
                mailbox,
                partner,
                day: flight.day,
                mail: LoggedMail::from_flight(
                    flight,
                    outgoing.thread.as_ref().map(|thread| thread.in_reply_to.clone()),
                ),
                at,
                latency: delivery.latency,
                next_at: at + cooldown,
                reply: intent.and_then(|intent| intent.due(at)),
                outcome: delivery.outcome,
                trace: trail.as_ref().map(MailSpan::traceparent),
                is_reduced: false,
            };
            results.push(result, trail);
            if lanes.rest_until(at + rest) || is_awaited || counted {
                // The channel is closed only after the drain, when no lane matters.
                let _ = tell.send(Event::LaneDone);
            }
        }
    }
}

/// Sends the mail. After a panic of the mailer the mail is uncertain, because the server may have it.
async fn deliver(mailer: &dyn Mailer, outgoing: &Submission, gate: &SendPermit) -> SendReport {
    let sending = AssertUnwindSafe(mailer.send(outgoing, gate)).catch_unwind();
    sending.await.unwrap_or_else(|_| SendReport {
        outcome: Outcome {
            fate: OutcomeKind::Uncertain,
            stage: Stage::Dot,
            reason: "uncertain",
            reply: None,
            effects: Effects::default(),
            note: "the sending ended badly: see the panic in the worker's output".to_owned(),
        },
        latency: Duration::ZERO,
        steps: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use chrono::{DateTime, NaiveDate};

    use super::*;
    use crate::{
        domain::{
            id::{BatchId, FlightId, MailboxId, ShardId, UserId},
            mailbox::{Endpoint, Security},
            reply::ReplyPolicy,
            time::Weekdays,
        },
        ports::Participant,
    };

    struct Broken;

    #[async_trait]
    impl Mailer for Broken {
        async fn send(&self, _mail: &Submission, _gate: &SendPermit) -> SendReport {
            panic!("a fault of the mailer");
        }
    }

    fn mail() -> Submission {
        let party =
            |id| Participant { mailbox: MailboxId(id), email: format!("m{id}@a.test"), display_name: String::new() };
        let flight = Flight {
            id: FlightId(1),
            batch: BatchId(1),
            shard: ShardId(0),
            day: NaiveDate::default(),
            user: UserId(1),
            sender: party(1),
            recipient: party(2),
            round: 0,
            message_id: "1@a.test".into(),
            subject: "Minutes".into(),
            answers: None,
            answering: ReplyPolicy { rate: 0, zone: chrono_tz::UTC, days: Weekdays::ALL },
            endpoint: Endpoint { host: "mail.test".into(), port: 465, security: Security::Tls },
            username: "m1@a.test".into(),
            sealed_password: Vec::new(),
        };
        Submission { flight, text: "Text.".into(), date: DateTime::UNIX_EPOCH, thread: None }
    }

    #[tokio::test]
    async fn of_a_mail_whose_sending_panics_nobody_knows_what_the_server_has() {
        let delivery = deliver(&Broken, &mail(), &SendPermit::always()).await;
        assert_eq!((delivery.outcome.fate, delivery.outcome.stage), (OutcomeKind::Uncertain, Stage::Dot));
        assert_eq!(delivery.outcome.effects, Effects::default(), "nobody is punished for it");
    }
}
