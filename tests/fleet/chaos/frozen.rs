//! A worker that sleeps past its lease and wakes up in the middle of what it was doing.

use std::{collections::BTreeSet, time::Duration};

use super::{
    record,
    world::{LANES, LEASE_TTL, World, now},
};

/// Longer than a lease, and long enough for its mails to be swept by those who took its shards.
const SLEEP: Duration = Duration::from_secs(LEASE_TTL.as_secs() + 5);

const ASLEEP: &str = "worker-2";

/// Reservations after $1 by a run that had its shard under an epoch that had passed at $1; there is none by the trigger's
/// own look at the epoch, and none by what stood when the worker woke up.
const UNDER_THE_OLD: &str = "
    SELECT count(*) FROM chaos_reserved r JOIN unnest($2::int[], $3::bigint[]) AS stood (shard, epoch) USING (shard)
    WHERE r.at > $1 AND r.worker_id = 'worker-2' AND r.epoch < stood.epoch";

pub async fn a_worker_that_slept_past_its_lease_reserves_nothing_under_the_old_epoch() {
    let mut world = World::at_work().await;

    world.freeze(ASLEEP).await;
    let frozen = now();
    let before: BTreeSet<String> = record::shards_of_mails(world.pool()).await.unwrap().into_keys().collect();
    world.send_again_as_promised(frozen).await;
    tokio::time::sleep(SLEEP.saturating_sub(frozen.elapsed())).await;
    let (shards, epochs): (Vec<i32>, Vec<i64>) = record::epochs(world.pool()).await.into_iter().unzip();
    let woken: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(world.pool()).await.unwrap();
    let awake = now();
    world.thaw(ASLEEP);

    world.send_again_as_promised(awake).await;
    world.share_evenly().await;
    let stale = sqlx::query_scalar::<_, i64>(UNDER_THE_OLD).bind(woken).bind(shards).bind(epochs);
    assert_eq!(stale.fetch_one(world.pool()).await.unwrap(), 0);
    let late = world.host.journal().into_iter().filter(|(at, id)| *at > awake && before.contains(id)).count();
    assert!(late <= LANES, "{late} mails of before arrived after it woke up");
    assert!(world.worker(ASLEEP).running.said().contains("lost shards"));
    world.assert_whole().await;
}
