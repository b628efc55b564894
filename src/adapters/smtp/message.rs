//! The RFC 5322 message of a mail: text and the same as HTML (RFC 2046 section 5.1.4), names and subject encoded by lettre
//! (RFC 2047). Its builder panics on a line break in a name and folds at spaces only: so control characters end here, and
//! with them any way to add a header, and what is too long for a line is cut or refused.

use std::time::SystemTime;

use lettre::{
    Address, Message,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue, InReplyTo, References},
    },
};
use sha2::{Digest, Sha256};

use crate::{
    domain::{
        content::{MARK, html, one_line, plain},
        outcome::judge::Evidence,
    },
    ports::{Outgoing, Party, Thread},
};

/// A Message-ID can't be folded, and a line ends at 998 octets (RFC 5322 section 2.1.1).
const LONGEST_ID: usize = 900;

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

/// Makes the message of `mail`, marked by `header` so that filters on both ends can tell it from other mail.
///
/// Returns `Unsendable` when an address or a Message-ID is none.
pub(super) fn compose(mail: &Outgoing, header: &HeaderName) -> Result<Letter, Evidence> {
    let unsendable = |error: lettre::error::Error| Evidence::Unsendable(error.to_string());
    let from = party(&mail.flight.sender)?;
    let to = party(&mail.flight.recipient)?;
    let id = message_id(&mail.flight.message_id)?;
    let mut message = Message::builder()
        .from(from.clone())
        .to(to.clone())
        .subject(one_line(&mail.flight.subject))
        .date(SystemTime::from(mail.date))
        .message_id(Some(id))
        .raw_header(HeaderValue::new(header.clone(), MARK.into()));
    if let Some(thread) = &mail.thread {
        let (in_reply_to, references) = thread_headers(thread)?;
        message = message.header(in_reply_to).header(references);
    }
    // For the envelope lettre reads the fields back that it has written: what others could read as two addresses ends here.
    let message = message.multipart(parts(mail)?).map_err(unsendable)?;
    Ok(Letter { from: from.email, to: to.email, bytes: message.formatted() })
}

/// The two forms of the text, the better one last. Their boundary is made from the Message-ID: the same mail is the same
/// bytes, and no template can know it.
fn parts(mail: &Outgoing) -> Result<MultiPart, Evidence> {
    let digest = Sha256::digest(mail.flight.message_id.as_bytes());
    let number = digest[..16].iter().fold(0, |number: u128, byte| number << 8 | u128::from(*byte));
    let text = plain(&mail.text);
    let page = html(&text);
    let kind = ContentType::parse(&format!("multipart/alternative; boundary=\"{number:032x}\""));
    let kind = kind.map_err(|error| Evidence::Unsendable(error.to_string()))?;
    Ok(MultiPart::builder().header(kind).singlepart(SinglePart::plain(text)).singlepart(SinglePart::html(page)))
}

fn thread_headers(thread: &Thread) -> Result<(InReplyTo, References), Evidence> {
    let references: Result<Vec<String>, Evidence> = thread.references.iter().map(|id| message_id(id)).collect();
    Ok((message_id(&thread.in_reply_to)?.into(), references?.join(" ").into()))
}

fn party(party: &Party) -> Result<Mailbox, Evidence> {
    let address =
        party.email.parse().map_err(|error| Evidence::Unsendable(format!("{} is no address: {error}", party.email)))?;
    let name = Some(one_line(&party.display_name)).filter(|name| !name.is_empty());
    Ok(Mailbox::new(name, address))
}

/// A Message-ID must come back as it went out: nothing in it is replaced or encoded.
fn message_id(id: &str) -> Result<String, Evidence> {
    let legal = |byte: u8| byte.is_ascii_graphic() && !b"<>".contains(&byte);
    match !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(legal) {
        true => Ok(format!("<{id}>")),
        false => Err(Evidence::Unsendable(format!("{id:?} is no Message-ID"))),
    }
}

#[cfg(test)]
mod tests;
