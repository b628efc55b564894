//! The whole mail has a deadline, whatever each step takes.

use std::time::Duration;

use warmup::{
    adapters::smtp::SmtpConfig,
    domain::{
        mailbox::Security,
        outcome::{OutcomeKind, Stage},
    },
    ports::SendPermit,
};
use warmup_support::smtp::{Act, Moment, Script};

use crate::world::{config, send_with};

#[tokio::test]
async fn the_mails_deadline_ends_a_step_that_has_longer() {
    let short = || SmtpConfig { mail_deadline: Duration::from_millis(300), ..config() };
    let before = Script::usual().at(Moment::Rcpt, [Act::Hang]);
    let seen = send_with(short(), before, SendPermit::always(), Security::None).await;
    assert_eq!((seen.outcome.fate, seen.outcome.reason), (OutcomeKind::Refused, "timeout"));
    let after = Script::usual().at(Moment::Dot, [Act::Hang]);
    let seen = send_with(short(), after, SendPermit::always(), Security::None).await;
    assert_eq!((seen.outcome.fate, seen.outcome.stage), (OutcomeKind::Uncertain, Stage::Dot));
}
