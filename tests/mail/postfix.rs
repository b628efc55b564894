//! Against Postfix's own `smtp-sink`.

use std::sync::Arc;

use tokio::task::JoinSet;
use warmup::{
    domain::{mailbox::Security, outcome::OutcomeKind},
    ports::{Mailer, SendPermit},
};
use warmup_support::smtp::postfix::SmtpSink;

use crate::world::{config, mail, mailer};

#[tokio::test]
async fn smtp_sink_takes_two_hundred_mails() {
    let sink = SmtpSink::start().await;
    let mailer = Arc::new(mailer(config()));
    let mut lanes = JoinSet::new();
    for _ in 0..20 {
        let (mailer, port) = (Arc::clone(&mailer), sink.port());
        lanes.spawn(async move {
            for _ in 0..10 {
                let outcome = mailer.send(&mail(port, Security::None), &SendPermit::always()).await.outcome;
                assert_eq!(outcome.fate, OutcomeKind::Sent, "{outcome:?}");
            }
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane.unwrap();
    }
    assert_eq!(sink.taken(), 200);
}
