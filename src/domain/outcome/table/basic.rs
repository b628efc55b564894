//! These rows decide by three digits and the stage, for servers without an enhanced code or with an
//! uninformative one. The last rows match every unknown reply, which concerns this message only.

use super::{
    Code::*,
    Enhanced::{self, Any},
    Text, *,
};

const NO_SUCH_USER: Text = Text::OneOf(&[
    "user unknown",
    "unknown user",
    "no such user",
    "no such recipient",
    "no such mailbox",
    "mailbox not found",
    "user not found",
    "does not exist",
    "doesn't exist",
]);

pub(super) const UNKNOWN: Row = row(ANY, Class(5), Any, "refused", NOBODY);

pub(super) static ROWS: &[Row] = &[
    // A policy against us: the partner stays as good as before for other senders, and the pair is used. The
    // strike is the mailbox's, because three of a domain's thousands of mails say nothing about the domain.
    row(MAIL_TO_DOT, Class(5), Enhanced::Subject(5, 7), "policy-refused", sender(STRIKE)),
    // Bad credentials are never tried twice: repeated logins lock accounts.
    row(ANY, Is(535), Any, "auth-refused", sender(DISABLE)),
    row(ANY, Is(530), Any, "auth-required", sender(DISABLE)),
    row(ANY, Is(538), Any, "encryption-required", sender(DISABLE)),
    row(AUTH, Is(534), Any, "auth-needs-operator", sender(DISABLE)),
    row(AUTH, Is(432), Any, "password-change-needed", sender(DISABLE)),
    // Before the sender is named, the cause is the host, or its opinion of our address.
    row(NAMELESS, Class(4), Any, "host-trouble", host(STRIKE)),
    row(NAMELESS, Class(5), Any, "host-refuses-us", host(HOUR)),
    // 421 may answer any command: the server is closing (RFC 5321 section 3.8).
    row(&[Stage::Auth, Stage::Mail, Stage::Rcpt, Stage::Data], Is(421), Any, "host-trouble", host(STALL)),
    row(AUTH, Class(4), Any, "auth-temporary", sender(HOUR)),
    row(AUTH, Class(5), Any, "auth-failed", sender(HOUR)),
    row(&[Stage::Mail, Stage::Data], OneOf(&[451, 452]), Any, "host-trouble", host(STALL)),
    // Postfix answers at RCPT with its check of MAIL: "sender domain does not exist" is not about the
    // partner.
    row(RCPT, OneOf(&[550, 551, 553]), Any, "sender-refused", NOBODY).when_text(Text::OneOf(&["sender"])),
    row(RCPT, OneOf(&[550, 551, 553]), Any, "partner-unknown", partner(DISABLE)).when_text(NO_SUCH_USER),
    row(RCPT, Is(552), Any, "partner-full", partner(DAY)),
    row(&[Stage::Mail, Stage::Data, Stage::Dot], Is(552), Any, "content-refused", NOBODY),
    row(MAIL_TO_DOT, Is(555), Any, "content-refused", NOBODY),
    // A 221 answers a QUIT (RFC 5321 section 4.3.2), which may be sent with the final dot; it says nothing
    // about the mail.
    Row { fate: OutcomeKind::Uncertain, ..row(DOT, Is(221), Any, "uncertain", NOBODY) },
    Row { fate: OutcomeKind::Sent, ..row(DOT, Class(2), Any, "", NOBODY) },
    // A 3yz after the final dot answers no command.
    Row { fate: OutcomeKind::Uncertain, ..row(DOT, Class(3), Any, "uncertain", NOBODY) },
    row(BEFORE_DOT, Class(2), Any, "protocol-error", NOBODY),
    row(BEFORE_DOT, Class(3), Any, "protocol-error", NOBODY),
    row(ANY, Class(4), Any, "transient", NOBODY),
    UNKNOWN,
];
