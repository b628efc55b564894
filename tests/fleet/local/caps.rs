//! Caps that cannot carry the enrolled mailboxes of one machine: said at the start, by what attaches to it, and offered to
//! be set on a terminal.

use std::{
    fs::{self, File},
    io::{Read, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use warmup_support::world::eventually;

use super::place::{Place, UP};

const SUM: &str = "user operator@localhost has 500 mailboxes that should send 15000 mails a day";
const LINE: &str = "WARMUP_USER_HOURLY_LIMIT=2668";

fn five_hundred() -> String {
    let line = |at: usize| format!("m{at}@d{at}.test,secret,mail.d{at}.test,587\n");
    format!("email,password,smtp_host,smtp_port\n{}", (0..500).map(line).collect::<String>())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_start_and_what_attaches_to_it_say_which_cap_is_too_low() {
    let place = Place::new();
    let csv = place.file("many.csv", &five_hundred());
    let local = place.up(&["--import", &csv]).await;
    let said = local.said();
    assert!(said.contains(&format!("warning    WARMUP_USER_HOURLY_LIMIT: {SUM}")) && said.contains(LINE), "{said}");
    assert!(!said.contains("[y/N]"), "nobody is asked without a terminal: {said}");
    for command in [&["config", "check"][..], &["status"]] {
        let (code, told) = place.ran(command).await;
        assert!(code == Some(0) && told.contains(SUM) && told.contains(LINE), "{command:?}: {told}");
    }
    let simulated = place.json(&["simulate", "--mailboxes", "10", "--json"]).await;
    assert_eq!(simulated["users"], 1);
    local.stop().await;
    assert!(!place.data().join("settings.env").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_terminal_the_line_is_offered_saved_and_obeyed_from_then_on() {
    let place = Place::new();
    let csv = place.file("many.csv", &five_hundred());
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let theirs = || File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    let mut command = place.command(&["local", "--import", &csv]);
    let mut child = command.stdin(theirs()).stderr(theirs()).spawn().unwrap();
    let mut ours = File::from(ours);
    let seen = Arc::new(Mutex::new(String::new()));
    let (shown, mut terminal) = (Arc::clone(&seen), ours.try_clone().unwrap());
    std::thread::spawn(move || {
        let mut bytes = [0; 1024];
        while let Ok(read @ 1..) = terminal.read(&mut bytes) {
            shown.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
    });
    let shows = async |words: &str| {
        eventually(Duration::from_secs(90), async || seen.lock().unwrap().contains(words)).await;
    };

    shows("and use it from now on? [y/N]").await;
    ours.write_all(b"y\n").unwrap();
    shows("acquired shards").await;

    let saved = fs::read_to_string(place.data().join("settings.env")).unwrap();
    assert_eq!(saved, format!("{LINE}\n"));
    let (_, told) = place.ran(&["config", "check"]).await;
    assert!(!told.contains("WARMUP_USER_HOURLY_LIMIT"), "{told}");
    child.kill().await.unwrap();
    place.is_deserted().await;
    let again = place.up(&[]).await;
    assert!(!again.said().contains("WARMUP_USER_HOURLY_LIMIT") && again.said().contains(UP), "{}", again.said());
    again.stop().await;
}
