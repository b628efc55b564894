//! What an import will do: which mailboxes are new, which change in what, which stay as they are.

use std::collections::{HashMap, HashSet};

use secrecy::{ExposeSecret, SecretString};

use super::{by::By, file::File};
use crate::{
    adapters::{
        postgres::enrol::{Entry, Stored},
        seal::Sealer,
    },
    domain::{
        enrolment::{Column, Fault, Profile, REASONS_OF_ACCESS, Row, Rules},
        id::{MailboxId, UserId},
    },
};

/// Everything that will be written.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) new: Vec<Planned>,
    /// In the order of their ids.
    pub(super) changed: Vec<(Stored, Planned)>,
    pub(super) unchanged: Vec<Profile>,
}

/// One mailbox as it shall be.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) profile: Profile,
    /// To be sealed; none where the stored one stays.
    password: Option<SecretString>,
    /// What differs from what is stored.
    pub(super) columns: Vec<&'static str>,
}

impl Plan {
    /// Resolves all rows of `file`. Returns all faults, those of reading included, in the order of the lines.
    pub(super) fn of(
        file: File,
        stored: &mut HashMap<String, Stored>,
        rules: &Rules,
        sealer: &Sealer,
        by: By,
    ) -> Result<Plan, Vec<Fault>> {
        let File { rows, mut faults } = file;
        let mut plan = Plan::default();
        for row in rows {
            let stored = stored.remove(&row.key());
            if let Some(objection) = by.objection(stored.as_ref()) {
                faults.push(Fault::of_cell(row.line, Column::Email, objection));
                continue;
            }
            let has_password = stored.as_ref().is_some_and(|stored| stored.sealed_password.is_some());
            match Profile::resolve(&row, stored.as_ref().map(|stored| &stored.profile), has_password, rules) {
                Ok(profile) => plan.add(row, profile, stored, sealer),
                Err(more) => faults.extend(more),
            }
        }
        plan.changed.sort_unstable_by_key(|(stored, _)| stored.id);
        if faults.is_empty() { Ok(plan) } else { Err(in_order(faults)) }
    }

    fn add(&mut self, row: Row, profile: Profile, stored: Option<Stored>, sealer: &Sealer) {
        let Some(stored) = stored else {
            return self.new.push(Planned { profile, password: row.password, columns: Vec::new() });
        };
        let mut columns: Vec<&str> = stored.profile.differences(&profile).into_iter().map(Column::name).collect();
        let password = row.password.filter(|given| !is_stored(given, &stored, sealer));
        if password.is_some() {
            columns.push(Column::Password.name());
        }
        if columns.is_empty() && !stored.is_removed() {
            self.unchanged.push(profile);
        } else {
            self.changed.push((stored, Planned { profile, password, columns }));
        }
    }

    /// The owners that the plan names, in lower case, each once.
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

    /// Says whether what the mailbox logs in with will be another.
    fn has_new_access(&self) -> bool {
        let access = [Column::Password, Column::Username, Column::SmtpHost, Column::SmtpPort, Column::SmtpSecurity];
        access.iter().any(|column| self.columns.contains(&column.name()))
    }

    /// Says whether the mailbox, stored like this, will be active again.
    pub(super) fn reactivates(&self, stored: &Stored) -> bool {
        let of_access = stored.reason.as_deref().is_some_and(|reason| REASONS_OF_ACCESS.contains(&reason));
        stored.is_removed() || stored.state == "disabled" && of_access && self.has_new_access()
    }

    /// The mailbox as it is written, its password sealed.
    pub(super) fn entry(&self, id: MailboxId, users: &HashMap<String, UserId>, sealer: &Sealer) -> Entry {
        Entry {
            id,
            user: *users.get(&self.owner()).expect("every owner of the plan was found or made"),
            profile: self.profile.clone(),
            sealed_password: self.password.as_ref().map(|password| sealer.seal(id, password)),
            new_access: self.has_new_access(),
        }
    }
}

/// A stored password that does not open is not the given one: sealing it again mends it.
fn is_stored(given: &SecretString, stored: &Stored, sealer: &Sealer) -> bool {
    let opened = stored.sealed_password.as_ref().and_then(|sealed| sealer.open(stored.id, sealed).ok());
    opened.is_some_and(|opened| opened.expose_secret() == given.expose_secret())
}

/// By line; of two faults of one cell the first, which says what is wrong with what was written.
fn in_order(mut faults: Vec<Fault>) -> Vec<Fault> {
    faults.sort_by_key(|fault| fault.line);
    let mut seen = HashSet::new();
    faults.retain(|fault| fault.column.is_none() || seen.insert((fault.line, fault.column)));
    faults
}
