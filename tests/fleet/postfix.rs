//! A whole day over a real Postfix with AUTH and TLS, into Dovecot's Maildirs.

use std::{fmt::Write, time::Duration};

use warmup_support::{
    day::Plan,
    mailstack::{Accounts, Authority, MailStack},
    world::eventually,
};

use crate::{
    canary::{self, CANARY},
    days::{MAILBOXES, QUOTA, acceptance, address, assert_proven},
    threads::assert_threads,
};

/// How long Postfix may take, once the day is over, until the last mail is in its Maildir.
const DELIVERY: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_mailboxes_log_in_to_postfix_and_every_mail_is_in_its_partners_maildir() {
    let logs = canary::collect_logs();
    let authority = Authority::new();
    let password = |n: usize| format!("{CANARY}-{n}");
    let logins = (0..MAILBOXES).map(|n| (address(n), password(n))).collect();
    let stack = MailStack::start(&authority, Accounts { logins, unknown: vec![] }).await;
    let mut csv = "email,password,smtp_host,smtp_port,smtp_security,ramp_start\n".to_owned();
    for n in 0..MAILBOXES {
        let (port, security) = if n % 2 == 0 { (stack.starttls_port(), "starttls") } else { (stack.tls_port(), "tls") };
        writeln!(csv, "{},{},localhost,{port},{security},{QUOTA}", address(n), password(n)).unwrap();
    }

    let day = Plan::of(csv).with("WARMUP_TLS_CA_FILE", authority.file().display()).speed(500.0).run().await;

    eventually(DELIVERY, async || stack.queued() == 0).await;
    let delivered = stack.delivered();
    for mail in &delivered {
        canary::assert_absent("a mail", mail.text.as_bytes());
    }
    let threads = assert_threads(&day.snapshot, &delivered);
    assert!(threads > 100, "{threads} of 1,800 mails were answered");
    assert_proven(&day, delivered.into_iter().map(|mail| acceptance(mail.from, mail.to, mail.message_id)).collect());
    canary::assert_absent_from_logs(&logs);
    canary::assert_absent_from_postgres(day.database.pool()).await;
    assert!(canary::assert_absent_from_redis(&day.redis).await > 0, "the caps' buckets outlive the day");
}
