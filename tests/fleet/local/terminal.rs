//! What a person does: start, look from another terminal, stop, start again.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use warmup_support::world::eventually;

use super::place::{Place, TWO};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_an_import_to_a_stop_and_on_after_the_next_start() {
    let place = Place::new();
    let csv = place.file("mailboxes.csv", TWO);
    let first = place.up(&["--import", &csv]).await;
    for words in ["imported: 2 mailboxes, 2 new", "master.key was made: keep a copy", "2 enabled", "next mail"] {
        assert!(first.said().contains(words), "{words} is not in: {}", first.said());
    }
    let folder = place.data().canonicalize().unwrap();
    assert!(first.said().contains(&folder.display().to_string()), "{}", first.said());
    first.says("acquired shards").await;

    assert_eq!(place.enrolled().await, ["anna@one.test", "ben@two.test"]);
    let more = TWO.replace("anna@one", "zoe@three");
    let (code, told) = place.ran(&["mailbox", "import", &place.file("more.csv", &more)]).await;
    assert!(code == Some(0) && told.contains("1 new, 0 changed, 1 unchanged"), "{told}");

    let said = first.stop().await;
    let order = ["SIGTERM", "no more mails are started", "leases given back", "Redis and Postgres stopped"];
    let places: Vec<usize> = order.iter().map(|words| said.find(words).unwrap_or_else(|| panic!("{said}"))).collect();
    assert!(places.is_sorted(), "{said}");
    place.is_deserted().await;
    let (code, told) = place.ran(&["status"]).await;
    assert!(code == Some(1) && told.contains("no `warmup local` is running on"), "{told}");

    let again = place.up(&[]).await;
    assert_eq!(place.enrolled().await, ["anna@one.test", "ben@two.test", "zoe@three.test"]);
    assert!(!again.said().contains("was made"), "{}", again.said());
    let status = place.json(&["status", "--json"]).await;
    assert_eq!(status["mailboxes"], 3);
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_secrets_of_the_folder_are_for_its_owner_alone() {
    let place = Place::new();
    let local = place.up(&[]).await;
    for name in ["master.key", "running.json", "lock"] {
        let mode = fs::metadata(place.data().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    for name in ["postgres", "redis"] {
        let mode = fs::metadata(place.data().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700, "{name}");
    }
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_start_is_refused_and_told_who_is_first() {
    let place = Place::new();
    let first = place.up(&[]).await;
    let (code, told) = place.ran(&["local"]).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("is running on") && told.contains(&format!("process {}", first.pid())), "{told}");
    assert!(place.enrolled().await.is_empty(), "the first one goes on");
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_while_it_starts_leaves_nothing_behind() {
    let place = Place::new();
    let starting = place.start(&["local"]);
    // The folder of the cluster is made before anything that takes long.
    let begun = async || place.data().join("postgres").exists();
    eventually(Duration::from_secs(60), begun).await;
    starting.stop().await;
    place.is_deserted().await;
    place.up(&[]).await.stop().await;
}
