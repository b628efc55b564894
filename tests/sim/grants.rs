//! The caps, with every grant noted: who got it and when.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use warmup::{
    domain::id::UserId,
    ports::{CapRequest, Caps, Clock, Connection, Grant, PortError},
    simulation::MemoryCaps,
};

pub struct Noted {
    caps: Arc<MemoryCaps>,
    clock: Arc<dyn Clock>,
    grants: Mutex<Vec<(i64, UserId)>>,
}

impl Noted {
    pub fn over(caps: Arc<MemoryCaps>, clock: Arc<dyn Clock>) -> Noted {
        Noted { caps, clock, grants: Mutex::default() }
    }

    /// All grants so far, in order, in microseconds since the epoch.
    pub fn grants(&self) -> Vec<(i64, UserId)> {
        self.grants.lock().unwrap().clone()
    }
}

#[async_trait]
impl Caps for Noted {
    async fn grant(
        &self,
        now: Option<i64>,
        asks: &[CapRequest],
        closed: &[Connection],
    ) -> Result<Vec<Grant>, PortError> {
        let answer = self.caps.grant(now, asks, closed).await?;
        let granted = answer.iter().zip(asks).filter(|(grant, _)| matches!(grant, Grant::Granted));
        self.grants.lock().unwrap().extend(granted.map(|(_, ask)| (self.clock.now().timestamp_micros(), ask.user)));
        Ok(answer)
    }

    fn counts_connections(&self, host: &str) -> bool {
        self.caps.counts_connections(host)
    }
}
