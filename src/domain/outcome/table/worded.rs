//! These rows match replies by their words, which say whose limit, suspension or address is meant. The code
//! alone would blame another side.
//!
//! [`CLEAR`] precedes the enhanced codes, because its words are more precise: "exceeded the max emails per
//! hour" is the sender's limit, even with a 550 to RCPT. [`VAGUE`] follows them: with a 4.2.2 a "quota
//! exceeded" is the partner's.

use super::{Code::*, Enhanced, words::*, *};

/// The stages at which no recipient is meant.
const NO_RECIPIENT: &[Stage] = &[Stage::Auth, Stage::Mail, Stage::Data, Stage::Dot];

pub(super) static CLEAR: &[Row] = &[
    // The partner's limit, although the reply mentions rate and limit.
    row(RCPT, Refusal, Enhanced::Any, "partner-busy", partner(HOUR)).when_words(&[PARTNER_RECEIVES]),
    row(RCPT, Refusal, Enhanced::Any, "partner-full", partner(DAY)).when_words(&[PARTNER_STORAGE]),
    row(MAIL_TO_DOT, Refusal, Enhanced::Any, "content-refused", NOBODY).when_words(&[SIZE]),
    // A refused password is named as such; a login that could not be checked looks similar.
    row(AUTH, Is(535), Enhanced::Any, "auth-refused", sender(DISABLE)).when_words(&[SECRET, WRONG]),
    row(AUTH, Is(535), Enhanced::Any, "auth-refused", sender(DISABLE)).when_words(&[NO_REASON]),
    row(AUTH, Is(535), Enhanced::Any, "auth-temporary", sender(HOUR)).when_words(&[TEMPORARY]),
    // This sender and this partner at this host: no other sender waits, and the sender writes to other
    // partners meanwhile.
    row(SENDER_KNOWN, Class(4), Enhanced::Any, "greylisted", NOBODY).when_words(&[GREYLISTED]),
    row(SENDER_KNOWN, Refusal, Enhanced::Any, "host-refuses-us", host(STALL)).when_words(&[CLIENT_BLOCKED]),
    // The sender's own limit, at any stage and with any code.
    row(SENDER_KNOWN, Refusal, Enhanced::Any, "sender-quota-exceeded", sender(QUOTA_REST))
        .when_words(&[DAILY, EXCEEDED])
        .with_named_wait(),
    row(SENDER_KNOWN, Refusal, Enhanced::Any, "sender-rate-exceeded", sender(RATE_REST))
        .when_words(&[HOURLY, EXCEEDED])
        .with_named_wait(),
    row(SENDER_KNOWN, Refusal, Enhanced::Any, "sender-rate-exceeded", sender(RATE_REST))
        .when_words(&[SENDER_RATE])
        .with_named_wait(),
    row(SENDER_KNOWN, Refusal, Enhanced::Any, "sender-quota-exceeded", sender(QUOTA_REST))
        .when_words(&[SENDER_QUOTA])
        .with_named_wait(),
    row(SENDER_KNOWN, Refusal, Enhanced::Any, "sender-quota-exceeded", sender(QUOTA_REST))
        .when_words(&[LIMIT, PASSED, SENDING])
        .with_named_wait(),
    row(NO_RECIPIENT, Refusal, Enhanced::Any, "sender-quota-exceeded", sender(QUOTA_REST))
        .when_words(&[SOME_LIMIT, QUOTA])
        .with_named_wait(),
    row(NO_RECIPIENT, Refusal, Enhanced::Any, "sender-rate-exceeded", sender(RATE_REST))
        .when_words(&[SOME_LIMIT])
        .with_named_wait(),
    row(SENDER_KNOWN, Refusal, Enhanced::Any, "host-refuses-us", host(STALL)).when_words(&[OUR_ADDRESS, BLOCKED]),
    // The sender is suspended. A 4yz says that the suspension passes.
    row(NO_RECIPIENT, Class(5), Enhanced::Any, "sender-blocked", sender(DISABLE)).when_words(&[SUSPENDED]),
    row(RCPT, Class(5), Enhanced::Any, "sender-blocked", sender(DISABLE)).when_words(&[SUSPENDED, OURS]),
    row(NO_RECIPIENT, Class(4), Enhanced::Any, "sender-blocked", sender(QUOTA_REST)).when_words(&[SUSPENDED]),
    row(RCPT, Class(4), Enhanced::Any, "sender-blocked", sender(QUOTA_REST)).when_words(&[SUSPENDED, OURS]),
    row(MAIL_TO_DOT, Class(5), Enhanced::Any, "sender-address", sender(DISABLE)).when_words(&[NOT_ITS_ADDRESS]),
];

pub(super) static VAGUE: &[Row] = &[
    row(RCPT, Refusal, Enhanced::Any, "sender-rate-exceeded", sender(RATE_REST))
        .when_words(&[YOUR_LIMIT, EXCEEDED])
        .with_named_wait(),
    row(RCPT, OneOf(&[450, 451]), Enhanced::OneOf(&[[4, 2, 0], [4, 7, 0], [4, 7, 1]]), "greylisted", NOBODY)
        .when_words(&[LATER]),
];
