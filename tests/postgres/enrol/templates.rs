//! The operator's own texts: stored for a fleet, and what a worker takes at its start.

use std::{collections::BTreeMap, io::Write, sync::Arc};

use sqlx::PgPool;
use warmup::{
    admin::templates::{ImportError, export, import, reset, texts},
    config::Settings,
    domain::content::{Kind, Names, Texts},
};

use super::{
    commands::{ok, text, warmup},
    count, database, now,
};

const OURS: &str = "=== mail\nSubject: {Our|The} boxes\n\n{greeting}\n\nThey are {here|there}.\n\n=== mail\nSubject: Ours too\n\nYes.\n";

fn settings(templates_file: Option<&str>) -> Settings {
    let var = templates_file.map(|path| ("WARMUP_TEMPLATES_FILE".to_owned(), path.to_owned()));
    Settings::from_vars(&BTreeMap::from_iter(var)).unwrap().0
}

async fn taken(pool: &PgPool) -> Arc<Texts> {
    texts(&settings(None), pool).await.unwrap()
}

fn written(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn a_worker_writes_with_the_stored_texts_and_built_in_replies() {
    let database = database().await;
    let pool = database.pool();
    assert!(Arc::ptr_eq(&taken(pool).await, &Texts::built_in()));
    let report = import(pool, OURS, now(), false).await.unwrap();
    assert_eq!((report.mails, report.replies, report.warnings.len()), (2, 0, 1));
    let ours = taken(pool).await;
    assert_eq!((ours.count(Kind::Mail), ours.count(Kind::Reply)), (2, Texts::built_in().count(Kind::Reply)));
    let said: Vec<String> = (0..50).map(|dice| ours.mail(dice).text(&Names::default())).collect();
    assert!(said.iter().any(|text| text == "Yes.\n") && said.iter().any(|text| text.ends_with("\n\nThey are here.\n")));
    reset(pool, now()).await.unwrap();
    assert!(Arc::ptr_eq(&taken(pool).await, &Texts::built_in()));
}

#[tokio::test]
async fn the_same_dice_choose_the_same_mail_on_every_worker() {
    let database = database().await;
    let pool = database.pool();
    import(pool, &Texts::built_in_file(), now(), false).await.unwrap();
    let stored = taken(pool).await;
    for dice in 0..200 {
        let (ours, built_in) = (stored.mail(dice), Texts::built_in().mail(dice));
        assert_eq!(
            (&ours.subject, ours.text(&Names::default())),
            (&built_in.subject, built_in.text(&Names::default()))
        );
    }
}

#[tokio::test]
async fn an_import_takes_the_place_of_the_one_before_and_is_recorded() {
    let database = database().await;
    let pool = database.pool();
    import(pool, &Texts::built_in_file(), now(), false).await.unwrap();
    import(pool, OURS, now(), false).await.unwrap();
    assert_eq!(count(pool, "templates").await, 2);
    assert_eq!(export(pool).await.unwrap(), OURS);
    let events: Vec<(String, String)> =
        sqlx::query_as("SELECT reason, detail FROM events WHERE kind = 'templates-changed' ORDER BY id")
            .fetch_all(pool)
            .await
            .unwrap();
    assert_eq!(events, [("import".into(), "110 stored".into()), ("import".into(), "2 stored".into())]);
}

#[tokio::test]
async fn imports_at_once_leave_one_of_them_whole() {
    let database = database().await;
    let pool = database.pool();
    let (one, other) = (OURS.to_owned(), OURS.replace("boxes", "crates"));
    let all = tokio::join!(
        import(pool, &one, now(), false),
        import(pool, &other, now(), false),
        import(pool, &one, now(), false)
    );
    all.0.unwrap();
    all.1.unwrap();
    all.2.unwrap();
    let stored = export(pool).await.unwrap();
    assert!(stored == one || stored == other, "{stored}");
}

#[tokio::test]
async fn with_any_fault_or_in_a_dry_run_nothing_is_stored() {
    let database = database().await;
    let pool = database.pool();
    let ImportError::Faults(faults) =
        import(pool, "=== mail\n{too\n\n=== reply\n{you}\n", now(), false).await.unwrap_err()
    else {
        panic!("the faults are told");
    };
    assert_eq!(faults.iter().map(|fault| fault.line).collect::<Vec<_>>(), [1, 2, 5]);
    assert!(import(pool, OURS, now(), true).await.unwrap().dry_run);
    assert_eq!((count(pool, "templates").await, count(pool, "events").await), (0, 0));
}

#[tokio::test]
async fn a_file_goes_before_the_store() {
    let database = database().await;
    let pool = database.pool();
    import(pool, OURS, now(), false).await.unwrap();
    let file = written("=== reply\n\nFrom the file.\n");
    let settings = settings(file.path().to_str());
    let both = texts(&settings, pool).await.unwrap();
    assert_eq!(both.reply(1, "x").text(&Names::default()), "From the file.\n");
    assert_eq!(both.count(Kind::Mail), Texts::built_in().count(Kind::Mail));
}

#[tokio::test]
async fn a_row_that_is_no_template_is_said_at_the_start() {
    let database = database().await;
    let pool = database.pool();
    import(pool, OURS, now(), false).await.unwrap();
    let write = async |body: &str| {
        sqlx::query("UPDATE templates SET body = $1 WHERE position = 1").bind(body).execute(pool).await.unwrap();
        texts(&settings(None), pool).await.map_err(|error| error.to_string())
    };
    let error = write("{open").await.unwrap_err();
    assert!(error.contains("import the file again"), "{error}");
    let own = write("=== mail\nSubject: two\n\nin one").await.unwrap();
    assert_eq!(own.count(Kind::Mail), 2, "what only looks like a mark begins no template");
    let reply_with_subject = "INSERT INTO templates VALUES ('reply', 9, 'a', 'b', now())";
    assert!(sqlx::query(reply_with_subject).execute(pool).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_tell_what_they_do_and_all_faults() {
    let database = database().await;
    let run = |args: &[&str], input: &str| warmup(&database, args, input);
    let faulty = run(&["template", "import", "-"], "=== mail\nSubject: {a\n\n{form}\n");
    assert_eq!(faulty.status.code(), Some(1));
    assert!(text(&faulty).contains("the templates have 2 faults:\n  line 2: a { that"), "{}", text(&faulty));
    assert!(text(&faulty).contains("line 4: {form} is unknown: did you mean {from}?"), "{}", text(&faulty));
    let faulty = run(&["template", "import", "-", "--json"], "");
    assert!(text(&faulty).contains("\"line\": 1") && !faulty.status.success(), "{}", text(&faulty));

    let file = written(OURS);
    let path = file.path().to_str().unwrap();
    assert!(
        ok(&run(&["template", "import", path, "--dry-run"], "")).starts_with("dry run, nothing was written: 2 mails")
    );
    let stored = ok(&run(&["template", "import", path], ""));
    assert!(
        stored.starts_with("stored for the next start of each worker: 2 mails, 0 replies\nno replies in it"),
        "{stored}"
    );
    assert!(stored.contains("warning: line 8: only 2 of kind mail"), "{stored}");
    assert_eq!(ok(&run(&["template", "export"], "")).trim_end(), OURS.trim_end());
    assert!(ok(&run(&["template", "export", "--built-in"], "")).contains("=== reply"));
    ok(&run(&["template", "reset"], ""));
    assert_eq!(ok(&run(&["template", "export"], "")).trim_end(), Texts::built_in_file().trim_end());
}
