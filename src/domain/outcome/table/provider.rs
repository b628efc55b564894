//! These rows match replies that have one meaning at one provider. They apply at any stage: a daily quota
//! that is announced at MAIL today may be announced after the final dot tomorrow.
//!
//! Sources: Gmail's SMTP errors (support.google.com/a/answer/3726730), Exchange Online's non-delivery reports and SMTP
//! submission limits (learn.microsoft.com), Zoho's SMTP errors.

use super::{Code::*, Enhanced, Text, *};

/// The replies of servers that refuse the EHLO name: at once or, as Postfix does, at RCPT. They concern our
/// name.
const HELO_REFUSED: Text = Text::OneOf(&[
    "ehlo argument",
    "helo argument",
    "helo command rejected",
    "ehlo command rejected",
    "invalid helo",
    "invalid ehlo",
    "ehlo name",
    "helo name",
]);

pub(super) static ROWS: &[Row] = &[
    // No mailbox and no partner can correct this, and no mail is accepted. It counts as trouble of the host,
    // which is then paused for minutes, not for an hour, so that a new name is tried soon. After AUTH several
    // senders must meet it.
    row(NAMELESS, Class(4), Enhanced::Any, "helo-refused", host(STRIKE)).when_text(HELO_REFUSED),
    row(NAMELESS, Class(5), Enhanced::Any, "helo-refused", host(STRIKE)).when_text(HELO_REFUSED),
    row(AUTH_TO_DATA, Class(4), Enhanced::Any, "helo-refused", host(STALL)).when_text(HELO_REFUSED),
    row(AUTH_TO_DATA, Class(5), Enhanced::Any, "helo-refused", host(STALL)).when_text(HELO_REFUSED),
    // Quotas look permanent and pass by themselves: never a reason to disable.
    row(ANY, Is(550), Enhanced::Is(5, 4, 5), "sender-daily-limit", sender(DAY)),
    // The domains of a tenant are unknown: each of them gets this answer for itself.
    row(ANY, Is(550), Enhanced::OneOf(&[[5, 7, 232], [5, 7, 233]]), "tenant-limit", domain(DAY)),
    // 5.2.0 alone is generic; SendAsDenied and others arrive as STOREDRV too.
    row(ANY, Is(554), Enhanced::Is(5, 2, 0), "sender-daily-limit", sender(DAY))
        .when_text(Text::All(&["storedrv", "quota"])),
    // The account is suspended, or waits for a check that only a person can pass (`HipSend`, `HipNotify`).
    row(ANY, Is(554), Enhanced::Is(5, 2, 0), "sender-blocked", sender(DISABLE))
        .when_text(Text::OneOf(&["outboundspamexception"])),
    row(ANY, Class(5), Enhanced::Is(5, 2, 252), "sender-address", sender(DISABLE)),
    row(ANY, Class(5), Enhanced::Is(5, 7, 60), "sender-address", sender(DISABLE)),
    row(ANY, Is(550), Enhanced::Is(5, 1, 90), "sender-daily-limit", sender(DAY)),
    row(ANY, OneOf(&[550, 554]), Enhanced::Is(5, 1, 8), "sender-blocked", sender(DISABLE)),
    row(
        ANY,
        Class(5),
        Enhanced::OneOf(&[[5, 7, 501], [5, 7, 502], [5, 7, 503], [5, 7, 705], [5, 7, 750]]),
        "sender-blocked",
        sender(DISABLE),
    ),
    // Zoho's 5.4.6 means "unusual sending activity"; elsewhere it is a routing loop, which neither side here
    // causes.
    row(ANY, Is(550), Enhanced::Is(5, 4, 6), "routing-loop", NOBODY).when_text(Text::OneOf(&[
        "loop",
        "hop count",
        "too many hops",
    ])),
    row(ANY, Is(550), Enhanced::Is(5, 4, 6), "sender-blocked", sender(DISABLE)),
    // SMTP AUTH is off for the mailbox or the tenant, or passwords are no longer accepted.
    row(ANY, Class(5), Enhanced::OneOf(&[[5, 7, 139], [5, 7, 30]]), "auth-method-retired", sender(DISABLE)),
    // 4.3.2 has two meanings at Exchange: its text says whether the sender has too many threads.
    row(SENDER_KNOWN, Is(432), Enhanced::Is(4, 3, 2), "partner-busy", partner(FIVE_MINUTES))
        .when_text(Text::OneOf(&["recipient thread limit", "storedrv.deliver"])),
    row(SENDER_KNOWN, Is(432), Enhanced::Is(4, 3, 2), "sender-concurrency", sender(FIVE_MINUTES)),
    row(MAIL_TO_DOT, Class(5), Enhanced::Is(5, 7, 38), "sender-rate", sender(EASE)),
    row(SENDER_KNOWN, Is(421), Enhanced::Is(4, 7, 28), "sender-rate", sender(EASE)),
    row(SENDER_KNOWN, Class(4), Enhanced::Is(4, 7, 500), "sender-rate", sender(EASE)),
    // SPF, DKIM or DMARC fail: the cause is the domain's DNS, so each mailbox of the domain is affected.
    row(MAIL_TO_DOT, Is(550), Enhanced::OneOf(&[[5, 7, 26], [5, 7, 515]]), "domain-unauthenticated", domain(DAY)),
    row(MAIL_TO_DOT, Class(5), Enhanced::Details(5, 7, 20, 25), "domain-unauthenticated", domain(DAY)),
];
