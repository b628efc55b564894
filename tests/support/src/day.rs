//! This module runs one compressed day in this process, through the production path. It imports a CSV and
//! runs `serve` with its real adapters on a private Postgres and Redis. At the end of the day it stops `serve`
//! in order. Only the day clock differs from the machine's.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use tokio_util::sync::CancellationToken;
use warmup::{
    adapters::{
        postgres::migrate,
        seal::Sealer,
        system::{SeededRng, SystemClock},
    },
    admin::import,
    app::serve,
    config::Settings,
    demo::audit::Snapshot,
    domain::enrolment::Rules,
    observe::telemetry::Telemetry,
    ports::Clock,
    worker::DrainReport,
};

use crate::world::{self, TestDatabase, TestRedis};

/// A key of 32 bytes in the format of `WARMUP_MASTER_KEY`.
pub const MASTER_KEY: &str = "d2FybXVwIHRlc3QgbWFzdGVyIGtleSwgMzIgYnl0ZXM=";

/// The date of the run, a Tuesday.
pub const DATE: NaiveDate = NaiveDate::from_ymd_opt(2026, 11, 24).expect("a date that exists");

/// A day to run. All times are UTC, which is also the zone of mailboxes without one in the CSV.
pub struct Plan {
    csv: String,
    settings: BTreeMap<String, String>,
    begins: NaiveTime,
    ends: NaiveTime,
    speed: f64,
    /// The statements that run after the import.
    statements: Vec<&'static str>,
}

/// A finished day, with the services that hold its results.
pub struct Day {
    pub report: DrainReport,
    pub snapshot: Snapshot,
    pub database: TestDatabase,
    pub redis: TestRedis,
}

impl Plan {
    /// Plans the mailboxes of `csv` from 08:45 to 17:15, 510 times as fast: one minute. Mail hosts may be on
    /// this machine.
    pub fn of(csv: String) -> Plan {
        let settings = [
            ("WARMUP_MASTER_KEY", MASTER_KEY),
            ("WARMUP_ALLOW_PRIVATE_HOSTS", "true"),
            ("WARMUP_HTTP_ADDR", "127.0.0.1:0"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Plan {
            csv,
            settings: settings.into(),
            begins: time(8, 45),
            ends: time(17, 15),
            speed: 510.0,
            statements: Vec::new(),
        }
    }

    /// Sets a setting as the environment does.
    pub fn with(mut self, name: &str, value: impl ToString) -> Plan {
        self.settings.insert(name.to_owned(), value.to_string());
        self
    }

    /// Runs a statement on the imported data, before the day begins.
    pub fn then(mut self, statement: &'static str) -> Plan {
        self.statements.push(statement);
        self
    }

    /// Runs the day clock `speed` times as fast as the machine's.
    pub fn speed(self, speed: f64) -> Plan {
        Plan { speed, ..self }
    }

    /// Stops the worker at another time than 17:15.
    pub fn until(self, hour: u32, minute: u32) -> Plan {
        Plan { ends: time(hour, minute), ..self }
    }

    /// Imports the mailboxes, works until the day clock reaches the end, stops in order, and reads the
    /// ledger.
    pub async fn run(mut self) -> Day {
        let (database, redis) = tokio::join!(world::postgres(), world::redis());
        self.settings.insert("DATABASE_URL".to_owned(), database.url().to_owned());
        self.settings.insert("REDIS_URL".to_owned(), redis.url());
        let (settings, _) = Settings::from_vars(&self.settings).expect("the test's settings are sound");
        let (begins, ends) = (DATE.and_time(self.begins).and_utc(), DATE.and_time(self.ends).and_utc());
        migrate::migrate(database.pool(), settings.shards, begins)
            .await
            .expect("a fresh copy of the template migrates");
        import_csv(&database, &settings, &self.csv, begins).await;
        for statement in &self.statements {
            sqlx::raw_sql(*statement).execute(database.pool()).await.expect("the test's statement is sound");
        }
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::scaled(begins, self.speed));
        let stop = CancellationToken::new();
        let off = Telemetry::default();
        let serving =
            serve::serve(&settings, &off, Arc::clone(&clock), Arc::new(SeededRng::seeded(1)), |_| {}, stop.clone());
        let ending = async {
            clock.sleep_until(ends).await;
            stop.cancel();
        };
        let (report, ()) = tokio::join!(serving, ending);
        let report = report.expect("the worker starts, and stops in order");
        let snapshot = Snapshot::read(database.pool(), DATE).await.expect("the ledger is there");
        Day { report, snapshot, database, redis }
    }
}

/// Imports `csv` as `warmup mailbox import` does.
pub async fn import_csv(database: &TestDatabase, settings: &Settings, csv: &str, now: DateTime<Utc>) {
    let sealer = Sealer::new(settings.require_master_key().expect("the master key is set").expose());
    let options = import::Options { now, dry_run: false, progress: &|_, _| {} };
    let imported = import::import(database.pool(), &sealer, &Rules::from(settings), csv.as_bytes(), &options).await;
    imported.expect("the test's CSV is sound");
}

fn time(hour: u32, minute: u32) -> NaiveTime {
    NaiveTime::from_hms_opt(hour, minute, 0).expect("a time of day that exists")
}
