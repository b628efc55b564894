//! A mailbox with what every mail of it asks for, worked out once and not for each.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use chrono::{DateTime, NaiveDate, Utc};

use super::MemoryMailbox;
use crate::domain::mailbox::domain_of;

/// See the module.
#[derive(Clone, Debug)]
pub(in crate::simulation) struct Enrolled {
    mailbox: MemoryMailbox,
    /// Where it submits, in lower case.
    pub(in crate::simulation) host: Arc<str>,
    /// The same with its port.
    pub(in crate::simulation) place: Arc<str>,
    /// The key of its owner's login breaker, as `login_key` makes it.
    pub(in crate::simulation) login: Arc<str>,
    pub(in crate::simulation) domain: Arc<str>,
    pub(in crate::simulation) enrolled_at: DateTime<Utc>,
    /// The date that is open while all earlier ones are closed: nothing is to be turned on it.
    pub(in crate::simulation) turned: Option<NaiveDate>,
}

impl Enrolled {
    pub(super) fn new(mailbox: MemoryMailbox, enrolled_at: DateTime<Utc>) -> Enrolled {
        let (host, domain) = (mailbox.endpoint.host.to_lowercase(), domain_of(&mailbox.email).into());
        let place = format!("{host}:{}", mailbox.endpoint.port);
        let login = format!("{}/{place}/{}", mailbox.user.0, mailbox.endpoint.security).into();
        Enrolled { mailbox, host: host.into(), place: place.into(), login, domain, enrolled_at, turned: None }
    }

    /// Changes everything about it.
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

/// For its standing and its growth; what it is called changes by `change`.
impl DerefMut for Enrolled {
    fn deref_mut(&mut self) -> &mut MemoryMailbox {
        &mut self.mailbox
    }
}
