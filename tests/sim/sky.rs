//! The weather over the services of a simulation: whether Redis and Postgres are there at all, for everybody alike.

use std::{sync::Arc, time::Duration};

use warmup::ports::{Clock, Entropy, PortError, entropy::Purpose};

use crate::{link::Service, sign::OrderedWatch};

/// How a service fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    #[default]
    Fair,
    /// Nothing is done.
    Gone,
    /// Requests are lost before anything is done, and nobody can tell.
    RequestsLost,
    /// All is done, and the answers are lost.
    AnswersLost,
    /// Nothing moves until it is over. Who waits longer than its patience hears nothing; Redis does it all the same
    /// afterwards, Postgres has cancelled it by then.
    Paused,
    /// It reads and refuses to write, as a primary that became a standby does.
    ReadOnly,
    /// Every call takes up to so many milliseconds longer.
    Slow(u64),
    /// The connection breaks while the request is under way, and it is done up to so many milliseconds after that.
    DoneLate(u64),
}

/// How long a client waits for an answer: `adapters/redis/pool.rs`, and the server's own limit of `postgres/pool.rs`.
fn patience(service: Service) -> Duration {
    match service {
        Service::Redis => Duration::from_secs(2),
        Service::Postgres => Duration::from_secs(30),
    }
}

/// What a client of a read-only server hears, as `adapters/postgres/classify.rs` sorts it.
pub fn read_only() -> PortError {
    PortError::Unwritable("cannot execute it in a read-only transaction".into())
}

/// See the module.
pub struct ServiceFaults {
    clock: Arc<dyn Clock>,
    dice: Arc<dyn Entropy>,
    redis: Arc<OrderedWatch<Condition>>,
    postgres: Arc<OrderedWatch<Condition>>,
    /// What every way takes at most, there and back, in milliseconds.
    way_ms: u64,
    /// Told of each call that something befell.
    told: Box<dyn Fn(Service, Condition) + Send + Sync>,
}

impl ServiceFaults {
    /// Fair weather, and no time lost on the way.
    pub fn clear(clock: Arc<dyn Clock>, dice: Arc<dyn Entropy>) -> ServiceFaults {
        let (redis, postgres) = (Arc::default(), Arc::default());
        ServiceFaults { clock, dice, redis, postgres, way_ms: 0, told: Box::new(|_, _| {}) }
    }

    /// Where every way takes up to `way_ms` and `told` hears of each call that something befalls.
    pub fn over(self, way_ms: u64, told: impl Fn(Service, Condition) + Send + Sync + 'static) -> ServiceFaults {
        ServiceFaults { way_ms, told: Box::new(told), ..self }
    }

    pub fn set(&self, service: Service, condition: Condition) {
        self.of(service).show(condition);
    }

    fn of(&self, service: Service) -> &Arc<OrderedWatch<Condition>> {
        match service {
            Service::Redis => &self.redis,
            Service::Postgres => &self.postgres,
        }
    }

    /// Asks a service, as the weather allows. `writes` is what a read-only service refuses.
    pub async fn through<T: Send + 'static>(
        &self,
        service: Service,
        writes: bool,
        asked: impl Future<Output = Result<T, PortError>> + Send + 'static,
    ) -> Result<T, PortError> {
        self.take_time(self.way_ms).await;
        let condition = match self.of(service).read() {
            Condition::ReadOnly if !writes => Condition::Fair,
            condition => condition,
        };
        if condition != Condition::Fair {
            (self.told)(service, condition);
        }
        let answer = match condition {
            Condition::Fair => asked.await,
            Condition::Gone => Err(PortError::Unavailable("the service is gone".into())),
            Condition::ReadOnly => Err(read_only()),
            Condition::RequestsLost => Err(PortError::Unknown("the request was lost".into())),
            Condition::AnswersLost => {
                // Whatever came of it, nobody hears.
                let _ = asked.await;
                Err(PortError::Unknown("the answer was lost".into()))
            }
            Condition::Paused => self.wait_for_its_end(service, asked).await,
            Condition::Slow(most) => {
                self.take_time(most).await;
                asked.await
            }
            Condition::DoneLate(most) => {
                let (clock, late) = (Arc::clone(&self.clock), self.roll(most));
                tokio::spawn(async move {
                    clock.sleep(late).await;
                    asked.await.map(drop)
                });
                Err(PortError::Unknown("the connection broke while it was under way".into()))
            }
        };
        self.take_time(self.way_ms).await;
        answer
    }

    async fn wait_for_its_end<T: Send + 'static>(
        &self,
        service: Service,
        asked: impl Future<Output = Result<T, PortError>> + Send + 'static,
    ) -> Result<T, PortError> {
        let condition = Arc::clone(self.of(service));
        let over = async move { condition.wait_for(|now| now != Condition::Paused).await };
        if service == Service::Postgres {
            return tokio::select! {
                biased;
                _ = over => asked.await,
                () = self.clock.sleep(patience(service)) => Err(PortError::Unavailable("canceling statement".into())),
            };
        }
        let answer = tokio::spawn(async move {
            over.await;
            asked.await
        });
        tokio::select! {
            biased;
            answer = answer => answer.expect("a service in memory does not panic"),
            () = self.clock.sleep(patience(service)) => Err(PortError::Unknown("no answer in time".into())),
        }
    }

    async fn take_time(&self, most_ms: u64) {
        if most_ms > 0 {
            self.clock.sleep(self.roll(most_ms)).await;
        }
    }

    fn roll(&self, most_ms: u64) -> Duration {
        Duration::from_millis(self.dice.between(Purpose::SimulatedFaults, 0, 0, most_ms))
    }
}
