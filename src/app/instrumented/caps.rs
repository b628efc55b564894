//! `InstrumentedCaps` counts grants, and refusals by cap.

use std::sync::Arc;

use async_trait::async_trait;

use super::{Meter, Service};
use crate::{
    observe::meters::Cap,
    ports::{CapRequest, Caps, Connection, Grant, PortError},
};

pub(super) struct InstrumentedCaps {
    pub(super) inner: Arc<dyn Caps>,
    pub(super) meter: Meter,
}

#[async_trait]
impl Caps for InstrumentedCaps {
    async fn grant(
        &self,
        now: Option<i64>,
        asks: &[CapRequest],
        closed: &[Connection],
    ) -> Result<Vec<Grant>, PortError> {
        let grants = self.meter.timed(Service::Redis, "grant", self.inner.grant(now, asks, closed)).await?;
        for grant in &grants {
            match grant {
                Grant::Granted => self.meter.meters.granted.inc(),
                Grant::Refused { cap, .. } => self.meter.meters.capped.get_or_create(&Cap { cap: cap.as_str() }).inc(),
            };
        }
        Ok(grants)
    }

    fn counts_connections(&self, host: &str) -> bool {
        self.inner.counts_connections(host)
    }
}
