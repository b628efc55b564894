//! This module creates the spans of a mail when its outcome is known, from the times that were recorded on
//! its way:
//!
//! ```text
//!   warmup.tick ─▶ warmup.batch ─▶ warmup.send: caps, reserve, connect, tls, … dot, settle
//!                                        ▲
//!                                        └ link ─ warmup.reply, in the trace of its own tick
//! ```
//!
//! So a mail that is not sampled costs nothing, and a batch without a sampled mail has no span. The recorded
//! times are of the machine clock. A batch knows the wall-clock time of one of them.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::{Duration, SystemTime},
};

use opentelemetry::{
    Context, KeyValue,
    propagation::TextMapPropagator,
    time,
    trace::{Link, Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer},
};
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::Span};
use tracing_opentelemetry::OpenTelemetrySpanExt;

use super::{
    spans,
    telemetry::{Tracing, tracing_with},
};
use crate::domain::{
    lease::MachineTime,
    outcome::{CompletedStep, Outcome, OutcomeKind},
};

/// The parent span of a batch; none without tracing.
#[derive(Clone, Debug, Default)]
pub struct ParentSpan(Option<SpanContext>);

/// The times of a batch's steps, machine clock.
#[derive(Clone, Copy, Debug)]
pub struct BatchTimestamps {
    /// The cap request was sent.
    pub asked: MachineTime,
    /// The caps answered, and the reserve was sent.
    pub granted: MachineTime,
    /// The ledger answered.
    pub reserved: MachineTime,
}

/// The tracing data of one batch, shared by its mails; none without tracing.
#[derive(Clone, Debug, Default)]
pub struct BatchSpans(Option<Arc<Batch>>);

#[derive(Debug)]
struct Batch {
    tracing: &'static Tracing,
    origin: ParentSpan,
    worker: String,
    mails: usize,
    moments: BatchTimestamps,
    /// The wall-clock time of `moments.reserved`.
    wall: SystemTime,
    /// The span of the batch, created for the first sampled mail.
    span: OnceLock<SpanContext>,
}

/// The data of a mail whose outcome is known.
#[derive(Clone, Copy, Debug)]
pub struct MailSpanData<'a> {
    pub is_reply: bool,
    pub message_id: &'a str,
    pub mailbox: i64,
    pub host: &'a str,
    pub port: u16,
    /// The start of the mail, machine clock.
    pub began: MachineTime,
    pub latency: Duration,
    pub steps: &'a [CompletedStep],
    pub outcome: &'a Outcome,
    /// The span of the mail that this reply answers, as a W3C `traceparent`.
    pub answers: Option<&'a str>,
}

/// The span of a sampled mail, until the mail is settled.
#[derive(Debug)]
pub struct MailSpan {
    batch: Arc<Batch>,
    span: Span,
}

impl ParentSpan {
    /// Returns a parent that refers to `span` as exported.
    pub fn of(span: &tracing::Span) -> ParentSpan {
        let context = span.context().span().span_context().clone();
        ParentSpan(Some(context).filter(SpanContext::is_valid))
    }

    fn context(&self) -> Context {
        self.0.clone().map_or_else(Context::new, |span| Context::new().with_remote_span_context(span))
    }
}

impl BatchSpans {
    /// Returns the tracing data of a batch of `mails` that were just reserved.
    pub fn of(origin: &ParentSpan, worker: &str, mails: usize, moments: BatchTimestamps) -> BatchSpans {
        let batch = |tracing| {
            let (origin, worker) = (origin.clone(), worker.to_owned());
            Arc::new(Batch { tracing, origin, worker, mails, moments, wall: time::now(), span: OnceLock::new() })
        };
        BatchSpans(tracing_with().map(batch))
    }

    /// Creates the spans of a mail up to its outcome. Returns `None` if the mail is not sampled.
    pub fn mail(&self, told: MailSpanData<'_>) -> Option<MailSpan> {
        let batch = self.0.as_ref()?;
        let link = told.answers.and_then(parsed);
        let went_well = matches!(told.outcome.fate, OutcomeKind::Sent | OutcomeKind::Unstarted);
        if !batch.tracing.keep.mail(went_well, link.as_ref().is_some_and(SpanContext::is_sampled), told.message_id) {
            return None;
        }
        let mut span = batch.begin(told, link);
        if !went_well {
            span.set_status(Status::error(told.outcome.reason));
        }
        let trail = MailSpan { batch: Arc::clone(batch), span };
        trail.tell(told);
        Some(trail)
    }
}

impl Batch {
    fn wall(&self, moment: MachineTime) -> SystemTime {
        let reserved = self.moments.reserved;
        if moment < reserved { self.wall - reserved.since(moment) } else { self.wall + moment.since(reserved) }
    }

    /// Returns the span of the batch, and creates it at the first call.
    fn span(&self) -> &SpanContext {
        self.span.get_or_init(|| {
            let attributes = vec![
                KeyValue::new(spans::WORKER, self.worker.clone()),
                KeyValue::new(spans::MAILS, i64::try_from(self.mails).unwrap_or(i64::MAX)),
            ];
            let builder = self.builder(spans::BATCH, self.moments.asked).with_attributes(attributes);
            let mut span = builder.start_with_context(&self.tracing.tracer, &self.origin.context());
            span.end_with_timestamp(self.wall);
            span.span_context().clone()
        })
    }

    fn builder(&self, name: &'static str, from: MachineTime) -> SpanBuilder {
        self.tracing.tracer.span_builder(name).with_start_time(self.wall(from))
    }

    fn begin(&self, told: MailSpanData<'_>, link: Option<SpanContext>) -> Span {
        let name = if told.is_reply { spans::REPLY } else { spans::SEND };
        let builder = self
            .builder(name, self.moments.asked)
            .with_kind(SpanKind::Producer)
            .with_attributes(attributes(told, &self.worker))
            .with_links(link.map(Link::with_context).into_iter().collect());
        let parent = Context::new().with_remote_span_context(self.span().clone());
        builder.start_with_context(&self.tracing.tracer, &parent)
    }
}

fn attributes(told: MailSpanData<'_>, worker: &str) -> Vec<KeyValue> {
    let MailSpanData { outcome, .. } = told;
    let mut attributes = vec![
        KeyValue::new("messaging.system", "smtp"),
        KeyValue::new("messaging.operation.name", "send"),
        KeyValue::new("messaging.message.id", told.message_id.to_owned()),
        KeyValue::new("server.address", told.host.to_owned()),
        KeyValue::new("server.port", i64::from(told.port)),
        KeyValue::new(spans::WORKER, worker.to_owned()),
        KeyValue::new(spans::MAILBOX, told.mailbox),
        KeyValue::new(spans::OUTCOME, outcome.fate.as_str()),
    ];
    if let Some(reply) = &outcome.reply {
        attributes.push(KeyValue::new(spans::SMTP_CODE, i64::from(reply.code)));
        attributes.extend(reply.enhanced_text().map(|code| KeyValue::new(spans::ENHANCED_CODE, code)));
    }
    if outcome.fate != OutcomeKind::Sent {
        attributes.push(KeyValue::new("error.type", outcome.reason));
        attributes.push(KeyValue::new(spans::FAILURE_CLASS, outcome.reason));
        attributes.push(KeyValue::new(spans::FAILURE_STAGE, outcome.stage.as_str()));
    }
    attributes
}

impl MailSpan {
    /// Returns the span as a W3C `traceparent`, to which the reply links.
    pub fn traceparent(&self) -> String {
        let span = self.span.span_context();
        format!("00-{}-{}-{:02x}", span.trace_id(), span.span_id(), span.trace_flags())
    }

    /// Ends the span: the settle was sent at `asked` and completed at `done`.
    pub fn settled(mut self, asked: MachineTime, done: MachineTime) {
        self.step(spans::SETTLE, asked, done, None);
        self.span.end_with_timestamp(self.batch.wall(done));
    }

    /// Adds a span for each step so far, and one for the failed step.
    fn tell(&self, told: MailSpanData<'_>) {
        let BatchTimestamps { asked, granted, reserved } = self.batch.moments;
        self.step("caps", asked, granted, None);
        self.step("reserve", granted, reserved, None);
        let mut from = told.began;
        for passed in told.steps {
            let to = told.began.after(passed.after);
            self.step(passed.step, from, to, passed.code);
            from = to;
        }
        if told.outcome.fate != OutcomeKind::Sent {
            let code = told.outcome.reply.as_ref().map(|reply| reply.code);
            let mut failed = self.child(told.outcome.stage.as_str(), from, code);
            failed.set_status(Status::error(told.outcome.reason));
            failed.end_with_timestamp(self.batch.wall(told.began.after(told.latency)));
        }
    }

    fn step(&self, name: &'static str, from: MachineTime, to: MachineTime, code: Option<u16>) {
        self.child(name, from, code).end_with_timestamp(self.batch.wall(to));
    }

    fn child(&self, name: &'static str, from: MachineTime, code: Option<u16>) -> Span {
        let code = code.map(|code| KeyValue::new(spans::SMTP_CODE, i64::from(code)));
        let builder = self.batch.builder(name, from).with_attributes(code);
        let parent = Context::new().with_remote_span_context(self.span.span_context().clone());
        builder.start_with_context(&self.batch.tracing.tracer, &parent)
    }
}

/// Parses a `traceparent` (W3C Trace Context, section 3.2).
fn parsed(traceparent: &str) -> Option<SpanContext> {
    let carrier = HashMap::from([("traceparent".to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &carrier);
    Some(context.span().span_context().clone()).filter(SpanContext::is_valid)
}
