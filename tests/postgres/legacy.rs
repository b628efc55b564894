//! Moving in from the older Node system, from a real second database with its schema.

use std::{io::Write, process::Stdio};

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Utc};
use secrecy::ExposeSecret;
use sqlx::PgPool;
use warmup::{
    adapters::{postgres::migrate::migrate as bring_up, seal::Sealer},
    admin::legacy::{LegacyError, LegacyReport, Options, import},
    domain::{enrolment::Rules, id::MailboxId, maintenance::Retention},
};
use warmup_support::world::{self, TestDatabase, empty_postgres};

const KEY: [u8; 32] = [11; 32];
/// In every password of these tests; must turn up nowhere.
const CANARY: &str = "canary-nightjar";

const SCHEMA: &str = "
    CREATE TABLE users (id serial PRIMARY KEY, email varchar(255), name text, role varchar(20));
    CREATE TABLE accounts (
        id serial PRIMARY KEY, email varchar(255), app_password text, sender_name text, smtp_host text, smtp_port int,
        imap_host text, imap_port int, daily_warmup_quota int, warmup_start_date date, warmup_enabled boolean,
        warmup_max_daily int, warmup_start_count int, warmup_increase_by int, warmup_reply_rate numeric, user_id int);
    CREATE TABLE logs (timestamp timestamptz, sender_id int, recipient_id int, sender text, recipient text, subject text,
                       status varchar(20), notes text);
    CREATE TABLE send_templates (id serial, subject text, body text);
    CREATE TABLE reply_templates (id serial, content text);
    INSERT INTO users (email, name, role) VALUES ('Boss@Old.example', 'Boss', 'Admin'), ('ben@old.example', 'Ben', 'member');
    INSERT INTO accounts (email, app_password, sender_name, smtp_host, smtp_port, imap_host, imap_port, warmup_start_date,
                          warmup_enabled, warmup_max_daily, warmup_start_count, warmup_increase_by, warmup_reply_rate, user_id)
    VALUES ('Ann@One.example', 'canary-nightjar a', 'Ann Lee', 'smtp.one.example', 465, 'imap.one.example', 993,
            '2026-11-20', true, 40, 5, 5, 0.25, 1),
           ('ben@two.example', 'canary-nightjar b', NULL, 'smtp.two.example', 587, NULL, NULL,
            '2026-01-01', false, 20, 2, 4, 30, 2);
    INSERT INTO logs VALUES
        ('2026-11-20 08:00+00', 1, 2, 'ann@one.example', 'ben@two.example', 'Notes', 'sent', NULL),
        ('2026-11-20 08:00+00', 1, 2, 'ann@one.example', 'ben@two.example', 'Notes', 'SENT ', NULL),
        ('2026-11-20 09:00+00', 2, 1, 'ben@two.example', 'ann@one.example', 'Re: Notes', 'Replied', NULL),
        ('2026-11-20 10:00+00', 1, 2, 'ann@one.example', 'ben@two.example', 'More', E'\\tFAILED', '550 no such user'),
        ('2026-11-20 23:30+00', NULL, NULL, 'Ann Lee <ANN@one.example>', 'else@where.example', NULL, 'Sent', NULL);
    INSERT INTO send_templates (subject, body) VALUES ('The {boxes|crates}', E'Hello,\n\nthey are here.');
    INSERT INTO reply_templates (content) VALUES ('Thank you.')";

const RULES: Rules =
    Rules { timezone: chrono_tz::Europe::Berlin, daily_max: 30, allow_plaintext: false, allow_private_hosts: false };

/// A Tuesday, 10:00 in Berlin.
fn now() -> DateTime<Utc> {
    "2026-11-24T09:00:00Z".parse().unwrap()
}

async fn run(pool: &PgPool, sql: &'static str) {
    sqlx::raw_sql(sql).execute(pool).await.unwrap();
}

/// The older system's database, and ours as `warmup migrate` leaves it.
async fn both() -> (TestDatabase, TestDatabase) {
    let (old, ours) = tokio::join!(empty_postgres(), world::postgres());
    run(old.pool(), SCHEMA).await;
    bring_up(ours.pool(), 256, now()).await.unwrap();
    (old, ours)
}

async fn try_move(old: &TestDatabase, ours: &TestDatabase, dry_run: bool) -> Result<LegacyReport, LegacyError> {
    let retention = Retention { log_days: 90, metrics_days: 30 };
    let options = Options { now: now(), dry_run, retention, progress: &|_, _| {} };
    import(ours.pool(), old.pool(), &Sealer::new(&KEY), &RULES, &options).await
}

async fn move_in(old: &TestDatabase, ours: &TestDatabase) -> LegacyReport {
    let report = try_move(old, ours, false).await.unwrap();
    the_days_count_their_rows(ours.pool()).await;
    report
}

/// DESIGN section 6: of every day that has counters, its rows are what they say.
async fn the_days_count_their_rows(pool: &PgPool) {
    const WRONG: &str = "
        SELECT count(*) FROM mailbox_days d WHERE (d.sent, d.failed + d.uncertain, d.replied) <> (
            SELECT count(*) FILTER (WHERE status = 'SENT'), count(*) FILTER (WHERE status = 'FAILED'),
                   count(*) FILTER (WHERE status = 'REPLIED')
            FROM logs l WHERE l.mailbox_id = d.mailbox_id AND l.day = d.day)";
    let wrong: i64 = sqlx::query_scalar(WRONG).fetch_one(pool).await.unwrap();
    assert_eq!(wrong, 0);
}

async fn all(pool: &PgPool, select: &'static str) -> Vec<String> {
    sqlx::query_scalar(select).fetch_all(pool).await.unwrap()
}

/// Every row of every table that an import writes.
async fn dump(pool: &PgPool) -> Vec<String> {
    let mut rows = Vec::new();
    for select in [
        "SELECT row::text FROM users AS row ORDER BY id",
        "SELECT row::text FROM mailboxes AS row ORDER BY id",
        "SELECT row::text FROM mailbox_days AS row ORDER BY mailbox_id, day",
        "SELECT row::text FROM logs AS row ORDER BY id",
        "SELECT row::text FROM templates AS row ORDER BY kind, position",
        "SELECT row::text FROM events AS row ORDER BY id",
        "SELECT relname::text FROM pg_class WHERE relname LIKE 'logs_2%' ORDER BY relname",
    ] {
        rows.extend(all(pool, select).await);
    }
    rows
}

fn unreadable(report: &LegacyReport) -> Vec<String> {
    report.unreadable.iter().map(|row| format!("{} {}: {}", row.table, row.row, row.reason)).collect()
}

fn left_out(report: &LegacyReport) -> Vec<(&str, u64)> {
    report.logs.left_out.iter().map(|left| (left.reason, left.rows)).collect()
}

#[tokio::test]
async fn mailboxes_come_with_owner_password_and_their_place_on_the_ramp() {
    let (old, ours) = both().await;
    let report = move_in(&old, &ours).await;
    assert_eq!((report.users.new.len(), report.mailboxes.new.len(), report.ramps), (2, 2, 2), "{report:?}");
    assert!(report.unreadable.is_empty() && report.warnings.is_empty(), "{report:?}");
    assert_eq!(
        all(ours.pool(), "SELECT email || ' ' || role FROM users ORDER BY id OFFSET 1").await,
        ["boss@old.example admin", "ben@old.example user"]
    );
    const MAILBOXES: &str = "
        SELECT concat_ws(' ', m.email, u.email, display_name, smtp_host, smtp_port, smtp_security, imap_host, imap_port,
                         imap_security, timezone, ramp_start, ramp_step, daily_max, grown, reply_rate, enabled)
        FROM mailboxes m JOIN users u ON u.id = m.user_id ORDER BY m.id";
    assert_eq!(
        all(ours.pool(), MAILBOXES).await,
        [
            "Ann@one.example boss@old.example Ann Lee smtp.one.example 465 tls imap.one.example 993 tls Europe/Berlin 5 5 40 4 25 t",
            "ben@two.example ben@old.example  smtp.two.example 587 starttls Europe/Berlin 2 4 20 5 30 f",
        ]
    );
    let (id, sealed): (i64, Vec<u8>) = sqlx::query_as("SELECT id, sealed_password FROM mailboxes ORDER BY id LIMIT 1")
        .fetch_one(ours.pool())
        .await
        .unwrap();
    let opened = Sealer::new(&KEY).inspect(MailboxId(id), &sealed).unwrap().password;
    assert_eq!(opened.expose_secret(), "canary-nightjar a");
    assert!(!dump(ours.pool()).await.concat().contains(CANARY));
}

#[tokio::test]
async fn the_log_comes_with_days_that_count_its_rows() {
    let (old, ours) = both().await;
    let report = move_in(&old, &ours).await;
    assert_eq!((report.logs.read, report.logs.copied, report.logs.known), (5, 5, 0), "{report:?}");
    const LOGS: &str = "
        SELECT concat_ws('|', l.day, m.email, l.partner_id > 0, l.subject, l.status, l.reason, l.worker_id, l.notes)
        FROM logs l JOIN mailboxes m ON m.id = l.mailbox_id ORDER BY l.id";
    assert_eq!(
        all(ours.pool(), LOGS).await,
        [
            "2026-11-20|Ann@one.example|t|Notes|SENT|legacy",
            "2026-11-20|Ann@one.example|t|Notes|SENT|legacy",
            "2026-11-20|ben@two.example|t|Re: Notes|REPLIED|legacy",
            "2026-11-20|Ann@one.example|t|More|FAILED|imported|legacy|550 no such user",
            // In Berlin it was tomorrow.
            "2026-11-21|Ann@one.example|f||SENT|legacy",
        ]
    );
    const DAYS: &str = "
        SELECT concat_ws(' ', day, quota, reserved, sent, failed, replied, attempts, closed, reason)
        FROM mailbox_days ORDER BY mailbox_id, day";
    assert_eq!(
        all(ours.pool(), DAYS).await,
        ["2026-11-20 2 2 2 1 0 3 t imported", "2026-11-21 1 1 1 0 0 1 t imported", "2026-11-20 0 0 0 0 1 0 t imported"]
    );
}

#[tokio::test]
async fn templates_come_where_none_are_stored_and_never_take_the_place_of_others() {
    let (old, ours) = both().await;
    run(
        old.pool(),
        "INSERT INTO send_templates (subject, body) VALUES ('Hi', 'Hello {{name}}'), ('Hi', '<p>Hello</p>'), (NULL, 'Hello'), \
         ('Hi', NULL), ('Hi', '{Hello|Good day')",
    )
    .await;
    let report = move_in(&old, &ours).await;
    assert_eq!((report.templates.mails, report.templates.replies, report.templates.outcome), (1, 1, "stored"));
    let told = unreadable(&report);
    assert_eq!(told.len(), 5, "{told:?}");
    for (told, part) in told.iter().zip(["2: holds a placeholder", "3: is HTML", "4: has no subject", "5: body", "6: "])
    {
        assert!(told.starts_with(&format!("send_templates {part}")), "{told}");
    }
    assert_eq!(
        all(ours.pool(), "SELECT concat_ws('|', kind, subject, body) FROM templates ORDER BY kind").await,
        ["mail|The {boxes|crates}|Hello,\n\nthey are here.", "reply|Thank you."]
    );
    assert_eq!(move_in(&old, &ours).await.templates.outcome, "unchanged");
    run(ours.pool(), "UPDATE templates SET body = 'Thanks a lot.' WHERE kind = 'reply'").await;
    let before = dump(ours.pool()).await;
    assert_eq!(move_in(&old, &ours).await.templates.outcome, "kept");
    assert_eq!(dump(ours.pool()).await, before);
}

#[tokio::test]
async fn a_second_run_changes_nothing() {
    let (old, ours) = both().await;
    move_in(&old, &ours).await;
    let before = dump(ours.pool()).await;
    let again = move_in(&old, &ours).await;
    assert_eq!(dump(ours.pool()).await, before);
    assert_eq!((again.users.new.len(), again.users.known, again.mailboxes.unchanged, again.ramps), (0, 2, 2, 0));
    assert_eq!((again.logs.copied, again.logs.known), (0, 5));
}

#[tokio::test]
async fn a_dry_run_tells_the_same_and_writes_nothing() {
    let (old, ours) = both().await;
    run(old.pool(), "INSERT INTO accounts (email, smtp_port) VALUES ('x@x.example', 0)").await;
    let before = dump(ours.pool()).await;
    let dry = try_move(&old, &ours, true).await.unwrap();
    assert_eq!(dump(ours.pool()).await, before);
    assert!(dry.dry_run && dry.mailboxes.dry_run);
    let done = move_in(&old, &ours).await;
    assert_eq!(
        (&dry.users, &dry.logs, &dry.templates, dry.ramps),
        (&done.users, &done.logs, &done.templates, done.ramps)
    );
    assert_eq!((&dry.mailboxes.new, &dry.unreadable), (&done.mailboxes.new, &done.unreadable));
}

#[tokio::test]
async fn what_comes_later_is_added_to_its_day() {
    let (old, ours) = both().await;
    move_in(&old, &ours).await;
    run(
        old.pool(),
        "INSERT INTO logs VALUES ('2026-11-20 08:00+00', 1, 2, 'ann@one.example', 'ben@two.example', 'Notes', 'SENT', NULL), \
         ('2026-11-20 12:00+00', 1, 2, 'ann@one.example', 'ben@two.example', 'Late', 'SENT', NULL)",
    )
    .await;
    let more = move_in(&old, &ours).await;
    assert_eq!((more.logs.copied, more.logs.known), (2, 5));
    assert_eq!(all(ours.pool(), "SELECT sent::text FROM mailbox_days ORDER BY mailbox_id, day").await, ["4", "1", "0"]);
}

#[tokio::test]
async fn days_that_this_system_counted_are_never_touched() {
    let (old, ours) = both().await;
    run(old.pool(), "CREATE TABLE later AS TABLE logs; DELETE FROM logs").await;
    move_in(&old, &ours).await;
    // One mailbox has counters of that day, without any mail; of the other's only a row of the log is left.
    run(
        ours.pool(),
        "INSERT INTO mailbox_days (mailbox_id, day, quota, closed, reason)
         SELECT id, '2026-11-20', 30, true, 'late' FROM mailboxes WHERE email LIKE 'Ann%';
         SELECT ensure_log_partitions('2026-11-20', '2026-11-20');
         INSERT INTO logs (id, at, day, mailbox_id, partner_id, sender, recipient, subject, message_id, status, worker_id)
         SELECT 900, '2026-11-20 12:00+00', '2026-11-20', id, 0, '', '', '', 'ours@two.example', 'SENT', 'worker-1'
         FROM mailboxes WHERE email LIKE 'ben%'",
    )
    .await;
    run(old.pool(), "INSERT INTO logs TABLE later").await;
    let report = move_in(&old, &ours).await;
    assert_eq!(report.logs.copied, 1, "{report:?}");
    assert_eq!(left_out(&report), [("of a day on which this system has counted the mailbox's mails itself", 4)]);
    const DAYS: &str = "SELECT concat_ws(' ', day, quota, sent, reason) FROM mailbox_days ORDER BY day";
    assert_eq!(all(ours.pool(), DAYS).await, ["2026-11-20 30 0 late", "2026-11-21 1 1 imported"]);
}

#[tokio::test]
async fn a_ramp_that_grows_here_is_left_alone() {
    let (old, ours) = both().await;
    move_in(&old, &ours).await;
    run(
        ours.pool(),
        "UPDATE mailboxes SET grown = 0; INSERT INTO mailbox_days (mailbox_id, day, quota, closed) \
         SELECT id, '2026-11-22', 5, true FROM mailboxes WHERE email LIKE 'Ann%'",
    )
    .await;
    assert_eq!(move_in(&old, &ours).await.ramps, 1);
    assert_eq!(all(ours.pool(), "SELECT grown::text FROM mailboxes ORDER BY id").await, ["0", "5"]);
}

#[tokio::test]
async fn what_is_too_old_or_not_over_is_counted_and_left_out() {
    let (old, ours) = both().await;
    run(
        old.pool(),
        "DELETE FROM logs; INSERT INTO logs (timestamp, sender, status) VALUES ('2026-08-01', 'ann@one.example', 'SENT'), \
         ('2026-08-02', 'ann@one.example', 'SENT'), ('2026-11-23 23:30+00', 'ann@one.example', 'SENT'), \
         ('2026-11-23 22:30+00', 'ann@one.example', 'SENT')",
    )
    .await;
    let report = move_in(&old, &ours).await;
    assert_eq!((report.logs.read, report.logs.copied), (4, 1));
    let reasons =
        ["older than WARMUP_LOG_RETENTION_DAYS", "of a day that is not over yet: run the import again when it is"];
    assert_eq!(left_out(&report), [(reasons[0], 2), (reasons[1], 1)]);
}

#[tokio::test]
async fn every_row_that_cannot_be_read_is_told_with_its_reason_and_no_secret() {
    let (old, ours) = both().await;
    run(
        old.pool(),
        "INSERT INTO users (email, role) VALUES ('nobody', 'user');
         INSERT INTO accounts (email, app_password, smtp_host, smtp_port, user_id, warmup_start_date) VALUES
            ('ANN@one.EXAMPLE', 'canary-nightjar', 'smtp.one.example', 465, 1, NULL),
            ('nopass@three.example', NULL, 'smtp.three.example', 465, 1, NULL),
            ('port@three.example', 'canary-nightjar', 'smtp.three.example', 70000, 1, NULL),
            ('owner@three.example', 'canary-nightjar', 'smtp.three.example', 465, 99, NULL),
            (NULL, 'canary-nightjar', 'canary-nightjar canary', NULL, 1, NULL),
            ('private@three.example', 'canary-nightjar', '127.0.0.1', 465, 1, NULL),
            ('fine@three.example', 'canary-nightjar', 'smtp.three.example', 2525, NULL, NULL);
         INSERT INTO logs VALUES
            ('2026-11-21 08:00+00', 77, 1, 'gone@three.example', 'ann@one.example', 'A', 'SENT', NULL),
            ('2026-11-21 08:00+00', 1, 2, NULL, NULL, 'B', 'bounced', NULL),
            ('2026-11-21 08:00+00', 1, 2, NULL, NULL, 'C', NULL, NULL),
            (NULL, 1, 2, NULL, NULL, 'D', 'SENT', NULL)",
    )
    .await;
    let report = move_in(&old, &ours).await;
    assert_eq!(
        unreadable(&report),
        [
            "users 3: email: write an address like name@example.com",
            "accounts 3: email: the same address as in row 1, which was taken",
            "accounts 5: smtp_port: write a number from 1 to 65535",
            "accounts 6: user_id: no user has this id, or its address can't be read",
            "accounts 7: email: is empty: write the mailbox's address",
            "accounts 7: smtp_host: write a host name like smtp.example.com",
            "accounts 4: app_password: is empty: a new mailbox needs its password",
            "accounts 8: smtp_host: is a private address or this machine: write a public mail host, or set \
             WARMUP_ALLOW_PRIVATE_HOSTS=true",
            "logs 6: status: \"bounced\" is none of SENT, REPLIED and FAILED",
            "logs 7: status: \"\" is none of SENT, REPLIED and FAILED",
            "logs 8: sender: is no mailbox that is enrolled here",
            "logs 9: timestamp: is no instant",
        ]
    );
    assert_eq!(report.mailboxes.new, ["Ann@one.example", "ben@two.example", "fine@three.example"]);
    assert_eq!((report.logs.read, report.logs.copied), (9, 5));
    assert!(!format!("{report:?}").contains(CANARY), "{report:?}");
}

#[tokio::test]
async fn a_mailbox_that_was_removed_here_stays_removed() {
    let (old, ours) = both().await;
    move_in(&old, &ours).await;
    run(
        ours.pool(),
        "UPDATE mailboxes SET state = 'removed', reason = 'operator', sealed_password = NULL WHERE email LIKE 'ben%'",
    )
    .await;
    let before = dump(ours.pool()).await;
    assert!(unreadable(&move_in(&old, &ours).await)[0].starts_with("accounts 2: email: was removed here"));
    assert_eq!(dump(ours.pool()).await, before);
}

#[tokio::test]
async fn ids_may_be_uuids_and_numbers_text() {
    let (old, ours) = tokio::join!(empty_postgres(), world::postgres());
    bring_up(ours.pool(), 256, now()).await.unwrap();
    run(
        old.pool(),
        "CREATE TABLE users (id uuid, email text);
         CREATE TABLE accounts (id uuid, email text, app_password text, smtp_host varchar, smtp_port varchar,
                                warmup_enabled int, daily_warmup_quota text, user_id uuid);
         CREATE TABLE logs (timestamp timestamp, sender_id uuid, status text);
         INSERT INTO users VALUES ('7d9c2c59-5b0f-4d7a-9f5e-0b0f5a1f0001', 'a@old.example');
         INSERT INTO accounts VALUES ('7d9c2c59-5b0f-4d7a-9f5e-0b0f5a1f0002', 'a@one.example', 'canary-nightjar',
                                      'smtp.one.example', '587', 0, '25', '7d9c2c59-5b0f-4d7a-9f5e-0b0f5a1f0001');
         INSERT INTO logs VALUES ('2026-11-20 08:00', '7d9c2c59-5b0f-4d7a-9f5e-0b0f5a1f0002', 'sent')",
    )
    .await;
    let report = move_in(&old, &ours).await;
    assert_eq!(unreadable(&report), Vec::<String>::new());
    assert_eq!(report.warnings, ["there is no table send_templates", "there is no table reply_templates"]);
    const MAILBOXES: &str = "
        SELECT concat_ws(' ', m.email, u.email, smtp_port, daily_max, ramp_start, enabled) FROM mailboxes m
        JOIN users u ON u.id = m.user_id";
    assert_eq!(all(ours.pool(), MAILBOXES).await, ["a@one.example a@old.example 587 25 3 f"]);
    assert_eq!(all(ours.pool(), "SELECT sender || ' ' || at FROM logs").await.len(), 1);
}

#[tokio::test]
async fn what_is_no_older_database_is_refused_with_all_that_is_missing() {
    let (old, ours) = tokio::join!(empty_postgres(), world::postgres());
    bring_up(ours.pool(), 256, now()).await.unwrap();
    let refusal = async |old: &TestDatabase| try_move(old, &ours, false).await.unwrap_err().to_string();
    assert!(refusal(&old).await.ends_with("there is no table accounts"));
    run(old.pool(), "CREATE TABLE accounts (email text, smtp_host text)").await;
    assert!(refusal(&old).await.ends_with("table accounts has no column app_password, smtp_port"));
    assert!(refusal(&ours).await.contains("is one of this system already"));
}

/// Runs `warmup import legacy` with `args`, `input` on its standard input; returns its exit status and all that was said.
async fn by_command(ours: &TestDatabase, args: &[&str], input: &str) -> (i32, String) {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_warmup"));
    command.args(["import", "legacy"]).args(args).env_clear().env("DATABASE_URL", ours.url());
    command.env("WARMUP_MASTER_KEY", STANDARD.encode(KEY)).kill_on_drop(true);
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input.as_bytes()).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let output = command.stdin(Stdio::from(file)).output().await.expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), said)
}

#[tokio::test]
async fn the_url_comes_from_the_flag_a_file_or_standard_input_and_is_never_repeated() {
    let (old, ours) = both().await;
    run(old.pool(), "DELETE FROM logs").await;
    let (ended, said) = by_command(&ours, &["--from", "-", "--dry-run"], &format!("{}\n", old.url())).await;
    assert!(ended == 0 && said.starts_with("dry run, nothing was written\nusers: 2 new, 0 known\n"), "{said}");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(old.url().as_bytes()).unwrap();
    let path = file.path().to_str().unwrap();
    let (ended, said) = by_command(&ours, &["--from", &format!("@{path}")], "").await;
    assert!(ended == 0 && said.contains("mailboxes: 2 mailboxes, 2 new, 0 changed, 0 unchanged"), "{said}");
    let (ended, said) = by_command(&ours, &["--from-file", path], "").await;
    assert!(ended == 0 && said.contains("2 mailboxes, 0 new, 0 changed, 2 unchanged"), "{said}");
    let (ended, said) = by_command(&ours, &["--from", old.url(), "--json"], "").await;
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(
        (ended, report["mailboxes"]["unchanged"].as_u64(), report["unreadable"].as_array().unwrap().len()),
        (0, Some(2), 0)
    );
    for url in ["postgres://u:canary-nightjar@h:x/db", "postgres://u:canary-nightjar@127.0.0.1:1/db"] {
        let (ended, said) = by_command(&ours, &["--from", url], "").await;
        assert!(ended == 1 && said.contains("--from") && !said.contains(CANARY), "{said}");
    }
}
