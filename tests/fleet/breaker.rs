//! A mail host that lets nobody in, as real Postfix and Dovecot do it: some mailboxes are disabled, then its breaker opens and
//! the others are spared. Once the host lets them in again all send, without an operator.

use std::{collections::BTreeMap, fmt::Write, sync::Arc};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use warmup::{
    adapters::{
        postgres::migrate,
        system::{SeededRng, SystemClock},
    },
    app::serve,
    config::Settings,
    observe::telemetry::Telemetry,
    ports::Clock,
};
use warmup_support::{
    day::{DATE, MASTER_KEY, import_csv},
    mailstack::{Accounts, Authority, MailStack},
    world::{self, TestDatabase, TestRedis},
};

const MAILBOXES: usize = 9;
const QUOTA: i64 = 2;
const SPEED: f64 = 500.0;

/// One worker's fleet over several stretches of one day.
struct Fleet {
    database: TestDatabase,
    _redis: TestRedis,
    /// Its certificate is a file as long as it lives.
    _authority: Authority,
    vars: BTreeMap<String, String>,
    settings: Settings,
    stack: MailStack,
}

impl Fleet {
    async fn start() -> Fleet {
        let authority = Authority::new();
        let stack = MailStack::start(&authority, Accounts { logins: logins("password"), unknown: vec![] }).await;
        let (database, redis) = tokio::join!(world::postgres(), world::redis());
        let vars = BTreeMap::from([
            ("DATABASE_URL".to_owned(), database.url().to_owned()),
            ("REDIS_URL".to_owned(), redis.url()),
            ("WARMUP_MASTER_KEY".to_owned(), MASTER_KEY.to_owned()),
            ("WARMUP_ALLOW_PRIVATE_HOSTS".to_owned(), "true".to_owned()),
            ("WARMUP_HTTP_ADDR".to_owned(), "127.0.0.1:0".to_owned()),
            ("WARMUP_TLS_CA_FILE".to_owned(), authority.file().display().to_string()),
        ]);
        let (settings, _) = Settings::from_vars(&vars).expect("the test's settings are sound");
        migrate::migrate(database.pool(), settings.shards, at(8, 45)).await.expect("a fresh copy migrates");
        Fleet { database, _redis: redis, _authority: authority, vars, settings, stack }
    }

    fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// Enrols everybody with a password that begins so, or corrects it.
    async fn import(&self, password: &str, now: DateTime<Utc>) {
        let mut csv = "email,password,smtp_host,smtp_port,smtp_security,window,ramp_start,daily_max\n".to_owned();
        for n in 0..MAILBOXES {
            let (address, port) = (address(n), self.stack.tls_port());
            writeln!(csv, "{address},{password}-{n},localhost,{port},tls,09:00-10:00,{QUOTA},{QUOTA}").unwrap();
        }
        import_csv(&self.database, &self.settings, &csv, now).await;
    }

    async fn work(&self, begins: DateTime<Utc>, ends: DateTime<Utc>) {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::scaled(begins, SPEED));
        let stop = CancellationToken::new();
        let ending = async {
            clock.sleep_until(ends).await;
            stop.cancel();
        };
        let off = Telemetry::default();
        let serving = serve::serve(
            &self.settings,
            &off,
            Arc::clone(&clock),
            Arc::new(SeededRng::seeded(1)),
            |_| {},
            stop.clone(),
        );
        let (report, ()) = tokio::join!(serving, ending);
        assert_eq!(report.expect("the worker starts, and stops in order").abandoned, 0);
    }

    /// What the operator's command says.
    async fn order(&self, args: &[&str]) -> String {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_warmup"));
        let output = command.args(args).env_clear().envs(&self.vars).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    async fn count(&self, what: &'static str) -> i64 {
        sqlx::query_scalar(what).fetch_one(self.pool()).await.unwrap()
    }
}

fn logins(password: &str) -> Vec<(String, String)> {
    (0..MAILBOXES).map(|n| (address(n), format!("{password}-{n}"))).collect()
}

fn address(n: usize) -> String {
    format!("box{n}@pool.test")
}

fn at(hour: u32, minute: u32) -> DateTime<Utc> {
    DATE.and_hms_opt(hour, minute, 0).expect("a time of day that exists").and_utc()
}

const DISABLED: &str = "SELECT count(*) FROM mailboxes WHERE state = 'disabled' AND reason = 'auth-refused'";
const USUAL: &str = "SELECT count(*) FROM mailboxes WHERE state = 'active' AND reason IS NULL AND receives";
const COMPLETE: &str = "SELECT count(*) FROM mailbox_days WHERE sent = quota AND reserved = sent";
const RESTORED: &str = "
    SELECT count(*) FROM events WHERE kind = 'sender-restored' AND reason = 'auth-refused' AND mailbox_id IS NOT NULL";
const RECOVERED: &str = "SELECT count(*) FROM events WHERE kind = 'host-recovered'";

impl Fleet {
    /// The breaker is open, fewer mailboxes than open it are disabled, and nobody was tried twice. Returns how many are disabled.
    async fn assert_shut_out(&self, since: DateTime<Utc>, until: DateTime<Utc>) -> i64 {
        let disabled = self.count(DISABLED).await;
        assert!((2..=4).contains(&disabled), "{disabled} are disabled");
        assert_eq!(self.count(USUAL).await, MAILBOXES as i64 - disabled);
        let pause = "SELECT key, reason, since, until, probing FROM pauses WHERE scope = 'login'";
        let (host, reason, began, ends, probing): (String, String, DateTime<Utc>, DateTime<Utc>, bool) =
            sqlx::query_as(pause).fetch_one(self.pool()).await.unwrap();
        assert!(host.ends_with(&format!("/localhost:{}/tls", self.stack.tls_port())), "{host}");
        assert_eq!((reason.as_str(), probing), ("auth-breaker", true));
        let common = "SELECT count(*) FROM pauses WHERE scope = 'host' AND (probing OR until > since)";
        assert_eq!(self.count(common).await, 0, "all mailboxes belong to one owner");
        assert!(began > since && ends > until && ends <= until + TimeDelta::hours(1), "{began} to {ends}");
        assert_eq!(self.count("SELECT count(*) FROM events WHERE kind = 'sender-disabled'").await, disabled);
        assert_eq!(self.count("SELECT count(*) FROM events WHERE kind = 'host-paused'").await, 1);
        let refused = self.count("SELECT count(*) FROM logs WHERE reason = 'auth-refused' AND smtp_code = 535").await;
        assert!((disabled + 1..=MAILBOXES as i64).contains(&refused), "nobody is tried twice: {refused}");
        disabled
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_refuses_all_from_some_instant_on_is_paused_and_all_send_again_by_themselves() {
    let fleet = Fleet::start().await;
    fleet.import("password", at(8, 45)).await;
    fleet.work(at(8, 45), at(9, 15)).await;
    assert!(fleet.count("SELECT count(*) FROM logs WHERE status = 'SENT'").await > 0, "it lets them in at first");
    assert_eq!(fleet.count("SELECT count(*) FROM logs WHERE status = 'FAILED'").await, 0);

    fleet.stack.change_passwords(logins("other"));
    fleet.work(at(9, 15), at(9, 55)).await;
    let disabled = fleet.assert_shut_out(at(9, 15), at(9, 55)).await;
    // The command lives on the real clock, by which the pause may be over; the breaker is not.
    let said = fleet.order(&["status"]).await;
    assert!(said.contains("mail host localhost") && said.contains("(auth-breaker)"), "{said}");

    fleet.stack.change_passwords(logins("password"));
    fleet.work(at(9, 55), at(13, 0)).await;
    assert_eq!((fleet.count(RESTORED).await, fleet.count(RECOVERED).await), (disabled, 1));
    assert_eq!(fleet.count("SELECT count(*) FROM pauses WHERE probing").await, 0);
    assert_eq!(fleet.count(USUAL).await, MAILBOXES as i64);
    assert_eq!(fleet.count(COMPLETE).await, MAILBOXES as i64, "all have sent their day");
    assert_eq!(fleet.count("SELECT count(*) FROM logs WHERE status = 'SENT'").await, MAILBOXES as i64 * QUOTA);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_who_resumes_a_host_waits_for_no_breaker() {
    let fleet = Fleet::start().await;
    fleet.import("wrong", at(8, 45)).await;
    fleet.work(at(8, 45), at(9, 55)).await;
    let disabled = fleet.assert_shut_out(at(8, 45), at(9, 55)).await;

    fleet.stack.change_passwords(logins("wrong"));
    let said = fleet.order(&["mailbox", "resume", "--host", "localhost", "--yes"]).await;
    assert!(said.contains(&format!("resumed: {disabled} mailboxes")), "{said}");
    fleet.work(at(9, 55), at(11, 30)).await;

    assert_eq!((fleet.count(USUAL).await, fleet.count(RECOVERED).await), (MAILBOXES as i64, 0));
    assert_eq!(fleet.count(COMPLETE).await, MAILBOXES as i64, "all have sent their day");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mailbox_that_is_refused_while_its_neighbours_are_let_in_stays_disabled() {
    let fleet = Fleet::start().await;
    let mut passwords = logins("password");
    passwords[0].1 = "its-own".to_owned();
    fleet.stack.change_passwords(passwords);
    fleet.import("password", at(8, 45)).await;

    fleet.work(at(8, 45), at(11, 0)).await;

    assert_eq!((fleet.count(DISABLED).await, fleet.count(RESTORED).await), (1, 0));
    assert_eq!(fleet.count("SELECT count(*) FROM events WHERE kind = 'host-paused'").await, 0);
    assert_eq!(fleet.count(COMPLETE).await, MAILBOXES as i64 - 1, "its neighbours have sent their day");
    let shown = fleet.order(&["mailbox", "show", &address(0)]).await;
    assert!(shown.contains("disabled: auth-refused") && shown.contains("check user name and password"), "{shown}");
}
