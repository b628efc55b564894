//! This module copies the log of the older system: each row is a mail of a mailbox that is enrolled here.
//!
//! A row has no unique name, so its content identifies it: timestamp, both ends and subject determine its
//! Message-ID. Rows with equal content are numbered. The status is not part of the Message-ID. A mail that was
//! answered after it had been copied is still the same mail, and stays as it was copied.

use std::collections::HashMap;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::PgPool;

use super::{LegacyError, LegacyReport, Logs, Options, Unreadable};
use crate::{
    adapters::postgres::{
        legacy::{
            LOGS, Old, OldRow,
            past::{self, Home, PastMail},
        },
        transaction,
    },
    domain::{enrolment::Rules, maintenance::PruneTarget, time::today},
};

const TOO_OLD: &str = "older than WARMUP_LOG_RETENTION_DAYS";
const NOT_OVER: &str = "of a day that is not over yet: run the import again when it is";
const COUNTED: &str = "of a day on which this system has counted the mailbox's mails itself";

/// The number of columns that identify a row. The log is ordered by the first of them.
const OF_ITSELF: usize = 6;

/// Copies rows that are not here yet, and returns the counts of all rows.
pub(super) async fn copy(
    pool: &PgPool,
    old: &mut Old,
    addresses: &HashMap<String, String>,
    rules: &Rules,
    options: &Options<'_>,
    report: &mut LegacyReport,
) -> Result<Logs, LegacyError> {
    let Some(total) = old.open_log().await.map_err(LegacyError::Old)? else { return Ok(Logs::default()) };
    let mut past = Past::new(homes(pool, rules, report).await?, addresses, rules, options);
    loop {
        let rows = old.next_of_log(past.logs.read).await.map_err(LegacyError::Old)?;
        if rows.is_empty() {
            return Ok(past.logs);
        }
        let mut mails = Vec::new();
        for row in &rows {
            past.logs.read += 1;
            match past.mail(row) {
                Ok(mail) => mails.push(mail),
                Err(Left::Out(reason)) => past.logs.leave_out(reason),
                Err(Left::Unread(reason)) => {
                    report.unreadable.push(Unreadable { table: LOGS.name, row: row.place.to_string(), reason });
                }
            }
        }
        past.write(pool, mails, options.dry_run).await?;
        (options.progress)(past.logs.read as usize, total as usize);
    }
}

/// Returns the mailboxes by address. A dry run adds the mailboxes that an import would enrol, with id 0.
async fn homes(pool: &PgPool, rules: &Rules, report: &LegacyReport) -> Result<HashMap<String, Home>, LegacyError> {
    let mut homes = past::homes(&mut *pool.acquire().await?).await?;
    for email in &report.mailboxes.new {
        let nobody = || Home { id: 0, zone: rules.timezone.name().to_owned() };
        homes.entry(email.to_ascii_lowercase()).or_insert_with(nobody);
    }
    Ok(homes)
}

/// The reasons why a row is not copied.
enum Left {
    /// The row was understood and is left out for this reason.
    Out(&'static str),
    Unread(String),
}

struct Past<'a> {
    homes: HashMap<String, Home>,
    addresses: &'a HashMap<String, String>,
    /// The first day that is retained.
    keep_from: NaiveDate,
    now: DateTime<Utc>,
    /// The identifying columns of the previous row, and its number among rows with equal content.
    last: (Vec<Option<String>>, u64),
    logs: Logs,
}

impl<'a> Past<'a> {
    fn new(
        homes: HashMap<String, Home>,
        addresses: &'a HashMap<String, String>,
        rules: &Rules,
        options: &Options<'_>,
    ) -> Past<'a> {
        let date = today(rules.timezone, options.now);
        let keep_from = options.retention.keep_from(PruneTarget::Logs, date, options.now);
        Past { homes, addresses, keep_from, now: options.now, last: (Vec::new(), 0), logs: Logs::default() }
    }

    fn mail(&mut self, row: &OldRow) -> Result<PastMail, Left> {
        let message_id = self.message_id(row);
        let at = row.get("timestamp").and_then(instant).ok_or_else(|| unread("timestamp: is no instant"))?;
        let status = status(row.get("status").unwrap_or_default()).ok_or_else(|| {
            let stored: String = row.get("status").unwrap_or_default().chars().take(40).collect();
            Left::Unread(format!("status: {stored:?} is none of SENT, REPLIED and FAILED"))
        })?;
        let sender = self.address(row, "sender_id", "sender").ok_or_else(|| unread("sender: is no address"))?;
        let Some(home) = self.homes.get(&sender) else {
            return Err(unread("sender: is no mailbox that is enrolled here"));
        };
        let zone = home.zone.parse().map_err(|_| unread("sender: its time zone here is unknown to this release"))?;
        let day = today(zone, at);
        if day < self.keep_from {
            return Err(Left::Out(TOO_OLD));
        }
        if day >= today(zone, self.now) {
            return Err(Left::Out(NOT_OVER));
        }
        let recipient = self.address(row, "recipient_id", "recipient");
        let partner = recipient.as_ref().and_then(|address| self.homes.get(address)).map_or(0, |home| home.id);
        let text = |column: &str| row.get(column).map(|text| text.trim().to_owned());
        Ok(PastMail {
            at,
            day,
            mailbox: home.id,
            partner,
            sender: text("sender").unwrap_or(sender),
            recipient: text("recipient").or(recipient).unwrap_or_default(),
            subject: text("subject").unwrap_or_default(),
            message_id,
            status,
            notes: row.get("notes").map(str::to_owned),
        })
    }

    /// Returns the address of one end in lower case: from its account, or else from the text of the log.
    fn address(&self, row: &OldRow, id: &str, text: &str) -> Option<String> {
        let of_account = row.get(id).and_then(|id| self.addresses.get(id.trim())).cloned();
        of_account.or_else(|| row.get(text).and_then(address))
    }

    fn message_id(&mut self, row: &OldRow) -> String {
        let says = &row.cells()[..OF_ITSELF];
        let number = if self.last.0 == says { self.last.1 + 1 } else { 0 };
        self.last = (says.to_vec(), number);
        let mut hash = Sha256::new();
        for cell in says {
            // NULL differs from an empty cell, and the length separates the cells.
            let cell = cell.as_deref();
            hash.update([u8::from(cell.is_some())]);
            hash.update((cell.map_or(0, str::len) as u64).to_be_bytes());
            hash.update(cell.unwrap_or_default());
        }
        let digest = hash.chain_update(number.to_be_bytes()).finalize();
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("legacy-{hex}@import")
    }

    /// Writes the mails that are not here yet.
    async fn write(&mut self, pool: &PgPool, mut mails: Vec<PastMail>, dry_run: bool) -> Result<(), LegacyError> {
        let mut transaction = transaction::begin(pool).await?;
        past::begin(&mut transaction).await?;
        let known = past::known(&mut transaction, &mails).await?;
        let before = mails.len();
        mails.retain(|mail| !known.contains(&mail.message_id));
        self.logs.known += (before - mails.len()) as u64;
        let counted = past::counted(&mut transaction, &mails).await?;
        mails.retain(|mail| {
            let ours = counted.contains(&(mail.mailbox, mail.day));
            if ours {
                self.logs.leave_out(COUNTED);
            }
            !ours
        });
        self.logs.copied += mails.len() as u64;
        if !mails.is_empty() && !dry_run {
            past::write(&mut transaction, &mails).await?;
            transaction.commit().await?;
        }
        Ok(())
    }
}

fn unread(reason: &str) -> Left {
    Left::Unread(reason.to_owned())
}

/// Returns the status that a word means. Case and surrounding blanks, including zero-width ones, do not count.
fn status(word: &str) -> Option<&'static str> {
    let blank = |c: char| c.is_whitespace() || matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}');
    let word = word.trim_matches(blank);
    ["SENT", "REPLIED", "FAILED"].into_iter().find(|status| word.eq_ignore_ascii_case(status))
}

/// Returns the address in lower case, also from `Name <address>`.
fn address(text: &str) -> Option<String> {
    let bare = text.rsplit_once('<').map_or(text, |(_, rest)| rest.split('>').next().unwrap_or(rest));
    Some(bare.trim().to_ascii_lowercase()).filter(|address| address.contains('@'))
}

/// Parses a timestamp of Postgres or JavaScript. Without a zone it is in UTC, and a plain number counts
/// milliseconds.
fn instant(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let zoned =
        DateTime::parse_from_rfc3339(text).or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z"));
    let bare = || {
        let formats = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];
        formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
    };
    let millis = || {
        text.parse::<i64>().ok().filter(|millis| *millis > 100_000_000_000).and_then(DateTime::from_timestamp_millis)
    };
    zoned.ok().map(|at| at.to_utc()).or_else(|| bare().map(|at| at.and_utc())).or_else(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_known_in_any_case_and_among_blanks() {
        for word in ["SENT", "sent", " Sent\t", "\u{a0}sent\u{200b}", "\u{feff}SeNt\r\n"] {
            assert_eq!(status(word), Some("SENT"), "{word:?}");
        }
        assert_eq!([status("replied"), status("Failed ")], [Some("REPLIED"), Some("FAILED")]);
        assert_eq!(["", "bounced", "SENT?", "s ent"].map(status), [None; 4]);
    }

    #[test]
    fn an_instant_is_read_as_either_side_writes_it() {
        let at: DateTime<Utc> = "2026-11-20T08:30:00.250Z".parse().unwrap();
        for text in [
            "2026-11-20 08:30:00.25+00",
            "2026-11-20 08:30:00.25",
            "2026-11-20T08:30:00.250Z",
            "2026-11-20T09:30:00.25+01:00",
            "2026-11-20 09:30:00.25+01",
            "1795163400250",
        ] {
            assert_eq!(instant(text), Some(at), "{text}");
        }
        assert_eq!(["", "yesterday", "infinity", "12"].map(instant), [None; 4]);
    }

    #[test]
    fn an_address_is_found_with_and_without_its_name() {
        for text in ["Ann@One.example", " ann@one.example ", "Ann Lee <ANN@one.example>"] {
            assert_eq!(address(text).as_deref(), Some("ann@one.example"), "{text}");
        }
        assert_eq!(["", "ann", "Ann Lee <>"].map(address), [None, None, None]);
    }
}
