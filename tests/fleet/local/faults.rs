//! What it can't start with: each is a sentence that says what to do, and nothing is left running.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt, chown},
};

use super::place::{Place, TWO};

/// Starts `warmup local`, which must refuse with all `words`, and leave no process.
async fn refused(place: &Place, args: &[&str], words: &[&str]) -> String {
    let (code, told) = place.ran(&[&["local"], args].concat()).await;
    assert_eq!(code, Some(1), "{told}");
    for word in words {
        assert!(told.contains(word), "`{word}` is not in: {told}");
    }
    place.is_deserted().await;
    told
}

const FAULTY: &str = "email,password,smtp_host,smtp_port\n\
                      anna@one.test,,mail.one.test,465\n\
                      ben@two.test,secret,mail.two.test,70000\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_faulty_file_starts_nothing_and_tells_all_its_faults() {
    let place = Place::new();
    let faulty = place.file("faulty.csv", FAULTY);
    let words = ["2 faults, nothing was imported", "line 2", "line 3"];
    refused(&place, &["--import", &faulty], &words).await;
    assert!(!place.data().join("postgres").exists(), "a new folder is not even begun");

    let sound = place.file("sound.csv", TWO);
    place.up(&["--import", &sound]).await.stop().await;
    let faulty = place.file("faulty.csv", &FAULTY.replace("anna@one", "zoe@three"));
    let told = refused(&place, &["--import", &faulty], &words).await;
    assert!(!told.contains("worker started"), "{told}");
    let local = place.up(&[]).await;
    assert_eq!(place.enrolled().await, ["anna@one.test", "ben@two.test"]);
    local.stop().await;

    refused(&place, &["--import", "/nowhere/file.csv"], &["/nowhere/file.csv cannot be opened"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_exposed_lost_or_another_is_refused_and_disables_nobody() {
    let place = Place::new();
    place.up(&["--import", &place.file("mailboxes.csv", TWO)]).await.stop().await;
    let key = place.data().join("master.key");
    let text = fs::read_to_string(&key).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    refused(&place, &[], &["chmod 600", "master.key", "mode 640"]).await;

    fs::remove_file(&key).unwrap();
    refused(&place, &[], &["master.key is not there", "put it back from your copy"]).await;

    fs::write(&key, "YW5vdGhlciBtYXN0ZXIga2V5IHRoYXQgaXMgMzIgYnk=\n").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    refused(&place, &[], &["master.key is not the key of the data beside it"]).await;

    fs::remove_file(&key).unwrap();
    let given = place.with("WARMUP_MASTER_KEY", text.trim());
    let local = given.up(&[]).await;
    let listed = given.json(&["mailbox", "list", "--json"]).await;
    assert!(listed.as_array().unwrap().iter().all(|mailbox| mailbox["state"] == "active"), "{listed}");
    assert!(!key.exists(), "a key that is given is not written down");
    local.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn data_of_another_major_version_or_another_user_is_left_alone() {
    let place = Place::new();
    place.up(&[]).await.stop().await;
    let data = place.data().join("postgres/data");
    let version = fs::read_to_string(data.join("PG_VERSION")).unwrap();
    fs::write(data.join("PG_VERSION"), "9\n").unwrap();
    refused(&place, &[], &["is of Postgres 9", "Install Postgres 9 beside it", "pg_dump", "pg_restore"]).await;
    fs::write(data.join("PG_VERSION"), version).unwrap();
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(&data).unwrap());
    chown(&data, Some(54_321), None).unwrap();
    refused(&place, &[], &["belongs to user 54321", "start as the user who made it"]).await;
    chown(&data, Some(owner), None).unwrap();
    place.up(&[]).await.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_or_a_port_that_cannot_be_used_is_told_with_what_to_do() {
    let place = Place::new();
    let file = place.file("a-file", "");
    refused(&place, &["--data", &format!("{file}/in-it")], &["a file stands where a folder should be"]).await;

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let place = place.with("WARMUP_HTTP_ADDR", taken.local_addr().unwrap());
    refused(&place, &[], &["can't be listened on: choose another port"]).await;

    let place = place.with("DATABASE_URL", "postgres://a:b@localhost/c");
    let (code, told) = place.ran(&["local"]).await;
    assert!(code == Some(64) && told.contains("DATABASE_URL: is set"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_without_rights_is_told_so_and_can_work_in_a_folder_of_his_own() {
    let place = Place::new();
    let binary = place.data().with_file_name("warmup");
    fs::copy(env!("CARGO_BIN_EXE_warmup"), &binary).unwrap();
    let as_nobody = |args: &[&str]| {
        let mut command = tokio::process::Command::new(&binary);
        command.args(args).env_clear().env("WARMUP_HTTP_ADDR", "127.0.0.1:0").env("WARMUP_DATA_DIR", place.data());
        command.stdin(std::process::Stdio::null()).uid(NOBODY).gid(NOBODY).kill_on_drop(true);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command
    };
    let told = as_nobody(&["local"]).output().await.unwrap();
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("creating it: Permission denied") && told.contains("chown"), "{told}");

    fs::create_dir(place.data()).unwrap();
    let told = as_nobody(&["local"]).output().await.unwrap();
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("belongs to user 0") && told.contains("run as that user"), "{told}");

    chown(place.data(), Some(NOBODY), Some(NOBODY)).unwrap();
    let local = super::place::Running::start(as_nobody(&["local"]));
    local.says(super::place::UP).await;
    assert!(as_nobody(&["status"]).status().await.unwrap().success());
    local.stop().await;
    place.is_deserted().await;
}

const NOBODY: u32 = 65_534;
