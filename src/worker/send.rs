//! One mail on its way: from the reservation to a result for the settler.

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use tokio::sync::mpsc;

use super::{Event, connections::Open, settler::Results};
use crate::{
    domain::{
        outcome::{Effects, Fate, Outcome, Stage},
        reply::Intent,
    },
    observe::trails::{BatchTrail, MailTrail, Told},
    ports::{Clock, Delivery, Flight, Gate, Mailer, Outgoing, Settlement, mailer::Thread},
};

pub(super) struct Send {
    pub(super) mailer: Arc<dyn Mailer>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) gate: Gate,
    pub(super) text: String,
    /// What it answers, where it is a reply.
    pub(super) thread: Option<Thread>,
    /// Whether it is answered, should it be sent.
    pub(super) intent: Option<Intent>,
    pub(super) flight: Flight,
    /// Where its host counts them.
    pub(super) connection: Option<Open>,
    pub(super) cooldown: TimeDelta,
    pub(super) results: Results,
    pub(super) trail: BatchTrail,
    /// The span of the mail that it answers, where it is a reply and that was kept.
    pub(super) answers: Option<String>,
    pub(super) tell: mpsc::UnboundedSender<Event>,
}

impl Send {
    /// Sends and hands the verdict on.
    pub(super) async fn run(self) {
        let (flight, batch, day) = (self.flight.id, self.flight.batch, self.flight.day);
        let (mailbox, partner) = (self.flight.sender.mailbox, self.flight.recipient.mailbox);
        let (is_reply, message_id) = (self.flight.answers.is_some(), self.flight.message_id.clone());
        let (host, port) = (self.flight.endpoint.host.clone(), self.flight.endpoint.port);
        let outgoing = Outgoing { flight: self.flight, text: self.text, thread: self.thread, date: self.clock.now() };
        let began = self.clock.machine();
        let delivery = deliver(self.mailer, outgoing, self.gate).await;
        // Closed, whatever became of the mail; before the loop hears of it, which then sees that it is to be given back.
        drop(self.connection);
        let at = self.clock.now();
        tracing::debug!(%flight, %mailbox, %partner, fate = ?delivery.outcome.fate, reason = delivery.outcome.reason, latency = ?delivery.latency, "mail");
        let trail = self.trail.mail(Told {
            is_reply,
            message_id: &message_id,
            mailbox: mailbox.0,
            host: &host,
            port,
            began,
            latency: delivery.latency,
            steps: &delivery.steps,
            outcome: &delivery.outcome,
            answers: self.answers.as_deref(),
        });
        let result = Settlement {
            flight,
            batch,
            mailbox,
            partner,
            day,
            at,
            latency: delivery.latency,
            next_at: at + self.cooldown,
            reply: self.intent.and_then(|intent| intent.due(at)),
            outcome: delivery.outcome,
            trace: trail.as_ref().map(MailTrail::traceparent),
        };
        self.results.push(result, trail);
        // The loop is gone only when the drain is over, and then no lane matters.
        let _ = self.tell.send(Event::LaneDone);
    }
}

/// Sends in a task of its own: should it panic, nobody knows what the server has, and the lane comes back all the same.
async fn deliver(mailer: Arc<dyn Mailer>, outgoing: Outgoing, gate: Gate) -> Delivery {
    let task = tokio::spawn(async move { mailer.send(&outgoing, &gate).await });
    task.await.unwrap_or_else(|error| Delivery {
        outcome: Outcome {
            fate: Fate::Uncertain,
            stage: Stage::Dot,
            reason: "uncertain",
            reply: None,
            effects: Effects::default(),
            note: format!("the sending task ended badly: {error}"),
        },
        latency: Duration::ZERO,
        steps: Vec::new(),
    })
}
