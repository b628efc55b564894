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
    /// Events with their own part, without an end.
    OwnStream,
    /// It is not there for them.
    NotFound,
    /// Only an admin may do that at all.
    AdminsOnly,
    /// It names what is Ben's, and is refused.
    Refused,
}

use Other::{AdminsOnly, NotFound, OwnPart, OwnStream, Refused};

/// Each route with an id of Ben's in it, and what Ann gets.
const ROUTES: &[(&str, &str, &str, Other)] = &[
    ("get", "/api/warmup/control", "/api/warmup/control", OwnPart),
    ("post", "/api/warmup/control", "/api/warmup/control", AdminsOnly),
    ("get", "/api/warmup/metrics", "/api/warmup/metrics", OwnPart),
    ("get", "/api/warmup/metrics", "/api/warmup/metrics?format=prometheus", AdminsOnly),
    ("get", "/api/warmup/day", "/api/warmup/day", OwnPart),
    ("get", "/api/warmup/me", "/api/warmup/me", OwnPart),
    ("get", "/api/warmup/stream", "/api/warmup/stream", OwnStream),
    ("get", "/api/warmup/quota", "/api/warmup/quota", OwnPart),
    ("get", "/api/warmup/quota", "/api/warmup/quota?search=b", OwnPart),
    ("get", "/api/warmup/mailbox", "/api/warmup/mailbox", OwnPart),
    ("get", "/api/warmup/mailbox", "/api/warmup/mailbox?id=3", NotFound),
    ("get", "/api/warmup/mailboxes", "/api/warmup/mailboxes", OwnPart),
    ("get", "/api/warmup/mailboxes", "/api/warmup/mailboxes?user=boss@ben.test", OwnPart),
    ("get", "/api/warmup/mailboxes/{id}", "/api/warmup/mailboxes/3", NotFound),
    ("post", "/api/warmup/mailboxes", "/api/warmup/mailboxes", Refused),
    ("post", "/api/warmup/mailboxes/import", "/api/warmup/mailboxes/import", Refused),
    ("patch", "/api/warmup/mailboxes/{id}", "/api/warmup/mailboxes/3", NotFound),
    ("delete", "/api/warmup/mailboxes/{id}", "/api/warmup/mailboxes/3", NotFound),
    ("post", "/api/warmup/mailboxes/{id}/pause", "/api/warmup/mailboxes/3/pause", NotFound),
    ("post", "/api/warmup/mailboxes/{id}/resume", "/api/warmup/mailboxes/4/resume", NotFound),
    ("post", "/api/warmup/mailboxes/{id}/test", "/api/warmup/mailboxes/3/test", NotFound),
    ("post", "/api/warmup/mailboxes/{id}/verification", "/api/warmup/mailboxes/3/verification", NotFound),
    ("put", "/api/warmup/mailboxes/{id}/verification", "/api/warmup/mailboxes/3/verification", NotFound),
    ("get", "/api/warmup/pauses", "/api/warmup/pauses", OwnPart),
    ("delete", "/api/warmup/pauses", "/api/warmup/pauses?scope=domain&key=ben.test", NotFound),
    ("get", "/api/warmup/domains", "/api/warmup/domains", OwnPart),
    ("post", "/api/warmup/domains", "/api/warmup/domains", AdminsOnly),
    ("delete", "/api/warmup/domains", "/api/warmup/domains?domain=x.test&user=boss@x.test", AdminsOnly),
    ("post", "/api/warmup/users", "/api/warmup/users", AdminsOnly),
    ("patch", "/api/warmup/users/{id}", "/api/warmup/users/3", NotFound),
    ("patch", "/api/warmup/users/{id}", "/api/warmup/users/2", AdminsOnly),
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

/// Each route as method, path of the document, and a path that can be asked.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    ROUTES.iter().map(|(method, route, concrete, _)| (*method, *route, *concrete))
}

/// Every operation of the document.
pub async fn documented(world: &World) -> Vec<(String, String)> {
    let document = world.pod.ask("GET", "/openapi.json", None, None).await.json();
    let paths = document["paths"].as_object().unwrap();
    let of_path = |(path, item): (&String, &Value)| {
        let methods: Vec<String> = item.as_object().unwrap().keys().cloned().collect();
        methods.into_iter().map(|method| (method, path.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of_path).collect()
}

/// A body that the route takes, and its type.
pub fn body(method: &str, path: &str) -> Option<(&'static str, String)> {
    // One of Ben's addresses, disguised so that no answer can hold it for having been told it.
    const BENS: &str = "B2@\\u0062en.test";
    let json = match (method, path) {
        ("post", "/api/warmup/control") => json!({"action": "stop"}).to_string(),
        ("post", "/api/warmup/tokens") => json!({"name": "mine"}).to_string(),
        ("post", "/api/warmup/mailboxes") => {
            format!(r#"{{"email": "{BENS}", "password": "x", "smtpHost": "smtp.x.test", "smtpPort": 587}}"#)
        }
        ("post", "/api/warmup/mailboxes/import") => {
            let file = "email,password,smtp_host,smtp_port\nb1@ben.test,mine,smtp.x.test,587\n";
            return Some(("text/csv", file.to_owned()));
        }
        ("put", "/api/warmup/mailboxes/{id}/verification") => json!({"code": "2345-6789-ABCD"}).to_string(),
        ("patch", "/api/warmup/mailboxes/{id}") => json!({"dailyMax": 1}).to_string(),
        ("post", "/api/warmup/domains") => json!({"domain": "x.test", "user": "ann@x.test"}).to_string(),
        ("post", "/api/warmup/users") => json!({"email": "new@x.test", "role": "admin"}).to_string(),
        ("patch", "/api/warmup/users/{id}") => json!({"role": "admin"}).to_string(),
        _ => return None,
    };
    Some(("application/json", json))
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
            let body = body.as_ref().map(|(kind, text)| (*kind, text.as_str()));
            let nobody = world.pod.ask_with(&verb.to_uppercase(), concrete, None, body).await;
            nobody.is_problem(401, "Authorization");
            if matches!(expected, OwnStream) {
                let told = world.pod.follow(concrete, &ann).await.next().await.unwrap();
                assert!(!told.contains(BEN), "{told}");
                continue;
            }
            let answer = world.pod.ask_with(&verb.to_uppercase(), concrete, Some(&ann), body).await;
            match expected {
                OwnPart | OwnStream => assert!((200..300).contains(&answer.status), "{verb} {concrete}: {answer:?}"),
                NotFound => answer.is_problem(404, "there is no"),
                AdminsOnly => answer.is_problem(403, "only an admin"),
                Refused => answer.is_problem(422, ""),
            }
            assert!(!answer.text.contains(BEN), "{verb} {concrete}: {}", answer.text);
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
