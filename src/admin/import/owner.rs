//! `Owner` confines an import to the mailboxes of one user. A user without the admin role enrols for themselves
//! only.

use std::collections::HashMap;

use super::{file::File, plan::Plan};
use crate::{
    adapters::postgres::enrol::StoredMailbox,
    domain::{
        enrolment::{Column, EnrolmentError, Faults},
        id::UserId,
    },
};

/// An `Owner` is the user that must own all mailboxes of a file.
#[derive(Clone, Debug)]
pub struct Owner {
    pub id: UserId,
    pub address: String,
    /// The number of mailboxes that the owner may have (`WARMUP_USER_MAILBOX_LIMIT`).
    pub most: usize,
}

impl Owner {
    /// Rejects a plan that would give the owner, who has `enrolled` mailboxes now, too many mailboxes.
    pub(super) fn limit(&self, plan: &Plan, enrolled: usize) -> Result<(), Faults> {
        let again = plan.changed.iter().filter(|(stored, _)| stored.is_removed()).count();
        let added = plan.new.len() + again;
        let total = enrolled + added;
        if added == 0 || total <= self.most {
            return Ok(());
        }
        let message = format!("would make {total} mailboxes of yours, at most {} may be: ask an admin", self.most);
        Err(vec![EnrolmentError::of_line(1, message)].into())
    }

    /// Returns why the owner can't enrol `stored`, which belongs to another user, and how an admin transfers it.
    /// The text names neither the other user nor an address that the owner may not know.
    fn refusal(&self, stored: &StoredMailbox) -> String {
        let owner = &self.address;
        if stored.is_removed() {
            format!(
                "was enrolled by another user before: ask an admin, who enrols it for you by `warmup mailbox add ADDRESS --user \
                 {owner} ...`"
            )
        } else {
            format!(
                "is enrolled by another user: if it is yours, ask an admin, who moves it by `warmup mailbox set ADDRESS --user \
                 {owner}`; then set your password and mail host"
            )
        }
    }

    /// Assigns the new rows of `file` to the owner. A mailbox of another user, removed or not, is an error, and
    /// so is a row that names another owner.
    pub(super) fn confine(&self, file: &mut File, stored: &HashMap<String, StoredMailbox>) {
        for row in &mut file.rows {
            let known = stored.get(&row.key());
            if let Some(stored) = known.filter(|stored| stored.user != self.id) {
                let message = self.refusal(stored);
                file.faults.push(EnrolmentError::of_cell(row.line, Column::Email, message));
            }
            match &row.user {
                Some(user) if !user.eq_ignore_ascii_case(&self.address) => {
                    let message = "only an admin enrols for others: leave it out";
                    file.faults.push(EnrolmentError::of_cell(row.line, Column::User, message));
                }
                Some(_) => {}
                None if known.is_none() => row.user = Some(self.address.to_lowercase()),
                None => {}
            }
        }
    }
}
