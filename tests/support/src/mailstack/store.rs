//! This module reads the arrived mails from the files of Postfix' queue and Dovecot's Maildirs.

use std::{fs, path::Path};

use super::{MailStack, files};
use crate::headers::{bare, header};

/// A mail in a Maildir.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The envelope's sender (Return-Path).
    pub from: String,
    /// The receiving mailbox.
    pub to: String,
    /// The Message-ID without angle brackets.
    pub message_id: String,
    pub text: String,
}

/// Postfix' queues of mails that are not delivered yet.
const QUEUES: [&str; 5] = ["maildrop", "incoming", "active", "deferred", "hold"];

impl MailStack {
    /// Returns the number of mails that Postfix accepted and did not deliver yet. It removes a mail only
    /// after Dovecot has it.
    pub fn queued(&self) -> usize {
        QUEUES.iter().map(|queue| files(&self.path().join("spool").join(queue)).len()).sum()
    }

    /// Deletes the mails that Postfix holds, and returns their number.
    pub fn throw_away_held(&self) -> usize {
        let held = files(&self.path().join("spool/hold"));
        held.iter().for_each(|mail| fs::remove_file(mail).expect("the folder is ours"));
        held.len()
    }

    /// Returns all mails in all mailboxes.
    pub fn delivered(&self) -> Vec<Delivered> {
        let vmail = self.path().join("vmail");
        let mails = files(&vmail).into_iter().filter(|file| file.parent().is_some_and(is_mail_folder));
        mails.filter_map(|file| read(&vmail, &file)).collect()
    }
}

/// Returns true for the folders of arrived mails; mails in a Maildir's `tmp` have not arrived.
fn is_mail_folder(folder: &Path) -> bool {
    folder.ends_with("Maildir/new") || folder.ends_with("Maildir/cur")
}

/// Reads a mail. Returns `None` if it was moved meanwhile.
fn read(vmail: &Path, file: &Path) -> Option<Delivered> {
    let text = String::from_utf8_lossy(&fs::read(file).ok()?).into_owned();
    let mut owner = file.strip_prefix(vmail).ok()?.iter().map(|part| part.to_string_lossy());
    let (domain, local) = (owner.next()?, owner.next()?);
    Some(Delivered {
        from: bare(header(&text, "Return-Path")),
        to: format!("{local}@{domain}"),
        message_id: bare(header(&text, "Message-ID")),
        text,
    })
}
