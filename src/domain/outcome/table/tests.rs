//! These tests need at least one example per row: a row without one, or an example that another row matches,
//! fails.

use super::*;
use Stage::*;

fn reply(line: &str) -> Reply {
    let (code, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (word, text) = rest.split_once(' ').unwrap_or((rest, ""));
    let parts: Vec<u16> = word.split('.').filter_map(|part| part.parse().ok()).collect();
    match <[u16; 3]>::try_from(parts) {
        Ok(enhanced) => Reply { code: code.parse().unwrap(), enhanced: Some(enhanced), text: text.into() },
        Err(_) => Reply { code: code.parse().unwrap(), enhanced: None, text: rest.into() },
    }
}

const EXAMPLES: &[(Stage, &str, &str, Effects)] = &[
    // Provider-specific, at any stage.
    (Mail, "550 5.4.5 Daily user sending limit exceeded", "sender-daily-limit", sender(DAY)),
    (Rcpt, "550 5.4.5 Daily user sending limit exceeded", "sender-daily-limit", sender(DAY)),
    (Dot, "550 5.4.5 Daily user sending limit exceeded", "sender-daily-limit", sender(DAY)),
    (Mail, "550 5.7.232 trial tenant exceeded its limit", "tenant-limit", domain(DAY)),
    (Dot, "550 5.7.233 tenant exceeded its limit", "tenant-limit", domain(DAY)),
    (Mail, "554 5.2.0 STOREDRV.Submission; submission quota exceeded", "sender-daily-limit", sender(DAY)),
    (Dot, "554 5.2.0 STOREDRV.Submission; submission quota exceeded", "sender-daily-limit", sender(DAY)),
    (Mail, "550 5.1.8 Access denied, bad outbound sender", "sender-blocked", sender(DISABLE)),
    (Dot, "554 5.1.8 Email outgoing blocked", "sender-blocked", sender(DISABLE)),
    (Rcpt, "550 5.7.750 unregistered domain", "sender-blocked", sender(DISABLE)),
    (Dot, "550 5.4.6 Unusual sending activity detected", "sender-blocked", sender(DISABLE)),
    (Dot, "550 5.4.6 Routing loop detected", "routing-loop", NOBODY),
    (Auth, "535 5.7.139 SmtpClientAuthentication is disabled", "auth-method-retired", sender(DISABLE)),
    (Auth, "550 5.7.30 Basic authentication is not supported", "auth-method-retired", sender(DISABLE)),
    (Dot, "432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded", "sender-concurrency", sender(FIVE_MINUTES)),
    (Dot, "432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded", "partner-busy", partner(FIVE_MINUTES)),
    (Dot, "550 5.7.38 Mail flood detected", "sender-rate", sender(EASE)),
    (Mail, "421 4.7.28 unusual rate of mail", "sender-rate", sender(EASE)),
    (Dot, "451 4.7.500 Server busy", "sender-rate", sender(EASE)),
    (Dot, "550 5.7.26 unauthenticated sender", "domain-unauthenticated", domain(DAY)),
    (Rcpt, "550 5.7.515 does not meet the required authentication level", "domain-unauthenticated", domain(DAY)),
    (Dot, "550 5.7.23 SPF validation failed", "domain-unauthenticated", domain(DAY)),
    (
        Dot,
        "554 5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; Actual verdict is Suspend",
        "sender-blocked",
        sender(DISABLE),
    ),
    (
        Dot,
        "554 5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; Actual verdict is HipSend",
        "sender-blocked",
        sender(DISABLE),
    ),
    (
        Dot,
        "554 5.2.0 STOREDRV.Submission.Exception:OutboundSpamException; Actual verdict is RefuseQuota",
        "sender-daily-limit",
        sender(DAY),
    ),
    (Dot, "554 5.2.252 SendAsDenied; a not allowed to send as b", "sender-address", sender(DISABLE)),
    (Mail, "550 5.7.60 Client does not have permissions to send as this sender", "sender-address", sender(DISABLE)),
    (Dot, "550 5.1.90 You have reached your daily limit for message recipients", "sender-daily-limit", sender(DAY)),
    // Decided by the words, with any code.
    (
        Dot,
        "550 User x has exceeded its 24-hour sending limit. Messages to 250 recipients out of 250 allowed have been sent.",
        "sender-quota-exceeded",
        sender(QUOTA_REST),
    ),
    (Rcpt, "550 User x has exceeded its 24-hour sending limit", "sender-quota-exceeded", sender(QUOTA_REST)),
    (
        Dot,
        "550 Domain d has exceeded the max emails per hour (150/150 (100%)) allowed. Message discarded.",
        "sender-rate-exceeded",
        sender(RATE_REST),
    ),
    (Dot, "454 Throttling failure: Daily message quota exceeded.", "sender-quota-exceeded", sender(QUOTA_REST)),
    (Dot, "454 Throttling failure: Maximum sending rate exceeded.", "sender-rate-exceeded", sender(RATE_REST)),
    (Dot, "552 Message would take you over your relay quota of 500", "sender-quota-exceeded", sender(QUOTA_REST)),
    (Rcpt, "451 4.7.1 Rate limit exceeded", "sender-rate-exceeded", sender(RATE_REST)),
    (
        Rcpt,
        "554 5.7.1 <a@b.c>: Recipient address rejected: You have exceeded your quota",
        "sender-rate-exceeded",
        sender(RATE_REST),
    ),
    (
        Rcpt,
        "554 5.7.1 <a@b.c>: Recipient address rejected: Email Sending Quota Exceeded",
        "sender-quota-exceeded",
        sender(QUOTA_REST),
    ),
    (
        Rcpt,
        "450 4.7.1 <a@b.c>: Sender address rejected: sorry, max 2 requests per hour.",
        "sender-rate-exceeded",
        sender(RATE_REST),
    ),
    (
        Data,
        "554 5.7.1 <DATA>: Data command rejected: only 10 messages per day",
        "sender-quota-exceeded",
        sender(QUOTA_REST),
    ),
    (
        Dot,
        "450 4.7.1 <END-OF-MESSAGE>: End-of-data rejected: Number messages per hour exceeded.",
        "sender-rate-exceeded",
        sender(RATE_REST),
    ),
    (Rcpt, "451 4.7.1 Ratelimit \"user\" exceeded", "sender-rate-exceeded", sender(RATE_REST)),
    (Mail, "550 5.7.1 sorry, too many emails (#5.7.1)", "sender-rate-exceeded", sender(RATE_REST)),
    (Mail, "550 Stop, you are sending too fast!", "sender-rate-exceeded", sender(RATE_REST)),
    (
        Dot,
        "550 5.7.0 Requested action not taken: too many emails per second",
        "sender-rate-exceeded",
        sender(RATE_REST),
    ),
    (Mail, "450 Your account reached its email quota limit.", "sender-quota-exceeded", sender(QUOTA_REST)),
    (
        Rcpt,
        "450 4.3.2 Please wait to send more emails, or ask for a rate limit increase",
        "sender-rate-exceeded",
        sender(RATE_REST),
    ),
    (
        Rcpt,
        "450 Requested mail action not taken: mailbox unavailable; Mail send limit exceeded",
        "sender-quota-exceeded",
        sender(QUOTA_REST),
    ),
    (Rcpt, "550 You reached the allowance of 300 mails for your plan", "sender-quota-exceeded", sender(QUOTA_REST)),
    (Auth, "451 Authentication failed: Maximum credits exceeded", "sender-quota-exceeded", sender(QUOTA_REST)),
    (Mail, "552 5.7.1 Quota exceeded", "sender-quota-exceeded", sender(QUOTA_REST)),
    (Mail, "550 5.7.1 Limit exceeded", "sender-rate-exceeded", sender(RATE_REST)),
    // The partner's, although they mention rates, quotas and limits.
    (Rcpt, "452 4.2.2 The recipient's quota exceeded", "partner-full", partner(DAY)),
    (Rcpt, "552 Mailbox size limit exceeded", "partner-full", partner(DAY)),
    (Rcpt, "550 5.2.1 The user you are trying to contact is receiving mail too quickly", "partner-busy", partner(HOUR)),
    (Dot, "552 5.3.4 Message size limit exceeded", "content-refused", NOBODY),
    (Rcpt, "452 4.5.3 Too many recipients", "too-many-recipients", NOBODY),
    // Suspended senders, and addresses that are not the login's.
    (Mail, "550 Outgoing mail from \"a\" has been suspended.", "sender-blocked", sender(DISABLE)),
    (Rcpt, "550 Outgoing mail from \"a\" has been suspended.", "sender-blocked", sender(DISABLE)),
    (Dot, "554 Sending paused for this account", "sender-blocked", sender(DISABLE)),
    (Mail, "451 Your account is temporarily suspended", "sender-blocked", sender(QUOTA_REST)),
    (Rcpt, "451 Your account is temporarily suspended", "sender-blocked", sender(QUOTA_REST)),
    (Rcpt, "550 5.2.1 The account that you tried to reach is disabled", "partner-disabled", partner(DISABLE)),
    (Mail, "553 Relaying disallowed as x@y.z", "sender-address", sender(DISABLE)),
    (Dot, "554 Message rejected: Email address is not verified.", "sender-address", sender(DISABLE)),
    (Mail, "550 Sender address is not allowed.", "sender-address", sender(DISABLE)),
    (Mail, "501 mail from address must be same as authorization user", "sender-address", sender(DISABLE)),
    (Mail, "553 Mail from must equal authorized user", "sender-address", sender(DISABLE)),
    (Dot, "550 The from address does not match a verified Sender Identity.", "sender-address", sender(DISABLE)),
    (Rcpt, "553 5.7.1 <a@b.c>: Sender address rejected: not owned by user x", "sender-address", sender(DISABLE)),
    // Our address.
    (
        Rcpt,
        "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
        "host-refuses-us",
        host(STALL),
    ),
    (Dot, "550 5.7.1 Your IP address has been blocked", "host-refuses-us", host(STALL)),
    (
        Rcpt,
        "451 4.7.651 The mail server has been temporarily rate limited due to IP reputation",
        "host-refuses-us",
        host(STALL),
    ),
    // AUTH.
    (
        Auth,
        "535 5.7.8 Error: authentication failed: Connection lost to authentication server",
        "auth-temporary",
        sender(HOUR),
    ),
    (Auth, "535 5.7.8 Error: authentication failed: (reason unavailable)", "auth-refused", sender(DISABLE)),
    (Auth, "535 5.7.8 Check your password and try again", "auth-refused", sender(DISABLE)),
    (Auth, "454 4.7.0 Temporary authentication failure", "auth-temporary", sender(HOUR)),
    (Auth, "421 4.7.0 Try again later", "auth-throttled", sender(HOUR)),
    (Auth, "432 4.7.12 A password transition is needed", "password-change-needed", sender(DISABLE)),
    (Auth, "534 5.7.9 Application-specific password required", "auth-needs-operator", sender(DISABLE)),
    (Auth, "534 5.7.14 Please log in via your web browser", "auth-needs-operator", sender(DISABLE)),
    (Auth, "535 5.7.8 Username and password not accepted", "auth-refused", sender(DISABLE)),
    (Auth, "535 5.7.3 Authentication unsuccessful", "auth-refused", sender(DISABLE)),
    (Auth, "535 no", "auth-refused", sender(DISABLE)),
    (Mail, "530 5.7.0 Authentication required", "auth-required", sender(DISABLE)),
    (Mail, "530 5.7.57 Client was not authenticated", "auth-required", sender(DISABLE)),
    (Mail, "530 Log in first", "auth-required", sender(DISABLE)),
    (Auth, "538 5.7.11 Encryption required", "encryption-required", sender(DISABLE)),
    (Auth, "538 Encryption required", "encryption-required", sender(DISABLE)),
    (Auth, "534 too weak", "auth-needs-operator", sender(DISABLE)),
    (Auth, "432 change it", "password-change-needed", sender(DISABLE)),
    (Auth, "454 busy", "auth-temporary", sender(HOUR)),
    (Auth, "504 5.5.4 Unrecognized authentication type", "auth-failed", sender(HOUR)),
    (Auth, "421 4.3.2 shutting down", "host-trouble", host(STALL)),
    // The host, before the sender is named.
    (Greeting, "421 too many connections", "host-trouble", host(STRIKE)),
    (Tls, "454 4.7.0 TLS not available", "host-trouble", host(STRIKE)),
    (Greeting, "554 5.7.1 you are listed", "host-refuses-us", host(HOUR)),
    // Our own EHLO name.
    (Greeting, "550 EHLO argument does not match a fully qualified name", "helo-refused", host(STRIKE)),
    (Greeting, "450 4.7.1 <warmup-0>: Helo command rejected: Host not found", "helo-refused", host(STRIKE)),
    (Rcpt, "504 5.5.2 <warmup-0>: Helo command rejected: need fully-qualified hostname", "helo-refused", host(STALL)),
    (Rcpt, "450 4.7.1 <warmup-0>: Helo command rejected: Host not found", "helo-refused", host(STALL)),
    // MAIL and DATA.
    (Mail, "553 5.7.1 no", "sender-address", sender(DISABLE)),
    (Rcpt, "553 5.7.1 relaying denied", "policy-refused", sender(STRIKE)),
    (Mail, "550 5.1.7 Invalid address", "sender-address", sender(DISABLE)),
    (Dot, "550 5.7.27 Sender address has null MX", "sender-address", sender(DISABLE)),
    (Mail, "452 4.3.1 Insufficient system storage", "host-trouble", host(STALL)),
    (Data, "451 4.3.0 Temporary failure", "host-trouble", host(STALL)),
    (Mail, "452 full", "host-trouble", host(STALL)),
    (Data, "421 closing", "host-trouble", host(STALL)),
    (Mail, "552 5.2.2 over quota", "sender-full", sender(DAY)),
    (Mail, "550 5.7.1 not today", "policy-refused", sender(STRIKE)),
    // RCPT.
    (Rcpt, "550 5.1.1 User unknown", "partner-unknown", partner(DISABLE)),
    (Rcpt, "550 5.1.2 Domain not found", "partner-unknown", partner(DISABLE)),
    (Rcpt, "550 5.1.6 Moved", "partner-unknown", partner(DISABLE)),
    (Rcpt, "550 5.1.10 Recipient not found", "partner-unknown", partner(DISABLE)),
    (Rcpt, "550 No such user here", "partner-unknown", partner(DISABLE)),
    (Rcpt, "550 Sender domain does not exist", "sender-refused", NOBODY),
    (Rcpt, "550 5.2.1 Mailbox disabled", "partner-disabled", partner(DISABLE)),
    (Rcpt, "525 5.7.13 User account disabled", "partner-disabled", partner(DISABLE)),
    (Rcpt, "452 4.2.2 Over quota", "partner-full", partner(DAY)),
    (Rcpt, "552 5.2.2 Over quota", "partner-full", partner(DAY)),
    (Rcpt, "552 Over quota", "partner-full", partner(DAY)),
    (Rcpt, "450 4.2.1 Receiving mail too quickly", "partner-busy", partner(HOUR)),
    (Rcpt, "450 4.2.1 Busy", "partner-busy", partner(HOUR)),
    (Rcpt, "450 4.7.1 Come back later", "greylisted", NOBODY),
    (Rcpt, "451 4.7.0 Come back later", "greylisted", NOBODY),
    (Rcpt, "451 Greylisted for 300 s", "greylisted", NOBODY),
    (Rcpt, "452 4.5.3 Too many recipients", "too-many-recipients", NOBODY),
    (Rcpt, "550 5.5.3 Too many recipients", "too-many-recipients", NOBODY),
    (Rcpt, "550 5.7.1 Policy", "policy-refused", sender(STRIKE)),
    // After the final dot.
    (Dot, "250 2.0.0 Ok: queued as 4XyZ", "", NOBODY),
    (Dot, "354 go on", "uncertain", NOBODY),
    (Dot, "221 2.0.0 Bye", "uncertain", NOBODY),
    (Dot, "451 4.3.0 queue file write error", "transient", NOBODY),
    (Dot, "421 closing", "transient", NOBODY),
    (Dot, "554 5.2.2 mailbox full; STOREDRV.Submission", "sender-full", sender(DAY)),
    (Dot, "552 5.2.2 over quota", "mailbox-full", NOBODY),
    (Dot, "552 5.3.4 Message too big", "content-refused", NOBODY),
    (Dot, "552 5.3.4 no", "content-refused", NOBODY),
    (Dot, "552 no", "content-refused", NOBODY),
    (Dot, "554 5.6.0 Bad message", "content-refused", NOBODY),
    (Dot, "555 5.5.2 Syntax error", "content-refused", NOBODY),
    (Dot, "552 too big", "content-refused", NOBODY),
    (Dot, "550 5.7.1 Looks like spam", "policy-refused", sender(STRIKE)),
    (Dot, "554 5.7.0 Looks like spam", "policy-refused", sender(STRIKE)),
    (Dot, "554 5.2.0 generic", "refused", NOBODY),
    (Dot, "554 5.2.0 STOREDRV.Submission.Exception:SendAsDeniedException", "sender-address", sender(DISABLE)),
    (Dot, "554 5.0.0 no", "refused", NOBODY),
    (Dot, "550 5.1.1 User unknown", "refused", NOBODY),
    // A reply that answers no command.
    (Data, "250 ok", "protocol-error", NOBODY),
    (Mail, "354 go on", "protocol-error", NOBODY),
];

#[test]
fn every_example_meets_its_row() {
    for (stage, line, reason, effects) in EXAMPLES {
        let row = row_for(*stage, &reply(line));
        assert_eq!((row.reason, row.effects), (*reason, *effects), "{stage:?} {line}");
    }
}

#[test]
fn every_row_has_an_example() {
    for row in rows() {
        let met = EXAMPLES.iter().any(|(stage, line, ..)| std::ptr::eq(row_for(*stage, &reply(line)), row));
        assert!(met, "no example meets {row:?}");
    }
}

#[test]
fn a_limit_rests_as_long_as_the_host_names_and_nothing_else_does() {
    let minutes = |minutes| sender(Penalty::Pause(Duration::from_mins(minutes)));
    let after = |stage, line| {
        let reply = reply(line);
        row_for(stage, &reply).effects_of(&reply)
    };
    assert_eq!(after(Dot, "451 Rate limit exceeded, try again in 7 minutes"), minutes(7));
    assert_eq!(after(Rcpt, "550 Daily message quota exceeded; retry after 9 hours"), minutes(9 * 60));
    assert_eq!(after(Auth, "454 4.7.0 Temporary failure, try again in 7 minutes"), sender(HOUR));
    assert_eq!(after(Rcpt, "451 4.7.1 Greylisted, try again in 7 minutes"), NOBODY);
}

#[test]
fn a_quota_full_mailbox_is_the_partners_at_rcpt_and_the_senders_after_the_dot() {
    let full = reply("554 5.2.2 mailbox full");
    assert_eq!(row_for(Rcpt, &full).effects, partner(DAY));
    assert_eq!(row_for(Dot, &full).effects, sender(DAY));
}

#[test]
fn no_daily_limit_disables() {
    for row in rows().filter(|row| row.reason.ends_with("-limit")) {
        assert_eq!(row.effects.sender.or(row.effects.domain), Some(DAY), "{row:?}");
    }
}

#[test]
fn every_reply_has_a_row() {
    for stage in ANY {
        for code in 200..600 {
            let plain = Reply { code, enhanced: None, text: String::new() };
            assert!(rows().any(|row| row.fits(*stage, &plain)), "{stage:?} {code}");
        }
    }
}
