//! What the API answers from: the database, Redis, and the orders of this process. Every part may be away, also when the
//! process starts; whoever asks then is told what is missing.
//!
//! Its connections are its own: however many ask, the worker's statements wait for none of theirs.

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

/// Connections to Postgres, and to Redis, for requests. A request holds one for some milliseconds.
const CONNECTIONS: u32 = 4;

/// What requests are answered from.
pub struct Services {
    pub settings: Arc<Settings>,
    pub database: PgPool,
    /// What is told of many mailboxes.
    pub census: SnapshotCache,
    /// Caps that cannot carry the enrolled mailboxes.
    pub capacity: CapacityCache,
    pub clock: Arc<dyn Clock>,
    pub liveness: Arc<Liveness>,
    /// What this process counts of itself.
    pub meters: SharedMeters,
    /// The worker of this process.
    pub worker: WorkerId,
    /// Who lives and who leads.
    pub lookout: RedisObserver,
    /// Gives orders to the fleet.
    pub control: FleetOrders,
    /// Seals the passwords that come in.
    pub sealer: Arc<Sealer>,
    /// Tries mailboxes out, and sends codes.
    pub mailer: Arc<SmtpMailer>,
    /// Grants the mails with codes.
    pub caps: Arc<dyn Caps>,
    /// Of `WARMUP_ADMIN_TOKEN`.
    pub admin_token: AdminToken,
}

impl Services {
    /// Makes a desk. Connects to nothing yet.
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

    /// What the views of the fleet are read from.
    pub fn sources(&self) -> Sources<'_> {
        let Services { database, census, capacity, lookout, settings, worker, .. } = self;
        let machine = self.clock.machine();
        Sources { pool: database, census, lookout, settings, capacity, machine, worker: &worker.0 }
    }
}
