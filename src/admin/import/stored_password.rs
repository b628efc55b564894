//! `StoredPassword` opens the stored password of a mailbox, so that enrolment can compare it and bind it to
//! endpoints.

use secrecy::{ExposeSecret, SecretString};

use crate::{
    adapters::{
        postgres::enrol::StoredMailbox,
        seal::{Opened, Sealer},
    },
    domain::{enrolment::Profile, mailbox::Endpoint},
};

/// A `StoredPassword` is the password in the row of a mailbox.
#[derive(Debug)]
pub(in crate::admin) struct StoredPassword {
    /// The password; `None` if it can't be opened.
    password: Option<SecretString>,
    /// The endpoints to which it may be sent without being given again.
    pub(in crate::admin) places: Vec<Endpoint>,
}

impl StoredPassword {
    /// Opens the password of `stored`; returns `None` if the row has no password.
    pub(in crate::admin) fn of(stored: &StoredMailbox, sealer: &Sealer) -> Option<StoredPassword> {
        let sealed = stored.sealed_password.as_ref()?;
        Some(match sealer.inspect(stored.id, sealed) {
            // A password that an earlier release sealed is not bound: it goes to the endpoints of its row.
            Ok(Opened { password, endpoints: places }) => {
                StoredPassword { password: Some(password), places: places.unwrap_or_else(|| stored.profile.places()) }
            }
            Err(_) => StoredPassword { password: None, places: Vec::new() },
        })
    }

    /// Returns whether this is the `given` password. A password that can't be opened never is, so the given one
    /// is sealed and repairs the row.
    pub(super) fn is(&self, given: &SecretString) -> bool {
        self.password.as_ref().is_some_and(|kept| kept.expose_secret() == given.expose_secret())
    }

    /// Returns whether the password is bound to exactly the endpoints of `profile`.
    pub(super) fn is_bound_to(&self, profile: &Profile) -> bool {
        self.places == profile.places()
    }

    /// Returns the password if it could be opened.
    pub(super) fn into_password(self) -> Option<SecretString> {
        self.password
    }
}
