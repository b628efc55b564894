//! What the API answers from: the database, Redis, and the orders of this process. Every part may be away, also when the
//! process starts; whoever asks then is told what is missing.
//!
//! Its connections are its own: however many ask, the worker's statements wait for none of theirs.

use std::sync::Arc;

use secrecy::ExposeSecret;
use sqlx::PgPool;

use crate::{
    adapters::postgres::pool, config::Settings, domain::token::TokenHash, observe::liveness::Liveness, ports::Clock,
};

/// Connections to Postgres for requests. A request holds one for some milliseconds.
const CONNECTIONS: u32 = 4;

/// What requests are answered from.
pub struct Desk {
    pub settings: Arc<Settings>,
    pub database: PgPool,
    pub clock: Arc<dyn Clock>,
    pub liveness: Arc<Liveness>,
    /// Of `WARMUP_ADMIN_TOKEN`.
    pub admin_token: Option<TokenHash>,
}

impl Desk {
    /// Makes a desk. Connects to nothing yet.
    pub fn new(settings: &Settings, clock: Arc<dyn Clock>, liveness: Arc<Liveness>) -> anyhow::Result<Desk> {
        Ok(Desk {
            database: pool::for_requests(settings.require_database()?, CONNECTIONS)?,
            admin_token: settings.admin_token.as_ref().map(|token| TokenHash::of(token.expose_secret())),
            settings: Arc::new(settings.clone()),
            clock,
            liveness,
        })
    }
}
