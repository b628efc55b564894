//! `InstrumentedMailer` counts active sends, and mails and their duration by outcome.

use std::sync::Arc;

use async_trait::async_trait;

use super::Meter;
use crate::{
    observe::meters::{MailEndLabels, OutcomeLabel},
    ports::{Mailer, SendPermit, SendReport, Submission},
};

pub(super) struct InstrumentedMailer {
    pub(super) inner: Arc<dyn Mailer>,
    pub(super) meter: Meter,
}

#[async_trait]
impl Mailer for InstrumentedMailer {
    async fn send(&self, mail: &Submission, gate: &SendPermit) -> SendReport {
        let meters = &self.meter.meters;
        let kind = if mail.flight.answers.is_some() { "reply" } else { "mail" };
        meters.active_sends.inc();
        let delivery = self.inner.send(mail, gate).await;
        meters.active_sends.dec();
        let outcome = delivery.outcome.fate.as_str();
        meters.ended.get_or_create(&MailEndLabels { kind, outcome, reason: delivery.outcome.reason }).inc();
        meters.delivery.get_or_create(&OutcomeLabel { outcome }).observe(delivery.latency.as_secs_f64());
        delivery
    }
}
