//! Every route that the document names, walked as somebody else: nothing of another's mailboxes is seen or touched. A
//! route that is not known here fails the test, so that nobody adds one without saying what others may do with it.

use serde_json::{Value, json};

use crate::{
    client::{ADMIN, World},
    stage::{BEN, morning},
};

/// What a user who owns nothing of it is answered.
enum Other {
    /// Their own part: nothing of Ben's is in it.
    OwnPart,
    /// It is not there for them.
    NotFound,
}

use Other::{NotFound, OwnPart};

/// Each route with an id of Ben's in it, and what Ann gets.
const ROUTES: &[(&str, &str, &str, Other)] = &[
    ("get", "/api/warmup/control", "/api/warmup/control", OwnPart),
    ("get", "/api/warmup/metrics", "/api/warmup/metrics", OwnPart),
    ("get", "/api/warmup/quota", "/api/warmup/quota", OwnPart),
    ("get", "/api/warmup/mailbox", "/api/warmup/mailbox", OwnPart),
    ("get", "/api/warmup/mailbox", "/api/warmup/mailbox?id=3", NotFound),
    ("get", "/api/warmup/mailboxes", "/api/warmup/mailboxes", OwnPart),
    ("get", "/api/warmup/mailboxes", "/api/warmup/mailboxes?user=boss@ben.test", OwnPart),
    ("get", "/api/warmup/mailboxes/{id}", "/api/warmup/mailboxes/3", NotFound),
    ("get", "/api/warmup/users", "/api/warmup/users", OwnPart),
    ("get", "/api/warmup/users/{id}", "/api/warmup/users/3", NotFound),
    ("get", "/api/warmup/tokens", "/api/warmup/tokens", OwnPart),
    ("post", "/api/warmup/tokens", "/api/warmup/tokens", OwnPart),
    ("delete", "/api/warmup/tokens/{id}", "/api/warmup/tokens/1", NotFound),
    ("get", "/api/warmup/events", "/api/warmup/events", OwnPart),
    ("get", "/api/warmup/events", "/api/warmup/events?mailbox=3", OwnPart),
    ("get", "/api/warmup/logs", "/api/warmup/logs", OwnPart),
    ("get", "/api/warmup/logs", "/api/warmup/logs?mailbox=3", OwnPart),
];

/// Every operation of the document.
async fn documented(world: &World) -> Vec<(String, String)> {
    let document = world.pod.ask("GET", "/openapi.json", None, None).await.json();
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let methods: Vec<String> = item.as_object().unwrap().keys().cloned().collect();
        methods.into_iter().map(|method| (method, path.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// A body that the route takes.
fn body(method: &str, path: &str) -> Option<Value> {
    match (method, path) {
        ("post", "/api/warmup/tokens") => Some(json!({"name": "mine"})),
        _ => None,
    }
}

/// All that Ben has, as the database holds it.
async fn bens(world: &World) -> String {
    const BENS: &str = "
        SELECT string_agg(row::text, '; ' ORDER BY row::text) FROM (
            SELECT m::text FROM mailboxes m WHERE user_id = 3
            UNION ALL SELECT u::text FROM users u WHERE id = 3
            UNION ALL SELECT (t.id, t.revoked_at)::text FROM tokens t WHERE user_id = 3
            UNION ALL SELECT o::text FROM fleet_orders o
        ) AS row";
    sqlx::query_scalar(BENS).fetch_one(world.pool()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_or_touches_what_is_anothers() {
    let world = morning().await;
    // The first token is Ben's.
    world.token_of("boss@ben.test").await;
    let ann = world.token_of("ann@x.test").await;
    let before = bens(&world).await;
    for (method, path) in documented(&world).await {
        let known = ROUTES.iter().filter(|(verb, route, ..)| *verb == method && *route == path);
        assert!(known.clone().count() > 0, "{method} {path}: say in tests/api/walk.rs what others may do with it");
        for (verb, route, concrete, expected) in known {
            let body = body(verb, route);
            let answer = world.pod.ask(&verb.to_uppercase(), concrete, Some(&ann), body.as_ref()).await;
            match expected {
                OwnPart => assert!((200..300).contains(&answer.status), "{verb} {concrete}: {answer:?}"),
                NotFound => answer.is_problem(404, "there is no"),
            }
            assert!(!answer.text.contains(BEN), "{verb} {concrete}: {}", answer.text);
            let nobody = world.pod.ask(&verb.to_uppercase(), concrete, None, body.as_ref()).await;
            nobody.is_problem(401, "Authorization");
        }
    }
    assert_eq!(bens(&world).await, before);
    assert!(world.get("/api/warmup/mailboxes").await.to_string().contains(BEN), "an admin sees them");
    assert_eq!(world.pod.ask("GET", "/api/warmup/mailbox?id=3", Some(ADMIN), None).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_walk_knows_no_route_that_is_gone() {
    let world = World::start().await;
    let documented = documented(&world).await;
    for (method, path, ..) in ROUTES {
        assert!(documented.contains(&((*method).to_owned(), (*path).to_owned())), "{method} {path}");
    }
}
