//! `redact` removes the password from an outcome, plain and as AUTH sends it. A host may repeat a command in its reply.

use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};

use super::sasl::{plain_response, prepare};
use crate::domain::outcome::Outcome;

const REDACTED: &str = "[redacted]";

/// Removes `password` from the texts of `outcome`, in every form in which AUTH PLAIN and AUTH LOGIN send it.
pub(super) fn redact(outcome: &mut Outcome, username: &str, password: &SecretString) {
    let forms = forms(username, password);
    remove(&mut outcome.note, &forms);
    if let Some(reply) = &mut outcome.reply {
        remove(&mut reply.text, &forms);
    }
}

/// Removes `password` from `text`, in every form in which AUTH PLAIN and AUTH LOGIN send it.
pub(super) fn redact_text(text: &mut String, username: &str, password: &SecretString) {
    remove(text, &forms(username, password));
}

fn forms(username: &str, password: &SecretString) -> Vec<String> {
    let password = password.expose_secret();
    if password.is_empty() {
        return Vec::new();
    }
    let prepared = prepare(password);
    vec![
        plain_response(&prepare(username), &prepared),
        BASE64_STANDARD.encode(password),
        password.to_owned(),
        prepared.into_owned(),
    ]
}

fn remove(text: &mut String, forms: &[String]) {
    for form in forms {
        if text.contains(form.as_str()) {
            *text = text.replace(form.as_str(), REDACTED);
        }
    }
}
