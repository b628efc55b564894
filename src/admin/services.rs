//! `Services` holds the connections and caches from which the API answers: the database, Redis, and the orders
//! of this process.
//!
//! Every part may be unavailable, also when the process starts; a request then fails with the name of the
//! missing part. The API has its own connections, so the worker's statements never wait for requests.

use std::sync::Arc;

use sqlx::PgPool;

use super::{admin_token::AdminToken, fleet_orders::FleetOrders};
use crate::{
    adapters::{from_settings, postgres::pool, redis::RedisObserver, seal::Sealer, smtp::SmtpMailer},
    config::Settings,
    domain::id::WorkerId,
    observe::{liveness::Liveness, meters::SharedMeters},
    ports::{Caps, Clock},
    reporting::{Sources, capacity::CapacityCache, snapshot::SnapshotCache},
};

/// The number of connections to Postgres, and to Redis, for requests. A request uses one for some milliseconds.
const CONNECTIONS: u32 = 4;

/// `Services` is the state from which requests are answered.
pub struct Services {
    pub settings: Arc<Settings>,
    pub database: PgPool,
    /// The statistics snapshot, which answers questions about many mailboxes.
    pub census: SnapshotCache,
    /// The caps that cannot carry the enrolled mailboxes.
    pub capacity: CapacityCache,
    pub clock: Arc<dyn Clock>,
    pub liveness: Arc<Liveness>,
    /// The metrics of this process.
    pub meters: SharedMeters,
    /// The name of the worker of this process.
    pub worker: WorkerId,
    /// The reader of the live workers and the leader.
    pub lookout: RedisObserver,
    /// The orders to the fleet.
    pub control: FleetOrders,
    /// The sealer of passwords that requests bring.
    pub sealer: Arc<Sealer>,
    /// The mailer that tests mailboxes and sends codes.
    pub mailer: Arc<SmtpMailer>,
    /// The caps that grant the mails with codes.
    pub caps: Arc<dyn Caps>,
    /// The token of `WARMUP_ADMIN_TOKEN`.
    pub admin_token: AdminToken,
}

impl Services {
    /// Returns the services of the settings. Connects to no server yet.
    pub fn new(
        settings: &Settings,
        worker: WorkerId,
        clock: Arc<dyn Clock>,
        liveness: Arc<Liveness>,
    ) -> anyhow::Result<Services> {
        let redis = from_settings::redis(settings, CONNECTIONS as usize)?;
        let database = pool::for_requests(settings.require_database()?, CONNECTIONS)?;
        let sealer = Arc::new(Sealer::new(settings.require_master_key()?.expose()));
        let mailer = SmtpMailer::new(from_settings::smtp(settings), sealer.clone(), Arc::clone(&clock))?;
        Ok(Services {
            control: FleetOrders::new(settings, database.clone(), Arc::clone(&clock))?,
            mailer: Arc::new(mailer),
            sealer,
            meters: SharedMeters::default(),
            worker,
            caps: Arc::new(from_settings::limited_caps(settings, redis.clone(), &clock)?),
            lookout: RedisObserver::new(redis, &settings.redis_prefix),
            census: SnapshotCache::for_requests(database.clone(), settings.mailbox_cooldown_max),
            capacity: CapacityCache::default(),
            database,
            admin_token: AdminToken::new(settings),
            settings: Arc::new(settings.clone()),
            clock,
            liveness,
        })
    }

    /// Returns the sources of the fleet's views.
    pub fn sources(&self) -> Sources<'_> {
        let Services { database, census, capacity, lookout, settings, worker, .. } = self;
        let machine = self.clock.machine();
        Sources { pool: database, census, lookout, settings, capacity, machine, worker: &worker.0 }
    }
}
