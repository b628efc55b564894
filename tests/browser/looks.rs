//! How it looks: readable by axe-core's rules, in light and dark, on a phone without scrolling sideways. The screenshots
//! are for people.

use crate::{
    script::{Script, screenshots},
    stage::Fixture,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_view_is_accessible_in_light_and_dark_and_fits_a_phone() {
    let stage = Fixture::of_two(15).await;
    for statement in [
        "UPDATE mailboxes SET state = 'disabled', reason = 'auth-refused' WHERE email = 'ben0@ben.test'",
        "INSERT INTO events (at, kind, mailbox_id, reason, detail)
         SELECT now(), 'sender-disabled', id, 'auth-refused', '' FROM mailboxes WHERE email = 'ben0@ben.test'",
        "UPDATE mailboxes SET ramp_start = 1, daily_max = 1 WHERE email LIKE 'ann1_@%'",
    ] {
        sqlx::query(statement).execute(stage.pool()).await.unwrap();
    }
    let (admin, worker) = (stage.admin().await, stage.start().await);
    Script::start("looks", &[("URL", &stage.url()), ("TOKEN", &admin)]).ends_well().await;
    worker.kill().await;
    for name in ["overview-light", "overview-dark", "overview-phone", "mailbox-light", "mailbox-dark", "mailbox-phone"]
    {
        assert!(screenshots().join(format!("{name}.png")).exists(), "{name}");
    }
}
