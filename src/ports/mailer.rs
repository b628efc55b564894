//! `Mailer` submits one mail to its mail host and returns the outcome.

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

/// A flight and its message.
#[derive(Clone, Debug)]
pub struct Submission {
    pub flight: Flight,
    /// The body as plain text; an empty line separates paragraphs. The subject is in the flight. The mailer makes an
    /// RFC 5322 message of both, in plain text and HTML.
    pub text: String,
    /// The `Date` header: the time of the submission. Day clock.
    pub date: DateTime<Utc>,
    /// The thread that a reply continues; `None` for a mail, which begins a thread.
    pub thread: Option<Thread>,
}

/// The position of a reply in its thread (RFC 5322 section 3.6.4). Message-IDs have no angle brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The Message-ID of the answered mail.
    pub in_reply_to: String,
    /// The Message-IDs of the thread so far, oldest first; the answered mail is the last.
    pub references: Vec<String>,
}

impl Thread {
    /// Returns the thread of a reply to the mail `message_id`, which itself referred to the mails `earlier`.
    pub fn answering(message_id: &str, earlier: &[String]) -> Thread {
        let before = earlier.iter().filter(|id| *id != message_id).cloned();
        let references = before.chain([message_id.to_owned()]).collect();
        Thread { in_reply_to: message_id.to_owned(), references }
    }
}

/// A `SendPermit` tells the SMTP client whether this worker may still send a mail. The client checks it before the
/// connection and before the final dot.
#[derive(Clone)]
pub struct SendPermit {
    /// False once the lease on the mail's shard may have expired.
    pub open: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Cancelled when the time of the drain is over: the mail ends at its next step, with an outcome.
    pub cancel: CancellationToken,
}

impl SendPermit {
    /// Returns a permit without a limit, for tests and connection checks.
    pub fn always() -> SendPermit {
        SendPermit { open: Arc::new(|| true), cancel: CancellationToken::new() }
    }

    /// Returns whether the mail may continue.
    pub fn is_open(&self) -> bool {
        !self.cancel.is_cancelled() && (self.open)()
    }
}

impl fmt::Debug for SendPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("open", &self.is_open()).finish()
    }
}

/// The outcome of one mail, the time from its first packet to the outcome, and its completed steps.
#[derive(Clone, Debug, PartialEq)]
pub struct SendReport {
    pub outcome: Outcome,
    pub latency: Duration,
    pub steps: Vec<CompletedStep>,
}

/// The SMTP client of the worker.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Submits one mail and returns its outcome within the mail deadline. It never panics on the text of a server, and
    /// never retries.
    async fn send(&self, mail: &Submission, gate: &SendPermit) -> SendReport;
}

/// A `PasswordOpener` opens the sealed passwords of the enrolment. Only the mailer uses it, for the time of one
/// dialogue.
pub trait PasswordOpener: Send + Sync {
    /// Returns the password of `mailbox`, which will be sent to `place`. A value that was sealed for another mailbox or
    /// another endpoint does not open.
    ///
    /// Returns `Permanent` when no known master key opens it; the error never contains the password.
    fn open(&self, mailbox: MailboxId, place: &Endpoint, sealed: &[u8]) -> Result<SecretString, PortError>;
}
