//! Whose quota is in danger is told once, and once more when it is over.

use warmup::{
    admin::mailbox_state::{self, Filter},
    reporting::snapshot::SnapshotCache,
};

use super::*;

/// 10:00 and 13:00 in Berlin are 4 and 17 mails of 30 into the plan.
fn at(hour: &str) -> DateTime<Utc> {
    format!("2026-11-24T{hour}:00Z").parse().unwrap()
}

/// A database with mailboxes that owe 30 a day each.
async fn grown(mailboxes: usize) -> TestDatabase {
    let database = database().await;
    import(database.pool(), &many(mailboxes)).await.unwrap();
    run(database.pool(), "UPDATE mailboxes SET ramp_start = 30").await;
    long_ago(database.pool()).await;
    database
}

async fn run(pool: &PgPool, statement: &'static str) {
    sqlx::query(statement).execute(pool).await.unwrap();
}

/// What mailboxes have sent on their day, and how many of the last attempts failed.
async fn stand(pool: &PgPool, day: &str, sent: i16, failed_in_row: i16) {
    const STAND: &str = "
        INSERT INTO mailbox_days (mailbox_id, day, quota, reserved, sent, attempts, failed_in_row)
        SELECT id, $1::date, 30, $2, $2, $2, $3 FROM mailboxes
        ON CONFLICT (mailbox_id, day) DO UPDATE
        SET (reserved, sent, failed_in_row) = (EXCLUDED.reserved, EXCLUDED.sent, EXCLUDED.failed_in_row)";
    let day: chrono::NaiveDate = day.parse().unwrap();
    sqlx::query(STAND).bind(day).bind(sent).bind(failed_in_row).execute(pool).await.unwrap();
}

/// Lets the operator do something to all mailboxes.
async fn change(pool: &PgPool, change: mailbox_state::Change, now: DateTime<Utc>) {
    let chosen = mailbox_state::choose(pool, &Filter::default(), change, mailbox_state::OPERATOR, now).await.unwrap();
    mailbox_state::carry_out(pool, &chosen, change, mailbox_state::OPERATOR, now).await.unwrap();
}

/// Counts everybody, and returns what was told that had not been before.
async fn told(pool: &PgPool, now: DateTime<Utc>) -> Vec<(String, String, String)> {
    const NEW: &str = "
        DELETE FROM events WHERE kind LIKE 'quota-%' RETURNING kind, reason, detail";
    SnapshotCache::for_commands(pool.clone(), COOLDOWN).current(None, now).await.unwrap();
    sqlx::query_as(NEW).fetch_all(pool).await.unwrap()
}

fn one(kind: &str, reason: &str, detail: &str) -> Vec<(String, String, String)> {
    vec![(kind.to_owned(), reason.to_owned(), detail.to_owned())]
}

async fn alarmed(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT alarmed FROM totals WHERE user_id = 0").fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_mailbox_that_was_resumed_is_told_behind_only_after_a_cooldown() {
    let database = grown(2).await;
    let pool = database.pool();
    stand(pool, "2026-11-24", 0, 0).await;
    run(pool, "UPDATE mailboxes SET state = 'paused', reason = 'operator'").await;
    assert_eq!(told(pool, at("11:00")).await, []);
    change(pool, mailbox_state::Change::Resume, at("12:00")).await;
    assert_eq!(told(pool, at("12:00")).await, []);
    assert_eq!(told(pool, at("12:09")).await, []);
    assert_eq!(told(pool, at("12:10")).await.len(), 2, "they had their time");
}

#[tokio::test]
async fn a_mailbox_far_behind_is_told_once_a_day_and_once_more_when_it_has_caught_up() {
    let database = grown(1).await;
    let pool = database.pool();
    stand(pool, "2026-11-24", 0, 0).await;
    assert_eq!(told(pool, at("08:30")).await, [], "behind, but not far");
    let behind = one("quota-behind", "behind-plan", "0 of 30 sent, 17 planned by now");
    assert_eq!((told(pool, at("12:00")).await, alarmed(pool).await), (behind, 1));
    assert_eq!(told(pool, at("12:15")).await, [], "it is known");
    stand(pool, "2026-11-24", 15, 0).await;
    assert_eq!(told(pool, at("12:15")).await, [], "nearer, but not there");
    stand(pool, "2026-11-24", 19, 0).await;
    let over = one("quota-recovered", "caught-up", "19 of 30 sent, 18 planned by now");
    assert_eq!((told(pool, at("12:16")).await, alarmed(pool).await), (over, 0));
    assert_eq!(told(pool, at("16:00")).await, [], "once a day");
    assert_eq!(told(pool, "2026-11-25T12:00:00Z".parse().unwrap()).await.len(), 1, "and once the next");
}

#[tokio::test]
async fn a_mailbox_that_fails_is_told_with_what_it_is_and_another_day_ends_it() {
    let database = grown(1).await;
    let pool = database.pool();
    stand(pool, "2026-11-24", 17, 3).await;
    let failing = one("quota-failing", "failed-in-a-row", "17 of 30 sent, 17 planned by now");
    assert_eq!((told(pool, at("12:00")).await, told(pool, at("12:01")).await), (failing, Vec::new()));
    let next_morning: DateTime<Utc> = "2026-11-25T07:00:00Z".parse().unwrap();
    let over = one("quota-recovered", "new-day", "0 of 30 sent, 0 planned by now");
    assert_eq!(told(pool, next_morning).await, over);
    run(pool, "UPDATE mailboxes SET state = 'disabled', reason = 'auth-refused'").await;
    let disabled = one("quota-failing", "disabled", "0 of 30 sent, 0 planned by now");
    assert_eq!(told(pool, next_morning).await, disabled);
}

#[tokio::test]
async fn who_is_behind_and_then_fails_is_told_both_and_recovers_once() {
    let database = grown(1).await;
    let pool = database.pool();
    stand(pool, "2026-11-24", 0, 0).await;
    assert_eq!(told(pool, at("12:00")).await[0].0, "quota-behind");
    stand(pool, "2026-11-24", 0, 3).await;
    assert_eq!(told(pool, at("12:01")).await[0].0, "quota-failing");
    stand(pool, "2026-11-24", 20, 0).await;
    assert_eq!(told(pool, at("12:02")).await[0].0, "quota-recovered");
    stand(pool, "2026-11-24", 20, 3).await;
    assert_eq!(told(pool, at("12:03")).await, [], "once a day");
}

#[tokio::test]
async fn what_an_operator_set_aside_is_in_no_danger() {
    for aside in ["UPDATE mailboxes SET state = 'paused', reason = 'operator'", "UPDATE mailboxes SET enabled = false"]
    {
        let database = grown(1).await;
        let pool = database.pool();
        assert_eq!(told(pool, at("12:00")).await[0].0, "quota-behind");
        run(pool, aside).await;
        let over = one("quota-recovered", "set-aside", "0 of 30 sent, 17 planned by now");
        assert_eq!((told(pool, at("12:01")).await, told(pool, at("15:00")).await), (over, Vec::new()));
    }
}

#[tokio::test]
async fn of_many_at_once_the_first_are_named_and_the_others_counted_for_each_owner() {
    let database = grown(60).await;
    let pool = database.pool();
    run(pool, "INSERT INTO users (email) VALUES ('ann@x.org')").await;
    run(pool, "UPDATE mailboxes SET user_id = (SELECT id FROM users WHERE email = 'ann@x.org') WHERE email LIKE 'm1%'")
        .await;
    let events = told(pool, at("12:00")).await;
    // Of 11 all, of 49 twenty and the others in one.
    assert_eq!((events.len(), alarmed(pool).await), (11 + 20 + 1, 60));
    let further: Vec<&str> = events.iter().filter(|event| event.1 == "many").map(|event| event.2.as_str()).collect();
    assert_eq!(further, ["29 further mailboxes at the same time"]);
    assert_eq!(told(pool, at("12:01")).await, [], "none of them is told later");
}
