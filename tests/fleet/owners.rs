//! Two owners, one of whom is no good: the mail hosts, addresses and domains of the one change nothing that belongs to the
//! other, whose mailboxes have a usual day.

use std::fmt::Write;

use sqlx::PgPool;
use warmup_support::{
    day::{DATE, Plan},
    smtp::{Act, FaultyHost, Moment, Script},
};

/// The other owner's mailboxes, and what each owes.
const HONEST: usize = 24;
const QUOTA: i16 = 8;

/// From 09:00 to 12:00, with an hour to catch up in.
fn day(csv: String) -> Plan {
    Plan::of(csv).with("WARMUP_ALLOW_PLAINTEXT", "true").speed(500.0).until(13, 0)
}

fn csv() -> String {
    "email,password,smtp_host,smtp_port,smtp_security,user,window,ramp_start,daily_max\n".to_owned()
}

fn enrol(csv: &mut String, email: &str, host: &FaultyHost, owner: &str) {
    enrol_at(csv, email, (host.port(), "none"), owner);
}

fn enrol_at(csv: &mut String, email: &str, (port, security): (u16, &str), owner: &str) {
    writeln!(csv, "{email},secret,127.0.0.1,{port},{security},{owner},09:00-12:00,{QUOTA},{QUOTA}").unwrap();
}

/// Half of the honest owner's mailboxes are at each host.
fn honest(csv: &mut String, hosts: [&FaultyHost; 2]) {
    (0..HONEST).for_each(|n| enrol(csv, &format!("box{n}@honest.test"), hosts[n % 2], "honest@owner.test"));
}

/// The honest owner's mailboxes that did not fill their quota or do not receive.
async fn harmed(pool: &PgPool) -> Vec<String> {
    let query = "SELECT m.email || ': ' || coalesce(sent, 0) || ' sent, ' || state || ', receives ' || receives
                 FROM mailboxes m JOIN users u ON u.id = m.user_id AND u.email = 'honest@owner.test'
                 LEFT JOIN mailbox_days d ON d.mailbox_id = m.id AND d.day = $1
                 WHERE coalesce(d.sent, 0) < $2 OR m.state <> 'active' OR NOT m.receives ORDER BY m.id";
    sqlx::query_scalar(query).bind(DATE).bind(QUOTA).fetch_all(pool).await.unwrap()
}

/// Events that name the honest owner or a mailbox of that owner, but for the enrolment.
async fn naming_the_honest(pool: &PgPool) -> Vec<String> {
    let query = "SELECT e.kind || ' ' || e.reason || ' ' || e.detail
                 FROM events e LEFT JOIN mailboxes m ON m.id = e.mailbox_id
                 JOIN users u ON u.email = 'honest@owner.test'
                 WHERE (m.user_id = u.id OR e.user_id = u.id OR e.detail LIKE '%box%@honest.test%')
                   AND e.kind NOT IN ('mailbox-enrolled', 'user-created')
                 ORDER BY e.id";
    sqlx::query_scalar(query).fetch_all(pool).await.unwrap()
}

async fn told(pool: &PgPool, kind: &str) -> Vec<String> {
    let query = "SELECT coalesce(u.email, 'admins') || ': ' || e.reason || ' ' || e.detail
                 FROM events e LEFT JOIN users u ON u.id = e.user_id WHERE kind = $1 ORDER BY e.id";
    sqlx::query_scalar(query).bind(kind).fetch_all(pool).await.unwrap()
}

async fn failures(pool: &PgPool, reason: &str) -> i64 {
    let query = "SELECT count(*) FROM logs WHERE reason = $1";
    sqlx::query_scalar(query).bind(reason).fetch_one(pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_whose_hosts_addresses_and_domains_are_all_bad_harms_no_other_owner() {
    let refuses = [Act::say("550 5.1.1 User unknown\r\n")];
    let forged = [Act::say("550 5.7.26 Unauthenticated sender\r\n")];
    // AUTH PLAIN of user names that begin with `wrong`, in base64.
    let no_login = [Act::say("535 5.7.8 Authentication failed\r\n")];
    let (usual, shared, liar, forger) = tokio::join!(
        FaultyHost::start(Script::usual()),
        FaultyHost::start(Script::usual().when(Moment::Auth, "AHdyb25n", no_login)),
        FaultyHost::start(Script::usual().at(Moment::Rcpt, refuses)),
        FaultyHost::start(Script::usual().at(Moment::Dot, forged))
    );
    let mut csv = csv();
    honest(&mut csv, [&usual, &shared]);
    for n in 0..5 {
        enrol(&mut csv, &format!("wrong{n}@bad.test"), &shared, "bad@owner.test");
    }
    for n in 0..6 {
        // The host's name is right; the port is closed, or speaks no TLS.
        enrol_at(&mut csv, &format!("port{n}@bad.test"), (1, "none"), "bad@owner.test");
        enrol_at(&mut csv, &format!("tls{n}@bad.test"), (shared.port(), "tls"), "bad@owner.test");
    }
    for n in 0..2 {
        enrol(&mut csv, &format!("liar{n}@bad.test"), &liar, "bad@owner.test");
        // An address in the other owner's domain, and one that could be anybody's.
        enrol(&mut csv, &format!("forger{n}@honest.test"), &forger, "bad@owner.test");
        enrol(&mut csv, &format!("forger{n}@gmail.com"), &forger, "bad@owner.test");
        enrol(&mut csv, &format!("odd{n}@bad.test"), &usual, "bad@owner.test");
        enrol(&mut csv, &format!("victim{n}@big.test"), &usual, "bad@owner.test");
    }
    let day = day(csv)
        // As releases enrolled them that had another rule for addresses.
        .then("UPDATE mailboxes SET email = 'x@localhost', domain = 'localhost' WHERE email = 'odd0@bad.test'")
        .then("UPDATE mailboxes SET email = '\"x,1\"@bad.test' WHERE email = 'odd1@bad.test'")
        // As a user enrols them.
        .then("UPDATE mailboxes SET verified_by = NULL WHERE domain = 'big.test'")
        .run()
        .await;
    let pool = day.database.pool();
    assert_eq!(harmed(pool).await, [""; 0]);
    assert_eq!(naming_the_honest(pool).await, [""; 0]);
    lies_rest_the_liar(pool, &liar).await;
    wrong_passwords_rest_their_owner(pool, &shared).await;
    claims_rest_the_claimant(pool).await;

    let to_victims = "SELECT sender || ' to ' || recipient FROM logs WHERE recipient LIKE '%@big.test' AND sender NOT LIKE '%@bad.test' AND sender NOT LIKE 'forger%' AND sender NOT LIKE 'victim%'";
    let written: Vec<String> = sqlx::query_scalar(to_victims).fetch_all(pool).await.unwrap();
    assert_eq!(written, [""; 0], "others' mailboxes write to nobody who is not verified");

    // The first mail of such a mailbox rests it, the first mail to it excludes it: whichever comes first.
    let odd = "SELECT email FROM mailboxes WHERE (domain = 'localhost' OR email LIKE '\"x%')
               AND receive_reason IS DISTINCT FROM 'message-unsendable' AND reason IS DISTINCT FROM 'message-unsendable'";
    assert_eq!(sqlx::query_scalar::<_, String>(odd).fetch_all(pool).await.unwrap(), [""; 0]);
    let tried = failures(pool, "message-unsendable").await;
    assert!(tried <= 8, "{tried} mails were lost to addresses that are none");
    assert!(!told(pool, "mail-alert").await.is_empty(), "and somebody is told");
}

/// A host that refuses everybody rests after five refusals, for its owner, and excludes nobody.
async fn lies_rest_the_liar(pool: &PgPool, liar: &FaultyHost) {
    let suspected = told(pool, "host-suspected").await;
    assert!(!suspected.is_empty() && suspected.iter().all(|told| told.starts_with("bad@owner.test: refuses-partners")));
    assert!(suspected[0].contains(&format!("127.0.0.1:{} refused 5 partners and took 0 mails", liar.port())));
    let avoided = told(pool, "partner-avoided").await;
    assert!(avoided.iter().all(|told| told.starts_with("admins: partner-unknown 127.0.0.1:")), "{avoided:?}");
    assert!(failures(pool, "partner-unknown").await <= 12, "five, and one or two an hour later: {avoided:?}");
}

/// Five wrong passwords at a host open the breaker of their owner there, and of nobody else.
async fn wrong_passwords_rest_their_owner(pool: &PgPool, shared: &FaultyHost) {
    let paused = told(pool, "host-paused").await;
    let place = format!("bad@owner.test: auth-breaker 127.0.0.1:{}/none until", shared.port());
    assert!(paused.iter().any(|told| told.starts_with(&place)), "{paused:?}");
    // So does each other way not to get in.
    let places = [format!("{}/none", shared.port()), format!("{}/tls", shared.port()), "1/none".to_owned()];
    let is_owned = |told: &&String| {
        told.starts_with("bad@owner.test: ")
            && places.iter().any(|place| told.contains(&format!(" 127.0.0.1:{place} until")))
    };
    assert_eq!(paused.iter().filter(is_owned).count(), paused.len(), "{paused:?}");
    let query = "SELECT count(*) FROM mailboxes WHERE reason = 'auth-refused' AND email LIKE 'wrong%@bad.test'";
    let disabled: i64 = sqlx::query_scalar(query).fetch_one(pool).await.unwrap();
    assert_eq!(disabled, 2, "the third refusal opens the breaker");
    let refused = failures(pool, "auth-refused").await;
    assert!(refused <= 6, "{refused}: each of the five once, and a try an hour later");
}

/// A domain rests for who claims it, a free-mail domain not at all.
async fn claims_rest_the_claimant(pool: &PgPool) {
    let query = "SELECT u.email, p.key FROM owner_pauses p JOIN users u ON u.id = p.user_id WHERE scope = 'domain'";
    let paused: Vec<(String, String)> = sqlx::query_as(query).fetch_all(pool).await.unwrap();
    assert_eq!(paused, [("bad@owner.test".to_owned(), "honest.test".to_owned())], "gmail.com is never paused");
    let query = "SELECT state, reason FROM mailboxes WHERE domain = 'gmail.com'";
    let states: Vec<(String, Option<String>)> = sqlx::query_as(query).fetch_all(pool).await.unwrap();
    assert_eq!(states, vec![("paused".to_owned(), Some("domain-unauthenticated".to_owned())); 2]);
    assert!(failures(pool, "domain-unauthenticated").await <= 4, "each was tried once");
}
