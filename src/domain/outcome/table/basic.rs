//! Three digits and the stage, for servers that send no enhanced code or one that says nothing more. The last rows
//! take what is unknown: it concerns this message only.

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
    // Policy against us: the partner is as good as before for everybody else, and the pair is used. The strike is the
    // mailbox's: three of a domain's thousands of mails say nothing about the domain.
    row(MAIL_TO_DOT, Class(5), Enhanced::Subject(5, 7), "policy-refused", sender(STRIKE)),
    // Bad credentials are never tried twice: repeated logins lock accounts.
    row(ANY, Is(535), Any, "auth-refused", sender(DISABLE)),
    row(ANY, Is(530), Any, "auth-required", sender(DISABLE)),
    row(ANY, Is(538), Any, "encryption-required", sender(DISABLE)),
    row(AUTH, Is(534), Any, "auth-needs-operator", sender(DISABLE)),
    row(AUTH, Is(432), Any, "password-change-needed", sender(DISABLE)),
    // Before anybody was named it can only be the host, or what the host thinks of our address.
    row(NAMELESS, Class(4), Any, "host-trouble", host(STRIKE)),
    row(NAMELESS, Class(5), Any, "host-refuses-us", host(HOUR)),
    // 421 may answer any command: the server is closing (RFC 5321 section 3.8).
    row(&[Stage::Auth, Stage::Mail, Stage::Rcpt, Stage::Data], Is(421), Any, "host-trouble", host(STALL)),
    row(AUTH, Class(4), Any, "auth-temporary", sender(HOUR)),
    row(AUTH, Class(5), Any, "auth-failed", sender(HOUR)),
    row(&[Stage::Mail, Stage::Data], OneOf(&[451, 452]), Any, "host-trouble", host(STALL)),
    // Postfix answers at RCPT what it thinks of MAIL: "sender domain does not exist" is not about the partner.
    row(RCPT, OneOf(&[550, 551, 553]), Any, "sender-refused", NOBODY).when_text(Text::OneOf(&["sender"])),
    row(RCPT, OneOf(&[550, 551, 553]), Any, "partner-unknown", partner(DISABLE)).when_text(NO_SUCH_USER),
    row(RCPT, Is(552), Any, "partner-full", partner(DAY)),
    row(&[Stage::Mail, Stage::Data, Stage::Dot], Is(552), Any, "content-refused", NOBODY),
    row(MAIL_TO_DOT, Is(555), Any, "content-refused", NOBODY),
    // 221 answers a QUIT (RFC 5321 section 4.3.2), which may go out with the dot: of the mail it says nothing.
    Row { fate: OutcomeKind::Uncertain, ..row(DOT, Is(221), Any, "uncertain", NOBODY) },
    Row { fate: OutcomeKind::Sent, ..row(DOT, Class(2), Any, "", NOBODY) },
    // After the dot a 3yz answers nothing that was asked.
    Row { fate: OutcomeKind::Uncertain, ..row(DOT, Class(3), Any, "uncertain", NOBODY) },
    row(BEFORE_DOT, Class(2), Any, "protocol-error", NOBODY),
    row(BEFORE_DOT, Class(3), Any, "protocol-error", NOBODY),
    row(ANY, Class(4), Any, "transient", NOBODY),
    UNKNOWN,
];
