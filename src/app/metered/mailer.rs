//! Verdicts.

use std::sync::Arc;

use async_trait::async_trait;

use super::Meter;
use crate::{
    domain::outcome::Fate,
    observe::meters::{Ended, Verdict},
    ports::{Delivery, Gate, Mailer, Outgoing},
};

pub(super) struct Metered {
    pub(super) inner: Arc<dyn Mailer>,
    pub(super) meter: Meter,
}

#[async_trait]
impl Mailer for Metered {
    async fn send(&self, mail: &Outgoing, gate: &Gate) -> Delivery {
        let meters = &self.meter.meters;
        let kind = if mail.flight.answers.is_some() { "reply" } else { "mail" };
        meters.active_sends.inc();
        let delivery = self.inner.send(mail, gate).await;
        meters.active_sends.dec();
        let outcome = word(delivery.outcome.fate);
        meters.ended.get_or_create(&Ended { kind, outcome, reason: delivery.outcome.reason }).inc();
        meters.delivery.get_or_create(&Verdict { outcome }).observe(delivery.latency.as_secs_f64());
        delivery
    }
}

fn word(fate: Fate) -> &'static str {
    match fate {
        Fate::Sent => "sent",
        Fate::Refused => "refused",
        Fate::Uncertain => "uncertain",
        Fate::Unstarted => "unstarted",
    }
}
