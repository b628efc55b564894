//! A mailbox is verified by reading a code back. The code goes out through a mailbox of the operator, in bounds, and tells
//! the user who asks nothing that is another's.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use serde_json::{Value, json};
use warmup_support::{
    smtp::{Act, FaultyHost, Moment, Script},
    world::eventually,
};

use crate::client::{ADMIN, Answer, World};

const MAILBOXES: &str = "/api/warmup/mailboxes";
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than a mailbox cools down.
const COOLDOWN: Duration = Duration::from_secs(10 * 60);

/// A world with a mailbox of the operator at `host`.
async fn world_with(host: &FaultyHost) -> World {
    let world = World::start().await;
    enrol(&world, ADMIN, "box@op.test", host).await;
    world
}

async fn enrol(world: &World, token: &str, email: &str, host: &FaultyHost) -> i64 {
    let columns = json!({
        "email": email, "password": "secret", "displayName": "Click evil.test", "smtpHost": "127.0.0.1",
        "smtpPort": host.port(), "smtpSecurity": "none",
    });
    let answer = world.pod.ask("POST", MAILBOXES, Some(token), Some(&columns)).await;
    answer.json()["data"]["id"].as_i64().unwrap_or_else(|| panic!("{answer:?}"))
}

/// Asks for a code while the clock goes on: the caps of a Redis without data fill up slowly.
async fn ask_code(world: &World, token: &str, id: i64) -> Answer {
    let (path, is_answered) = (format!("{MAILBOXES}/{id}/verification"), AtomicBool::new(false));
    let asking = async {
        let answer = world.pod.ask("POST", &path, Some(token), None).await;
        is_answered.store(true, Ordering::SeqCst);
        answer
    };
    let passing = eventually(PATIENCE, async || {
        world.pod.clock.pass(Duration::from_millis(20));
        is_answered.load(Ordering::SeqCst)
    });
    tokio::join!(asking, passing).0
}

async fn sent_code(world: &World, token: &str, id: i64) -> Value {
    let answer = ask_code(world, token, id).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["data"].clone()
}

async fn enter(world: &World, token: &str, id: i64, code: &str) -> Answer {
    let path = format!("{MAILBOXES}/{id}/verification");
    world.pod.ask("PUT", &path, Some(token), Some(&json!({"code": code}))).await
}

/// The codes of all mails that the host took, in order.
fn codes(host: &FaultyHost) -> Vec<String> {
    let is_code = |line: &&str| line.len() == 14 && [4, 9].iter().all(|place| line.as_bytes()[*place] == b'-');
    host.heard().lines().map(str::trim).filter(is_code).map(str::to_owned).collect()
}

async fn verified_by(world: &World, id: i64) -> Option<String> {
    let query = "SELECT verified_by FROM mailboxes WHERE id = $1";
    sqlx::query_scalar(query).bind(id).fetch_one(world.pool()).await.unwrap()
}

async fn kinds(world: &World, id: i64) -> Vec<String> {
    let query = "SELECT kind FROM events WHERE mailbox_id = $1 ORDER BY id";
    sqlx::query_scalar(query).bind(id).fetch_all(world.pool()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_the_mailbox_received_verifies_it() {
    let host = FaultyHost::start(Script::usual()).await;
    let world = world_with(&host).await;
    let ann = world.token_of("ann@x.test").await;
    let id = enrol(&world, &ann, "a@own.test", &host).await;
    enter(&world, &ann, id, "2345-6789-ABCD").await.is_problem(409, "there is no valid code for a@own.test");

    let sent = sent_code(&world, &ann, id).await;
    assert_eq!((&sent["email"], &sent["outcome"]), (&"a@own.test".into(), &"sent".into()));
    assert_eq!(sent["attempts"], 5);
    let heard = host.heard();
    assert!(heard.contains("MAIL FROM:<box@op.test>") && heard.contains("RCPT TO:<a@own.test>"), "{heard}");
    assert!(!heard.contains("To: \"Click") && !heard.contains("X-Warmup"), "{heard}");

    let code = codes(&host).pop().unwrap();
    enter(&world, &ann, id, "2345-6789-ABCD").await.is_problem(422, "4 attempts are left");
    assert_eq!(verified_by(&world, id).await, None);
    let verified = enter(&world, &ann, id, &code.to_lowercase().replace('-', " ")).await;
    assert_eq!(verified.json()["data"], json!({"email": "a@own.test", "verifiedBy": "code"}), "{}", verified.text);
    assert_eq!(verified_by(&world, id).await.as_deref(), Some("code"));
    assert_eq!(
        kinds(&world, id).await,
        ["mailbox-enrolled", "verification-requested", "verification-sent", "mailbox-verified"]
    );
    enter(&world, &ann, id, &code).await.is_problem(409, "verified already (code)");
    ask_code(&world, &ann, id).await.is_problem(409, "verified already (code)");

    // A changed setting leaves it verified; a code speaks for nobody but the owner who read it.
    world.token_of("ben@y.test").await;
    for (change, expected) in [(json!({"dailyMax": 7}), Some("code")), (json!({"user": "ben@y.test"}), None)] {
        let changed = world.pod.ask("PATCH", &format!("{MAILBOXES}/{id}"), Some(ADMIN), Some(&change)).await;
        assert_eq!((changed.status, verified_by(&world, id).await.as_deref()), (200, expected), "{}", changed.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_verifies_a_mailbox_learns_nothing_of_the_operators() {
    let host = FaultyHost::start(Script::usual()).await;
    let world = world_with(&host).await;
    let ann = world.token_of("ann@x.test").await;
    let id = enrol(&world, &ann, "a@own.test", &host).await;
    let sent = ask_code(&world, &ann, id).await;
    let verified = enter(&world, &ann, id, &codes(&host)[0]).await;
    let events = world.pod.ask("GET", "/api/warmup/events", Some(&ann), None).await;
    assert!(events.text.contains("verification-requested") && !events.text.contains("op.test"), "{}", events.text);
    assert!(!sent.text.contains("op.test") && !verified.text.contains("op.test"), "{sent:?} {verified:?}");
    let requests: i64 = sqlx::query_scalar("SELECT count(*) FROM plan_requests").fetch_one(world.pool()).await.unwrap();
    assert!(requests > 0, "the workers are asked to plan its shard");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_gets_three_codes_a_day_and_the_last_one_counts() {
    let host = FaultyHost::start(Script::usual()).await;
    let world = world_with(&host).await;
    let ann = world.token_of("ann@x.test").await;
    let id = enrol(&world, &ann, "a@own.test", &host).await;
    sent_code(&world, &ann, id).await;
    ask_code(&world, &ann, id).await.is_problem(503, "all mailboxes that may send the code are busy");
    for _ in 0..2 {
        world.pod.clock.pass(COOLDOWN);
        sent_code(&world, &ann, id).await;
    }
    world.pod.clock.pass(COOLDOWN);
    ask_code(&world, &ann, id).await.is_problem(429, "no further code is sent to a@own.test before 2026-11-25");
    let codes = codes(&host);
    assert_eq!(codes.len(), 3, "no mail goes out that is not counted");
    enter(&world, &ann, id, &codes[0]).await.is_problem(422, "that is not the code of the last mail");
    assert_eq!(enter(&world, &ann, id, &codes[2]).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_void_after_five_wrong_entries_a_day_and_a_new_owner() {
    let host = FaultyHost::start(Script::usual()).await;
    let world = world_with(&host).await;
    let (ann, ben) = (world.token_of("ann@x.test").await, world.token_of("ben@y.test").await);
    let id = enrol(&world, &ann, "a@own.test", &host).await;
    sent_code(&world, &ann, id).await;
    for left in ["4 attempts are", "3 attempts are", "2 attempts are", "1 attempt is"] {
        enter(&world, &ann, id, "wrong").await.is_problem(422, &format!("{left} left"));
    }
    enter(&world, &ann, id, "wrong").await.is_problem(422, "no attempt is left: ask for another code");
    enter(&world, &ann, id, &codes(&host)[0]).await.is_problem(409, "there is no valid code");
    assert_eq!(
        kinds(&world, id).await,
        ["mailbox-enrolled", "verification-requested", "verification-sent", "verification-failed"]
    );

    world.pod.clock.pass(COOLDOWN);
    sent_code(&world, &ann, id).await;
    world.pod.clock.pass(Duration::from_secs(24 * 60 * 60 + 1));
    enter(&world, &ann, id, &codes(&host)[1]).await.is_problem(409, "there is no valid code");

    sent_code(&world, &ann, id).await;
    let code = codes(&host).pop().unwrap();
    enter(&world, &ben, id, &code).await.is_problem(404, "there is no mailbox");
    world.change("UPDATE mailboxes SET user_id = (SELECT id FROM users WHERE email = 'ben@y.test') WHERE email = 'a@own.test'").await;
    enter(&world, &ben, id, &code).await.is_problem(409, "there is no valid code");
    assert_eq!(verified_by(&world, id).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_mailbox_of_an_admin_who_is_not_the_owner_sends_a_code() {
    let host = FaultyHost::start(Script::usual()).await;
    let world = World::start().await;
    let (ann, ben) = (world.token_of("ann@x.test").await, world.token_of("ben@y.test").await);
    let id = enrol(&world, &ann, "a@own.test", &host).await;
    enrol(&world, &ann, "other@own.test", &host).await;
    enrol(&world, &ben, "b@ben.test", &host).await;
    let says = "`warmup domain verify own.test --user ann@x.test`";
    ask_code(&world, &ann, id).await.is_problem(409, says);
    world.change("UPDATE users SET role = 'admin' WHERE email = 'ann@x.test'").await;
    ask_code(&world, &ann, id).await.is_problem(409, says);
    assert_eq!(host.connections(), 0);

    enrol(&world, ADMIN, "box@op.test", &host).await;
    world.change("UPDATE fleet_orders SET running = false").await;
    ask_code(&world, &ann, id).await.is_problem(409, "the fleet is stopped");
    ask_code(&world, &ben, id).await.is_problem(404, "there is no mailbox");
    assert_eq!(host.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_code_is_void_and_changes_no_mailbox() {
    let refuses = Script::usual().at(Moment::Rcpt, [Act::say("550 5.1.1 User unknown\r\n")]);
    let host = FaultyHost::start(refuses).await;
    let world = world_with(&host).await;
    let ann = world.token_of("ann@x.test").await;
    let id = enrol(&world, &ann, "a@own.test", &host).await;
    ask_code(&world, &ann, id).await.is_problem(422, "refused (partner-unknown)");
    enter(&world, &ann, id, "2345-6789-ABCD").await.is_problem(409, "there is no valid code");
    let states = "SELECT DISTINCT state || ' ' || receives FROM mailboxes";
    let states: Vec<String> = sqlx::query_scalar(states).fetch_all(world.pool()).await.unwrap();
    assert_eq!(states, ["active true"]);
}

/// Kind, reason and detail of each event of the mailbox but its enrolment.
async fn events(world: &World, id: i64) -> Vec<(String, String, String)> {
    let query =
        "SELECT kind, reason, detail FROM events WHERE mailbox_id = $1 AND kind <> 'mailbox-enrolled' ORDER BY id";
    sqlx::query_as(query).bind(id).fetch_all(world.pool()).await.unwrap()
}

fn event(kind: &str, reason: &str, detail: &str) -> (String, String, String) {
    (kind.to_owned(), reason.to_owned(), detail.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_a_code_and_its_refusal_in_the_words_of_the_server_are_two_events() {
    let refusal = "550 5.1.1 <a@own.test> is unknown to BOX@op.test at 127.0.0.1\r\n";
    let host = FaultyHost::start(Script::usual().at(Moment::Rcpt, [Act::say(refusal)])).await;
    let world = world_with(&host).await;
    let ann = world.token_of("ann@x.test").await;
    let id = enrol(&world, &ann, "a@own.test", &host).await;
    ask_code(&world, &ann, id).await.is_problem(422, "refused (partner-unknown)");
    let words = "550 5.1.1 <a@own.test> is unknown to [hidden] at [hidden]";
    assert_eq!(
        events(&world, id).await,
        [event("verification-requested", "code", ""), event("verification-refused", "partner-unknown", words)]
    );
    let told = world.pod.ask("GET", "/api/warmup/events", Some(&ann), None).await.text;
    assert!(told.contains("about to be sent") && told.contains("refused the verification code"), "{told}");
    assert!(!told.contains("was sent"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_the_operators_login_is_told_without_its_words() {
    let refuses = Script::usual().at(Moment::Mail, [Act::say("550 5.7.60 box@op.test may not send, see op.test\r\n")]);
    let host = FaultyHost::start(refuses).await;
    let world = world_with(&host).await;
    let ann = world.token_of("ann@x.test").await;
    let id = enrol(&world, &ann, "a@own.test", &host).await;
    assert_eq!(ask_code(&world, &ann, id).await.status, 422);
    let (kind, reason, detail) = events(&world, id).await.pop().unwrap();
    assert_eq!((kind.as_str(), reason.is_empty(), detail.as_str()), ("verification-refused", false, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_of_which_no_mail_went_out_is_told_as_unsent() {
    let host = FaultyHost::start(Script::usual()).await;
    let mut world = world_with(&host).await;
    let ann = world.token_of("ann@x.test").await;
    let id = enrol(&world, &ann, "a@own.test", &host).await;
    world.redis.halt().await;
    assert_eq!(ask_code(&world, &ann, id).await.status, 503);
    assert_eq!(
        events(&world, id).await,
        [event("verification-requested", "code", ""), event("verification-unsent", "caps-unreachable", "")]
    );
    assert_eq!(host.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_enrolment_anew_no_other_owner_and_no_tag_gets_an_inbox_more_codes() {
    let host = FaultyHost::start(Script::usual()).await;
    let world = world_with(&host).await;
    let (ann, ben) = (world.token_of("ann@x.test").await, world.token_of("ben@y.test").await);
    let path = |id: i64| format!("{MAILBOXES}/{id}");
    let id = enrol(&world, &ann, "victim@big.test", &host).await;
    for _ in 0..2 {
        sent_code(&world, &ann, id).await;
        world.pod.clock.pass(COOLDOWN);
        assert_eq!(world.pod.ask("DELETE", &path(id), Some(&ann), None).await.status, 200);
        assert_eq!(enrol(&world, &ann, "Victim@big.test", &host).await, id);
    }
    let tagged = enrol(&world, &ann, "Victim+a@big.test", &host).await;
    sent_code(&world, &ann, tagged).await;
    world.pod.clock.pass(COOLDOWN);
    let says = "before 2026-11-25";
    for mailbox in [id, tagged, enrol(&world, &ann, "victim+b+c@big.test", &host).await] {
        ask_code(&world, &ann, mailbox).await.is_problem(429, says);
    }
    let moved = world.pod.ask("PATCH", &path(id), Some(ADMIN), Some(&json!({"user": "ben@y.test"}))).await;
    assert_eq!(moved.status, 200, "{}", moved.text);
    ask_code(&world, &ben, id).await.is_problem(429, says);
    assert_eq!(codes(&host).len(), 3, "no mail goes out that is not counted");

    let other = enrol(&world, &ann, "victims@big.test", &host).await;
    sent_code(&world, &ann, other).await;
}
