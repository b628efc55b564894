//! The RFC 5322 message of a mail: text and the same as HTML (RFC 2046 section 5.1.4), names, subject and bodies encoded by
//! mail-builder (RFC 2047, RFC 2045). Control characters end here, and with them any way to add a header; and what could be
//! read as two addresses, or can't be folded, is refused.

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

/// A Message-ID can't be folded, and a line ends at 998 octets (RFC 5322 section 2.1.1).
const LONGEST_ID: usize = 900;

/// A message as it goes over the wire, with its envelope.
pub(super) struct EncodedMessage {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) bytes: Vec<u8>,
}

impl EncodedMessage {
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

/// The two forms of the text, the better one last. Their boundary is made from the Message-ID: the same mail is the same
/// bytes, and no template can know it.
fn parts(mail: &Submission) -> MimePart<'static> {
    let digest = Sha256::digest(mail.flight.message_id.as_bytes());
    let number = digest[..16].iter().fold(0, |number: u128, byte| number << 8 | u128::from(*byte));
    let text = plain(&mail.text);
    let page = html(&text);
    let kind = ContentType::new("multipart/alternative").attribute("boundary", format!("{number:032x}"));
    MimePart::new(kind, vec![MimePart::new("text/plain", text), MimePart::new("text/html", page)])
}

/// A text of a header. ASCII stays as it is and is folded at its spaces (RFC 5322 section 2.2.3); the library would make
/// encoded words (RFC 2047) of it once it is longer than a line.
fn words(text: String) -> HeaderType<'static> {
    if text.is_ascii() { Raw::new(text).into() } else { Text::new(text).into() }
}

/// A display name with its address. An ASCII name is a quoted string, which is folded as any text is.
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

/// The address for the envelope. A quoted local part (RFC 5322 section 3.4.1) that holds what parts addresses in a list
/// would be two to some who read it.
fn address(party: &Participant) -> Result<Address, DialogueEnd> {
    let unsendable = |why: &str| DialogueEnd::Unsendable(format!("{:?} is no address: {why}", party.email));
    let address: Address = party.email.parse().map_err(|error: AddressError| unsendable(&error.to_string()))?;
    let quoted = address.user().trim_matches('"');
    match quoted.contains(|c: char| c.is_control() || "<>,;:\\\"".contains(c)) {
        true => Err(unsendable("others may read it as two")),
        false => Ok(address),
    }
}

/// A Message-ID must come back as it went out: nothing in it is replaced or encoded.
fn message_id(id: &str) -> Result<&str, DialogueEnd> {
    let legal = |byte: u8| byte.is_ascii_graphic() && !b"<>".contains(&byte);
    match !id.is_empty() && id.len() <= LONGEST_ID && id.bytes().all(legal) {
        true => Ok(id),
        false => Err(DialogueEnd::Unsendable(format!("{id:?} is no Message-ID"))),
    }
}

#[cfg(test)]
mod tests;
