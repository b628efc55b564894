//! `Enrolled` is a mailbox with values that each of its mails needs and that are computed once.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use chrono::{DateTime, NaiveDate, Utc};

use super::MemoryMailbox;
use crate::domain::mailbox::domain_of;

/// A mailbox with its computed values.
#[derive(Clone, Debug)]
pub(in crate::simulation) struct Enrolled {
    mailbox: MemoryMailbox,
    /// The mail host, in lower case.
    pub(in crate::simulation) host: Arc<str>,
    /// The mail host with its port.
    pub(in crate::simulation) place: Arc<str>,
    /// The key of the user's login breaker, in the format of `login_key`.
    pub(in crate::simulation) login: Arc<str>,
    pub(in crate::simulation) domain: Arc<str>,
    pub(in crate::simulation) enrolled_at: DateTime<Utc>,
    /// The open date when all earlier dates are closed: there is no day to close on it.
    pub(in crate::simulation) turned: Option<NaiveDate>,
}

impl Enrolled {
    pub(super) fn new(mailbox: MemoryMailbox, enrolled_at: DateTime<Utc>) -> Enrolled {
        let (host, domain) = (mailbox.endpoint.host.to_lowercase(), domain_of(&mailbox.email).into());
        let place = format!("{host}:{}", mailbox.endpoint.port);
        let login = format!("{}/{place}/{}", mailbox.user.0, mailbox.endpoint.security).into();
        Enrolled { mailbox, host: host.into(), place: place.into(), login, domain, enrolled_at, turned: None }
    }

    /// Changes any value of the mailbox and computes the others again.
    pub(super) fn change(&mut self, change: impl FnOnce(&mut MemoryMailbox)) {
        let mut mailbox = self.mailbox.clone();
        change(&mut mailbox);
        *self = Enrolled::new(mailbox, self.enrolled_at);
    }
}

impl Deref for Enrolled {
    type Target = MemoryMailbox;

    fn deref(&self) -> &MemoryMailbox {
        &self.mailbox
    }
}

/// Gives access to the state and the ramp. Names and endpoints change by `change` only.
impl DerefMut for Enrolled {
    fn deref_mut(&mut self) -> &mut MemoryMailbox {
        &mut self.mailbox
    }
}
