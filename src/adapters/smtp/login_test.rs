//! `SmtpMailer::test_login` tests a mailbox: it performs each step of a mail up to RCPT to itself, then RSET. It never
//! sends DATA, so it never sends a mail.
//!
//! The test uses the dialogue, address check, TLS rules and classification of a mail. A mailbox that passes can send; a
//! mailbox that fails would have failed to send for the reported reason. Nothing is written, so a test causes no
//! penalty.

use std::{sync::Arc, time::Duration};

use secrecy::SecretString;

use super::{
    SmtpMailer,
    dialogue::Dialogue,
    redact::{redact, redact_text},
    sasl::Login,
    timeouts::Timeouts,
    transcript::{Step, Transcript},
};
use crate::{
    domain::{
        id::MailboxId,
        mailbox::{Endpoint, Security},
        outcome::{
            Outcome, Reply,
            classify::{DialogueEnd, classify_outcome},
        },
    },
    ports::SendPermit,
};

/// A `Candidate` is a mailbox whose login is to be tested.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub mailbox: MailboxId,
    pub email: String,
    pub endpoint: Endpoint,
    pub username: String,
    pub sealed_password: Vec<u8>,
}

/// A `LoginTest` is the result of a test.
#[derive(Clone, Debug)]
pub struct LoginTest {
    /// The completed steps.
    pub steps: Vec<Step>,
    /// The outcome that the first failed step would have for a mail.
    pub fault: Option<Outcome>,
    /// The duration of the failed step.
    pub last: Duration,
}

impl SmtpMailer {
    /// Tests the login of `candidate`, always within the deadline of a whole mail.
    pub async fn test_login(&self, candidate: &Candidate, gate: &SendPermit) -> LoginTest {
        let patience = Timeouts {
            clock: Arc::clone(&self.clock),
            step: self.smtp_timeout,
            deadline: self.clock.machine().after(self.mail_deadline),
            cancel: gate.cancel.clone(),
        };
        let mut dialogue = Dialogue::new(&self.terms, &candidate.endpoint, patience, gate);
        dialogue.trace = Some(Transcript::from_now(Arc::clone(&self.clock)));
        let mut secret = None;
        let ended = self.go_through(candidate, &mut dialogue, &mut secret).await;
        let mut trace = dialogue.trace.take().expect("a rehearsal is traced");
        let last = trace.lap();
        let mut outcome =
            classify_outcome(dialogue.stage, ended.clone().map_or_else(|evidence| evidence, DialogueEnd::Reply));
        if let Some(password) = &secret {
            redact(&mut outcome, &candidate.username, password);
            trace.steps.iter_mut().for_each(|step| redact_text(&mut step.text, &candidate.username, password));
        }
        dialogue.part(&outcome).await;
        LoginTest { steps: trace.steps, fault: ended.is_err().then_some(outcome), last }
    }

    async fn go_through(
        &self,
        candidate: &Candidate,
        dialogue: &mut Dialogue<'_>,
        secret: &mut Option<SecretString>,
    ) -> Result<Reply, DialogueEnd> {
        if candidate.endpoint.security == Security::None && !self.allow_plaintext {
            return Err(DialogueEnd::PlaintextRefused);
        }
        // The tester wants the current addresses, not cached ones.
        self.terms.resolver.forget(&candidate.endpoint.host);
        let opened = self.opener.open(candidate.mailbox, &candidate.endpoint, &candidate.sealed_password);
        let password = secret.insert(opened.map_err(|_| DialogueEnd::SealBroken)?);
        let login = Login::new(&candidate.username, password);
        let address = candidate.email.parse();
        let address = address.map_err(|error| DialogueEnd::Unsendable(format!("{}: {error}", candidate.email)))?;
        dialogue.test_login(login.as_ref(), &address).await
    }
}
