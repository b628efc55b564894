//! Replies as a mail program sees them: read from the Maildirs by a third party's parser.

use std::collections::HashMap;

use mail_parser::{HeaderValue, MessageParser};
use warmup::demo::audit::{Snapshot, Status};
use warmup_support::mailstack::Delivered;

/// Looks at every REPLIED row: its mail is in the thread of the mail that it answers, and nothing else is in a thread.
/// Returns how many there are.
pub fn assert_threads(snapshot: &Snapshot, delivered: &[Delivered]) -> usize {
    let parser = MessageParser::default();
    let mails: HashMap<&str, _> =
        delivered.iter().map(|mail| (bare(&mail.message_id), parser.parse(&mail.text).expect("a mail"))).collect();
    let rows: HashMap<i64, _> = snapshot.logs.iter().map(|row| (row.id, row)).collect();
    let mut threads = 0;
    for row in snapshot.logs.iter().filter(|row| matches!(row.status, Status::Sent | Status::Replied)) {
        let mail = &mails[bare(&row.message_id)];
        let Some(answered) = row.answers.map(|id| rows[&id]) else {
            assert_eq!((ids(mail.in_reply_to()), ids(mail.references())), (vec![], vec![]), "a mail begins a thread");
            continue;
        };
        let original = &mails[bare(&answered.message_id)];
        assert_eq!(ids(mail.in_reply_to()), [bare(&answered.message_id)]);
        assert_eq!(ids(mail.references()), [bare(&answered.message_id)], "the whole thread");
        assert_eq!(mail.subject().unwrap(), format!("Re: {}", original.subject().unwrap()));
        assert_eq!(mail.thread_name(), original.thread_name(), "a mail program puts them together");
        threads += 1;
    }
    threads
}

fn ids<'a>(header: &'a HeaderValue<'a>) -> Vec<&'a str> {
    match header {
        HeaderValue::Text(id) => vec![id.as_ref()],
        HeaderValue::TextList(ids) => ids.iter().map(AsRef::as_ref).collect(),
        _ => vec![],
    }
}

fn bare(message_id: &str) -> &str {
    message_id.trim_start_matches('<').trim_end_matches('>')
}
