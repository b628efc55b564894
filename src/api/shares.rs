//! `Shares` divides a limited number of places: each user has a maximum, and some places are for admins only.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{admin::tokens::Identity, domain::id::UserId};

/// `Shares` counts the taken places of one kind.
#[derive(Debug)]
pub(super) struct Shares {
    /// The number of all places.
    places: usize,
    /// The number of places that only admins get.
    for_admins: usize,
    /// The number of places that one user gets.
    of_user: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    by_admins: usize,
    by_users: HashMap<UserId, usize>,
}

/// A `Place` is taken until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    taken: Arc<Mutex<Taken>>,
    /// The user; `None` for an admin.
    user: Option<UserId>,
}

impl Shares {
    pub(super) fn new(places: usize, for_admins: usize, of_user: usize) -> Shares {
        Shares { places, for_admins, of_user, taken: Arc::default() }
    }

    /// Takes a place for the caller. Returns `None` if no place is free or the user has its maximum.
    pub(super) fn take(&self, identity: &Identity) -> Option<Place> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let by_users: usize = taken.by_users.values().sum();
        if by_users + taken.by_admins >= self.places {
            return None;
        }
        let user = identity.scope();
        match user {
            None => taken.by_admins += 1,
            Some(user) => {
                let own = taken.by_users.get(&user).copied().unwrap_or_default();
                if own >= self.of_user || by_users + self.for_admins >= self.places {
                    return None;
                }
                taken.by_users.insert(user, own + 1);
            }
        }
        Some(Place { taken: Arc::clone(&self.taken), user })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match self.user {
            None => taken.by_admins = taken.by_admins.saturating_sub(1),
            Some(user) => {
                let left = taken.by_users.get(&user).copied().unwrap_or_default().saturating_sub(1);
                match left {
                    0 => drop(taken.by_users.remove(&user)),
                    left => drop(taken.by_users.insert(user, left)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: i64) -> Identity {
        Identity { user: Some(UserId(id)), name: format!("u{id}@x.test"), is_admin: false }
    }

    fn admin() -> Identity {
        Identity { user: None, name: "admin".to_owned(), is_admin: true }
    }

    #[test]
    fn a_user_gets_its_share_and_gives_it_back() {
        let shares = Shares::new(8, 2, 2);
        let own: Vec<Place> = (0..3).filter_map(|_| shares.take(&user(1))).collect();
        assert_eq!(own.len(), 2);
        assert!(shares.take(&user(2)).is_some(), "others have theirs");
        drop(own);
        assert!(shares.take(&user(1)).is_some());
        assert!(shares.taken.lock().unwrap().by_users.is_empty(), "nothing is kept of those who are gone");
    }

    #[test]
    fn however_many_users_come_an_admin_has_a_place() {
        let shares = Shares::new(8, 2, 2);
        let users: Vec<Place> = (0..20).filter_map(|id| shares.take(&user(id))).collect();
        let admins: Vec<Place> = (0..20).filter_map(|_| shares.take(&admin())).collect();
        assert_eq!((users.len(), admins.len()), (6, 2));
        drop(users);
        assert_eq!((0..20).filter_map(|_| shares.take(&admin())).collect::<Vec<_>>().len(), 6, "all that are free");
    }
}
