//! The word families distinguish replies by their text; `holds_each` searches a text for them.
//!
//! Hosts use codes that do not fit the meaning of their texts. The families are stems and short phrases from
//! replies that people quote in public: cPanel and Exim, Postfix policy services, Exchange Online, Amazon
//! SES, SendGrid, Zoho, Yandex, Mail.ru, IONOS, OVH, QQ and NetEase. A row requires a word of each of its
//! families. So a stem that means little alone, such as "exceed", counts only beside a word for the exceeded
//! thing.

pub(super) type Family = &'static [&'static str];

/// Returns true if `text` has a word of each of `families`.
pub(super) fn holds_each(text: &str, families: &[Family]) -> bool {
    let text = without_addresses(&text.to_lowercase());
    families.iter().all(|family| family.iter().any(|word| begins_a_word(&text, word)))
}

/// Removes addresses and links, because a domain name may contain any word.
fn without_addresses(text: &str) -> String {
    let is_read = |word: &&str| !word.contains('@') && !word.contains("://");
    text.split_whitespace().filter(is_read).collect::<Vec<_>>().join(" ")
}

fn begins_a_word(text: &str, word: &str) -> bool {
    let is_part = word.starts_with('/');
    text.match_indices(word).any(|(at, _)| is_part || !text[..at].ends_with(char::is_alphanumeric))
}

/// The partner receives too much, not the sender.
pub(super) const PARTNER_RECEIVES: Family = &[
    "receiving mail",
    "is receiving",
    "recipient has exceeded",
    "recipient exceeded",
    "recipient has reached",
    "recipient is over",
    "for this recipient",
];
/// The partner's mailbox has no room.
pub(super) const PARTNER_STORAGE: Family = &[
    "mailbox is full",
    "mailbox full",
    "inbox is full",
    "inbox full",
    "mailbox size",
    "mailbox quota",
    "mailbox is over",
    "mailbox over",
    "recipient quota",
    "recipient over",
    "out of storage",
    "storage",
    "disk quota",
    "disk space",
];
/// The message is too large.
pub(super) const SIZE: Family = &[
    "message size",
    "size limit",
    "maximum size",
    "max size",
    "size exceeds",
    "too large",
    "too big",
    "line too long",
];

pub(super) const SECRET: Family = &["password", "passwd", "credential", "username", "user name"];
pub(super) const WRONG: Family =
    &["incorrect", "invalid", "wrong", "bad", "mismatch", "not accepted", "not match", "check your"];
/// Postfix's only words for a wrong password; it names its own problems.
pub(super) const NO_REASON: Family = &["reason unavailable"];
/// The host could not check the login.
pub(super) const TEMPORARY: Family = &[
    "temporar",
    "connection lost",
    "lost connection",
    "try again",
    "try later",
    "retry",
    "later",
    "unavailable",
    "timed out",
    "timeout",
    "time out",
    "internal error",
    "server error",
    "service error",
    "system error",
    "cannot connect",
    "can't connect",
    "could not connect",
    "unable to connect",
    "connection refused",
    "backend",
    "overload",
    "busy",
];

/// The host, or a blocklist that it uses, refuses our address.
pub(super) const CLIENT_BLOCKED: Family = &[
    "client host",
    "blocked using",
    "spamhaus",
    "barracuda",
    "spamcop",
    "sorbs",
    "cloudmark",
    "dnsbl",
    "rbl",
    "blacklist",
    "black list",
    "blocklist",
    "block list",
    "denylist",
    "listed by",
    "listed in",
    "listed on",
    "listed at",
    "ip blocked",
    "ip reputation",
];
pub(super) const OUR_ADDRESS: Family = &[
    "your ip",
    "this ip",
    "ip address",
    "source ip",
    "sending ip",
    "client ip",
    "connecting ip",
    "remote ip",
    "client [",
    "client address",
    "remote host",
    "your host",
    "your server",
    "your network",
];
pub(super) const BLOCKED: Family = &[
    "block",
    "ban",
    "listed",
    "denied",
    "deny",
    "reject",
    "refused",
    "reputation",
    "unauthorized",
    "not authorized",
    "not allowed",
    "not accepted",
    "not permitted",
    "prohibited",
    "restricted",
];

pub(super) const GREYLISTED: Family =
    &["greylist", "graylist", "grey-list", "gray-list", "grey list", "gray list", "postgrey", "sqlgrey"];
/// The words of a greylisting that does not name itself.
pub(super) const LATER: Family = &["later", "try again", "retry", "deferred", "temporarily rejected"];

/// A limit by the day, or longer.
pub(super) const DAILY: Family = &[
    "daily",
    "per day",
    "a day",
    "today",
    "tomorrow",
    "24-hour",
    "24 hour",
    "24hour",
    "24h",
    "24 h",
    "24hr",
    "weekly",
    "per week",
    "monthly",
    "per month",
];
/// A limit by the hour, or shorter.
pub(super) const HOURLY: Family = &[
    "hourly",
    "per hour",
    "an hour",
    "in one hour",
    "hour limit",
    "this hour",
    "last hour",
    "/hour",
    "/h",
    "1h",
    "per minute",
    "/min",
    "per second",
    "/sec",
];
/// A limit was exceeded.
pub(super) const EXCEEDED: Family = &[
    "exceed",
    "limit",
    "quota",
    "max",
    "too many",
    "too much",
    "reached",
    "overlimit",
    "over limit",
    "over the",
    "over your",
    "only",
    "allowed",
    "throttl",
];
/// The thing that is limited: the sending.
pub(super) const SENDING: Family = &[
    "outgoing",
    "outbound",
    "sending",
    "send",
    "sent",
    "relay",
    "messages",
    "emails",
    "e-mails",
    "mails",
    "letters",
    "submission",
];
pub(super) const LIMIT: Family = &["limit", "quota", "allowance", "maximum number", "max number"];
pub(super) const PASSED: Family =
    &["exceed", "reached", "hit", "over", "used up", "exhausted", "too many", "crossed", "violat"];
/// The words that alone mean a quota of the sender.
pub(super) const SENDER_QUOTA: Family = &[
    "sending quota",
    "send quota",
    "relay quota",
    "relay limit",
    "message quota",
    "messages quota",
    "email quota",
    "mail quota",
    "outgoing quota",
    "outbound quota",
    "credits exceeded",
    "out of credit",
    "not enough credit",
    "no credits",
    "insufficient credit",
    "sending limit",
    "send limit",
];
/// The words that alone mean a rate of the sender.
pub(super) const SENDER_RATE: Family = &[
    "rate limit",
    "rate-limit",
    "ratelimit",
    "rate_limit",
    "rate exceeded",
    "rate overlimit",
    "rate is too",
    "rate too",
    "overlimit",
    "sending rate",
    "throttl",
    "too many messages",
    "too many message",
    "too many mails",
    "too many emails",
    "too many e-mails",
    "too many letters",
    "too many requests",
    "too many submissions",
    "too much mail",
    "too much email",
    "too many recipients from",
    "sending too",
    "sent too",
    "send too",
    "too fast",
    "too quickly",
    "too often",
    "too frequent",
    "frequency",
    "frequent",
    "slow down",
    "slower",
    "mail flood",
    "flooding",
    "unexpected volume",
    "high volume",
    "excessive volume",
    "message limit",
    "messages limit",
    "messaging limit",
    "email limit",
    "mail limit",
    "outgoing limit",
    "outbound limit",
    "max emails",
    "max defers",
    "transmission limit",
];
/// An unspecified limit. At RCPT it may be the partner's.
pub(super) const SOME_LIMIT: Family = &[
    "limit exceeded",
    "limits exceeded",
    "limit has been exceeded",
    "limit was exceeded",
    "quota exceeded",
    "quota has been exceeded",
    "limit reached",
    "limit has been reached",
    "quota reached",
    "exceeded limit",
    "exceeded the",
    "exceeds the",
    "exceeded max",
    "exceeded your",
    "exceeded its",
    "you have exceeded",
    "you've exceeded",
    "has exceeded",
    "you exceeded",
    "you have reached",
    "you've reached",
    "reached your",
    "reached its",
    "reached the",
    "over your",
    "over the limit",
    "over limit",
];
/// The phrases of [`SOME_LIMIT`] that address the sender.
pub(super) const YOUR_LIMIT: Family = &[
    "you have exceeded",
    "you've exceeded",
    "you exceeded",
    "exceeded your",
    "you have reached",
    "you've reached",
    "reached your",
    "over your",
];
pub(super) const QUOTA: Family = &["quota", "credit", "allowance"];

/// The host blocks the account's sending until a person has it unblocked.
pub(super) const SUSPENDED: Family = &[
    "suspend",
    "deactivated",
    "reactivate",
    "unblock",
    "account has been blocked",
    "account has been disabled",
    "account has been locked",
    "account has been restricted",
    "account is blocked",
    "account is disabled",
    "account is locked",
    "account is restricted",
    "account is under review",
    "account is not active",
    "account blocked",
    "account disabled",
    "account locked",
    "user blocked",
    "user is blocked",
    "user has been blocked",
    "mailbox blocked",
    "mailbox is blocked",
    "sender blocked",
    "sender is blocked",
    "sender has been blocked",
    "blocked sender",
    "banned sender",
    "sender banned",
    "blocked from sending",
    "blocked for sending",
    "restricted from sending",
    "disabled from sending",
    "prohibited from sending",
    "sending is blocked",
    "sending is disabled",
    "sending has been blocked",
    "sending has been disabled",
    "sending disabled",
    "sending blocked",
    "sending paused",
    "outgoing blocked",
    "outgoing mail blocked",
    "outgoing mail is blocked",
    "outgoing mail is disabled",
    "outgoing email blocked",
    "outbound mail blocked",
    "outbound blocked",
    "unusual sending activity",
    "unusual activity",
    "suspicious activity",
    "compromised",
    "verify your account",
    "verify your identity",
    "activate your",
    "not yet activated",
    "captcha",
];
/// The words that show that a suspension announced at RCPT is the sender's.
pub(super) const OURS: Family = &["outgoing", "outbound", "sending", "send", "sender", "your"];

/// The login may not send from the address of MAIL or of the From field.
pub(super) const NOT_ITS_ADDRESS: Family = &[
    "relaying disallowed as",
    "sendasdenied",
    "send as denied",
    "not allowed to send as",
    "not permitted to send as",
    "not authorized to send",
    "permission to send as",
    "permissions to send as",
    "cannot send as",
    "can't send as",
    "not allowed to send from",
    "not permitted to send from",
    "not allowed to send mail from",
    "not allowed to send email from",
    "not authorized to perform",
    "not authorized to use",
    "not allowed to use",
    "you are not allowed to send",
    "sender address is not allowed",
    "sender address not allowed",
    "sender is not allowed",
    "sender not allowed",
    "sender address rejected",
    "address is not verified",
    "address not verified",
    "address has not been verified",
    "sender not verified",
    "sender is not verified",
    "not a verified",
    "verified sender",
    "unverified sender",
    "unverified address",
    "sender signature",
    "sender identity",
    "sender not valid",
    "sender is not valid",
    "sender not authorized",
    "sender is not authorized",
    "unauthorized sender",
    "unauthenticated sender",
    "not owned by",
    "does not own",
    "does not belong",
    "must equal authorized",
    "must be same as",
    "must be the same",
    "must match the auth",
    "from address",
    "not local sender",
    "sender mismatch",
    "address mismatch",
    "not your address",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_word_counts_only_where_a_word_begins() {
        assert!(holds_each("Blocked using an RBL", &[&["rbl"]]));
        assert!(holds_each("storedrv:SendAsDenied", &[&["sendasdenied"]]));
        assert!(!holds_each("a garbled line, in marble", &[&["rbl"]]));
        assert!(!holds_each("whitelisted", &[&["listed"]]));
    }

    #[test]
    fn every_family_has_a_word_in_the_text() {
        assert!(holds_each("Daily message quota exceeded", &[DAILY, EXCEEDED]));
        assert!(!holds_each("Daily news", &[DAILY, EXCEEDED]));
    }

    #[test]
    fn addresses_and_links_are_not_read() {
        assert!(!holds_each("<box@daily.limit.test>: no", &[DAILY]));
        assert!(!holds_each("see https://example.test/daily", &[&["daily"]]));
    }
}
