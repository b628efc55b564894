//! Whoever is no admin enrols for themselves, and touches nobody else's mailboxes.

use std::collections::HashMap;

use super::file::File;
use crate::{
    adapters::postgres::enrol::Stored,
    domain::{
        enrolment::{Column, Fault},
        id::UserId,
    },
};

/// Whose mailboxes all of a file must be.
#[derive(Clone, Debug)]
pub struct Owner {
    pub id: UserId,
    pub address: String,
}

impl Owner {
    /// Makes what is new in `file` the owner's. What is somebody else's, removed or not, is a fault, and so is another
    /// owner's name.
    pub(super) fn confine(&self, file: &mut File, stored: &HashMap<String, Stored>) {
        for row in &mut file.rows {
            let known = stored.get(&row.key());
            if known.is_some_and(|stored| stored.user != self.id) {
                let message = "can't be enrolled by you: ask an admin";
                file.faults.push(Fault::of_cell(row.line, Column::Email, message));
            }
            match &row.user {
                Some(user) if !user.eq_ignore_ascii_case(&self.address) => {
                    let message = "only an admin enrols for others: leave it out";
                    file.faults.push(Fault::of_cell(row.line, Column::User, message));
                }
                Some(_) => {}
                None if known.is_none() => row.user = Some(self.address.to_lowercase()),
                None => {}
            }
        }
    }
}
