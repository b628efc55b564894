//! Sending one mail, up to a verdict.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::{error::PortError, ledger::Flight};
use crate::domain::{
    id::MailboxId,
    mailbox::Endpoint,
    outcome::{CompletedStep, Outcome},
};

/// A flight and its message as it goes over the wire.
#[derive(Clone, Debug)]
pub struct Submission {
    pub flight: Flight,
    /// The body as plain text, paragraphs apart by an empty line; the subject is the flight's. The mailer makes an
    /// RFC 5322 message of them, in plain text and HTML.
    pub text: String,
    /// The `Date` header: day clock, at submission.
    pub date: DateTime<Utc>,
    /// What a reply answers; a mail begins a thread.
    pub thread: Option<Thread>,
}

/// Where a reply belongs (RFC 5322 section 3.6.4). Message-IDs stand without angle brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The mail that is answered.
    pub in_reply_to: String,
    /// The mails of the thread so far, oldest first; the answered one is the last.
    pub references: Vec<String>,
}

impl Thread {
    /// The thread of an answer to the mail `message_id`, which itself referred to the mails `earlier`.
    pub fn answering(message_id: &str, earlier: &[String]) -> Thread {
        let before = earlier.iter().filter(|id| *id != message_id).cloned();
        let references = before.chain([message_id.to_owned()]).collect();
        Thread { in_reply_to: message_id.to_owned(), references }
    }
}

/// Asked before the connection is opened and again before the final dot: may this worker still send this?
#[derive(Clone)]
pub struct SendPermit {
    /// False once the lease of the mail's shard can have run out.
    pub open: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Cancelled when the drain's patience is over: end at the next step, with a verdict.
    pub cancel: CancellationToken,
}

impl SendPermit {
    /// A gate that never closes, for tests and connection checks.
    pub fn always() -> SendPermit {
        SendPermit { open: Arc::new(|| true), cancel: CancellationToken::new() }
    }

    /// Says whether the mail may go on.
    pub fn is_open(&self) -> bool {
        !self.cancel.is_cancelled() && (self.open)()
    }
}

impl fmt::Debug for SendPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("open", &self.is_open()).finish()
    }
}

/// The verdict on one mail, how long it took from the first packet to it, and the steps that went well on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct SendReport {
    pub outcome: Outcome,
    pub latency: Duration,
    pub steps: Vec<CompletedStep>,
}

/// The SMTP client.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Submits one mail and returns the verdict, always within the whole mail's deadline. Never panics on what a
    /// server says, never retries.
    async fn send(&self, mail: &Submission, gate: &SendPermit) -> SendReport;
}

/// Opens what the enrolment sealed. Only the mailer asks, for the time of one dialogue.
pub trait PasswordOpener: Send + Sync {
    /// Returns the password of `mailbox`, which is going to be sent to `place`. A value that was sealed for another mailbox,
    /// or to be sent elsewhere, does not open.
    ///
    /// Returns `Permanent` when it does not open under any known master key; the error never holds the secret.
    fn open(&self, mailbox: MailboxId, place: &Endpoint, sealed: &[u8]) -> Result<SecretString, PortError>;
}
