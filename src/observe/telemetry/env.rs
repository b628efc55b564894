//! What the environment asks of one signal: by the variables of OpenTelemetry's exporter, of which the signal's own
//! (`OTEL_EXPORTER_OTLP_METRICS_ENDPOINT`) goes before that of all (`OTEL_EXPORTER_OTLP_ENDPOINT`).

use std::collections::BTreeMap;

use super::{TelemetryError, fault};

/// What is exported.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

/// How an exporter speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    HttpProtobuf,
}

/// The environment, asked on behalf of one signal.
#[derive(Clone, Copy)]
pub(super) struct OtelEnv<'a> {
    vars: &'a BTreeMap<String, String>,
    signal: Signal,
}

impl<'a> OtelEnv<'a> {
    pub(super) fn of(vars: &'a BTreeMap<String, String>, signal: Signal) -> OtelEnv<'a> {
        OtelEnv { vars, signal }
    }

    /// What a variable says; one that is blank says nothing.
    pub(super) fn read(&self, name: &str) -> Option<&'a str> {
        self.vars.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The signal's own variable that ends so, with what it says.
    pub(super) fn own(&self, end: &str) -> Option<(String, &'a str)> {
        let name = format!("OTEL_EXPORTER_OTLP_{}_{end}", self.signal.word());
        self.read(&name).map(|value| (name, value))
    }

    /// The same, or else the one of all signals.
    pub(super) fn either(&self, end: &str) -> Option<(String, &'a str)> {
        let all = format!("OTEL_EXPORTER_OTLP_{end}");
        self.own(end).or_else(|| self.read(&all).map(|value| (all, value)))
    }

    /// How it is to be exported; `None` where it is not.
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
