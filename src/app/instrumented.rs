//! This module wraps the ports of a worker with meters. Each wrapper calls the real port and counts the result.
//!
//! The worker itself needs no knowledge of meters, and every call through a wrapped port is counted. The
//! wrappers are in `instrumented/`, one file per port.

mod caps;
mod ledger;
mod mailboxes;
mod mailer;
mod members;

use std::{future::Future, sync::Arc, time::Duration};

use chrono::TimeDelta;
use tracing::{Instrument, Span};

use crate::{
    app::credentials::PATIENCE,
    observe::{
        access::Server,
        liveness::Liveness,
        meters::{Call, CallError, Meters, ServerLabel, SharedMeters},
        spans,
    },
    ports::{Clock, PortError},
    worker::Ports,
};

/// Wraps `ports` of a worker that ticks every `tick_interval`.
pub(super) fn metered(ports: Ports, meters: &SharedMeters, liveness: &Arc<Liveness>, tick_interval: Duration) -> Ports {
    let interval = TimeDelta::from_std(tick_interval).unwrap_or(TimeDelta::MAX);
    let meter =
        || Meter { meters: Arc::clone(meters), liveness: Arc::clone(liveness), clock: Arc::clone(&ports.clock) };
    Ports {
        caps: Arc::new(caps::InstrumentedCaps { inner: Arc::clone(&ports.caps), meter: meter() }),
        ledger: Arc::new(ledger::InstrumentedLedger { inner: Arc::clone(&ports.ledger), meter: meter() }),
        mailboxes: Arc::new(mailboxes::InstrumentedPlanningStore::new(Arc::clone(&ports.mailboxes), meter(), interval)),
        mailer: Arc::new(mailer::InstrumentedMailer { inner: Arc::clone(&ports.mailer), meter: meter() }),
        members: Arc::new(members::InstrumentedMembership { inner: Arc::clone(&ports.members), meter: meter() }),
        leases: Arc::new(members::MeteredLeases { inner: Arc::clone(&ports.leases), meter: meter() }),
        ..ports
    }
}

/// A `Meter` holds the meters, the liveness and the clock that the wrappers share.
struct Meter {
    meters: SharedMeters,
    liveness: Arc<Liveness>,
    clock: Arc<dyn Clock>,
}

/// The service that a call uses.
#[derive(Clone, Copy)]
enum Service {
    Postgres,
    Redis,
}

impl Service {
    fn server(self) -> Server {
        match self {
            Service::Postgres => Server::Postgres,
            Service::Redis => Server::Redis,
        }
    }

    /// Returns the span of a call; none if the call is not part of a traced operation.
    fn span(self, call: &'static str) -> Span {
        if Span::current().is_none() {
            return Span::none();
        }
        let system = match self {
            Service::Postgres => "postgresql",
            Service::Redis => "redis",
        };
        tracing::info_span!(
            target: spans::TARGET,
            "statement",
            otel.name = call,
            otel.kind = "client",
            db.system.name = system,
            db.operation.name = call,
        )
    }
}

impl Meter {
    /// Times a call, and counts it if it fails.
    async fn timed<T>(
        &self,
        service: Service,
        call: &'static str,
        asking: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        let Meters { postgres, postgres_errors, redis, redis_errors, .. } = &*self.meters;
        let (calls, errors) = match service {
            Service::Postgres => (postgres, postgres_errors),
            Service::Redis => (redis, redis_errors),
        };
        let asked = self.clock.machine();
        let answer = asking.instrument(service.span(call)).await;
        calls.get_or_create(&Call { call }).observe(self.clock.machine().since(asked).as_secs_f64());
        match &answer {
            Ok(_) => self.liveness.access.record_success(service.server()),
            Err(PortError::Denied(error)) => self.note_denial(service.server(), error),
            Err(_) => {}
        }
        if let Err(error) = &answer {
            errors.get_or_create(&CallError { call, error: error.kind() }).inc();
        }
        answer
    }

    /// Counts a call that the server refused because of the credentials, and warns at the first one.
    fn note_denial(&self, server: Server, error: &str) {
        self.meters.credentials_refused.get_or_create(&ServerLabel { server: server.as_str() }).inc();
        if self.liveness.access.record_refusal(server, self.clock.machine()) {
            tracing::warn!(
                error,
                "{server} refuses the user or the password in {}: without one success this worker stops in {} s",
                server.setting(),
                PATIENCE.as_secs()
            );
        }
    }
}
