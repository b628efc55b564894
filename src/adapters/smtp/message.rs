//! The RFC 5322 message of a mail. lettre's builder encodes names and subject, but panics on a line break in a name: so
//! control characters end here, and with them any way to add a header.

use std::time::SystemTime;

use lettre::{
    Address, Message,
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
};

use crate::{
    domain::outcome::judge::Evidence,
    ports::{Outgoing, Party},
};

/// A message as it goes over the wire, with its envelope.
pub(super) struct Letter {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) bytes: Vec<u8>,
}

impl Letter {
    /// Says whether the host has to know SMTPUTF8 (RFC 6531) to take it.
    pub(super) fn needs_utf8(&self) -> bool {
        !self.bytes.is_ascii()
            || !AsRef::<str>::as_ref(&self.from).is_ascii()
            || !AsRef::<str>::as_ref(&self.to).is_ascii()
    }
}

/// Makes the message of `mail`, with `header: warmup` so that filters on both ends can tell it from real mail.
///
/// Returns `Unsendable` when an address or the Message-ID is none.
pub(super) fn compose(mail: &Outgoing, header: &HeaderName) -> Result<Letter, Evidence> {
    let unsendable = |error: lettre::error::Error| Evidence::Unsendable(error.to_string());
    let from = party(&mail.flight.sender)?;
    let to = party(&mail.flight.recipient)?;
    let id = message_id(&mail.flight.message_id)?;
    let message = Message::builder()
        .from(from.clone())
        .to(to.clone())
        .subject(one_line(&mail.flight.subject))
        .date(SystemTime::from(mail.date))
        .message_id(Some(id))
        .raw_header(HeaderValue::new(header.clone(), "warmup".into()))
        .header(ContentType::TEXT_PLAIN)
        .body(mail.text.clone())
        .map_err(unsendable)?;
    Ok(Letter { from: from.email, to: to.email, bytes: message.formatted() })
}

fn party(party: &Party) -> Result<Mailbox, Evidence> {
    let address =
        party.email.parse().map_err(|error| Evidence::Unsendable(format!("{} is no address: {error}", party.email)))?;
    let name = Some(one_line(&party.display_name)).filter(|name| !name.is_empty());
    Ok(Mailbox::new(name, address))
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().to_owned()
}

/// A Message-ID must come back as it went out: nothing in it is replaced.
fn message_id(id: &str) -> Result<String, Evidence> {
    match id.contains(|c: char| c.is_control() || c.is_whitespace() || "<>".contains(c)) {
        true => Err(Evidence::Unsendable(format!("{id:?} is no Message-ID"))),
        false => Ok(format!("<{id}>")),
    }
}
