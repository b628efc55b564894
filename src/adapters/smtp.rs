//! `SmtpMailer` submits mails over SMTP. It drives lettre's connection step by step over a stream that it opens itself.
//!
//! lettre's own `send()` has no read time-outs, accepts half a reply as definite, leaves Nagle on and waits for its
//! QUIT without a limit. `smtp/transport.rs` describes the checks that replace it. `domain::outcome` decides the
//! meaning of each end of a dialogue; this module only produces the ends. The steps:
//!
//! send permit -> password -> message -> resolve, check, connect -> TLS -> greeting, EHLO -> AUTH -> MAIL -> RCPT ->
//! DATA -> body -> send permit -> final dot -> reply -> outcome -> QUIT

mod address;
mod capabilities;
mod connect;
mod dialogue;
mod host_memory;
mod login_test;
mod message;
mod notice;
mod pinned;
mod race;
mod redact;
mod reply;
mod resolver;
mod sasl;
mod session;
mod stream;
mod timeouts;
mod tls;
mod tls_tickets;
mod transcript;
mod transport;

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use lettre::transport::smtp::extension::ClientId;
use secrecy::SecretString;
use thiserror::Error;

use self::{
    dialogue::{Dialogue, DialogueContext},
    host_memory::HostMemory,
    message::EncodedMessage,
    resolver::Resolver,
    sasl::Login,
    timeouts::Timeouts,
};
pub use self::{
    login_test::{Candidate, LoginTest},
    notice::Notice,
    transcript::Step,
};
use crate::{
    domain::{
        address::unsendable,
        content::judge_marker,
        helo_name::is_helo_name,
        mailbox::Security,
        outcome::{
            Reply,
            classify::{DialogueEnd, classify_outcome},
        },
    },
    ports::{Clock, Mailer, PasswordOpener, SendPermit, SendReport, Submission},
};

/// The configuration of mail submission.
#[derive(Clone, Debug)]
pub struct SmtpConfig {
    /// The time limit of each step; the reply to the final dot has twice as long.
    pub smtp_timeout: Duration,
    /// The time limit of the whole mail, shorter than the drain's deadline.
    pub mail_deadline: Duration,
    /// The permission for mailboxes with security `none` to send.
    pub allow_plaintext: bool,
    /// The permission for mail hosts to have private addresses.
    pub allow_private_hosts: bool,
    /// The PEM file of additional trusted roots.
    pub tls_ca_file: Option<PathBuf>,
    /// The name of the header that marks warm-up mails.
    pub header: String,
    /// The name for EHLO; this machine's own name if `None`.
    pub hello_name: Option<String>,
}

/// The reason why a configuration yields no mailer.
#[derive(Debug, Error)]
pub enum SetupError {
    #[error("WARMUP_TLS_CA_FILE {path}: {fault}; give a PEM file with at least one certificate", path = .path.display())]
    CaFile { path: PathBuf, fault: String },
    #[error(
        "WARMUP_HEADER `{0}` can't mark a mail: write the name of a header field that means nothing else, such as X-Warmup"
    )]
    Header(String),
    #[error("WARMUP_HELO_NAME `{0}` can't stand in EHLO: write a full host name, or an address such as [192.0.2.1]")]
    HelloName(String),
    #[error("TLS: {0}")]
    Tls(String),
}

/// `SmtpMailer` submits mails over SMTP.
pub struct SmtpMailer {
    terms: DialogueContext,
    header: String,
    smtp_timeout: Duration,
    mail_deadline: Duration,
    allow_plaintext: bool,
    opener: Arc<dyn PasswordOpener>,
    clock: Arc<dyn Clock>,
}

impl SmtpMailer {
    /// Creates a mailer; reads the file of additional roots.
    pub fn new(
        config: SmtpConfig,
        opener: Arc<dyn PasswordOpener>,
        clock: Arc<dyn Clock>,
    ) -> Result<SmtpMailer, SetupError> {
        let tls = tls::client_config(config.tls_ca_file.as_deref())?;
        if let Some(name) = config.hello_name.as_ref().filter(|name| !is_helo_name(name)) {
            return Err(SetupError::HelloName(name.clone()));
        }
        if judge_marker(&config.header).is_err() {
            return Err(SetupError::Header(config.header));
        }
        Ok(SmtpMailer {
            terms: DialogueContext {
                tls,
                resolver: Resolver::default(),
                memory: HostMemory::default(),
                allow_private: config.allow_private_hosts,
                hello: config.hello_name.or_else(full_host_name),
            },
            header: config.header,
            smtp_timeout: config.smtp_timeout,
            mail_deadline: config.mail_deadline,
            allow_plaintext: config.allow_plaintext,
            opener,
            clock,
        })
    }

    /// Performs every step that needs no connection, then runs the dialogue.
    async fn submit(
        &self,
        mail: &Submission,
        dialogue: &mut Dialogue<'_>,
        secret: &mut Option<SecretString>,
    ) -> Result<Reply, DialogueEnd> {
        let flight = &mail.flight;
        if !dialogue.gate.is_open() {
            return Err(DialogueEnd::NotStarted);
        }
        if let Some(why) = unsendable(&flight.sender.email) {
            return Err(DialogueEnd::SenderAddress(why));
        }
        if let Some(why) = unsendable(&flight.recipient.email) {
            return Err(DialogueEnd::PartnerAddress(why));
        }
        if flight.endpoint.security == Security::None && !self.allow_plaintext {
            return Err(DialogueEnd::PlaintextRefused);
        }
        let mut login = None;
        if !flight.username.is_empty() {
            let opened = self.opener.open(flight.sender.mailbox, &flight.endpoint, &flight.sealed_password);
            let password = secret.insert(opened.map_err(|_| DialogueEnd::SealBroken)?);
            login = Login::new(&flight.username, password);
        }
        let letter: EncodedMessage = message::compose(mail, &self.header)?;
        dialogue.submit(login.as_ref(), &letter).await
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Submission, gate: &SendPermit) -> SendReport {
        let started = self.clock.machine();
        let patience = Timeouts {
            clock: Arc::clone(&self.clock),
            step: self.smtp_timeout,
            deadline: started.after(self.mail_deadline),
            cancel: gate.cancel.clone(),
        };
        let mut dialogue = Dialogue::new(&self.terms, &mail.flight.endpoint, patience, gate);
        let mut secret = None;
        let evidence = match self.submit(mail, &mut dialogue, &mut secret).await {
            Ok(reply) => DialogueEnd::Reply(reply),
            Err(evidence) => evidence,
        };
        let mut outcome = classify_outcome(dialogue.stage, evidence);
        if let Some(password) = &secret {
            redact::redact(&mut outcome, &mail.flight.username, password);
        }
        let (latency, steps) = (self.clock.machine().since(started), std::mem::take(&mut dialogue.steps));
        dialogue.part(&outcome).await;
        SendReport { outcome, latency, steps }
    }
}

/// Returns this machine's name if it is a fully qualified one.
fn full_host_name() -> Option<String> {
    match ClientId::default() {
        ClientId::Domain(name) if name.contains('.') => Some(name),
        _ => None,
    }
}
