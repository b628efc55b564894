//! The password that is stored of a mailbox, as enrolment uses it: compared with a given one, and bound to where it goes.

use secrecy::{ExposeSecret, SecretString};

use crate::{
    adapters::{
        postgres::enrol::StoredMailbox,
        seal::{Opened, Sealer},
    },
    domain::{enrolment::Profile, mailbox::Endpoint},
};

/// A stored password.
#[derive(Debug)]
pub(in crate::admin) struct StoredPassword {
    /// None where it does not open.
    password: Option<SecretString>,
    /// Where it may be sent without being given again.
    pub(in crate::admin) places: Vec<Endpoint>,
}

impl StoredPassword {
    /// Looks at what is stored; none where no password is.
    pub(in crate::admin) fn of(stored: &StoredMailbox, sealer: &Sealer) -> Option<StoredPassword> {
        let sealed = stored.sealed_password.as_ref()?;
        Some(match sealer.inspect(stored.id, sealed) {
            // An earlier release's goes wherever its row says.
            Ok(Opened { password, endpoints: places }) => {
                StoredPassword { password: Some(password), places: places.unwrap_or_else(|| stored.profile.places()) }
            }
            Err(_) => StoredPassword { password: None, places: Vec::new() },
        })
    }

    /// Says whether this is the `given` one. One that does not open is not: sealing the given one mends it.
    pub(super) fn is(&self, given: &SecretString) -> bool {
        self.password.as_ref().is_some_and(|kept| kept.expose_secret() == given.expose_secret())
    }

    /// Says whether it may go to all the places of `profile`, and to no other.
    pub(super) fn is_bound_to(&self, profile: &Profile) -> bool {
        self.places == profile.places()
    }

    /// The password, where it opens.
    pub(super) fn into_password(self) -> Option<SecretString> {
        self.password
    }
}
