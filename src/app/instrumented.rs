//! The ports of a worker, counted: each asks the real one and notes what came of it. So the worker itself knows nothing of
//! meters, and nothing that goes through a port is forgotten.

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

/// Puts meters around `ports` of a worker that ticks at this interval.
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

/// The meters and the clock by which they time.
struct Meter {
    meters: SharedMeters,
    liveness: Arc<Liveness>,
    clock: Arc<dyn Clock>,
}

/// Which service is asked.
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

    /// The span of a call that is part of something that has one.
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
    /// Times a call, and counts it when it fails.
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

    /// Notes a call that was refused for the credentials.
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
