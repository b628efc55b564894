use std::os::unix::fs::PermissionsExt;

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn running() -> RunningServers {
    RunningServers { pid: 7, database_url: "postgres://a".to_owned(), redis_url: "redis://b".to_owned() }
}

#[tokio::test]
async fn a_folder_is_for_one_at_a_time_and_the_second_is_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/folder");
    let first = DataDir::open(&path).await.unwrap();
    assert_eq!(mode(first.path()), 0o700);
    let error = DataDir::open(&path).await.unwrap_err().to_string();
    assert!(error.contains(&format!("kill {}", std::process::id())), "{error}");
    drop(first);
    DataDir::open(&path).await.unwrap();
}

#[tokio::test]
async fn the_key_is_made_once_and_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let home = DataDir::open(dir.path()).await.unwrap();
    let made = home.master_key().unwrap();
    assert!(made.made && mode(&made.path) == 0o600);
    let read = home.master_key().unwrap();
    assert!(!read.made && read.key.expose() == made.key.expose());
    assert!(!format!("{made:?}").contains(&fs::read_to_string(&made.path).unwrap().trim().to_owned()));
}

#[tokio::test]
async fn a_key_that_others_may_read_is_refused_with_the_command_that_closes_it() {
    let dir = tempfile::tempdir().unwrap();
    let home = DataDir::open(dir.path()).await.unwrap();
    let path = home.master_key().unwrap().path;
    for open in [0o640, 0o604, 0o644, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
        let error = home.master_key().unwrap_err().to_string();
        assert!(error.contains(&format!("mode {open:o}")) && error.contains("chmod 600 "), "{error}");
    }
}

#[tokio::test]
async fn a_key_that_is_lost_is_not_replaced_where_there_is_data() {
    let dir = tempfile::tempdir().unwrap();
    let home = DataDir::open(dir.path()).await.unwrap();
    fs::create_dir_all(home.path().join("postgres/data")).unwrap();
    let error = home.master_key().unwrap_err().to_string();
    assert!(error.contains("put it back from your copy"), "{error}");
    fs::write(home.path().join("master.key"), "half a k").unwrap();
    fs::set_permissions(home.path().join("master.key"), fs::Permissions::from_mode(0o600)).unwrap();
    assert!(matches!(home.master_key().unwrap_err(), HomeError::KeyDamaged { .. }));
}

#[tokio::test]
async fn what_runs_is_found_from_its_announcement_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    assert!(find(&dir.path().join("never")).unwrap().is_none());
    assert!(matches!(find(dir.path()), Err(HomeError::NotRunning { .. })));
    let home = DataDir::open(dir.path()).await.unwrap();
    assert!(matches!(find(dir.path()), Err(HomeError::NotReady { .. })));
    home.announce(&running()).unwrap();
    assert_eq!(mode(&home.path().join("running.json")), 0o600);
    assert_eq!(find(dir.path()).unwrap().unwrap().database_url, "postgres://a");
    // This is the state after SIGKILL: the file stays, the lock does not.
    drop(home);
    let error = find(dir.path()).err().unwrap().to_string();
    assert!(error.contains("start it, or set DATABASE_URL"), "{error}");
    let next = DataDir::open(dir.path()).await.unwrap();
    assert!(matches!(find(dir.path()), Err(HomeError::NotReady { .. })), "what the killed one left is gone");
    next.announce(&running()).unwrap();
    next.withdraw();
    assert!(matches!(find(dir.path()), Err(HomeError::NotReady { .. })));
}

#[tokio::test]
async fn a_path_that_is_no_folder_or_a_disk_without_room_is_told_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = DataDir::open(&file.join("in it")).await.unwrap_err().to_string();
    assert!(error.contains("a file stands where a folder should be"), "{error}");
    check_room(dir.path(), LEAST_ROOM_MB).unwrap();
    let error = check_room(dir.path(), LEAST_ROOM_MB - 1).unwrap_err().to_string();
    assert!(error.contains("199 MB left") && error.contains("make room"), "{error}");
}
