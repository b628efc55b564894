//! What must hold after anything that was done to a fleet, and while it is done.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use sqlx::PgPool;
use tokio::task::JoinHandle;
use warmup_support::{rolling::assert_never_more, world::eventually};

use super::world::{GLOBAL_MINUTE, LANES, PATIENCE, USER_MINUTE, WORKERS, World, thread};
use crate::truth::{broken, look};

const MINUTE_MICROS: i64 = 60_000_000;

/// How often the numbers are looked at while things break.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often ticks are asked for until the last orphan is old enough for a sweep.
const SWEEP_EVERY: Duration = Duration::from_secs(2);

/// Looks at the numbers all the time, from its making on.
pub struct Watch {
    seen: Arc<Mutex<(usize, Vec<String>)>>,
    looking: JoinHandle<()>,
}

impl Watch {
    pub fn over(pool: PgPool) -> Watch {
        let seen = Arc::new(Mutex::new((0, Vec::new())));
        let sees = Arc::clone(&seen);
        let looking = tokio::spawn(async move {
            loop {
                // A Postgres that is away says nothing.
                if let Ok(broken) = look(&pool).await {
                    let mut seen = sees.lock().unwrap();
                    seen.0 += 1;
                    seen.1.extend(broken);
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Watch { seen, looking }
    }

    fn assert_never_broken(&self) {
        let (looks, broken) = self.seen.lock().unwrap().clone();
        assert!(looks > 20, "the numbers were looked at {looks} times");
        assert_eq!(broken, [""; 0]);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.looking.abort();
    }
}

/// How all that was ever sent has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    pub sent: usize,
    pub failed: usize,
    pub uncertain: usize,
}

impl World {
    /// Ends the fleet in order, and asserts that nothing was lost, doubled, or sent beyond a quota or a cap.
    pub async fn assert_whole(mut self) -> Ends {
        self.sweep_orphans().await;
        self.order(&["stop"]).await;
        let pool = self.pool().clone();
        eventually(PATIENCE, async || in_flight(&pool).await == 0).await;
        for worker in std::mem::take(&mut self.workers) {
            worker.running.stop().await;
        }
        assert_eq!(self.holders().await, BTreeMap::new(), "all was given back");
        self.watch.assert_never_broken();
        assert_eq!(broken(&pool).await, [""; 0]);
        let ends = self.assert_each_mail_ended_once(&pool).await;
        self.assert_fenced(&pool).await;
        self.assert_caps().await;
        let most = LANES * self.touched.len();
        assert!(ends.uncertain <= most, "{ends:?}: {most} may be uncertain");
        println!("{}: {ends:?}, {} may be uncertain", thread(), most);
        ends
    }

    /// Waits until nobody's mails are left on their way: what the dead had is swept at a tick.
    async fn sweep_orphans(&self) {
        const OLD: &str = "SELECT count(*) FROM in_flight WHERE reserved_at < clock_timestamp() - interval '8 s'";
        let swept = async {
            while sqlx::query_scalar::<_, i64>(OLD).fetch_one(self.pool()).await.unwrap() > 0 {
                self.order(&["trigger"]).await;
                tokio::time::sleep(SWEEP_EVERY).await;
            }
        };
        let swept = tokio::time::timeout(PATIENCE, swept).await;
        assert!(swept.is_ok(), "mails of the dead are on their way for ever: {}", self.told().await);
    }

    async fn assert_each_mail_ended_once(&self, pool: &PgPool) -> Ends {
        let rows: Vec<(String, String, Option<String>)> =
            sqlx::query_as("SELECT trim(BOTH '<>' FROM message_id), status, reason FROM logs")
                .fetch_all(pool)
                .await
                .unwrap();
        let logged: BTreeMap<&str, _> =
            rows.iter().map(|(id, status, reason)| (id.as_str(), (status, reason))).collect();
        assert_eq!(logged.len(), rows.len(), "one row a mail");
        let journal = self.host.message_ids();
        let arrived: BTreeSet<&str> = journal.iter().map(String::as_str).collect();
        assert_eq!(arrived.len(), journal.len(), "no Message-ID twice at the host");
        let is_uncertain = |reason: &Option<String>| reason.as_deref() == Some("uncertain");
        let mut ends = Ends { sent: 0, failed: 0, uncertain: 0 };
        for (id, (status, reason)) in &logged {
            match status.as_str() {
                "FAILED" if is_uncertain(reason) => ends.uncertain += 1,
                "FAILED" => {
                    assert!(!arrived.contains(id), "{id} failed ({reason:?}) and arrived");
                    ends.failed += 1;
                }
                _ => {
                    assert!(arrived.contains(id), "{id} is {status} and never arrived");
                    ends.sent += 1;
                }
            }
        }
        let unknown: Vec<_> = arrived.iter().filter(|id| !logged.contains_key(*id)).collect();
        assert_eq!(unknown, [&""; 0], "what arrived has its row");
        ends
    }

    /// No reservation was made under an epoch that had passed.
    async fn assert_fenced(&self, pool: &PgPool) {
        const STALE: &str = "SELECT count(*) FROM chaos_reserved WHERE epoch IS DISTINCT FROM stands";
        assert_eq!(sqlx::query_scalar::<_, i64>(STALE).fetch_one(pool).await.unwrap(), 0);
    }

    /// Exactly over the instants of the grants; at the host, where a mail comes later than its grant, within lanes.
    async fn assert_caps(&self) {
        let granted = self.grants.instants();
        for (key, instants) in &granted {
            let limit = if key.contains(":global_minute") { GLOBAL_MINUTE } else { USER_MINUTE };
            assert_never_more(instants, limit, MINUTE_MICROS);
        }
        let all = granted.iter().find(|(key, _)| key.contains(":global_minute")).map_or(0, |(_, all)| all.len());
        let arrived = self.host.journal();
        assert!(all >= arrived.len(), "{all} grants for {} mails", arrived.len());
        let first = arrived[0].0;
        let instants: Vec<i64> = arrived.iter().map(|(at, _)| (*at - first).as_micros() as i64).collect();
        assert_never_more(&instants, GLOBAL_MINUTE + (WORKERS * LANES) as u32, MINUTE_MICROS);
    }
}

async fn in_flight(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM in_flight").fetch_one(pool).await.unwrap()
}
