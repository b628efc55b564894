//! `Distinct` lists the users and hosts of a batch once each, so that the script gets each by its position.

use std::{collections::HashMap, hash::Hash};

/// `Distinct` holds the distinct values of a sequence, and for each member the position of its value from 1; 0 for
/// `None`.
pub(super) struct Distinct<T> {
    pub(super) values: Vec<T>,
    pub(super) places: Vec<usize>,
}

impl<T: Copy + Eq + Hash> Distinct<T> {
    pub(super) fn of(members: impl Iterator<Item = Option<T>>) -> Distinct<T> {
        let (mut values, mut known) = (Vec::new(), HashMap::new());
        let mut place = |value: T| {
            *known.entry(value).or_insert_with(|| {
                values.push(value);
                values.len()
            })
        };
        let places = members.map(|member| member.map_or(0, &mut place)).collect();
        Distinct { values, places }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_has_one_place_and_none_has_0() {
        let distinct = Distinct::of([Some("b"), None, Some("a"), Some("b")].into_iter());
        assert_eq!((distinct.values, distinct.places), (vec!["b", "a"], vec![1, 0, 2, 1]));
    }
}
