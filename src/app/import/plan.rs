//! What an import comes to: new mailboxes, changed ones, and what should be said about them.

use std::collections::HashMap;

use secrecy::ExposeSecret;

use crate::{
    adapters::{
        postgres::enrol::{Entry, Event, Stored},
        seal::Sealer,
    },
    domain::{
        enrolment::{Column, Fault, Profile, Row, Rules},
        id::{MailboxId, UserId},
    },
};

/// Lays each row onto what is stored. Returns all faults, also those found before, in the order of the file.
pub(super) fn profiles<'a>(
    rows: &'a [Row],
    stored: &HashMap<String, Stored>,
    rules: &Rules,
    mut faults: Vec<Fault>,
) -> Result<Vec<(&'a Row, Profile)>, Vec<Fault>> {
    let mut profiles = Vec::with_capacity(rows.len());
    for row in rows {
        let known = stored.get(&row.key());
        let has_password = known.is_some_and(|known| known.sealed_password.is_some());
        match Profile::resolve(row, known.map(|known| &known.profile), has_password, rules) {
            Ok(profile) => profiles.push((row, profile)),
            Err(mut of_row) => faults.append(&mut of_row),
        }
    }
    faults.sort();
    if faults.is_empty() { Ok(profiles) } else { Err(faults) }
}

/// The owners of the mailboxes, each once, in lower case.
pub(super) fn users(profiles: &[(&Row, Profile)]) -> Vec<String> {
    let mut users: Vec<String> = profiles.iter().map(|(_, profile)| profile.user.to_ascii_lowercase()).collect();
    users.sort_unstable();
    users.dedup();
    users
}

/// See the module.
pub(super) struct Plan {
    pub(super) new: Vec<Entry>,
    pub(super) changed: Vec<Entry>,
    pub(super) unchanged: usize,
    /// Which columns changed, by mailbox.
    details: Vec<(MailboxId, String)>,
}

impl Plan {
    pub(super) fn of(
        profiles: Vec<(&Row, Profile)>,
        stored: HashMap<String, Stored>,
        users: &HashMap<String, UserId>,
        ids: Vec<MailboxId>,
        sealer: &Sealer,
    ) -> Plan {
        let mut plan = Plan { new: Vec::new(), changed: Vec::new(), unchanged: 0, details: Vec::new() };
        let mut ids = ids.into_iter();
        for (row, profile) in profiles {
            let Some(user) = users.get(&profile.user.to_ascii_lowercase()).copied() else { continue };
            match stored.get(&row.key()) {
                Some(known) => plan.change(row, profile, user, known, sealer),
                None => plan.new.extend(ids.next().map(|id| Entry {
                    id,
                    user,
                    sealed_password: row.password.as_ref().map(|password| sealer.seal(id, password)),
                    profile,
                    new_access: true,
                })),
            }
        }
        plan.changed.sort_unstable_by_key(|entry| entry.id);
        plan
    }

    fn change(&mut self, row: &Row, profile: Profile, user: UserId, known: &Stored, sealer: &Sealer) {
        let mut columns = known.profile.differences(&profile);
        let password = row.password.as_ref().filter(|password| {
            let sealed = known.sealed_password.as_deref().unwrap_or_default();
            // What does not open any more is sealed anew.
            !sealer.open(known.id, sealed).is_ok_and(|old| old.expose_secret() == password.expose_secret())
        });
        columns.extend(password.map(|_| Column::Password));
        if columns.is_empty() && known.state != "removed" {
            self.unchanged += 1;
            return;
        }
        const ACCESS: [Column; 5] =
            [Column::Password, Column::Username, Column::SmtpHost, Column::SmtpPort, Column::SmtpSecurity];
        let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
        self.details.push((known.id, names.join(", ")));
        self.changed.push(Entry {
            id: known.id,
            user,
            sealed_password: password.map(|password| sealer.seal(known.id, password)),
            profile,
            new_access: columns.iter().any(|column| ACCESS.contains(column)),
        });
    }

    /// One event for each user and mailbox that is new or changed.
    pub(super) fn events(
        &self,
        new_users: &[String],
        users: &HashMap<String, UserId>,
        active_again: &[MailboxId],
    ) -> Vec<Event> {
        let event = |kind, mailbox, user, detail: &str| Event {
            kind,
            mailbox,
            user,
            reason: "import".into(),
            detail: detail.to_owned(),
        };
        let made = new_users.iter().map(|email| event("user-created", None, users.get(email).copied(), email));
        let new = self.new.iter().map(|entry| event("mailbox-enrolled", Some(entry.id), Some(entry.user), ""));
        let changed = self.details.iter().map(|(id, columns)| event("mailbox-changed", Some(*id), None, columns));
        let again = active_again.iter().map(|id| event("mailbox-resumed", Some(*id), None, "its access was changed"));
        made.chain(new).chain(changed).chain(again).collect()
    }

    pub(super) fn warnings(&self, rules: &Rules) -> Vec<String> {
        let low = |entry: &&Entry| entry.profile.ramp.daily_max < rules.daily_max;
        let low: Vec<&str> =
            self.new.iter().chain(&self.changed).filter(low).map(|entry| entry.profile.email.as_str()).collect();
        let named = low.iter().take(5).copied().collect::<Vec<_>>().join(", ");
        let more = if low.len() > 5 { format!(" and {} more", low.len() - 5) } else { String::new() };
        let text =
            format!("{named}{more}: daily_max is below WARMUP_MIN_DAILY_QUOTA {}; it is obeyed", rules.daily_max);
        (!low.is_empty()).then_some(text).into_iter().collect()
    }
}
