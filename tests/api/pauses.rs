//! Pauses of mail hosts and domains: an owner sees those that hold the owner's mailboxes, and ends the owner's own.

use serde_json::{Value, json};

use crate::{
    client::{ADMIN, Answer, World},
    stage::{BEN, morning},
};

const PAUSES: &str = "/api/warmup/pauses";

/// Ann's mail host is paused for everybody and for her alone, the domain of each owner for its owner.
async fn paused() -> (World, String) {
    let world = morning().await;
    for statement in [
        "INSERT INTO pauses (scope, key, reason, since, until)
         VALUES ('host', 'smtp.x.test', 'host-trouble', '2026-11-24T10:00:00Z', '2026-11-24T11:00:00Z')",
        "INSERT INTO owner_pauses (user_id, scope, key, reason, since, until)
         VALUES (2, 'host', 'smtp.x.test:587', 'refuses-partners', '2026-11-24T10:00:00Z', '2026-11-24T11:00:00Z'),
                (2, 'domain', 'x.test', 'domain-unauthenticated', '2026-11-24T10:00:00Z', '2026-11-25T10:00:00Z'),
                (3, 'domain', 'ben.test', 'domain-unauthenticated', '2026-11-24T10:00:00Z', '2026-11-25T10:00:00Z'),
                (3, 'domain', 'x.test', 'over', '2026-11-24T09:00:00Z', '2026-11-24T10:30:00Z')",
    ] {
        sqlx::query(statement).execute(world.pool()).await.unwrap();
    }
    let ann = world.token_of("ann@x.test").await;
    (world, ann)
}

async fn end(world: &World, token: &str, query: &str) -> Answer {
    world.pod.ask("DELETE", &format!("{PAUSES}?{query}"), Some(token), None).await
}

/// Scope, key and owner of each.
fn named(pauses: &Value) -> Vec<(String, String, Option<String>)> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let of = |pause: &Value| (text(&pause["scope"]).unwrap(), text(&pause["key"]).unwrap(), text(&pause["user"]));
    pauses.as_array().unwrap().iter().map(of).collect()
}

fn pause(scope: &str, key: &str, user: Option<&str>) -> (String, String, Option<String>) {
    (scope.to_owned(), key.to_owned(), user.map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_sees_the_pauses_that_hold_the_owners_mailboxes_and_an_admin_all() {
    let (world, ann) = paused().await;
    let anns = [
        pause("host", "smtp.x.test", None),
        pause("host", "smtp.x.test:587", Some("ann@x.test")),
        pause("domain", "x.test", Some("ann@x.test")),
    ];
    assert_eq!(named(&world.get_as(&ann, PAUSES).await["pauses"]), anns);
    let ben = world.token_of("boss@ben.test").await;
    assert_eq!(
        named(&world.get_as(&ben, PAUSES).await["pauses"]),
        [pause("domain", "ben.test", Some("boss@ben.test"))],
        "what is over is no pause"
    );
    let all = world.get(PAUSES).await["pauses"].clone();
    assert_eq!(all.as_array().unwrap().len(), 4);
    assert_eq!(
        all[0],
        json!({"scope": "host", "key": "smtp.x.test", "user": null, "reason": "host-trouble", "probing": false,
               "since": "2026-11-24T10:00:00Z", "until": "2026-11-24T11:00:00Z", "mailboxes": 2})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_ends_the_owners_own_pauses_and_no_others() {
    let (world, ann) = paused().await;
    let ended = end(&world, &ann, "scope=host&key=SMTP.x.test").await.json()["data"]["ended"].clone();
    assert_eq!(named(&ended), [pause("host", "smtp.x.test:587", Some("ann@x.test"))], "not the one for everybody");
    end(&world, &ann, "scope=host&key=smtp.x.test").await.is_problem(403, "only an admin");
    end(&world, &ann, "scope=domain&key=ben.test").await.is_problem(404, "there is no such pause");
    end(&world, &ann, "scope=domain&key=ben.test&user=boss@ben.test").await.is_problem(404, "there is no such pause");
    end(&world, &ann, "scope=street&key=x").await.is_problem(400, "unknown variant");
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM owner_pauses").fetch_one(world.pool()).await.unwrap();
    assert_eq!(left, 3);
    let told: (String, Option<i64>, String) =
        sqlx::query_as("SELECT kind, user_id, detail FROM events WHERE kind LIKE '%-resumed'")
            .fetch_one(world.pool())
            .await
            .unwrap();
    assert_eq!(told, ("host-resumed".into(), Some(2), "smtp.x.test:587 was paused: refuses-partners".into()));
    let events = world.get_as(&ann, "/api/warmup/events?kind=host-resumed").await;
    assert_eq!(events["events"].as_array().unwrap().len(), 1, "the owner is told");

    end(&world, ADMIN, "scope=domain&key=ben.test").await.json();
    end(&world, ADMIN, "scope=host&key=smtp.x.test").await.json();
    assert_eq!(named(&world.get(PAUSES).await["pauses"]), [pause("domain", "x.test", Some("ann@x.test"))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resume_says_what_still_holds_a_mailbox_also_an_active_one() {
    let (world, ann) = paused().await;
    let resumed = world.pod.ask("POST", "/api/warmup/mailboxes/1/resume", Some(&ann), None).await;
    let done = resumed.json()["data"].clone();
    assert_eq!(done["unchanged"], json!([{"email": "a1@x.test", "because": "active"}]));
    assert_eq!(
        named(&done["stillHeld"]),
        [
            pause("domain", "x.test", Some("ann@x.test")),
            pause("host", "smtp.x.test", None),
            pause("host", "smtp.x.test:587", Some("ann@x.test")),
        ]
    );
    assert!(!resumed.text.contains(BEN), "{}", resumed.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_sees_and_ends_the_owners_own_login_breaker() {
    let (world, ann) = paused().await;
    const BREAKERS: &str = "
        INSERT INTO pauses (scope, key, reason, since, until, probing, user_id)
        SELECT 'login', login_key(id, host, 587, 'starttls'), 'auth-breaker', '2026-11-24T09:00:00Z', '2026-11-24T10:00:00Z', true, id
        FROM (VALUES (2, 'smtp.X.test'), (3, 'smtp.ben.test')) AS owner (id, host)";
    sqlx::query(BREAKERS).execute(world.pool()).await.unwrap();
    let key = "smtp.x.test:587/starttls";
    let listed = world.get_as(&ann, PAUSES).await["pauses"].clone();
    assert_eq!(
        listed[2],
        json!({"scope": "host", "key": key, "user": "ann@x.test", "reason": "auth-breaker", "probing": true,
               "since": "2026-11-24T09:00:00Z", "until": "2026-11-24T10:00:00Z", "mailboxes": 2}),
        "{listed}"
    );
    assert_eq!(listed.as_array().unwrap().len(), 4, "not Ben's");
    assert_eq!(world.get(PAUSES).await["pauses"].as_array().unwrap().len(), 6);
    let shown = world.get_as(&ann, "/api/warmup/mailboxes?state=paused").await;
    assert_eq!(shown["mailboxes"].as_array().unwrap().len(), 2, "{shown}");

    end(&world, &ann, "scope=host&key=smtp.ben.test").await.is_problem(404, "there is no such pause");
    let ended = end(&world, &ann, &format!("scope=host&key={key}")).await.json()["data"]["ended"].clone();
    assert_eq!(named(&ended), [pause("host", key, Some("ann@x.test"))]);
    let told: (Option<i64>, String) = sqlx::query_as("SELECT user_id, detail FROM events WHERE kind = 'host-resumed'")
        .fetch_one(world.pool())
        .await
        .unwrap();
    assert_eq!(told, (Some(2), format!("{key} was paused: auth-breaker")));
    let left: Vec<i64> =
        sqlx::query_scalar("SELECT user_id FROM pauses WHERE scope = 'login'").fetch_all(world.pool()).await.unwrap();
    assert_eq!(left, [3]);
}
