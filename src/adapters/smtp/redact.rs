//! A host may repeat what it was told. The password, plain or as AUTH sends it, never gets into a reply's text.

use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};

use crate::domain::outcome::Outcome;

const REDACTED: &str = "[redacted]";

/// Removes `password`, in every form in which AUTH PLAIN and AUTH LOGIN carry it, from what a person will read.
pub(super) fn redact(outcome: &mut Outcome, username: &str, password: &SecretString) {
    let password = password.expose_secret();
    if password.is_empty() {
        return;
    }
    let forms = [
        BASE64_STANDARD.encode(format!("\0{username}\0{password}")),
        BASE64_STANDARD.encode(password),
        password.to_owned(),
    ];
    let clean = |text: &str| forms.iter().fold(text.to_owned(), |text, form| text.replace(form, REDACTED));
    outcome.note = clean(&outcome.note);
    if let Some(reply) = &mut outcome.reply {
        reply.text = clean(&reply.text);
    }
}
