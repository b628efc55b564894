//! Statements that wait for one another's row: what a partner may still receive, and a roster that is outdated.

use std::sync::Arc;

use warmup::{
    domain::{id::MailboxId, roster::receive_bound},
    ports::{Refusal, Reservation},
};
use warmup_support::conformance::ledger::{DAY, LedgerWorld, Life, ask, enrol, noon};

use crate::{ledger::racing_world, sessions::waiting};

#[tokio::test(flavor = "multi_thread")]
async fn two_reserves_that_wait_for_a_partner_s_last_mail_get_one() {
    let world = racing_world().await;
    enrol(&world, 4, 5).await;
    let life = Life::begin(&world).await;
    sqlx::query("INSERT INTO received_days (day, mailbox_id, received) VALUES ($1, 4, $2)")
        .bind(DAY)
        .bind(receive_bound(5) as i32 - 1)
        .execute(world.pool())
        .await
        .unwrap();

    let mut held = world.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM received_days FOR UPDATE").execute(&mut *held).await.unwrap();
    let reserve = |sender| {
        let (ledger, batch) = (Arc::clone(&life.ledger), life.batch(vec![ask(sender, 0, &[4])]));
        tokio::spawn(async move { ledger.reserve(&batch).await.unwrap().remove(0) })
    };
    let reserving = [reserve(1), reserve(2)];
    waiting(world.pool(), 2).await;
    held.rollback().await.unwrap();

    let mut flights = 0;
    for reserved in reserving {
        match reserved.await.unwrap() {
            Reservation::Reserved(flight) => {
                assert_eq!(flight.recipient.mailbox, MailboxId(4));
                flights += 1;
            }
            Reservation::Refused(refusal) => assert_eq!(refusal, Refusal::PartnersFull),
        }
    }
    assert_eq!(flights, 1);
    let received: i32 = sqlx::query_scalar("SELECT received FROM received_days").fetch_one(world.pool()).await.unwrap();
    assert_eq!(received as u32, receive_bound(5));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_loses_its_partner_to_another_leaves_its_place_in_the_users_day() {
    let world = racing_world().await;
    enrol(&world, 4, 5).await;
    world.limit(1, 9).await;
    let life = Life::begin(&world).await;
    sqlx::query("INSERT INTO received_days (day, mailbox_id, received) VALUES ($1, 4, $2)")
        .bind(DAY)
        .bind(receive_bound(5) as i32 - 1)
        .execute(world.pool())
        .await
        .unwrap();

    let mut held = world.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM received_days FOR UPDATE").execute(&mut *held).await.unwrap();
    let (ledger, batch) = (Arc::clone(&life.ledger), life.batch(vec![ask(1, 0, &[4]), ask(2, 0, &[3])]));
    let reserving = tokio::spawn(async move { ledger.reserve(&batch).await.unwrap() });
    waiting(world.pool(), 1).await;
    sqlx::query("UPDATE received_days SET received = received + 1").execute(&mut *held).await.unwrap();
    held.commit().await.unwrap();

    let reserved = reserving.await.unwrap();
    assert_eq!(reserved[0], Reservation::Refused(Refusal::PartnersFull));
    assert!(matches!(reserved[1], Reservation::Reserved(_)));
    let places: i32 = sqlx::query_scalar("SELECT reserved FROM user_days").fetch_one(world.pool()).await.unwrap();
    assert_eq!(places, 1, "only the mail that is in flight counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_wait_to_remake_a_roster_remake_it_once() {
    let world = racing_world().await;
    enrol(&world, 4, 5).await;
    Life::begin(&world).await;
    world.mailboxes().roster(DAY, noon(), None).await.unwrap();
    world.pause(2).await;

    let mut held = world.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM rosters FOR UPDATE").execute(&mut *held).await.unwrap();
    let ask = || {
        let mailboxes = world.mailboxes();
        tokio::spawn(async move { mailboxes.roster(DAY, noon(), Some(1)).await.unwrap().unwrap() })
    };
    let asking = [ask(), ask()];
    waiting(world.pool(), 2).await;
    held.rollback().await.unwrap();

    for asked in asking {
        let roster = asked.await.unwrap();
        assert_eq!((roster.version, roster.members.len()), (2, 3));
    }
    let told = world.events().await.into_iter().filter(|(kind, ..)| kind == "roster-remade").count();
    assert_eq!(told, 1);
}
