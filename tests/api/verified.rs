//! A user chooses address and mail host of a mailbox, so it receives from other owners only once it is verified.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::client::{ADMIN, Answer, World};

const MAILBOXES: &str = "/api/warmup/mailboxes";
const DOMAINS: &str = "/api/warmup/domains";

async fn enrol(world: &World, token: &str, email: &str, user: Option<&str>) -> Answer {
    let mut columns = json!({"email": email, "password": "secret", "smtpHost": "smtp.x.test", "smtpPort": 587});
    if let Some(user) = user {
        columns["user"] = user.into();
    }
    world.pod.ask("POST", MAILBOXES, Some(token), Some(&columns)).await
}

async fn verified_by(world: &World, id: i64) -> Value {
    world.get(&format!("{MAILBOXES}/{id}")).await["verifiedBy"].clone()
}

fn id(answer: &Answer) -> i64 {
    answer.json()["data"]["id"].as_i64().unwrap_or_else(|| panic!("{answer:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_enrols_is_verified_by_a_confirmed_domain_and_what_an_admin_enrols_by_that() {
    let world = World::start().await;
    let ann = world.token_of("ann@x.test").await;
    let first = id(&enrol(&world, &ann, "a@own.test", None).await);
    let victim = id(&enrol(&world, &ann, "victim@big.test", None).await);
    let admins = id(&enrol(&world, ADMIN, "b@own.test", Some("ann@x.test")).await);
    assert_eq!(verified_by(&world, first).await, Value::Null);
    assert_eq!(verified_by(&world, admins).await, "admin");

    let confirm = json!({"domain": "OWN.test.", "user": "ann@x.test"});
    world.pod.ask("POST", DOMAINS, Some(&ann), Some(&confirm)).await.is_problem(403, "only an admin");
    let done = world.pod.ask("POST", DOMAINS, Some(ADMIN), Some(&confirm)).await.json();
    assert_eq!(done["data"], json!({"domain": "own.test", "user": "ann@x.test", "mailboxes": 1}));
    assert_eq!(verified_by(&world, first).await, "domain");
    assert_eq!(verified_by(&world, victim).await, Value::Null, "another domain");
    let later = id(&enrol(&world, &ann, "c@own.test", None).await);
    assert_eq!(verified_by(&world, later).await, "domain");
    assert_eq!(world.get_as(&ann, DOMAINS).await["domains"][0]["mailboxes"], 3);
    let ben = world.token_of("ben@y.test").await;
    assert_eq!(world.get_as(&ben, DOMAINS).await["domains"], json!([]));
    let bens = id(&enrol(&world, &ben, "d@own.test", None).await);
    assert_eq!(verified_by(&world, bens).await, Value::Null, "it is confirmed for Ann");

    // A changed setting verifies nothing, whoever changes it.
    let change = json!({"dailyMax": 7});
    assert_eq!(world.pod.ask("PATCH", &format!("{MAILBOXES}/{victim}"), Some(ADMIN), Some(&change)).await.status, 200);
    assert_eq!(verified_by(&world, victim).await, Value::Null);

    let path = format!("{DOMAINS}?domain=own.test&user=ann@x.test");
    assert_eq!(world.pod.ask("DELETE", &path, Some(ADMIN), None).await.json()["data"]["mailboxes"], 2);
    assert_eq!((verified_by(&world, first).await, verified_by(&world, admins).await), (Value::Null, "admin".into()));
    world.pod.ask("DELETE", &path, Some(ADMIN), None).await.is_problem(404, "is not confirmed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_free_mail_domain_is_confirmed_for_nobody() {
    let world = World::start().await;
    world.token_of("ann@x.test").await;
    for (domain, status, says) in
        [("gmail.com", 422, "free-mail domain"), ("localhost", 422, "is no domain"), ("own.test", 404, "is no user")]
    {
        let user = if status == 404 { "nobody@x.test" } else { "ann@x.test" };
        let confirm = json!({"domain": domain, "user": user});
        world.pod.ask("POST", DOMAINS, Some(ADMIN), Some(&confirm)).await.is_problem(status, says);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_enrols_no_more_mailboxes_than_the_setting_allows() {
    let world = World::start().await;
    let ann = world.token_of("ann@x.test").await;
    let file = |count: usize| {
        let mut file = "email,password,smtp_host,smtp_port\n".to_owned();
        (0..count).for_each(|n| writeln!(file, "m{n}@own.test,secret,smtp.x.test,587").unwrap());
        file
    };
    let import = async |token: &str, text: &str| {
        world.pod.ask_with("POST", &format!("{MAILBOXES}/import"), Some(token), Some(("text/csv", text))).await
    };
    let refused = import(&ann, &file(1_001)).await;
    refused.is_problem(422, "");
    assert!(refused.text.contains("would make 1001 mailboxes of yours, at most 1000 may be"), "{}", refused.text);
    assert_eq!(import(&ann, &file(1_000)).await.status, 200);
    enrol(&world, &ann, "one@more.test", None).await.is_problem(422, "ask an admin");
    assert_eq!(import(&ann, &file(1_000)).await.status, 200, "what is known adds nothing");
    assert_eq!(enrol(&world, ADMIN, "one@more.test", Some("ann@x.test")).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_another_user_enrolled_first_gives_way_to_its_owner_by_an_admin() {
    let world = World::start().await;
    let (ann, ben) = (world.token_of("ann@x.test").await, world.token_of("ben@y.test").await);
    let squatted = id(&enrol(&world, &ann, "ben@own.test", None).await);
    let file = "email,password,smtp_host,smtp_port\nBen@own.test,secret,smtp.x.test,587\n";
    let import =
        async || world.pod.ask_with("POST", &format!("{MAILBOXES}/import"), Some(&ben), Some(("text/csv", file))).await;
    for refused in [enrol(&world, &ben, "ben@own.test", None).await, import().await] {
        assert_eq!(refused.status, 422, "{}", refused.text);
        let says = "by `warmup mailbox set address --user ben@y.test`";
        let (text, says) = (
            refused.text.to_lowercase(),
            format!("is enrolled by another user: if it is yours, ask an admin, who moves it {says}"),
        );
        assert!(text.contains(&says) && !text.contains("ann"), "{text}");
    }

    let path = format!("{MAILBOXES}/{squatted}");
    let moved = world.pod.ask("PATCH", &path, Some(ADMIN), Some(&json!({"user": "ben@y.test"}))).await;
    assert_eq!(moved.status, 200, "{}", moved.text);
    assert_eq!(import().await.status, 200, "it is Ben's");
    let refused = enrol(&world, &ann, "ben@own.test", None).await;
    refused.is_problem(422, "");
    assert!(refused.text.contains("is enrolled by another user"), "{}", refused.text);
    assert_eq!(verified_by(&world, squatted).await, Value::Null, "a move verifies nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_another_user_enrolled_and_removed_gives_way_to_its_owner_by_an_admin() {
    let world = World::start().await;
    let (ann, ben) = (world.token_of("ann@x.test").await, world.token_of("ben@y.test").await);
    let squatted = id(&enrol(&world, &ann, "ben@own.test", None).await);
    for _ in 0..2 {
        assert_eq!(world.pod.ask("DELETE", &format!("{MAILBOXES}/{squatted}"), Some(&ann), None).await.status, 200);
        let refused = enrol(&world, &ben, "ben@own.test", None).await;
        refused.is_problem(422, "");
        let says = "was enrolled by another user before: ask an admin, who enrols it for you by `warmup mailbox add \
                    ADDRESS --user ben@y.test ...`";
        assert!(refused.text.contains(says) && !refused.text.contains("ann"), "{}", refused.text);
        assert_eq!(id(&enrol(&world, &ann, "ben@own.test", None).await), squatted);
    }
    assert_eq!(world.pod.ask("DELETE", &format!("{MAILBOXES}/{squatted}"), Some(&ann), None).await.status, 200);
    let moved = enrol(&world, ADMIN, "ben@own.test", Some("ben@y.test")).await;
    assert_eq!((moved.status, id(&moved)), (201, squatted));
    assert_eq!(verified_by(&world, squatted).await, "admin");
    let shown = world.get_as(&ben, &format!("{MAILBOXES}/{squatted}")).await;
    assert_eq!(shown["user"], "ben@y.test");
    enrol(&world, &ann, "ben@own.test", None).await.is_problem(422, "");
}
