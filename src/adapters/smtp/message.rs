//! `compose` builds the RFC 5322 message of a mail: its text as plain text and as HTML (RFC 2046 section 5.1.4). The
//! library mail-builder encodes names, subject and bodies (RFC 2047, RFC 2045). This module removes control characters,
//! and with them every way to add a header. It rejects text that could be read as two addresses or can't be folded.

use lettre::{Address, address::AddressError};
use mail_builder::{
    MessageBuilder,
    headers::{HeaderType, address, content_type::ContentType, message_id::MessageId, raw::Raw, text::Text},
    mime::MimePart,
};
use sha2::{Digest, Sha256};

use crate::{
    domain::{
        content::{MARK, html, one_line, plain},
        outcome::classify::DialogueEnd,
    },
    ports::{Participant, Submission},
};

/// The longest Message-ID, in bytes: it can't be folded, and a line ends at 998 octets (RFC 5322 section 2.1.1).
const LONGEST_ID: usize = 900;

/// An `EncodedMessage` is a message as it goes over the wire, with its envelope.
pub(super) struct EncodedMessage {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) bytes: Vec<u8>,
}

impl EncodedMessage {
    /// Returns whether the host must support SMTPUTF8 (RFC 6531) to accept the message.
    pub(super) fn needs_utf8(&self) -> bool {
        !self.bytes.is_ascii()
            || !AsRef::<str>::as_ref(&self.from).is_ascii()
            || !AsRef::<str>::as_ref(&self.to).is_ascii()
    }
}

/// Builds the message of `mail`, marked by `header` so that filters on both ends can distinguish it from other mail.
///
/// Returns `Unsendable` if an address or the Message-ID is invalid.
pub(super) fn compose(mail: &Submission, header: &str) -> Result<EncodedMessage, DialogueEnd> {
    let (sender, recipient) = (&mail.flight.sender, &mail.flight.recipient);
    let mut message = MessageBuilder::new()
        .header("From", named(sender))
        .header("To", named(recipient))
        .header("Subject", words(one_line(&mail.flight.subject)))
        .date(mail.date.timestamp())
        .message_id(message_id(&mail.flight.message_id)?)
        .header(header, Raw::new(MARK));
    if let Some(thread) = &mail.thread {
        let references: Result<Vec<&str>, DialogueEnd> = thread.references.iter().map(|id| message_id(id)).collect();
        let references = MessageId::new_list(references?.into_iter());
        message = message.in_reply_to(message_id(&thread.in_reply_to)?).references(references);
    }
    let mut bytes = Vec::new();
    message.body(parts(mail)).serialize(&mut bytes);
    Ok(EncodedMessage { from: address(sender)?, to: address(recipient)?, bytes })
}

/// Returns the two forms of the text, the richer one last. The Message-ID determines their boundary: the same mail
/// always has the same bytes, and no template can contain the boundary.
fn parts(mail: &Submission) -> MimePart<'static> {
    let digest = Sha256::digest(mail.flight.message_id.as_bytes());
    let number = digest[..16].iter().fold(0, |number: u128, byte| number << 8 | u128::from(*byte));
    let text = plain(&mail.text);
    let page = html(&text);
    let kind = ContentType::new("multipart/alternative").attribute("boundary", format!("{number:032x}"));
    MimePart::new(kind, vec![MimePart::new("text/plain", text), MimePart::new("text/html", page)])
}

/// Returns a header value of `text`. ASCII stays as it is and is folded at its spaces (RFC 5322 section 2.2.3);
/// mail-builder would turn an ASCII text longer than a line into encoded words (RFC 2047).
fn words(text: String) -> HeaderType<'static> {
    if text.is_ascii() { Raw::new(text).into() } else { Text::new(text).into() }
}

/// Returns a display name with its address. An ASCII name is a quoted string, which is folded like any text.
fn named(party: &Participant) -> HeaderType<'_> {
    let name = one_line(&party.display_name);
    if name.is_empty() {
        return address::Address::new_address(None::<String>, &party.email).into();
    }
    if !name.is_ascii() || !party.email.is_ascii() {
        return address::Address::new_address(Some(name), &party.email).into();
    }
    let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
    Raw::new(format!("\"{quoted}\" <{}>", party.email)).into()
}

/// Returns the address for the envelope. Rejects a quoted local part (RFC 5322 section 3.4.1) with characters that
/// separate addresses in a list: some readers would take it for two addresses.
fn address(party: &Participant) -> Result<Address, DialogueEnd> {
    let unsendable = |why: &str| DialogueEnd::Unsendable(format!("{:?} is no address: {why}", party.email));
    let address: Address = party.email.parse().map_err(|error: AddressError| unsendable(&error.to_string()))?;
    let quoted = address.user().trim_matches('"');
    match quoted.contains(|c: char| c.is_control() || "<>,;:\\\"".contains(c)) {
        true => Err(unsendable("others may read it as two")),
        false => Ok(address),
    }
}

/// Checks a Message-ID, which must come back unchanged: nothing in it is replaced or encoded.
fn message_id(id: &str) -> Result<&str, DialogueEnd> {
    let legal = |byte: u8| byte.is_ascii_graphic() && !b"<>".contains(&byte);
    match !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(legal) {
        true => Ok(id),
        false => Err(DialogueEnd::Unsendable(format!("{id:?} is no Message-ID"))),
    }
}

#[cfg(test)]
mod tests;
