//! A machine whose day clock is set ahead for a while and then set right, as a real one notices it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use warmup::{domain::lease::MachineTime, ports::Clock};

/// The system clock looks again this often while it sleeps (`adapters/system/clock.rs`).
const LOOK_AGAIN: Duration = Duration::from_secs(5);

pub struct Jumping {
    pub right: Arc<dyn Clock>,
    pub ahead: Mutex<TimeDelta>,
}

impl Jumping {
    pub fn new(right: Arc<dyn Clock>) -> Jumping {
        Jumping { right, ahead: Mutex::new(TimeDelta::zero()) }
    }

    pub fn set_ahead(&self, ahead: TimeDelta) {
        *self.ahead.lock().unwrap() = ahead;
    }
}

#[async_trait]
impl Clock for Jumping {
    fn now(&self) -> DateTime<Utc> {
        self.right.now() + *self.ahead.lock().unwrap()
    }

    fn machine(&self) -> MachineTime {
        self.right.machine()
    }

    /// As a real machine, so that its clock is compared with those of the services.
    fn caps_now(&self) -> Option<i64> {
        None
    }

    async fn sleep_until(&self, at: DateTime<Utc>) {
        while let Ok(left) = (at - self.now()).to_std()
            && !left.is_zero()
        {
            self.right.sleep(left.min(LOOK_AGAIN)).await;
        }
    }

    async fn sleep(&self, time: Duration) {
        self.right.sleep(time).await;
    }
}
