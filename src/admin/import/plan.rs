//! `Plan` decides which mailboxes an import creates, changes or leaves as they are.

use std::collections::{HashMap, HashSet};

use secrecy::{ExposeSecret, SecretString};

use super::{command::EnrolmentCommand, file::File, stored_password::StoredPassword};
use crate::{
    adapters::{
        postgres::enrol::{MailboxWrite, StoredMailbox},
        seal::Sealer,
    },
    domain::{
        enrolment::{Column, EnrolmentError, Faults, Profile, REASONS_OF_ACCESS, Row, Rules, oddity},
        id::{MailboxId, UserId},
    },
};

/// The name among the changed columns that marks a mailbox which the enrolment verifies.
const VERIFIED: &str = "verified";

/// A `Plan` holds everything that the import will write.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) new: Vec<Planned>,
    /// Changed mailboxes, ordered by id.
    pub(super) changed: Vec<(StoredMailbox, Planned)>,
    pub(super) unchanged: Vec<Profile>,
    /// Warnings about passwords and user names, with their lines.
    pub(super) pasted: Vec<String>,
}

/// A `Planned` mailbox is the wanted state of one mailbox.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) profile: Profile,
    /// The password to seal; `None` if the stored one stays.
    password: Option<SecretString>,
    /// The names of the columns that differ from the stored row, and `verified` if the enrolment verifies a
    /// stored mailbox.
    pub(super) columns: Vec<&'static str>,
}

impl Plan {
    /// Resolves all rows of `file`. If `verified_by` is set, the enrolment verifies its mailboxes. Returns all
    /// errors, including those of reading, in the order of the lines.
    pub(super) fn of(
        file: File,
        stored: &mut HashMap<String, StoredMailbox>,
        rules: &Rules,
        sealer: &Sealer,
        (by, verified_by): (EnrolmentCommand, Option<&'static str>),
    ) -> Result<Plan, Faults> {
        let File { rows, mut faults } = file;
        let mut plan = Plan::default();
        for row in rows {
            let stored = stored.remove(&row.key());
            if let Some(objection) = by.objection(stored.as_ref()) {
                faults.push(EnrolmentError::of_cell(row.line, Column::Email, objection));
                continue;
            }
            let kept = stored.as_ref().and_then(|stored| StoredPassword::of(stored, sealer));
            let given_for = kept.as_ref().map(|kept| kept.places.as_slice());
            match Profile::resolve(&row, stored.as_ref().map(|stored| &stored.profile), given_for, rules) {
                Ok(profile) => {
                    plan.pasted.extend(pasted(&row, by));
                    plan.add(row, profile, (stored, kept), verified_by);
                }
                Err(more) => faults.extend(more),
            }
        }
        plan.changed.sort_unstable_by_key(|(stored, _)| stored.id);
        if faults.is_empty() { Ok(plan) } else { Err(faults.in_order()) }
    }

    fn add(
        &mut self,
        row: Row,
        profile: Profile,
        (stored, kept): (Option<StoredMailbox>, Option<StoredPassword>),
        verified_by: Option<&'static str>,
    ) {
        let Some(stored) = stored else {
            return self.new.push(Planned { profile, password: row.password, columns: Vec::new() });
        };
        let mut columns: Vec<&str> = stored.profile.differences(&profile).into_iter().map(Column::name).collect();
        let is_new = row.password.as_ref().is_some_and(|given| !kept.as_ref().is_some_and(|kept| kept.is(given)));
        let password = to_seal(row.password, kept, &profile, &stored.profile);
        // A known password that is bound anew is reported even if no column differs: somebody had changed the row.
        if is_new || password.is_some() && columns.is_empty() {
            columns.push(Column::Password.name());
        }
        if verified_by.is_some() && stored.verified_by.is_none() {
            columns.push(VERIFIED);
        }
        if columns.is_empty() && !stored.is_removed() {
            self.unchanged.push(profile);
        } else {
            self.changed.push((stored, Planned { profile, password, columns }));
        }
    }

    /// Returns the owners that the plan names, in lower case, each once.
    pub(super) fn users(&self) -> Vec<String> {
        let planned = self.new.iter().chain(self.changed.iter().map(|(_, planned)| planned));
        let users: HashSet<String> = planned.map(|planned| planned.owner()).collect();
        users.into_iter().collect()
    }
}

impl Planned {
    fn owner(&self) -> String {
        self.profile.user.to_lowercase()
    }

    /// Returns whether the login of the mailbox changes.
    fn has_new_access(&self) -> bool {
        let access = [Column::Password, Column::Username, Column::SmtpHost, Column::SmtpPort, Column::SmtpSecurity];
        access.iter().any(|column| self.columns.contains(&column.name()))
    }

    /// Returns whether the mailbox, in this stored state, becomes active again.
    pub(super) fn reactivates(&self, stored: &StoredMailbox) -> bool {
        let of_access = stored.reason.as_deref().is_some_and(|reason| REASONS_OF_ACCESS.contains(&reason));
        stored.is_removed() || stored.state == "disabled" && of_access && self.has_new_access()
    }

    /// Returns the mailbox as it is written, with its password sealed.
    pub(super) fn entry(
        &self,
        id: MailboxId,
        users: &HashMap<String, UserId>,
        sealer: &Sealer,
        verified_by: Option<&'static str>,
    ) -> MailboxWrite {
        MailboxWrite {
            id,
            user: *users.get(&self.owner()).expect("every owner of the plan was found or made"),
            profile: self.profile.clone(),
            sealed_password: self.password.as_ref().map(|password| sealer.seal(id, &self.profile.places(), password)),
            new_access: self.has_new_access(),
            verified_by,
        }
    }
}

/// Returns a warning for a password and for a user name with unusual content. The warning repeats neither.
fn pasted(row: &Row, by: EnrolmentCommand) -> impl Iterator<Item = String> {
    let line = if by == EnrolmentCommand::Import { format!("line {}, ", row.line) } else { String::new() };
    let password = row.password.as_ref().map(|password| (Column::Password, password.expose_secret()));
    let username = row.username.as_deref().map(|username| (Column::Username, username));
    let odd = |(column, text): (Column, &str)| {
        let name = column.name();
        oddity(text)
            .map(|odd| format!("{line}{}: the {name} {odd}: is that meant? It is stored as it stands", row.email))
    };
    [password.and_then(odd), username.and_then(odd)].into_iter().flatten()
}

/// Returns the password to seal: the given one unless it is stored with these endpoints, or the stored one if
/// its endpoints change.
fn to_seal(
    given: Option<SecretString>,
    kept: Option<StoredPassword>,
    profile: &Profile,
    stored: &Profile,
) -> Option<SecretString> {
    match (given, kept) {
        (Some(given), Some(kept)) if kept.is(&given) && kept.is_bound_to(profile) => None,
        (None, Some(kept)) if profile.places() != stored.places() => kept.into_password(),
        (given, _) => given,
    }
}
