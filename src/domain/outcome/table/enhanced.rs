//! These rows decide by enhanced status code (RFC 3463 and the IANA registry) and stage.

use super::{Code::*, Enhanced, *};

pub(super) static ROWS: &[Row] = &[
    // AUTH (RFC 4954 section 6). 454 does not mean bad credentials: disabling on it would empty a fleet in a
    // login storm.
    row(AUTH, Is(454), Enhanced::Is(4, 7, 0), "auth-temporary", sender(HOUR)),
    row(AUTH, Is(421), Enhanced::Is(4, 7, 0), "auth-throttled", sender(HOUR)),
    row(AUTH, Is(432), Enhanced::Is(4, 7, 12), "password-change-needed", sender(DISABLE)),
    row(AUTH, Is(534), Enhanced::OneOf(&[[5, 7, 9], [5, 7, 14]]), "auth-needs-operator", sender(DISABLE)),
    row(AUTH, Is(535), Enhanced::OneOf(&[[5, 7, 8], [5, 7, 3]]), "auth-refused", sender(DISABLE)),
    row(ANY, Is(530), Enhanced::Subject(5, 7), "auth-required", sender(DISABLE)),
    row(ANY, Is(538), Enhanced::Is(5, 7, 11), "encryption-required", sender(DISABLE)),
    // The sender's address. Postfix answers about it at RCPT too, in words (`worded`).
    row(&[Stage::Mail, Stage::Data], Is(553), Enhanced::Is(5, 7, 1), "sender-address", sender(DISABLE)),
    row(MAIL_TO_DOT, Class(5), Enhanced::OneOf(&[[5, 1, 7], [5, 7, 27]]), "sender-address", sender(DISABLE)),
    // The server's own resources.
    row(
        &[Stage::Auth, Stage::Mail, Stage::Rcpt, Stage::Data],
        Class(4),
        Enhanced::Details(4, 3, 0, 2),
        "host-trouble",
        host(STALL),
    ),
    // The partner's address and mailbox.
    row(
        RCPT,
        Class(5),
        Enhanced::OneOf(&[[5, 1, 1], [5, 1, 2], [5, 1, 6], [5, 1, 10]]),
        "partner-unknown",
        partner(DISABLE),
    ),
    row(RCPT, Class(5), Enhanced::Is(5, 2, 1), "partner-disabled", partner(DISABLE)),
    row(RCPT, Is(525), Enhanced::Is(5, 7, 13), "partner-disabled", partner(DISABLE)),
    row(RCPT, Class(4), Enhanced::Is(4, 2, 2), "partner-full", partner(DAY)),
    row(RCPT, Class(5), Enhanced::Is(5, 2, 2), "partner-full", partner(DAY)),
    // An hour without mail is the lowest inbound cap that exists; the next mail checks whether more is
    // allowed.
    row(RCPT, Is(450), Enhanced::Is(4, 2, 1), "partner-busy", partner(HOUR)),
    row(RCPT, Class(4), Enhanced::Is(4, 5, 3), "too-many-recipients", NOBODY),
    row(RCPT, Class(5), Enhanced::Is(5, 5, 3), "too-many-recipients", NOBODY),
    // 5.2.2 at a stage without a recipient: the sender's own mailbox has no room for its outgoing mail
    // (Exchange).
    row(&[Stage::Mail, Stage::Data], Class(5), Enhanced::Is(5, 2, 2), "sender-full", sender(DAY)),
    row(DOT, Is(554), Enhanced::Is(5, 2, 2), "sender-full", sender(DAY)),
    // Another code may mean the sender's or the partner's mailbox.
    row(DOT, Class(5), Enhanced::Is(5, 2, 2), "mailbox-full", NOBODY),
    // The message itself: another text would have been accepted.
    row(MAIL_TO_DOT, Is(552), Enhanced::Is(5, 3, 4), "content-refused", NOBODY),
    row(MAIL_TO_DOT, Class(5), Enhanced::Subject(5, 6), "content-refused", NOBODY),
];
