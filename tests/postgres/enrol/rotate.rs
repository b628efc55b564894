//! `warmup keys rotate`: every password under the new key, or nothing changed.

use std::os::unix::fs::PermissionsExt;

use base64::{Engine, engine::general_purpose::STANDARD};
use warmup::adapters::postgres::keyring::{KeyringError, RotateError, check, holds, rotate};

use super::{
    commands::{ok, text, warmup},
    *,
};

const NEW: [u8; 32] = [12; 32];

fn new_sealer() -> Sealer {
    Sealer::new(&NEW)
}

/// Mailboxes whose password opens under `sealer`.
async fn opened(pool: &PgPool, sealer: &Sealer) -> usize {
    let rows: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT id, sealed_password FROM mailboxes WHERE sealed_password IS NOT NULL")
            .fetch_all(pool)
            .await
            .unwrap();
    rows.iter().filter(|(id, sealed)| sealer.inspect(MailboxId(*id), sealed).is_ok()).count()
}

#[tokio::test]
async fn every_password_opens_under_the_new_key_and_none_under_the_old() {
    let database = database().await;
    let pool = database.pool();
    // More than one statement's worth, and one without a password.
    import(pool, &many(4_100)).await.unwrap();
    let remove =
        "UPDATE mailboxes SET state = 'removed', reason = 'operator', sealed_password = NULL WHERE email LIKE 'm0@%'";
    sqlx::query(remove).execute(pool).await.unwrap();
    let rotated = rotate(pool, &sealer(), &new_sealer(), now()).await.unwrap();
    assert_eq!((rotated.passwords, rotated.to), (4_099, new_sealer().key_id()));
    assert_eq!((opened(pool, &new_sealer()).await, opened(pool, &sealer()).await), (4_099, 0));
    check(pool, &new_sealer()).await.unwrap();
    assert!(matches!(check(pool, &sealer()).await.unwrap_err(), KeyringError::OtherKey { .. }));
    assert!(!holds(pool, sealer().key_id()).await.unwrap() && holds(pool, new_sealer().key_id()).await.unwrap());
    let event: String =
        sqlx::query_scalar("SELECT detail FROM events WHERE kind = 'key-rotated'").fetch_one(pool).await.unwrap();
    assert!(event.contains("4099 passwords"), "{event}");
    let states: i64 =
        sqlx::query_scalar("SELECT count(*) FROM mailboxes WHERE state = 'active'").fetch_one(pool).await.unwrap();
    assert_eq!(states, 4_099);
}

#[tokio::test]
async fn a_password_that_does_not_open_is_named_and_nothing_is_changed() {
    let database = database().await;
    let pool = database.pool();
    import(pool, &many(3)).await.unwrap();
    let damage = "UPDATE mailboxes SET sealed_password = set_byte(sealed_password, 40, get_byte(sealed_password, 40) # 1) \
                  WHERE email = 'm1@d0.example'";
    sqlx::query(damage).execute(pool).await.unwrap();
    let before = dump(pool).await;
    let error = rotate(pool, &sealer(), &new_sealer(), now()).await.unwrap_err();
    assert!(matches!(&error, RotateError::Unopened(emails) if emails == &["m1@d0.example"]), "{error}");
    for (old, new) in [(new_sealer(), sealer()), (sealer(), sealer())] {
        assert!(rotate(pool, &old, &new, now()).await.is_err());
    }
    assert_eq!(dump(pool).await, before);
}

#[tokio::test]
async fn an_import_beside_a_rotation_stores_nothing_under_the_old_key() {
    let database = database().await;
    let pool = database.pool();
    import(pool, &many(30)).await.unwrap();
    let (old, new) = (sealer(), new_sealer());
    let file = many(60);
    let (rotated, imported) = tokio::join!(rotate(pool, &old, &new, now()), import(pool, &file));
    rotated.unwrap();
    let all = if imported.is_ok() { 60 } else { 30 };
    assert_eq!((opened(pool, &new).await, opened(pool, &old).await), (all, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_into_a_file_of_its_owner_or_read_and_never_shown() {
    let database = database().await;
    import(database.pool(), &many(2)).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("master.key");
    let file = path.to_str().unwrap();
    let generated = warmup(&database, &["keys", "rotate", "--generate", file], "");
    let told = ok(&generated);
    let key = std::fs::read_to_string(&path).unwrap();
    assert!(told.contains("2 passwords") && told.contains(file) && !text(&generated).contains(key.trim()), "{told}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let bytes: [u8; 32] = STANDARD.decode(key.trim()).unwrap().try_into().unwrap();
    assert_eq!(opened(database.pool(), &Sealer::new(&bytes)).await, 2);

    // The environment's key is the old one now: no command can do harm with it.
    let again = folder.path().join("again.key");
    let refused = warmup(&database, &["keys", "rotate", "--generate", again.to_str().unwrap()], "");
    assert!(
        refused.status.code() == Some(1) && text(&refused).contains("is not this database's"),
        "{}",
        text(&refused)
    );
    assert!(!again.exists(), "a key that nothing is sealed under is no use");
    let kept = warmup(&database, &["keys", "rotate", "--generate", file], "");
    assert!(text(&kept).contains("not there yet") && std::fs::read_to_string(&path).unwrap() == key);
    let add = ["mailbox", "add", "a@x.org", "--smtp-host", "h.org", "--smtp-port", "587", "--password-stdin"];
    assert!(text(&warmup(&database, &add, CANARY)).contains("is not this database's"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_comes_from_standard_input_or_a_file_and_must_be_one() {
    let database = database().await;
    import(database.pool(), &many(2)).await.unwrap();
    let short = warmup(&database, &["keys", "rotate", "--key-stdin"], CANARY);
    assert!(short.status.code() == Some(1) && text(&short).contains("not 32 bytes in base64"), "{}", text(&short));
    let nobody = warmup(&database, &["keys", "rotate"], "");
    assert!(text(&nobody).contains("without a terminal"), "{}", text(&nobody));
    let key = STANDARD.encode(NEW);
    let rotated = warmup(&database, &["keys", "rotate", "--key-stdin", "--json"], &format!("{key}\n"));
    assert!(ok(&rotated).contains(&new_sealer().key_id().to_string()) && !text(&rotated).contains(&key));
    assert_eq!(opened(database.pool(), &new_sealer()).await, 2);
}
