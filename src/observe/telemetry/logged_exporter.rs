//! `LoggedExporter` exports spans and logs a failure once. The SDK logs each attempt, under targets that the
//! default filter omits.

use std::time::Duration;

use opentelemetry_otlp::SpanExporter as Otlp;
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{SpanData, SpanExporter},
};

use super::failure_log::FailureLog;

#[derive(Debug)]
pub(super) struct LoggedExporter {
    exporter: Otlp,
    complaint: FailureLog,
}

impl LoggedExporter {
    pub(super) fn of(exporter: Otlp) -> LoggedExporter {
        LoggedExporter { exporter, complaint: FailureLog::of("traces") }
    }
}

impl SpanExporter for LoggedExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exported = self.exporter.export(batch).await;
        self.complaint.note(&exported);
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
