//! A CSV file becomes mailboxes: all of it, or nothing.

use secrecy::ExposeSecret;
use warmup::{
    adapters::postgres::keyring,
    admin::import::{Changed, ImportError},
    domain::shard::shard_of,
};

use super::*;

async fn password(pool: &PgPool, email: &str) -> String {
    let id = id_of(pool, email).await;
    let sealed: Vec<u8> = sqlx::query_scalar("SELECT sealed_password FROM mailboxes WHERE id = $1")
        .bind(id.0)
        .fetch_one(pool)
        .await
        .unwrap();
    sealer().inspect(id, &sealed).unwrap().password.expose_secret().to_owned()
}

async fn kinds(pool: &PgPool) -> Vec<(String, String)> {
    sqlx::query_as("SELECT kind, detail FROM events ORDER BY id").fetch_all(pool).await.unwrap()
}

async fn state(pool: &PgPool, email: &str) -> (String, Option<String>) {
    let state = sqlx::query_as("SELECT state, reason FROM mailboxes WHERE lower(email) = lower($1)").bind(email);
    state.fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_new_mailbox_is_stored_with_its_defaults_and_its_password_sealed() {
    let database = database().await;
    let report =
        import(database.pool(), &csv(&["Ann@Example.COM,canary-nightjar,Mail.Example.com,465"])).await.unwrap();
    assert_eq!(report.new, ["Ann@example.com"]);
    let stored: (String, String, String, i32, String, String, i16, i16, i16, bool, String) = sqlx::query_as(
        "SELECT domain, username, smtp_host, smtp_port, smtp_security, timezone, window_start, window_end, daily_max, \
         enabled, state FROM mailboxes",
    )
    .fetch_one(database.pool())
    .await
    .unwrap();
    let (domain, username, host, port, security, zone, start, end, most, enabled, state) = stored;
    assert_eq!((domain.as_str(), username.as_str()), ("example.com", "Ann@example.com"));
    assert_eq!((host.as_str(), port, security.as_str()), ("mail.example.com", 465, "tls"));
    assert_eq!((zone.as_str(), start, end, most), ("Europe/Berlin", 540, 1020, 30));
    assert_eq!((enabled, state.as_str()), (true, "active"));
    assert_eq!(password(database.pool(), "ann@example.com").await, CANARY);
    assert_eq!(kinds(database.pool()).await, [("mailbox-enrolled".to_owned(), String::new())]);
}

#[tokio::test]
async fn every_mailbox_stands_in_the_shard_of_its_id() {
    let database = database().await;
    import(database.pool(), &many(300)).await.unwrap();
    let rows: Vec<(i64, i32)> =
        sqlx::query_as("SELECT id, shard FROM mailboxes").fetch_all(database.pool()).await.unwrap();
    assert_eq!(rows.len(), 300);
    assert!(rows.iter().all(|(id, shard)| shard_of(MailboxId(*id), 256).0 == *shard));
}

#[tokio::test]
async fn importing_again_changes_only_what_is_filled_and_different() {
    let database = database().await;
    let pool = database.pool();
    let first = format!(
        "{HEADER},display_name,daily_max\na@x.org,{CANARY}-1,h.org,587,Ann,12\nb@x.org,{CANARY}-2,h.org,587,,\n"
    );
    import(pool, &first).await.unwrap();
    let second = format!(
        "daily_max,{HEADER}\n20,A@X.org,{CANARY}-3,,\n,b@x.org,{CANARY}-2,h.org,587\n,c@x.org,{CANARY},h.org,587\n"
    );
    let report = import(pool, &second).await.unwrap();
    assert_eq!(report.new, ["c@x.org"]);
    assert_eq!(report.changed, [Changed { email: "a@x.org".to_owned(), columns: vec!["daily_max", "password"] }]);
    assert_eq!(report.unchanged, 1);
    assert_eq!(password(pool, "a@x.org").await, format!("{CANARY}-3"));
    let kept: (String, i16) = sqlx::query_as("SELECT display_name, daily_max FROM mailboxes WHERE email = 'a@x.org'")
        .fetch_one(pool)
        .await
        .unwrap();
    assert_eq!(kept, ("Ann".to_owned(), 20));
    let told: Vec<String> = kinds(pool).await.into_iter().map(|(kind, detail)| format!("{kind} {detail}")).collect();
    assert_eq!(
        told,
        ["mailbox-enrolled ", "mailbox-enrolled ", "mailbox-enrolled ", "mailbox-changed daily_max, password"]
    );
}

#[tokio::test]
async fn an_unchanged_file_writes_nothing() {
    let database = database().await;
    import(database.pool(), &many(25)).await.unwrap();
    let before = dump(database.pool()).await;
    let report = import(database.pool(), &many(25)).await.unwrap();
    assert_eq!((report.new.len(), report.changed.len(), report.unchanged), (0, 0, 25));
    assert_eq!(dump(database.pool()).await, before);
}

#[tokio::test]
async fn a_dry_run_tells_the_same_and_writes_nothing() {
    let database = database().await;
    import(database.pool(), &many(3)).await.unwrap();
    let before = dump(database.pool()).await;
    let file = many(5).replace("-1,", "-changed,");
    let dry = import_with(database.pool(), &file, true).await.unwrap();
    assert_eq!(dump(database.pool()).await, before);
    let wet = import(database.pool(), &file).await.unwrap();
    assert_eq!(
        (&dry.new, &dry.changed, dry.unchanged, &dry.warnings),
        (&wet.new, &wet.changed, wet.unchanged, &wet.warnings)
    );
    assert_eq!((dry.new.len(), dry.changed.len(), dry.unchanged), (2, 1, 2));
}

#[tokio::test]
async fn with_any_fault_nothing_is_imported_and_all_faults_are_told() {
    let database = database().await;
    let file = format!(
        "{HEADER},daily_max,timezone\n\
         a@x.org,{CANARY},h.org,587,,\n\
         b@x.org,{CANARY},h.org,2525,lots,Europe/Berln\n\
         A@x.org,{CANARY},h.org,587,,\n\
         c@x.org,,127.0.0.1,25,,\n"
    );
    let error = import(database.pool(), &file).await.unwrap_err();
    assert!(matches!(&error, ImportError::Faults(faults) if faults.len() == 7), "{error}");
    let told = error.to_string();
    for part in [
        "7 faults, nothing was imported",
        "line 3, smtp_security: port 2525 has no usual security",
        "line 3, daily_max: write a number from 0 to 2000",
        "line 3, timezone: is no time zone: did you mean Europe/Berlin?",
        "line 4, email: the same address as in line 2",
        "line 5, password: is empty",
        "line 5, smtp_host: is a private address",
        "line 5, smtp_security: would send the password unencrypted",
    ] {
        assert!(told.contains(part), "{part} is not in {told}");
    }
    assert!(!told.contains(CANARY) && !format!("{error:?}").contains(CANARY));
    assert_eq!((count(database.pool(), "mailboxes").await, count(database.pool(), "events").await), (0, 0));
}

#[tokio::test]
async fn users_are_made_once_and_mailboxes_move_between_them() {
    let database = database().await;
    let pool = database.pool();
    let file = |user: &str| format!("{HEADER},user\na@x.org,{CANARY},h.org,587,{user}\nb@x.org,{CANARY},h.org,587,\n");
    assert_eq!(import(pool, &file("Boss@x.org")).await.unwrap().users_created, ["boss@x.org"]);
    assert_eq!(import(pool, &file("BOSS@X.ORG")).await.unwrap().unchanged, 2);
    let report = import(pool, &file("Operator@localhost")).await.unwrap();
    assert_eq!(report.changed[0].columns, ["user"]);
    assert_eq!((report.users_created.len(), count(pool, "users").await), (0, 2));
}

#[tokio::test]
async fn a_removed_mailbox_comes_back_with_the_new_password() {
    let database = database().await;
    let pool = database.pool();
    import(pool, &csv(&["a@x.org,canary-nightjar,h.org,587"])).await.unwrap();
    let remove = "UPDATE mailboxes SET state = 'removed', reason = 'operator', sealed_password = NULL, grown = 4, \
                  receives = false, receive_reason = 'removed'";
    sqlx::query(remove).execute(pool).await.unwrap();
    let error = import(pool, &csv(&["a@x.org,,h.org,587"])).await.unwrap_err().to_string();
    assert!(error.contains("line 2, password: is empty"), "{error}");
    let report = import(pool, &csv(&["A@x.org,canary-nightjar-2,h.org,587"])).await.unwrap();
    assert_eq!(report.reactivated, ["a@x.org"]);
    assert_eq!(state(pool, "a@x.org").await, ("active".to_owned(), None));
    assert_eq!(password(pool, "a@x.org").await, "canary-nightjar-2");
    let kept: (bool, Option<String>, i16) =
        sqlx::query_as("SELECT receives, receive_reason, grown FROM mailboxes").fetch_one(pool).await.unwrap();
    assert_eq!(kept, (true, None, 4));
    let last = kinds(pool).await.pop().unwrap();
    assert_eq!(last, ("mailbox-reactivated".to_owned(), "was removed: operator".to_owned()));
}

#[tokio::test]
async fn only_new_access_ends_a_disable_and_only_one_for_its_access() {
    let database = database().await;
    let pool = database.pool();
    let line = |password: &str| csv(&[&format!("a@x.org,{password},h.org,587")]);
    import(pool, &line(CANARY)).await.unwrap();
    let disable = |reason: &'static str| {
        sqlx::query("UPDATE mailboxes SET state = 'disabled', reason = $1").bind(reason).execute(pool)
    };
    disable("auth-refused").await.unwrap();
    assert!(import(pool, &line(CANARY)).await.unwrap().reactivated.is_empty());
    assert_eq!(state(pool, "a@x.org").await.0, "disabled");
    assert_eq!(import(pool, &line("canary-nightjar-2")).await.unwrap().reactivated, ["a@x.org"]);
    assert_eq!(state(pool, "a@x.org").await, ("active".to_owned(), None));
    disable("sender-blocked").await.unwrap();
    let report = import(pool, &line("canary-nightjar-3")).await.unwrap();
    assert_eq!(state(pool, "a@x.org").await.0, "disabled");
    assert!(report.warnings.iter().any(|warning| warning == "changed, but still disabled: a@x.org (sender-blocked)"));
}

#[tokio::test]
async fn what_may_not_be_meant_is_warned_of() {
    let database = database().await;
    let lone = import(database.pool(), &csv(&["a@x.org,canary-nightjar,h.org,587"])).await.unwrap();
    assert_eq!(lone.warnings, ["a@x.org is the only mailbox: it sends nothing until there is another"]);
    let file = format!("{HEADER},daily_max\nb@x.org,{CANARY},h.org,587,10\n");
    let warnings = import(database.pool(), &file).await.unwrap().warnings;
    assert_eq!(warnings[0], "daily_max below WARMUP_MIN_DAILY_QUOTA (30) is obeyed: b@x.org (10)");
    assert!(warnings[1].starts_with("too few partners: with 1 other mailboxes"), "{warnings:?}");
    // Six domains of eight have 33 shifts: enough for all.
    let line = |at: usize| format!("m{at}@d{}.example,{CANARY},h.org,587\n", at % 6);
    let other = super::database().await;
    let full = format!("{HEADER}\n{}", (0..48).map(line).collect::<String>());
    assert_eq!(import(other.pool(), &full).await.unwrap().warnings, [""; 0]);
}

#[tokio::test]
async fn two_imports_at_once_make_each_mailbox_once() {
    let database = database().await;
    // The first use of a key holds first users apart by itself: it is not what is tested here.
    keyring::check(database.pool(), &sealer()).await.unwrap();
    let file = many(60);
    let racers = async { tokio::join!(import(database.pool(), &file), import(database.pool(), &file)) };
    let (one, other) = all_read_before_any_writes(database.pool(), "mailboxes", 2, racers).await;
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_eq!(one.new.len() + other.new.len(), 60);
    assert_eq!(one.unchanged + other.unchanged, 60);
    assert_eq!(count(database.pool(), "mailboxes").await, 60);
}

#[tokio::test]
async fn a_hundred_thousand_lines_go_in_and_are_known_again() {
    let database = database().await;
    let file = many(100_000);
    let seen = std::sync::atomic::AtomicUsize::new(0);
    let progress = |done: usize, total: usize| {
        assert!(done <= total && total == 100_000);
        seen.store(done, std::sync::atomic::Ordering::Relaxed);
    };
    let options = Options { now: now(), dry_run: false, progress: &progress };
    let began = clock();
    let report = import_csv(database.pool(), &sealer(), &RULES, file.as_bytes(), &options).await.unwrap();
    println!("100,000 lines in {:?}", clock() - began);
    assert_eq!((report.new.len(), seen.into_inner()), (100_000, 100_000));
    let began = clock();
    assert_eq!(import(database.pool(), &file).await.unwrap().unchanged, 100_000);
    println!("100,000 known lines in {:?}", clock() - began);
}

#[tokio::test]
async fn a_large_import_refreshes_the_statistics_and_a_small_one_does_not() {
    for (lines, analysed) in [(999, false), (1_000, true)] {
        let database = database().await;
        const BY_HAND: &str = "ALTER TABLE mailboxes SET (autovacuum_enabled = false)";
        sqlx::query(BY_HAND).execute(database.pool()).await.unwrap();
        import(database.pool(), &many(lines)).await.unwrap();
        const KNOWN: &str = "SELECT EXISTS (SELECT FROM pg_stats WHERE tablename = 'mailboxes')";
        let known: bool = sqlx::query_scalar(KNOWN).fetch_one(database.pool()).await.unwrap();
        assert_eq!(known, analysed, "{lines} lines");
    }
}

fn clock() -> std::time::Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    std::time::Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap())
}

#[tokio::test]
async fn a_database_that_was_never_migrated_is_told_so() {
    let database = world::postgres().await;
    let error = import(database.pool(), &many(1)).await.unwrap_err();
    assert!(matches!(error, ImportError::NotMigrated) && error.to_string().contains("warmup migrate"), "{error}");
}

#[tokio::test]
async fn pasted_passwords_and_user_names_are_warned_of_and_never_repeated() {
    let database = database().await;
    let file = "email,password,username,smtp_host,smtp_port\n\
                a@x.org,  canary ,,mail.x.org,465\n\
                b@x.org,can\u{a0}ary,b\u{200b}@x.org,mail.x.org,465\n\
                c@x.org,\u{201c}canary\u{201d},,mail.x.org,465\n\
                d@x.org,canary,,mail.x.org,465\n";
    let dry = import_with(database.pool(), file, true).await.unwrap();
    let wet = import(database.pool(), file).await.unwrap();
    let pasted = |report: &ImportReport| -> Vec<String> {
        report.warnings.iter().filter(|warning| warning.contains("is that meant?")).cloned().collect()
    };
    let end = "is that meant? It is stored as it stands";
    assert_eq!(
        pasted(&wet),
        [
            format!("line 2, a@x.org: the password begins or ends with a blank: {end}"),
            format!("line 3, b@x.org: the password holds a no-break space: {end}"),
            format!("line 3, b@x.org: the username holds a character without width: {end}"),
            format!("line 4, c@x.org: the password holds a typographic quotation mark: {end}"),
        ]
    );
    assert_eq!(pasted(&dry), pasted(&wet));
    assert!(!format!("{wet:?}").contains("canary"));
}

#[tokio::test]
async fn of_many_pasted_passwords_a_hundred_are_named() {
    let database = database().await;
    let mut file = "email,password,smtp_host,smtp_port\n".to_owned();
    (0..103).for_each(|n| file += &format!("m{n}@x.org,p\u{a0}w,mail.x.org,465\n"));
    let warnings = import(database.pool(), &file).await.unwrap().warnings;
    assert_eq!(warnings.iter().filter(|warning| warning.contains("is that meant?")).count(), 100);
    assert_eq!(warnings.last().unwrap(), "and 3 more passwords or user names that look pasted");
}
