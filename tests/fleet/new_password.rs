//! A mailbox that wrong logins disabled sends again once it gets the right password. The refusals that were counted for its
//! owner's login there do not keep it from that.

use std::{fmt::Write, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use sqlx::PgPool;
use warmup_support::{
    smtp::{Act, FaultyHost, Moment, Script},
    world::{eventually, postgres, redis},
};

use crate::process::{Fleet, late_zone};

/// Far more than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

const RIGHT: &str = "the-right-one";
const ADDRESS: [u8; 4] = [127, 0, 3, 10];

/// A host that lets in only those who know their password.
fn strict() -> Script {
    (0..2).fold(Script::usual().at(Moment::Auth, [Act::say("535 5.7.8 Bad credentials\r\n")]), |script, n| {
        let response = BASE64_STANDARD.encode(format!("\0box{n}@strict.test\0{RIGHT}"));
        script.when(Moment::Auth, &response, [Act::say("235 2.7.0 Welcome\r\n")])
    })
}

async fn state(pool: &PgPool, email: &str) -> (String, Option<String>) {
    let query = "SELECT state, reason FROM mailboxes WHERE email = $1";
    sqlx::query_as(query).bind(email).fetch_one(pool).await.unwrap()
}

async fn sent(pool: &PgPool, email: &str) -> i64 {
    let query = "SELECT count(*) FROM logs WHERE sender = $1 AND status = 'SENT'";
    sqlx::query_scalar(query).bind(email).fetch_one(pool).await.unwrap()
}

/// The mailboxes whose refused logins are counted for their owner.
async fn counted(pool: &PgPool) -> i64 {
    let query = "SELECT count(*) FROM pauses, jsonb_object_keys(refused) WHERE scope = 'login'";
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_that_wrong_logins_disabled_sends_again_with_a_new_password() {
    let (database, cache, usual) = (postgres().await, redis().await, FaultyHost::start(Script::usual()).await);
    let strict = FaultyHost::start_at(ADDRESS.into(), strict()).await;
    let (pool, zone) = (database.pool(), late_zone());
    let mut csv = "email,password,smtp_host,smtp_port,smtp_security,timezone,window,ramp_start,daily_max\n".to_owned();
    let mut add = |email: &str, host: &str, port: u16| {
        writeln!(csv, "{email},wrong,{host},{port},none,{zone},00:00-24:00,20,20").unwrap();
    };
    (0..4).for_each(|n| add(&format!("box{n}@usual.test"), "127.0.0.1", usual.port()));
    (0..2).for_each(|n| add(&format!("box{n}@strict.test"), "127.0.3.10", strict.port()));
    let fleet = Fleet::with(database.url(), &cache, &csv, &[]).await;
    let worker = fleet.start();
    let disabled = ("disabled".to_owned(), Some("auth-refused".to_owned()));
    for email in ["box0@strict.test", "box1@strict.test"] {
        eventually(PATIENCE, || async { state(pool, email).await == disabled }).await;
    }
    assert_eq!((counted(pool).await, sent(pool, "box0@strict.test").await), (2, 0));

    let said = fleet.command(&["mailbox", "set", "box0@strict.test", "--password-stdin"], RIGHT).await;
    assert!(said.contains("active again: box0@strict.test"), "{said}");
    eventually(PATIENCE, || async { sent(pool, "box0@strict.test").await > 0 }).await;
    worker.stop().await;

    assert_eq!(state(pool, "box0@strict.test").await, ("active".to_owned(), None));
    assert_eq!(state(pool, "box1@strict.test").await, disabled, "it has its old password");
    let events = "SELECT kind || ': ' || detail FROM events JOIN mailboxes m ON m.id = mailbox_id
                  WHERE m.email = 'box0@strict.test' AND kind = 'mailbox-reactivated'";
    let events: Vec<String> = sqlx::query_scalar(events).fetch_all(pool).await.unwrap();
    assert_eq!(events, ["mailbox-reactivated: was disabled: auth-refused"]);
    assert_eq!(counted(pool).await, 0, "a mail that was let in ends the count");
}
