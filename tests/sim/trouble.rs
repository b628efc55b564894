//! What fails for all workers of a simulated day at once.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;
use warmup::{
    domain::{
        id::{FleetId, RunId, WorkerId},
        shard::all_shards,
    },
    ports::{LeaseKey, Ledger, MemberStatus, MembershipStore},
    simulation::Fault,
};

use crate::{
    fleet::{SHARDS, Services},
    link::Service,
    sky::Condition,
};

#[derive(Clone, Copy, Debug)]
pub enum Outage {
    Ledger(Fault),
    Caps(Fault),
    Leases(Fault),
    /// Reserves are done and their answers lost; everything else of the ledger answers.
    Reserves,
    /// All leases, members and buckets are lost at the beginning.
    RedisForgets,
    /// The machine is suspended all the while: nothing runs, the clocks go on.
    Asleep,
    /// At the beginning Redis forgets everything, and workers of another fleet, with another database, are there first.
    Strangers,
    /// Each call of Postgres takes up to this many milliseconds longer.
    SlowLedger(u64),
    /// At the beginning the database loses the commits of this many seconds.
    SetBack(i64),
    /// Somebody raises all epochs at the beginning, whose leases these are not.
    EpochsPass,
}

/// Lets all suffer it from `from` to `to`.
pub async fn trouble(services: Services, outage: Outage, from: DateTime<Utc>, to: DateTime<Utc>) {
    let Services { clock, machine, world, caps, leases, ledger, sky, .. } = services;
    let set = |on: bool| match outage {
        Outage::Ledger(fault) => world.set_fault(on.then_some(fault)),
        Outage::Caps(fault) => caps.set_fault(on.then_some(fault)),
        Outage::Leases(fault) => leases.set_fault(on.then_some(fault)),
        Outage::Reserves => ledger.lose_reserves(on),
        Outage::SlowLedger(most_ms) => {
            sky.set(Service::Postgres, if on { Condition::Slow(most_ms) } else { Condition::Fair });
        }
        Outage::RedisForgets if on => {
            caps.lose();
            leases.lose();
        }
        Outage::RedisForgets | Outage::Strangers | Outage::EpochsPass | Outage::Asleep | Outage::SetBack(_) => {}
    };
    if let Outage::SetBack(seconds) = outage {
        clock.sleep_until(from - TimeDelta::seconds(seconds)).await;
        let backup = world.backup();
        clock.sleep_until(from).await;
        return world.restore(&backup);
    }
    clock.sleep_until(from).await;
    if let Outage::Asleep = outage {
        return machine.suspend((to - from).to_std().unwrap());
    }
    if let Outage::EpochsPass = outage {
        let shards = all_shards(SHARDS);
        let epochs = ledger.epochs(&shards).await.unwrap();
        let read: Vec<_> = shards.into_iter().zip(epochs).collect();
        ledger.raise(&WorkerId("stranger".into()), &read).await.unwrap();
    }
    if let Outage::Strangers = outage {
        leases.lose();
        let status = MemberStatus { fleet: FleetId("another".into()), ..MemberStatus::default() };
        leases
            .heartbeat(RunId(Uuid::max()), &status, LeaseKey::Solo, &[], (to - from).to_std().unwrap())
            .await
            .unwrap();
    }
    set(true);
    clock.sleep_until(to).await;
    set(false);
}
