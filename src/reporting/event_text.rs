//! `describe` renders events as text for a person.

pub use crate::reporting::sql::{Asked, Event, EventFilter, event_page, events, kinds};

/// The text of each kind of event. A kind without an entry is shown as it is.
const WORDS: &[(&str, &str)] = &[
    ("mailbox-enrolled", "enrolled"),
    ("mailbox-changed", "changed"),
    ("mailbox-reactivated", "active again"),
    ("mailbox-paused", "paused by the operator"),
    ("mailbox-resumed", "resumed by the operator"),
    ("mailbox-removed", "removed by the operator, its password erased"),
    ("sender-paused", "stopped sending for a while"),
    ("sender-disabled", "stopped sending until it is resumed"),
    ("sender-restored", "sends again"),
    ("result-reduced", "one mail's row holds no more than its outcome: the database refused the rest"),
    ("partner-paused", "is not written to for a while"),
    ("partner-excluded", "is not written to until it is resumed"),
    ("mailbox-verified", "is verified, exchanges mails with other owners' mailboxes"),
    ("mailbox-unverified", "is not verified any more, exchanges mails with its owner's mailboxes only"),
    ("verification-requested", "a verification code is about to be sent to it"),
    ("verification-sent", "a verification code was sent to it"),
    ("verification-refused", "a mail host refused the verification code, the code is void"),
    ("verification-uncertain", "a verification code may have been sent to it, the mail host did not confirm"),
    ("verification-unsent", "no verification code was sent to it"),
    ("verification-failed", "the verification code is void after too many wrong entries"),
    ("domain-verified", "domain confirmed for the user"),
    ("domain-unverified", "confirmation of a domain taken back"),
    ("partner-avoided", "a mail host refuses a partner, the host gets no mail for it for a while"),
    ("host-suspected", "a mail host refuses most of its partners, its mailboxes rest"),
    ("host-paused", "mail host left alone for a while"),
    ("host-recovered", "mail host takes mails again"),
    ("host-resumed", "mail host resumed by the operator"),
    ("host-slow", "a mail host does not answer in time, few mails are sent to it at once"),
    ("host-answers", "a mail host answers in time again"),
    ("domain-paused", "domain left alone for a while"),
    ("domain-resumed", "domain resumed by the operator"),
    ("day-short", "its day ended short"),
    ("roster-remade", "pairs of the day remade"),
    ("quota-behind", "fell far behind its plan"),
    ("quota-failing", "fails"),
    ("quota-recovered", "is in no danger any more"),
    ("user-created", "user made"),
    ("user-changed", "user changed"),
    ("user-limit-reached", "user has reached the daily limit, the user's mailboxes send nothing more today"),
    ("token-created", "token made"),
    ("token-revoked", "token revoked"),
    ("clock-off", "a worker's clock and Postgres' or Redis' disagree"),
    ("day-reopened", "a day that was closed too early is open again"),
    ("worker-suspended", "a worker plans nothing until a probe works"),
    ("worker-replaced", "a worker takes no shards, because another one took its name"),
    ("worker-resumed", "a worker takes shards again"),
    ("writes-refused", "Postgres refused a worker's writes"),
    ("key-rotated", "master key rotated"),
    ("credentials-refused", "a worker stopped: its credentials were refused for minutes"),
];

/// The default reason of the operator, which carries no information.
const SILENT: [&str; 1] = [crate::domain::mailbox::OPERATOR];

/// Returns the event in one line without its time: the subject, the change, the reason.
pub fn describe(event: &Event) -> String {
    let words = WORDS.iter().find(|(kind, _)| *kind == event.kind).map_or(event.kind.as_str(), |(_, words)| words);
    let whose = event.mailbox.as_deref().or(event.user.as_deref());
    let mut text = whose.map_or_else(String::new, |whose| format!("{whose}: "));
    text += words;
    if !event.reason.is_empty() && !SILENT.contains(&event.reason.as_str()) {
        text += &format!(" ({})", event.reason);
    }
    if !event.detail.is_empty() {
        text += &format!(", {}", event.detail);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, reason: &str, detail: &str) -> Event {
        Event {
            id: 1,
            at: "2026-11-24T09:00:00Z".parse().unwrap(),
            kind: kind.to_owned(),
            mailbox: Some("a@x.org".to_owned()),
            user: None,
            worker_id: None,
            reason: reason.to_owned(),
            detail: detail.to_owned(),
        }
    }

    #[test]
    fn an_event_says_whom_what_and_why() {
        assert_eq!(describe(&event("mailbox-paused", "operator", "")), "a@x.org: paused by the operator");
        assert_eq!(
            describe(&event("sender-paused", "sender-rate", "until 10:00")),
            "a@x.org: stopped sending for a while (sender-rate), until 10:00"
        );
        assert_eq!(describe(&event("something-new", "why", "")), "a@x.org: something-new (why)");
    }
}
