//! `OtelEnv` reads the OpenTelemetry variables of one signal. The signal's own variable
//! (`OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`) takes precedence over the common one
//! (`OTEL_EXPORTER_OTLP_ENDPOINT`).

use std::collections::BTreeMap;

use super::{TelemetryError, fault};

/// The kind of exported data.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

/// The protocol of an exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    HttpProtobuf,
}

/// The environment as one signal reads it.
#[derive(Clone, Copy)]
pub(super) struct OtelEnv<'a> {
    vars: &'a BTreeMap<String, String>,
    signal: Signal,
}

impl<'a> OtelEnv<'a> {
    pub(super) fn of(vars: &'a BTreeMap<String, String>, signal: Signal) -> OtelEnv<'a> {
        OtelEnv { vars, signal }
    }

    /// Returns the value of a variable; a blank value counts as unset.
    pub(super) fn read(&self, name: &str) -> Option<&'a str> {
        self.vars.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// Returns the name and value of the signal's own variable with this ending.
    pub(super) fn own(&self, end: &str) -> Option<(String, &'a str)> {
        let name = format!("OTEL_EXPORTER_OTLP_{}_{end}", self.signal.word());
        self.read(&name).map(|value| (name, value))
    }

    /// Returns the signal's own variable with this ending, or else the common one.
    pub(super) fn either(&self, end: &str) -> Option<(String, &'a str)> {
        let all = format!("OTEL_EXPORTER_OTLP_{end}");
        self.own(end).or_else(|| self.read(&all).map(|value| (all, value)))
    }

    /// Returns the protocol of the export, or `None` if the signal is not exported.
    pub(super) fn protocol(&self) -> Result<Option<Protocol>, TelemetryError> {
        let off = self.read("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        if off || self.either("ENDPOINT").is_none() {
            return Ok(None);
        }
        let exporter = format!("OTEL_{}_EXPORTER", self.signal.word());
        match self.read(&exporter) {
            None | Some("otlp") => {}
            Some("none") => return Ok(None),
            Some(other) => return Err(fault(exporter, other, "this program exports by otlp, or by none")),
        }
        match self.either("PROTOCOL") {
            None => Ok(Some(Protocol::HttpProtobuf)),
            Some((_, "http/protobuf")) => Ok(Some(Protocol::HttpProtobuf)),
            Some((_, "grpc")) => Ok(Some(Protocol::Grpc)),
            Some((name, value)) => Err(fault(name, value, "this program speaks grpc and http/protobuf")),
        }
    }
}

impl Signal {
    fn word(self) -> &'static str {
        match self {
            Signal::Traces => "TRACES",
            Signal::Metrics => "METRICS",
        }
    }
}
