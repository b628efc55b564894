//! A wrong master key is found at the start, and disables nobody.

use warmup::adapters::postgres::keyring::{KeyringError, Known, check};

use super::*;

#[tokio::test]
async fn the_first_key_becomes_the_databases_own() {
    let database = database().await;
    assert_eq!(check(database.pool(), &sealer()).await.unwrap(), Known::FromNow);
    assert_eq!(check(database.pool(), &sealer()).await.unwrap(), Known::Before);
}

#[tokio::test]
async fn another_key_is_refused_with_both_ids_and_changes_nothing() {
    let database = database().await;
    import(database.pool(), &many(3)).await.unwrap();
    let before = dump(database.pool()).await;
    let other = Sealer::new(&[12; 32]);
    let error = check(database.pool(), &other).await.unwrap_err();
    let told = error.to_string();
    assert!(matches!(error, KeyringError::OtherKey { .. }), "{told}");
    assert!(told.contains(&sealer().key_id().to_string()) && told.contains(&other.key_id().to_string()), "{told}");
    let options = Options { now: now(), dry_run: false, progress: &|_, _| {} };
    let file = many(4);
    let refused = import_csv(database.pool(), &other, &RULES, file.as_bytes(), &options).await.unwrap_err();
    assert!(matches!(refused, ImportError::Keyring(KeyringError::OtherKey { .. })), "{refused}");
    assert_eq!(dump(database.pool()).await, before);
}

#[tokio::test]
async fn of_two_first_keys_at_once_one_wins() {
    let database = database().await;
    let (one, two) = (sealer(), Sealer::new(&[12; 32]));
    let racers = async { tokio::join!(check(database.pool(), &one), check(database.pool(), &two)) };
    let (first, second) = all_read_before_any_writes(database.pool(), "keyring", 2, racers).await;
    assert!(first.is_ok() != second.is_ok());
    assert_eq!(count(database.pool(), "keyring").await, 1);
}

#[tokio::test]
async fn a_damaged_check_value_is_told_apart_from_a_wrong_key() {
    let database = database().await;
    check(database.pool(), &sealer()).await.unwrap();
    let damage = "UPDATE keyring SET sealed = set_byte(sealed, 40, get_byte(sealed, 40) # 1)";
    sqlx::query(damage).execute(database.pool()).await.unwrap();
    assert!(matches!(check(database.pool(), &sealer()).await.unwrap_err(), KeyringError::Damaged { .. }));
}

#[tokio::test]
async fn a_dry_run_leaves_the_keyring_empty() {
    let database = database().await;
    import_with(database.pool(), &many(1), true).await.unwrap();
    assert_eq!(count(database.pool(), "keyring").await, 0);
}
