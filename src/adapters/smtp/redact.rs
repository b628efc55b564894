//! A host may repeat what it was told. The password, plain or as AUTH sends it, never gets into a reply's text.

use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};

use crate::domain::outcome::Outcome;

const REDACTED: &str = "[redacted]";

/// Removes `password`, in every form in which AUTH PLAIN and AUTH LOGIN carry it, from what a person will read.
pub(super) fn redact(outcome: &mut Outcome, username: &str, password: &SecretString) {
    outcome.note = redacted(&outcome.note, username, password);
    if let Some(reply) = &mut outcome.reply {
        reply.text = redacted(&reply.text, username, password);
    }
}

/// Returns `text` without `password` in any of those forms.
pub(super) fn redacted(text: &str, username: &str, password: &SecretString) -> String {
    let password = password.expose_secret();
    if password.is_empty() {
        return text.to_owned();
    }
    let forms = [
        BASE64_STANDARD.encode(format!("\0{username}\0{password}")),
        BASE64_STANDARD.encode(password),
        password.to_owned(),
    ];
    forms.iter().fold(text.to_owned(), |text, form| text.replace(form, REDACTED))
}
