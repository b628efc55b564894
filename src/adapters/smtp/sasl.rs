//! `Login` answers the challenges of the SASL mechanisms PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login).
//!
//! The position of a challenge determines the answer, not its text. LOGIN asks for the user name first and for the
//! password second; hosts write `Username:`, `user`, nothing at all, or text that is not base64.

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use secrecy::{ExposeSecret, SecretString};
use stringprep::saslprep;

use crate::domain::outcome::Reply;

const ZERO_WIDTH: char = '\u{200b}';

/// A `Mechanism` is a supported SASL mechanism; the variants are in the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Mechanism {
    Plain,
    Login,
}

impl Mechanism {
    pub(super) const ALL: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

    /// Returns the mechanism's name in the reply to EHLO.
    pub(super) fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
        }
    }
}

/// A `Login` holds the user name and the password of a mailbox.
pub(super) struct Login<'a> {
    username: &'a str,
    password: &'a SecretString,
}

impl<'a> Login<'a> {
    /// Returns `None` for a mailbox without user name or password, which submits without AUTH.
    pub(super) fn new(username: &'a str, password: &'a SecretString) -> Option<Login<'a>> {
        let has_both = !username.is_empty() && !password.expose_secret().is_empty();
        has_both.then_some(Login { username, password })
    }

    /// Returns the command that begins `mechanism`.
    pub(super) fn command(&self, mechanism: Mechanism) -> String {
        match mechanism {
            Mechanism::Plain => format!("AUTH PLAIN {}\r\n", self.plain()),
            Mechanism::Login => "AUTH LOGIN\r\n".to_owned(),
        }
    }

    /// Returns the line that answers challenge number `place`, from 0; `None` if no answer is left.
    ///
    /// PLAIN has no challenge. A host that sends one did not read the response that came with the command.
    pub(super) fn answer(&self, mechanism: Mechanism, place: usize) -> Option<String> {
        let answer = match (mechanism, place) {
            (Mechanism::Plain, 0) => self.plain(),
            (Mechanism::Login, 0) => BASE64_STANDARD.encode(self.username),
            (Mechanism::Login, 1) => BASE64_STANDARD.encode(self.password.expose_secret()),
            _ => return None,
        };
        Some(answer + "\r\n")
    }

    fn plain(&self) -> String {
        plain_response(&prepare(self.username), &prepare(self.password.expose_secret()))
    }
}

/// Returns the PLAIN response for a prepared user name and password.
pub(super) fn plain_response(username: &str, password: &str) -> String {
    BASE64_STANDARD.encode(format!("\0{username}\0{password}"))
}

/// Prepares a user name or a password by SASLprep (RFC 4013), as RFC 4616 section 2 requires. A no-break space becomes
/// a space, and zero-width characters are removed. Text that SASLprep rejects stays as it is: some hosts compare bytes.
pub(super) fn prepare(text: &str) -> Cow<'_, str> {
    // RFC 3454 lists it as a space (C.1.2) and as nothing (B.1). It comes from copied web pages, so nothing is right.
    let seen: Cow<'_, str> = if text.contains(ZERO_WIDTH) { text.replace(ZERO_WIDTH, "").into() } else { text.into() };
    match saslprep(&seen).map(Cow::into_owned) {
        Ok(prepared) if !prepared.is_empty() => Cow::Owned(prepared),
        _ => Cow::Borrowed(text),
    }
}

/// Returns whether `reply` refuses the mechanism of an AUTH command, and not the login (RFC 4954 sections 4 and 6).
pub(super) fn is_mechanism_refused(reply: &Reply) -> bool {
    let is_unknown = matches!(reply.code, 502 | 503 | 504 | 553);
    is_unknown || matches!(reply.enhanced, Some([5, 5 | 7, 4]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn plain_is_prepared_and_login_is_not() {
        let pasted = password("abcd\u{a0}efgh\u{200b}");
        let login = Login::new("anna@one.test", &pasted).unwrap();
        let expected = format!("AUTH PLAIN {}\r\n", BASE64_STANDARD.encode("\0anna@one.test\0abcd efgh"));
        assert_eq!(login.command(Mechanism::Plain), expected);
        let raw = BASE64_STANDARD.encode("abcd\u{a0}efgh\u{200b}") + "\r\n";
        assert_eq!(login.answer(Mechanism::Login, 1), Some(raw));
    }

    #[test]
    fn text_that_can_not_be_prepared_stays() {
        for text in ["\u{200b}", "a\u{e000}\u{200b}", " pass word ", "pass"] {
            assert_eq!(prepare(text), text, "{text:?}");
        }
    }

    #[test]
    fn login_answers_by_order_and_no_third_challenge() {
        let secret = password("secret");
        let login = Login::new("anna", &secret).unwrap();
        let answers: Vec<_> = (0..3).map(|place| login.answer(Mechanism::Login, place)).collect();
        assert_eq!(answers, [Some("YW5uYQ==\r\n".to_owned()), Some("c2VjcmV0\r\n".to_owned()), None]);
        assert!(login.answer(Mechanism::Plain, 0).is_some() && login.answer(Mechanism::Plain, 1).is_none());
    }

    #[test]
    fn a_login_without_a_user_name_or_a_password_is_none() {
        assert!(Login::new("", &password("secret")).is_none() && Login::new("anna", &password("")).is_none());
    }

    #[test]
    fn a_refused_mechanism_is_no_refused_login() {
        let reply = |code, enhanced| Reply { code, enhanced, text: String::new() };
        for (code, enhanced) in [(502, None), (503, Some([5, 5, 1])), (504, None), (553, None)] {
            assert!(is_mechanism_refused(&reply(code, enhanced)), "{code}");
        }
        for enhanced in [[5, 5, 4], [5, 7, 4]] {
            assert!(is_mechanism_refused(&reply(501, Some(enhanced))), "{enhanced:?}");
        }
        for (code, enhanced) in [(535, Some([5, 7, 8])), (454, Some([4, 7, 0])), (534, Some([5, 7, 9])), (235, None)] {
            assert!(!is_mechanism_refused(&reply(code, enhanced)), "{code}");
        }
    }
}
