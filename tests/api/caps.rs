//! Caps that cannot carry the enrolled mailboxes: the answer to an import says it, and so does what the page shows.

use crate::client::{ADMIN, World};

const LINE: &str = "set WARMUP_USER_HOURLY_LIMIT=2668";

fn csv(of: &str, count: usize) -> String {
    let line = |at: usize| format!("{of}{at}@{of}{at}.test,canary,smtp.{of}.test,587\n");
    format!("email,password,smtp_host,smtp_port\n{}", (0..count).map(line).collect::<String>())
}

async fn import(world: &World, token: &str, csv: &str) -> Vec<String> {
    let answer = world.pod.ask_with("POST", "/api/warmup/mailboxes/import", Some(token), Some(("text/csv", csv))).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_value(answer.json()["data"]["warnings"].clone()).unwrap()
}

/// The warnings that the page shows.
async fn shown(world: &World, token: &str) -> Vec<String> {
    serde_json::from_value(world.get_as(token, "/api/warmup/control").await["warnings"].clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_and_the_page_name_the_cap_the_arithmetic_and_the_line_to_set() {
    let world = World::start().await;
    let told = import(&world, ADMIN, &csv("m", 500)).await;
    let said = |warnings: &[String]| {
        warnings.iter().any(|warning| {
            warning.contains("user operator@localhost has 500 mailboxes that should send 15000 mails")
                && warning.contains("3320 in 7 h")
                && warning.contains(LINE)
        })
    };
    assert!(said(&told), "{told:#?}");
    let on_page = shown(&world, ADMIN).await;
    assert!(said(&on_page), "{on_page:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_told_of_their_own_mailboxes_only() {
    let world = World::start().await;
    let (ann, ben) = (world.token_of("ann@x.test").await, world.token_of("ben@x.test").await);
    let told = import(&world, &ann, &csv("a", 500)).await;
    assert!(told.iter().any(|warning| warning.contains("user ann@x.test has 500") && warning.contains(LINE)));
    assert_eq!(import(&world, &ben, &csv("b", 2)).await, [""; 0]);
    let of_ann = shown(&world, &ann).await;
    assert!(matches!(&of_ann[..], [only] if only.contains("user ann@x.test has 500")), "{of_ann:#?}");
    assert_eq!(shown(&world, &ben).await, [""; 0]);
}
