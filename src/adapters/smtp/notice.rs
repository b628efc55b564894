//! `SmtpMailer::send_notice` sends a mail to a person: one text, without the header of warm-up mails, so that no filter
//! sorts it out. It uses the dialogue, address check, TLS rules and classification of every mail.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use lettre::Address;
use mail_builder::{
    MessageBuilder,
    headers::{address, raw::Raw, text::Text},
};
use secrecy::SecretString;

use super::{
    SmtpMailer, dialogue::Dialogue, login_test::Candidate, message::EncodedMessage, redact::redact, sasl::Login,
    timeouts::Timeouts,
};
use crate::{
    domain::{
        address::unsendable,
        content::one_line,
        mailbox::Security,
        outcome::{
            Outcome, Reply,
            classify::{DialogueEnd, classify_outcome},
        },
    },
    ports::SendPermit,
};

/// A `Notice` is a mail to a person.
#[derive(Clone, Debug)]
pub struct Notice {
    pub sender: Candidate,
    /// The sender's display name; may be empty.
    pub sender_name: String,
    pub recipient: String,
    /// The Message-ID without angle brackets.
    pub message_id: String,
    pub subject: String,
    pub text: SecretString,
    /// The value of the `Date` header.
    pub date: DateTime<Utc>,
}

impl SmtpMailer {
    /// Submits `notice` once and returns the outcome, always within the deadline of a whole mail.
    pub async fn send_notice(&self, notice: &Notice, gate: &SendPermit) -> Outcome {
        let patience = Timeouts {
            clock: Arc::clone(&self.clock),
            step: self.smtp_timeout,
            deadline: self.clock.machine().after(self.mail_deadline),
            cancel: gate.cancel.clone(),
        };
        let mut dialogue = Dialogue::new(&self.terms, &notice.sender.endpoint, patience, gate);
        let mut secret = None;
        let ended = self.submit_notice(notice, &mut dialogue, &mut secret).await;
        let mut outcome = classify_outcome(dialogue.stage, ended.map_or_else(|evidence| evidence, DialogueEnd::Reply));
        if let Some(password) = &secret {
            redact(&mut outcome, &notice.sender.username, password);
        }
        dialogue.part(&outcome).await;
        outcome
    }

    async fn submit_notice(
        &self,
        notice: &Notice,
        dialogue: &mut Dialogue<'_>,
        secret: &mut Option<SecretString>,
    ) -> Result<Reply, DialogueEnd> {
        let sender = &notice.sender;
        if let Some(why) = unsendable(&sender.email) {
            return Err(DialogueEnd::SenderAddress(why));
        }
        if let Some(why) = unsendable(&notice.recipient) {
            return Err(DialogueEnd::PartnerAddress(why));
        }
        if sender.endpoint.security == Security::None && !self.allow_plaintext {
            return Err(DialogueEnd::PlaintextRefused);
        }
        let mut login = None;
        if !sender.username.is_empty() {
            let opened = self.opener.open(sender.mailbox, &sender.endpoint, &sender.sealed_password);
            let password = secret.insert(opened.map_err(|_| DialogueEnd::SealBroken)?);
            login = Login::new(&sender.username, password);
        }
        dialogue.submit(login.as_ref(), &letter(notice)?).await
    }
}

fn letter(notice: &Notice) -> Result<EncodedMessage, DialogueEnd> {
    let parse = |text: &str| {
        text.parse::<Address>().map_err(|error| DialogueEnd::Unsendable(format!("{text:?} is no address: {error}")))
    };
    let name = one_line(&notice.sender_name);
    let from = address::Address::new_address(Some(name).filter(|name| !name.is_empty()), notice.sender.email.as_str());
    let mut bytes = Vec::new();
    MessageBuilder::new()
        .header("From", from)
        .header("To", address::Address::new_address(None::<&str>, notice.recipient.as_str()))
        .header("Subject", Text::new(one_line(&notice.subject)))
        .date(notice.date.timestamp())
        .message_id(notice.message_id.as_str())
        // RFC 3834 section 5: prevents automatic replies, which would reach the operator's mailbox.
        .header("Auto-Submitted", Raw::new("auto-generated"))
        .text_body(secrecy::ExposeSecret::expose_secret(&notice.text))
        .write_to(&mut bytes)
        .map_err(|error| DialogueEnd::Unsendable(error.to_string()))?;
    Ok(EncodedMessage { from: parse(&notice.sender.email)?, to: parse(&notice.recipient)?, bytes })
}
