//! A mailbox that a user enrolled receives from other owners once it read a code back, and not before.

use std::{fmt::Write, time::Duration};

use sqlx::PgPool;
use warmup_support::{
    smtp::{FaultyHost, Script},
    world::{eventually, postgres, redis},
};

use crate::{
    process::{Fleet, late_zone},
    truth::broken,
};

/// Far more than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// Mails of other owners' mailboxes to it.
async fn mails_to_ann(pool: &PgPool) -> i64 {
    let query = "SELECT count(*) FROM logs WHERE recipient = 'ann@own.test' AND status <> 'REPLIED'";
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

fn code(host: &FaultyHost) -> String {
    let is_code = |line: &&str| line.len() == 14 && [4, 9].iter().all(|place| line.as_bytes()[*place] == b'-');
    host.heard().lines().map(str::trim).rfind(is_code).expect("the host took a code").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_that_read_its_code_back_receives_from_other_owners_and_not_before() {
    let (database, cache, host) = (postgres().await, redis().await, FaultyHost::start(Script::usual()).await);
    let (pool, zone, port) = (database.pool(), late_zone(), host.port());
    let mut csv =
        "email,password,smtp_host,smtp_port,smtp_security,user,timezone,window,ramp_start,daily_max,reply_rate\n"
            .to_owned();
    let mut add = |email: &str, user: &str, quota: u16| {
        writeln!(csv, "{email},secret,127.0.0.1,{port},none,{user},{zone},00:00-24:00,{quota},{quota},0").unwrap();
    };
    (0..4).for_each(|n| add(&format!("box{n}@ben.test"), "ben@y.test", 20));
    add("box@op.test", "", 1);
    add("ann@own.test", "ann@x.test", 20);
    let fleet = Fleet::with(database.url(), &cache, &csv, &[]).await;
    // As a user enrols it.
    sqlx::query("UPDATE mailboxes SET verified_by = NULL WHERE email = 'ann@own.test'").execute(pool).await.unwrap();
    let status = fleet.command(&["status"], "").await;
    assert!(
        status.contains("unverified 1 mailbox is not verified") && status.contains("ann@own.test. To verify"),
        "{status}"
    );
    let worker = fleet.start();
    eventually(PATIENCE, || async { host.accepted().len() >= 12 }).await;
    assert_eq!(mails_to_ann(pool).await, 0);

    // The operator's mailbox may be sending its own mail, or cool down.
    eventually(PATIENCE, || async { fleet.order(&["mailbox", "verify", "Ann@own.test"]).await.0 }).await;
    assert_eq!(mails_to_ann(pool).await, 0, "a code that was sent verifies nothing");
    let (is_verified, said) = fleet.order(&["mailbox", "verify", "ann@own.test", "--code", "2345-6789-ABCD"]).await;
    assert!(!is_verified && said.contains("4 attempts are left"), "{said}");
    let said = fleet.command(&["mailbox", "verify", "ann@own.test", "--code", &code(&host)], "").await;
    assert!(said.contains("verified: ann@own.test receives from other owners"), "{said}");
    eventually(PATIENCE, || async { mails_to_ann(pool).await > 0 }).await;
    assert!(!fleet.command(&["status"], "").await.contains("unverified"));
    worker.stop().await;
    assert_eq!(broken(pool).await, [""; 0]);
}
