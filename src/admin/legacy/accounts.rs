//! This module converts the accounts of the older system to rows of an import.
//!
//! `domain::enrolment` decides which values a cell may hold, as it does for a file. This module only maps the
//! older columns to ours. An account with an unreadable cell is skipped as a whole.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, NaiveDate, Utc};
use secrecy::SecretString;
use sqlx::PgPool;

use super::{LegacyError, Unreadable};
use crate::{
    adapters::{
        postgres::{
            enrol,
            legacy::{ACCOUNTS, OldRow},
        },
        seal::Sealer,
    },
    admin::import::StoredPassword,
    domain::{
        enrolment::{Column, EnrolmentError, Profile, Row, Rules},
        ramp::Ramp,
        time::today,
    },
};

/// The number of mailboxes that one statement looks up.
const CHUNK: usize = 2_000;

/// `Accounts` holds the rows of the older system's accounts and their positions on the ramp.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    pub(super) rows: Vec<Row>,
    /// The days that count for the ramp, by address in lower case. After `resolve` it has an entry for each of
    /// `rows`.
    pub(super) ramps: HashMap<String, u16>,
    /// The addresses in lower case by old id, including accounts that can't be used: the log refers to senders
    /// by that id.
    pub(super) addresses: HashMap<String, String>,
    /// The days since the warm-up began, by address.
    since: HashMap<String, u16>,
    /// The label of each old row in reports, by its position.
    labels: HashMap<u64, String>,
}

/// Reads the accounts. `owners` maps the old user ids to addresses.
pub(super) fn read(
    rows: &[OldRow],
    owners: &HashMap<String, String>,
    rules: &Rules,
    now: DateTime<Utc>,
    unreadable: &mut Vec<Unreadable>,
) -> Accounts {
    let (mut accounts, mut seen) = (Accounts::default(), HashMap::new());
    for old in rows {
        let label = label(old);
        let mut tell =
            |reason: String| unreadable.push(Unreadable { table: ACCOUNTS.name, row: label.clone(), reason });
        let (row, faults, owned) = row(old, owners);
        if let (Some(id), false) = (old.get("id"), row.email.is_empty()) {
            accounts.addresses.insert(id.to_owned(), row.key());
        }
        faults.iter().for_each(|fault| tell(told(fault)));
        if let Err(reason) = &owned {
            tell(reason.clone());
        }
        if !faults.is_empty() || owned.is_err() {
            continue;
        }
        if let Some(first) = seen.get(&row.key()) {
            tell(format!("email: the same address as in row {first}, which was taken"));
            continue;
        }
        match old.get("warmup_start_date").map(date) {
            None => {}
            Some(Some(start)) => {
                accounts.since.insert(row.key(), days_since(start, today(rules.timezone, now)));
            }
            Some(None) => tell("warmup_start_date: is no date; enrolled, and its ramp begins anew".to_owned()),
        }
        seen.insert(row.key(), label.clone());
        accounts.labels.insert(row.line, label);
        accounts.rows.push(row);
    }
    accounts
}

impl Accounts {
    /// Drops rows that this system can't enrol or has removed, and computes the ramp days of the others.
    pub(super) async fn resolve(
        mut self,
        pool: &PgPool,
        sealer: &Sealer,
        rules: &Rules,
        unreadable: &mut Vec<Unreadable>,
    ) -> Result<Accounts, LegacyError> {
        let keys: Vec<String> = self.rows.iter().map(Row::key).collect();
        let (mut stored, mut connection) = (HashMap::new(), pool.acquire().await?);
        for chunk in keys.chunks(CHUNK) {
            stored.extend(enrol::stored(&mut connection, chunk).await?);
        }
        let mut usable = HashSet::new();
        for row in &self.rows {
            let known = stored.get(&row.key());
            let reasons = match known {
                Some(known) if known.is_removed() => {
                    Err(vec!["email: was removed here and stays so: `warmup mailbox add` enrols it anew".to_owned()])
                }
                _ => resolved(row, known, sealer, rules).map(|ramp| {
                    let days = self.since.get(&row.key()).copied().unwrap_or_default();
                    self.ramps.insert(row.key(), grown(ramp, days));
                }),
            };
            match reasons {
                Ok(()) => {
                    usable.insert(row.line);
                }
                Err(reasons) => unreadable.extend(reasons.into_iter().map(|reason| {
                    let row = self.labels.get(&row.line).cloned().unwrap_or_default();
                    Unreadable { table: ACCOUNTS.name, row, reason }
                })),
            }
        }
        self.rows.retain(|row| usable.contains(&row.line));
        Ok(self)
    }
}

fn resolved(
    row: &Row,
    known: Option<&enrol::StoredMailbox>,
    sealer: &Sealer,
    rules: &Rules,
) -> Result<Ramp, Vec<String>> {
    let kept = known.and_then(|stored| StoredPassword::of(stored, sealer));
    let given_for = kept.as_ref().map(|kept| kept.places.as_slice());
    let profile = Profile::resolve(row, known.map(|stored| &stored.profile), given_for, rules);
    profile.map(|profile| profile.ramp).map_err(|faults| faults.iter().map(told).collect())
}

/// Returns the days that count for the ramp: at most as many as complete it.
fn grown(ramp: Ramp, days: u16) -> u16 {
    let missing = ramp.daily_max.saturating_sub(ramp.start);
    match ramp.step {
        0 => 0,
        step => days.min(missing.div_ceil(step)),
    }
}

/// Reads a row. The owner is a separate result, because an unknown owner must not hide the other errors of the
/// row.
fn row(old: &OldRow, owners: &HashMap<String, String>) -> (Row, Vec<EnrolmentError>, Result<(), String>) {
    let (owner, owned) = match old.get("user_id").map(|id| owners.get(id)) {
        None => (None, Ok(())),
        Some(Some(owner)) => (Some(owner.clone()), Ok(())),
        Some(None) => (None, Err("user_id: no user has this id, or its address can't be read".to_owned())),
    };
    let cells = cells(old, owner);
    let given: Vec<(Column, &str)> = cells.iter().map(|(column, text)| (*column, text.as_str())).collect();
    let (row, faults) = Row::given(old.place, &given, old.get("app_password").map(SecretString::from));
    (row, faults, owned)
}

/// Returns the cells of an account under the column names of an import.
fn cells(old: &OldRow, owner: Option<String>) -> Vec<(Column, String)> {
    let text = |column: &str| old.get(column).map(|text| text.trim().to_owned());
    let number = |column: &str| old.get(column).map(whole);
    let port = number("smtp_port");
    // The older system used STARTTLS on every port but 465; ours never falls back to plain text.
    let security = |port: &String| if port == "465" { "tls" } else { "starttls" }.to_owned();
    let imap = text("imap_host").zip(number("imap_port"));
    let imap_security = imap.as_ref().map(|(_, port)| if port == "143" { "starttls" } else { "tls" }.to_owned());
    let (imap_host, imap_port) = imap.unzip();
    [
        // A missing address must be an error of this row, so the cell is present and empty.
        (Column::Email, Some(text("email").unwrap_or_default())),
        (Column::User, owner),
        (Column::DisplayName, text("sender_name")),
        (Column::SmtpHost, text("smtp_host")),
        (Column::SmtpSecurity, port.as_ref().map(security)),
        (Column::SmtpPort, port),
        (Column::ImapHost, imap_host),
        (Column::ImapPort, imap_port),
        (Column::ImapSecurity, imap_security),
        // A ramp from zero would never grow here: only a day with a quota counts.
        (
            Column::RampStart,
            number("warmup_start_count").map(|start| if start == "0" { "1".to_owned() } else { start }),
        ),
        (Column::RampStep, number("warmup_increase_by")),
        (Column::DailyMax, number("warmup_max_daily").or_else(|| number("daily_warmup_quota"))),
        (Column::ReplyRate, old.get("warmup_reply_rate").map(percent)),
        (Column::Enabled, old.get("warmup_enabled").map(yes_or_no)),
    ]
    .into_iter()
    .filter_map(|(column, text)| text.map(|text| (column, text)))
    .collect()
}

/// Returns the integer part of a whole number that was stored as a decimal.
fn whole(text: &str) -> String {
    let text = text.trim();
    match text.split_once('.') {
        Some((number, zeros)) if !number.is_empty() && zeros.bytes().all(|digit| digit == b'0') => number.to_owned(),
        _ => text.to_owned(),
    }
}

/// Returns a rate in percent. The older system stored a percentage or a fraction: `0.35` is 35.
fn percent(text: &str) -> String {
    match text.trim().parse::<f64>() {
        Ok(rate) if text.contains('.') && (0.0..=1.0).contains(&rate) => format!("{:.0}", rate * 100.0),
        Ok(rate) if text.contains('.') && (0.0..=100.0).contains(&rate) => format!("{rate:.0}"),
        _ => text.trim().to_owned(),
    }
}

fn yes_or_no(text: &str) -> String {
    match text.trim() {
        "t" | "T" => "true".to_owned(),
        "f" | "F" => "false".to_owned(),
        text => text.to_owned(),
    }
}

/// Returns the date at the beginning of a date or a timestamp.
fn date(text: &str) -> Option<NaiveDate> {
    text.trim().get(..10)?.parse().ok()
}

fn days_since(start: NaiveDate, today: NaiveDate) -> u16 {
    u16::try_from((today - start).num_days().max(0)).unwrap_or(u16::MAX)
}

fn label(old: &OldRow) -> String {
    old.get("id").map_or_else(|| old.place.to_string(), str::to_owned)
}

/// Returns the text of an error with the older system's column name. It never repeats the value.
fn told(fault: &EnrolmentError) -> String {
    let column = match fault.column.unwrap_or_default() {
        "password" => "app_password",
        "user" => "user_id",
        "display_name" => "sender_name",
        "smtp_security" => "smtp_port",
        "imap_security" => "imap_port",
        "ramp_start" => "warmup_start_count",
        "ramp_step" => "warmup_increase_by",
        "daily_max" => "warmup_max_daily",
        "reply_rate" => "warmup_reply_rate",
        "enabled" => "warmup_enabled",
        same => same,
    };
    format!("{column}: {}", fault.message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_stands_where_its_days_have_brought_it() {
        let ramp = Ramp { start: 3, step: 3, daily_max: 30 };
        assert_eq!([0, 1, 8, 9, 400].map(|days| ramp.quota(grown(ramp, days))), [3, 6, 27, 30, 30]);
        assert_eq!(grown(ramp, 400), 9, "not more than bring it there: a raised maximum is climbed to from here");
        assert_eq!(grown(Ramp { step: 0, ..ramp }, 400), 0);
        assert_eq!(grown(Ramp { start: 40, ..ramp }, 400), 0);
    }

    #[test]
    fn numbers_and_rates_are_understood_as_they_were_stored() {
        assert_eq!(["587", "587.0", " 587.00 ", "5.5", "x"].map(whole), ["587", "587", "587", "5.5", "x"]);
        assert_eq!(["35", "0.35", "35.0", "1", "1.0", "many"].map(percent), ["35", "35", "35", "1", "100", "many"]);
        assert_eq!(["true", "t", "f", "0"].map(yes_or_no), ["true", "true", "false", "0"]);
    }

    #[test]
    fn a_beginning_is_a_date_or_an_instant() {
        let first: NaiveDate = "2026-11-01".parse().unwrap();
        assert_eq!(["2026-11-01", "2026-11-01 10:00:00+00"].map(date), [Some(first); 2]);
        assert_eq!(["soon", "infinity!!", ""].map(date), [None; 3]);
        assert_eq!(
            (days_since(first, "2026-11-24".parse().unwrap()), days_since("2027-01-01".parse().unwrap(), first)),
            (23, 0)
        );
    }
}
