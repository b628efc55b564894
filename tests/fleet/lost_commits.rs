//! Six kills of a Postgres whose configuration says `synchronous_commit = off`, while a fleet sends mails and replies.
//!
//! What the server had acknowledged and not written is gone after each kill, unless a session asks for more: workers do.

use std::{collections::BTreeSet, time::Duration};

use sqlx::{PgPool, postgres::PgPoolOptions};
use tempfile::TempDir;
use warmup::local::servers::{Durability, PrivatePostgres};
use warmup_support::world::{eventually, redis};

use crate::{
    host::Host,
    process::{Fleet, late_zone},
    truth::broken,
};

const KILLS: usize = 6;
const MAILBOXES: usize = 60;
/// Mails that a host takes between two kills.
const BETWEEN: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);

fn mailboxes(smtp: u16) -> String {
    let (zone, mut csv) = (late_zone(), String::from("email,password,smtp_host,smtp_port,smtp_security,timezone,"));
    csv += "window,ramp_start,daily_max,reply_rate\n";
    for n in 0..MAILBOXES {
        csv += &format!("box{n}@kill.test,secret,127.0.0.1,{smtp},none,{zone},00:00-24:00,50,50,100\n");
    }
    csv
}

async fn number(pool: &PgPool, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_kills_under_synchronous_commit_off_lose_no_mail_and_answer_no_thread_twice() {
    let (cache, host, folder) = (redis().await, Host::start().await, TempDir::new().unwrap());
    let mut server = PrivatePostgres::start(folder.path(), Durability::Throwaway).await.unwrap();
    let pool = PgPoolOptions::new().max_connections(3).connect_lazy(server.url()).unwrap();
    let own = "SELECT count(*) FROM pg_settings WHERE name = 'synchronous_commit' AND setting = 'off'";
    assert_eq!(number(&pool, own).await, 1, "the server's own default is off");
    let program = env!("CARGO_BIN_EXE_warmup");
    let fleet = Fleet::of(program, server.url(), &cache, &mailboxes(host.port()), &[]).await;
    let worker = fleet.start();
    for kill in 1..=KILLS {
        let taken = host.taken();
        eventually(PATIENCE, async || host.taken() >= taken + BETWEEN).await;
        server.halt().await;
        server.start_again().await.unwrap();
        println!("kill {kill}: {} taken", host.taken());
    }
    let taken = host.taken();
    eventually(PATIENCE, async || host.taken() >= taken + BETWEEN).await;
    worker.stop().await;

    let journal = host.message_ids();
    let accepted: BTreeSet<&String> = journal.iter().collect();
    assert_eq!(accepted.len(), journal.len(), "no Message-ID twice at the host");
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT message_id FROM logs WHERE status <> 'FAILED' OR reason = 'uncertain' UNION ALL SELECT message_id FROM in_flight",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let known: BTreeSet<&String> = rows.iter().collect();
    let lost: Vec<_> = accepted.difference(&known).collect();
    assert!(lost.is_empty(), "accepted, and neither a row nor a flight: {lost:?}");
    const TWICE: &str =
        "SELECT count(*) FROM (SELECT FROM logs WHERE answers > 0 GROUP BY answers HAVING count(*) > 1) t";
    assert_eq!(number(&pool, TWICE).await, 0, "no thread is answered twice");
    assert_eq!(broken(&pool).await, [""; 0]);
    println!("{} accepted, {} rows and flights", accepted.len(), known.len());
}
