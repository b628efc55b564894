//! The master key is rotated beside a running `warmup local`: it goes on, the next start works, and a crash between the
//! steps leaves what the next start understands.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use warmup::{
    adapters::{postgres::pool, seal::Sealer},
    admin::keys::rotate,
    local::data_dir::{find, install_key, prepare_key, read_key},
};

use super::place::{Place, TWO};

const NEW: [u8; 32] = *b"another master key that is 32 by";

fn key(place: &Place) -> String {
    fs::read_to_string(place.data().join("master.key")).unwrap()
}

/// The keys that rotations kept.
fn kept(place: &Place) -> Vec<PathBuf> {
    let entries = fs::read_dir(place.data()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.extension().is_some_and(|end| end == "old")).collect()
}

/// The first steps of a rotation, as the command does them: the files are prepared, and the database has the new key.
async fn rotated_halfway(folder: &Path) {
    let running = find(folder).unwrap().unwrap();
    let database = pool::connect(&running.database_url.into(), 1).await.unwrap();
    let old = Sealer::new(read_key(folder).unwrap().unwrap().key.expose());
    prepare_key(folder, &STANDARD.encode(NEW), &old.key_id().to_string()).unwrap();
    rotate(&database, &old, &Sealer::new(&NEW), "2026-11-24T09:00:00Z".parse().unwrap()).await.unwrap();
    database.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_is_asked_for_installs_the_new_key_keeps_the_old_one_and_the_worker_goes_on() {
    let place = Place::new().with("WARMUP_HEARTBEAT_MS", "500").with("WARMUP_LEASE_TTL_MS", "5000");
    let local = place.up(&["--import", &place.file("mailboxes.csv", TWO)]).await;
    let old = key(&place);
    let (code, told) = place.ran(&["keys", "rotate"]).await;
    assert!(code == Some(1) && told.contains("repeat it with --yes"), "{told}");
    assert_eq!((key(&place), kept(&place).len()), (old.clone(), 0), "nothing was done");

    let (code, told) = place.ran(&["keys", "rotate", "--yes"]).await;
    assert!(code == Some(0) && told.contains("2 passwords"), "{told}");
    let kept = kept(&place);
    let [kept] = &kept[..] else { panic!("one key is kept: {kept:?}") };
    assert!(told.contains(&kept.file_name().unwrap().to_string_lossy().into_owned()), "{told}");
    assert_eq!(fs::read_to_string(kept).unwrap(), old);
    assert_ne!(key(&place), old);
    for path in [kept, &place.data().join("master.key")] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600, "{path:?}");
    }

    local.says("going on with the new one").await;
    let more = place.file("more.csv", &TWO.replace("anna@one", "zoe@three"));
    let (code, told) = place.ran(&["mailbox", "import", &more]).await;
    assert!(code == Some(0) && told.contains("1 new"), "{told}");
    local.stop().await;
    let again = place.up(&[]).await;
    assert_eq!(place.enrolled().await.len(), 3);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_between_the_steps_is_understood_by_the_next_start() {
    let place = Place::new();
    let local = place.up(&["--import", &place.file("mailboxes.csv", TWO)]).await;
    // Before the database was rotated: the old key is still its key.
    prepare_key(&place.data(), &STANDARD.encode([9; 32]), "left-over").unwrap();
    local.stop().await;
    let local = place.up(&[]).await;

    // After it: the new key is installed by the next start.
    rotated_halfway(&place.data()).await;
    place.kill_all();
    place.is_deserted().await;
    drop(local);
    let again = place.up(&[]).await;
    again.says("a rotation of the master key was interrupted").await;
    assert_eq!(key(&place).trim(), STANDARD.encode(NEW));
    assert_eq!(place.enrolled().await, ["anna@one.test", "ben@two.test"]);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_does_not_fit_is_refused_with_the_kept_one_that_does() {
    let place = Place::new();
    let local = place.up(&["--import", &place.file("mailboxes.csv", TWO)]).await;
    // By then it has compared its key with the database's.
    local.says("acquired shards").await;
    rotated_halfway(&place.data()).await;
    install_key(&place.data()).unwrap();
    local.stop().await;
    // As after a restore of a backup that was made before: the data has the key that is kept, not the present one.
    let (present, kept) = (place.data().join("master.key"), kept(&place).remove(0));
    let text = fs::read_to_string(&present).unwrap();
    fs::copy(&kept, &present).unwrap();
    fs::write(&kept, text).unwrap();

    let (code, told) = place.ran(&["local"]).await;
    assert_eq!(code, Some(1), "{told}");
    let name = kept.file_name().unwrap().to_string_lossy().into_owned();
    assert!(told.contains("is not the key of the data beside it") && told.contains(&format!("{name} ")), "{told}");
    fs::copy(&kept, &present).unwrap();
    place.up(&[]).await.stop().await;
}
