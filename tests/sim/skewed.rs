//! A machine whose clock is off, beside others whose clocks are right.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use warmup::{domain::lease::MachineTime, ports::Clock};

/// Shows another day time than the fleet's; its machine clock goes as everybody's.
pub struct Skewed {
    pub right: Arc<dyn Clock>,
    pub ahead: TimeDelta,
}

#[async_trait]
impl Clock for Skewed {
    fn now(&self) -> DateTime<Utc> {
        self.right.now() + self.ahead
    }

    fn machine(&self) -> MachineTime {
        self.right.machine()
    }

    /// As a real machine does, so that its clock is compared with the service's.
    fn caps_now(&self) -> Option<i64> {
        None
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        self.right.sleep_until(at - self.ahead).await;
    }

    async fn pause(&self, time: Duration) {
        self.right.pause(time).await;
    }
}
