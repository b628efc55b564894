//! `Faults` lists the first errors of a file and counts the others. So the answer to a file of two million
//! wrong lines is a few kilobytes.

use std::{collections::HashSet, ops::Deref};

use super::EnrolmentError;

/// The number of listed errors. It is more than a person reads at once.
pub const FAULTS_LISTED: usize = 100;

/// The first [`FAULTS_LISTED`] errors and the number of the others. It dereferences to the list of the first
/// ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    listed: Vec<EnrolmentError>,
    more: usize,
}

impl Faults {
    /// Adds an error.
    pub fn push(&mut self, fault: EnrolmentError) {
        if self.listed.len() < FAULTS_LISTED {
            self.listed.push(fault);
        } else {
            self.more += 1;
        }
    }

    /// Returns the number of all errors, listed or not.
    pub fn total(&self) -> usize {
        self.listed.len() + self.more
    }

    /// Returns the number of errors that are not listed.
    pub fn more(&self) -> usize {
        self.more
    }

    /// Sorts the listed errors by line. Of two errors of one cell it keeps the first, which explains the
    /// problem of the written text.
    pub fn in_order(mut self) -> Faults {
        self.listed.sort_by_key(|fault| fault.line);
        let mut seen = HashSet::new();
        self.listed.retain(|fault| fault.column.is_none() || seen.insert((fault.line, fault.column)));
        self
    }
}

impl Extend<EnrolmentError> for Faults {
    fn extend<T: IntoIterator<Item = EnrolmentError>>(&mut self, faults: T) {
        faults.into_iter().for_each(|fault| self.push(fault));
    }
}

impl From<Vec<EnrolmentError>> for Faults {
    fn from(all: Vec<EnrolmentError>) -> Faults {
        let mut faults = Faults::default();
        faults.extend(all);
        faults
    }
}

impl Deref for Faults {
    type Target = [EnrolmentError];

    fn deref(&self) -> &[EnrolmentError] {
        &self.listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_hundred_are_listed_and_the_rest_is_counted() {
        let faults: Faults = (1..=250).map(|line| EnrolmentError::of_line(line, "wrong")).collect::<Vec<_>>().into();
        assert_eq!((faults.len(), faults.more(), faults.total()), (100, 150, 250));
        assert_eq!((faults[0].line, faults[99].line), (1, 100));
    }
}
