//! A whole day, and what is expected of every such day.

use std::fmt::Write;

use warmup::demo::audit::{Acceptance, Expect, Status, prove};
use warmup_support::{
    day::{Day, Plan},
    smtp::postfix::SmtpSink,
};

/// A pool of the size that the issue names: 60 mailboxes of one owner in 6 domains, 30 mails each.
pub const MAILBOXES: usize = 60;
pub const QUOTA: u16 = 30;
pub const MAILS: usize = MAILBOXES * QUOTA as usize;

/// The address of the pool's mailbox `n`.
pub fn address(n: usize) -> String {
    format!("box{n}@domain{}.test", n % 6)
}

/// Holds what another program says it accepted against the ledger, sentence by sentence.
pub fn assert_proven(day: &Day, accepted: Vec<Acceptance>) {
    assert_eq!(day.report.abandoned, 0, "a day that ends in order abandons nothing");
    let replied = day.snapshot.logs.iter().filter(|row| row.status == Status::Replied).count();
    assert!(replied > MAILS / 5, "{replied} of {MAILS} mails were answered");
    assert_eq!(accepted.len(), MAILS + replied);
    let verdict = prove(&accepted, &day.snapshot, &Expect { mailboxes: MAILBOXES, quota: QUOTA, faults: false });
    assert!(verdict.holds(), "{verdict}");
}

/// An acceptance as the proof wants it. When it happened is not looked at.
pub fn acceptance(from: String, to: String, message_id: String) -> Acceptance {
    Acceptance { at: Default::default(), from, to, message_id }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_mailboxes_of_a_csv_send_thirty_mails_each_to_smtp_sink() {
    let sink = SmtpSink::keeping().await;
    let mut csv = "email,password,smtp_host,smtp_port,smtp_security,ramp_start\n".to_owned();
    for n in 0..MAILBOXES {
        let (address, port) = (address(n), sink.port());
        writeln!(csv, "{address},password-{n},127.0.0.1,{port},none,{QUOTA}").expect("a string takes text");
    }
    let day = Plan::of(csv).with("WARMUP_ALLOW_PLAINTEXT", true).run().await;
    let mails = sink.mails();
    assert_eq!(sink.taken(), mails.len() as u64, "smtp-sink keeps what it counts");
    assert_proven(&day, mails.into_iter().map(|mail| acceptance(mail.from, mail.to, mail.message_id)).collect());
}
