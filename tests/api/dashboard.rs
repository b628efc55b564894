//! The dashboard's files as they are served; what they do is tests/browser's.

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    client::{Answer, World},
    stage::morning,
};

async fn fetch(world: &World, path: &str) -> Answer {
    world.pod.ask("GET", path, None, None).await
}

/// Returns what stands in quotes behind `before`, such as what a module imports.
fn quoted<'a>(text: &'a str, before: &str) -> Vec<&'a str> {
    text.split(before).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// Every file that the page asks for, and what those ask for, by its path.
async fn files(world: &World) -> Vec<(String, Answer)> {
    let (mut files, mut asked, mut open) = (Vec::new(), BTreeSet::new(), vec!["/".to_owned()]);
    while let Some(path) = open.pop() {
        if !asked.insert(path.clone()) {
            continue;
        }
        let answer = fetch(world, &path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        open.extend(quoted(&answer.text, "from \"./").into_iter().map(|name| format!("/assets/{name}")));
        open.extend(quoted(&answer.text, "=\"/assets/").into_iter().map(|name| format!("/assets/{name}")));
        files.push((path, answer));
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_is_served_with_its_type_under_a_strict_policy_and_without_a_token() {
    let world = World::start().await;
    let files = files(&world).await;
    assert!(files.len() > 15, "{}", files.len());
    for (path, answer) in files {
        let kind = match path.rsplit('.').next().unwrap() {
            "mjs" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "svg" => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        };
        let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        for (header, value) in [
            ("content-type", kind),
            ("content-security-policy", policy),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-cache"),
        ] {
            assert_eq!(answer.header(header), Some(value), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_file_that_is_built_in_is_asked_for() {
    let world = World::start().await;
    let asked: BTreeSet<String> = files(&world).await.into_iter().map(|(path, _)| path).collect();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api/dashboard");
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = if name == "index.html" { "/".to_owned() } else { format!("/assets/{name}") };
        assert!(asked.contains(&path), "{name} is used by nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_file_names_a_foreign_host_and_the_page_holds_no_code_or_style_of_its_own() {
    let world = World::start().await;
    for (path, answer) in files(&world).await {
        let text = answer.text.replace('\'', "\"");
        let foreign = quoted(&text, "\"http");
        assert!(foreign.iter().all(|rest| *rest == "://www.w3.org/2000/svg"), "{path}: {foreign:?}");
        assert!(!answer.text.contains("url(") && !answer.text.contains("@import"), "{path}");
        assert!(!answer.text.contains("innerHTML") && !answer.text.contains("eval("), "{path}");
        if path == "/" {
            assert!(
                !answer.text.contains("<style") && !answer.text.contains(" style=") && !answer.text.contains(" on")
            );
            assert_eq!(
                answer.text.matches("<script").count(),
                answer.text.matches("<script type=\"module\" src=\"/").count()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_file_already_is_not_sent_it_again() {
    let world = World::start().await;
    let first = fetch(&world, "/assets/app.mjs").await;
    let tag = first.header("etag").unwrap().to_owned();
    let again = async |tag: &str| {
        let request =
            format!("GET /assets/app.mjs HTTP/1.1\r\nHost: pod\r\nConnection: close\r\nIf-None-Match: {tag}\r\n\r\n");
        world.pod.raw(&request).await
    };
    for known in [tag.clone(), format!("W/{tag}"), format!("\"other\", {tag}")] {
        let answer = again(&known).await;
        assert_eq!((answer.status, answer.text.as_str()), (304, ""), "{known}");
        assert_eq!(answer.header("etag"), Some(tag.as_str()));
    }
    let changed = again("\"other\"").await;
    assert_eq!((changed.status, &changed.text), (200, &first.text));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_is_not_there() {
    let world = World::start().await;
    for path in ["/assets/", "/assets/index.html", "/assets/../api.rs", "/assets/app.mjs/x", "/index.html"] {
        fetch(&world, path).await.is_problem(404, "there is nothing at");
    }
    assert_eq!(world.pod.ask("POST", "/", None, None).await.status, 405);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_says_whom_it_speaks_for() {
    let world = morning().await;
    let (ann, operator) = (world.token_of("ann@x.test").await, world.token_of("operator@localhost").await);
    for (token, me) in [
        (ann.as_str(), json!({"name": "ann@x.test", "isAdmin": false})),
        (operator.as_str(), json!({"name": "operator@localhost", "isAdmin": true})),
        (crate::client::ADMIN, json!({"name": "WARMUP_ADMIN_TOKEN", "isAdmin": true})),
    ] {
        assert_eq!(world.get_as(token, "/api/warmup/me").await, me);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_day_is_a_line_beside_the_one_that_the_plan_expects() {
    let world = morning().await;
    let day = world.get("/api/warmup/day").await;
    // The disabled mailbox owes nothing: 3 x 28 by 16:00, 3/14 of it by 10:30.
    assert_eq!((&day["quota"], &day["plannedByNow"], &day["sentByNow"]), (&84.into(), &18.into(), &37.into()));
    let planned = day["planned"].as_array().unwrap();
    assert_eq!(planned.len(), 33);
    assert_eq!(planned[0], json!({"at": "2026-11-24T09:00:00Z", "mails": 0}));
    assert_eq!(planned[6], json!({"at": "2026-11-24T10:30:00Z", "mails": 18}));
    assert_eq!(planned[32], json!({"at": "2026-11-24T17:00:00Z", "mails": 84}));
    // The one batch sent 44 mails and 2 replies, more than the days hold: nothing falls below 0.
    let reached = |at: &str, mails: i64| json!({"at": format!("2026-11-24T{at}:00Z"), "mails": mails});
    assert_eq!(day["sent"], json!([reached("09:00", 0), reached("10:15", 0), reached("10:30", 37)]));

    let ann = world.token_of("ann@x.test").await;
    let hers = world.get_as(&ann, "/api/warmup/day").await;
    assert_eq!((&hers["quota"], &hers["plannedByNow"], &hers["sentByNow"]), (&56.into(), &12.into(), &9.into()));
    // Two in this hour, seven in the one before.
    assert_eq!(hers["sent"], json!([reached("09:00", 0), reached("10:00", 7), reached("10:30", 9)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_are_searched_by_a_part_of_the_address() {
    let world = morning().await;
    let found = async |query: &str| {
        let list = world.get(&format!("/api/warmup/quota?{query}")).await;
        let emails: Vec<_> = list["quotas"].as_array().unwrap().iter().map(|row| row["email"].clone()).collect();
        assert_eq!(list["total"], emails.len());
        emails
    };
    assert_eq!(found("search=BEN").await, ["b1@ben.test", "b2@ben.test"]);
    assert_eq!(found("search=ben&status=failing").await, ["b2@ben.test"]);
    assert_eq!(found("search=%25").await, [""; 0]);
}
