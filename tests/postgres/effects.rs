//! What each kind of answer leaves in the database: state, reason, end and event of the side that it names, and not one
//! column of anybody else.

use std::time::Duration;

use sqlx::types::chrono::{DateTime, Utc};
use warmup::domain::outcome::{Effects, OutcomeKind, Penalty, Stage};
use warmup_support::conformance::ledger::{Life, ask, end, enrol};

use crate::ledger::{PostgresWorld, racing_world};

const HOUR: Penalty = Penalty::Pause(Duration::from_secs(3600));
const WORDS: &str = "last result: auth: 554 what the server said";
const ONE_PM: &str = "2026-11-24 13:00:00+00";

/// A mailbox as a sender and as a partner.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
struct Row {
    state: String,
    reason: Option<String>,
    paused_until: Option<DateTime<Utc>>,
    receives: bool,
    receive_reason: Option<String>,
    receive_until: Option<DateTime<Utc>>,
    strikes: i16,
    grown: i16,
}

impl Row {
    fn usual() -> Row {
        Row {
            state: "active".to_owned(),
            reason: None,
            paused_until: None,
            receives: true,
            receive_reason: None,
            receive_until: None,
            strikes: 0,
            grown: 0,
        }
    }
}

/// What one answer left behind.
struct Left {
    /// Mailbox 1 wrote to 2; 3 shares 1's host, and its domain; 4 shares the host only.
    mailboxes: Vec<Row>,
    /// Scope, key, reason, until.
    pauses: Vec<(String, String, String, String)>,
    /// Kind, mailbox, reason, detail.
    events: Vec<(String, Option<i64>, String, String)>,
}

impl Left {
    /// Mailbox 1 writes to mailbox 2 and is refused so.
    async fn by(stage: Stage, reason: &'static str, effects: Effects) -> Left {
        let world = racing_world().await;
        enrol(&world, 4, 5).await;
        sqlx::query("UPDATE mailboxes SET domain = 'd1.test' WHERE id = 3").execute(world.pool()).await.unwrap();
        let life = Life::begin(&world).await;
        let mut settlement = end(&life.fly(ask(1, 0, &[2])).await, OutcomeKind::Refused);
        (settlement.outcome.stage, settlement.outcome.reason) = (stage, reason);
        settlement.outcome.effects = effects;
        settlement.outcome.note = "what the server said".to_owned();
        life.settle(&[settlement.clone()]).await;
        let left = Left::read(&world).await;
        // A settle whose answer was lost is repeated.
        life.settle(&[settlement]).await;
        let again = Left::read(&world).await;
        assert_eq!((&left.mailboxes, &left.pauses, &left.events), (&again.mailboxes, &again.pauses, &again.events));
        left
    }

    async fn read(world: &PostgresWorld) -> Left {
        let mailboxes = "SELECT * FROM mailboxes ORDER BY id";
        let pauses = "SELECT scope, key, reason, until::text FROM pauses WHERE until > since
                      UNION ALL SELECT scope, key, reason, until::text FROM owner_pauses WHERE user_id = 1 ORDER BY scope";
        let events = "SELECT kind, mailbox_id, reason, detail FROM events ORDER BY id";
        Left {
            mailboxes: sqlx::query_as(mailboxes).fetch_all(world.pool()).await.unwrap(),
            pauses: sqlx::query_as(pauses).fetch_all(world.pool()).await.unwrap(),
            events: sqlx::query_as(events).fetch_all(world.pool()).await.unwrap(),
        }
    }

    /// All mailboxes are as they were, but for this one.
    fn assert_only(&self, mailbox: usize, row: Row) {
        let mut expected = vec![Row::usual(); 4];
        expected[mailbox - 1] = row;
        assert_eq!(self.mailboxes, expected);
    }

    fn assert_told(&self, events: &[(&str, Option<i64>, &str, &str)]) {
        let told: Vec<_> = self.events.iter().map(|(k, m, r, d)| (k.as_str(), *m, r.as_str(), d.as_str())).collect();
        assert_eq!(told, events);
    }
}

fn one_pm() -> Option<DateTime<Utc>> {
    Some("2026-11-24T13:00:00Z".parse().unwrap())
}

/// A pause until one, as it is read.
fn pause(scope: &str, key: &str, reason: &str) -> (String, String, String, String) {
    (scope.to_owned(), key.to_owned(), reason.to_owned(), ONE_PM.to_owned())
}

#[tokio::test]
async fn a_paused_sender_has_a_reason_an_end_and_an_event() {
    let left = Left::by(Stage::Auth, "auth-temporary", Effects { sender: Some(HOUR), ..Effects::default() }).await;
    let (state, reason) = ("paused".to_owned(), Some("auth-temporary".to_owned()));
    left.assert_only(1, Row { state, reason, paused_until: one_pm(), ..Row::usual() });
    assert_eq!(left.pauses, []);
    left.assert_told(&[("sender-paused", Some(1), "auth-temporary", &format!("until {ONE_PM}; {WORDS}"))]);
}

#[tokio::test]
async fn a_disabled_sender_has_a_reason_and_no_end() {
    let effects = Effects { sender: Some(Penalty::Disable), ..Effects::default() };
    let left = Left::by(Stage::Auth, "auth-refused", effects).await;
    let (state, reason) = ("disabled".to_owned(), Some("auth-refused".to_owned()));
    left.assert_only(1, Row { state, reason, ..Row::usual() });
    assert_eq!(left.pauses, [], "one is no wave");
    left.assert_told(&[("sender-disabled", Some(1), "auth-refused", WORDS)]);
}

#[tokio::test]
async fn a_paused_partner_has_a_reason_an_end_and_an_event() {
    let left = Left::by(Stage::Rcpt, "partner-full", Effects { partner: Some(HOUR), ..Effects::default() }).await;
    let receive_reason = Some("partner-full".to_owned());
    left.assert_only(2, Row { receives: false, receive_reason, receive_until: one_pm(), ..Row::usual() });
    assert_eq!(left.pauses, []);
    left.assert_told(&[("partner-paused", Some(2), "partner-full", &format!("until {ONE_PM}"))]);
}

#[tokio::test]
async fn an_excluded_partner_has_a_reason_and_goes_on_sending() {
    let effects = Effects { partner: Some(Penalty::Disable), ..Effects::default() };
    let left = Left::by(Stage::Rcpt, "partner-unknown", effects).await;
    let receive_reason = Some("partner-unknown".to_owned());
    left.assert_only(2, Row { receives: false, receive_reason, ..Row::usual() });
    left.assert_told(&[("partner-excluded", Some(2), "partner-unknown", "")]);
}

#[tokio::test]
async fn a_paused_host_is_one_row_and_no_mailbox_changes() {
    let left = Left::by(Stage::Greeting, "host-refuses-us", Effects { host: Some(HOUR), ..Effects::default() }).await;
    left.assert_only(1, Row::usual());
    assert_eq!(left.pauses, [pause("login", "1/mail.test:465/tls", "host-refuses-us")]);
    left.assert_told(&[("host-paused", None, "host-refuses-us", &format!("mail.test:465/tls until {ONE_PM}"))]);
}

#[tokio::test]
async fn a_paused_domain_is_one_row_and_no_mailbox_changes() {
    let effects = Effects { domain: Some(HOUR), ..Effects::default() };
    let left = Left::by(Stage::Dot, "domain-unauthenticated", effects).await;
    left.assert_only(1, Row::usual());
    assert_eq!(left.pauses, [pause("domain", "d1.test", "domain-unauthenticated")]);
    left.assert_told(&[("domain-paused", None, "domain-unauthenticated", &format!("d1.test until {ONE_PM}"))]);
}

#[tokio::test]
async fn a_hosts_failure_and_a_senders_strike_are_counted_and_change_nothing() {
    let failure = Effects { host: Some(Penalty::Strike), ..Effects::default() };
    let left = Left::by(Stage::Connect, "host-unreachable", failure).await;
    left.assert_only(1, Row::usual());
    left.assert_told(&[]);
    let strike = Effects { sender: Some(Penalty::Strike), ..Effects::default() };
    let left = Left::by(Stage::Dot, "policy-refused", strike).await;
    left.assert_only(1, Row { strikes: 1, ..Row::usual() });
    assert_eq!(left.pauses, []);
    left.assert_told(&[]);
}

#[tokio::test]
async fn what_concerns_nobody_is_told_with_what_the_server_said() {
    let left = Left::by(Stage::Dot, "content-refused", Effects::default()).await;
    left.assert_only(1, Row::usual());
    left.assert_told(&[("mail-alert", Some(1), "content-refused", "dot: what the server said")]);
    let left = Left::by(Stage::Dot, "transient", Effects::default()).await;
    left.assert_only(1, Row::usual());
    left.assert_told(&[]);
}
