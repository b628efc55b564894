//! What must hold of the ledger at every moment, and what must hold at its end against the mail host's own journal.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use sqlx::PgPool;
use tokio::task::JoinHandle;

use super::host::Arrival;

/// One statement, so one moment: mailboxes over their quota, or whose places, counters and rows disagree.
const WRONG: &str = "
    SELECT count(*) FROM mailbox_days d
    LEFT JOIN (SELECT mailbox_id, day, count(*) AS n FROM in_flight WHERE answers IS NULL GROUP BY 1, 2) f USING (mailbox_id, day)
    LEFT JOIN (
        SELECT mailbox_id, day, count(*) FILTER (WHERE status = 'SENT') AS sent,
               count(*) FILTER (WHERE reason = 'uncertain' AND answers IS NULL) AS uncertain,
               count(*) FILTER (WHERE reason <> 'uncertain' OR reason = 'uncertain' AND answers > 0) AS failed
        FROM logs GROUP BY 1, 2
    ) l USING (mailbox_id, day)
    WHERE d.reserved > d.quota OR d.sent + d.uncertain > d.quota
       OR d.reserved <> d.sent + d.uncertain + coalesce(f.n, 0)
       OR (d.sent, d.uncertain, d.failed)
          IS DISTINCT FROM (coalesce(l.sent, 0), coalesce(l.uncertain, 0), coalesce(l.failed, 0))";

/// Asks over and over whether the ledger holds, until it is told to stop.
pub struct Watch(JoinHandle<()>);

impl Watch {
    pub fn over(pool: &PgPool) -> Watch {
        let pool = pool.clone();
        Watch(tokio::spawn(async move {
            loop {
                // While a test has the database away there is nothing to see.
                if let Ok(wrong) = sqlx::query_scalar::<_, i64>(WRONG).fetch_one(&pool).await {
                    assert_eq!(wrong, 0, "mailboxes whose quota or sums do not hold at this moment");
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }))
    }

    /// Ends the watch; fails the test if something was wrong meanwhile.
    pub async fn end(self) {
        self.0.abort();
        if let Err(error) = self.0.await {
            assert!(error.is_cancelled(), "the ledger was wrong at some moment: {error}");
        }
    }
}

/// What became of every mail that was ever reserved.
pub struct Ledger {
    pub sent: HashSet<String>,
    pub uncertain: HashSet<String>,
    pub failed: HashSet<String>,
}

impl Ledger {
    pub async fn read(pool: &PgPool) -> Ledger {
        let rows: Vec<(String, String, Option<String>)> =
            sqlx::query_as("SELECT message_id, status, reason FROM logs").fetch_all(pool).await.expect("it runs");
        let mut ledger = Ledger { sent: HashSet::new(), uncertain: HashSet::new(), failed: HashSet::new() };
        let mut seen = HashMap::new();
        for (id, status, reason) in rows {
            assert!(seen.insert(id.clone(), ()).is_none(), "{id} has two rows");
            match (status.as_str(), reason.as_deref()) {
                ("SENT" | "REPLIED", _) => ledger.sent.insert(id),
                (_, Some("uncertain")) => ledger.uncertain.insert(id),
                _ => ledger.failed.insert(id),
            };
        }
        ledger
    }

    /// Holds the ledger against what the host took: nothing twice, nothing lost, nothing invented.
    pub fn assert_tells(&self, journal: &[Arrival]) {
        let mut arrived = HashSet::new();
        for arrival in journal {
            let id = &arrival.message_id;
            assert!(arrived.insert(id), "{id} was submitted twice");
            assert!(self.sent.contains(id) || self.uncertain.contains(id), "{id} arrived and has no row that counts");
        }
        for id in &self.sent {
            assert!(arrived.contains(id), "{id} is SENT and never arrived");
        }
        assert!(arrived.len() <= self.sent.len() + self.uncertain.len());
    }
}

pub async fn in_flight(pool: &PgPool) -> i64 {
    number(pool, "SELECT count(*) FROM in_flight").await
}

/// Places that the ledger counts as taken.
pub async fn reserved(pool: &PgPool) -> i64 {
    number(pool, "SELECT coalesce(sum(reserved), 0) FROM mailbox_days").await
}

pub async fn number(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.expect("the database answers")
}

/// Asserts that every sum of the ledger holds right now.
pub async fn assert_sums(pool: &PgPool) {
    assert_eq!(number(pool, WRONG).await, 0, "mailboxes whose quota or sums do not hold");
}

/// How many statements of a worker wait for a lock.
pub async fn waiting_for_locks(pool: &PgPool) -> i64 {
    const WAITING: &str = "SELECT count(*) FROM pg_stat_activity
        WHERE application_name = 'warmup' AND datname = current_database() AND wait_event_type = 'Lock'";
    number(pool, WAITING).await
}
