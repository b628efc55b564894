//! `ByHost` finds the entry of a mail host: by its name, or else by the longest `*.` pattern that matches it.

use std::collections::BTreeMap;

/// Tables by name or pattern. Any match in an earlier table precedes all matches in a later one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByHost<T>(Vec<BTreeMap<String, T>>);

impl<T> Default for ByHost<T> {
    /// Creates an empty list of tables.
    fn default() -> ByHost<T> {
        ByHost(Vec::new())
    }
}

impl<T> ByHost<T> {
    /// Creates a lookup in `tables`, in this order. Their keys are host names in lower case, or `*.` and such
    /// a name.
    pub fn of(tables: Vec<BTreeMap<String, T>>) -> ByHost<T> {
        ByHost(tables)
    }

    /// Returns the entry of `host`, a name or address in lower case.
    pub fn get(&self, host: &str) -> Option<&T> {
        self.0.iter().find_map(|table| table.get(host).or_else(|| by_pattern(table, host)))
    }

    /// Converts each entry, or returns the first error.
    pub fn try_map<U, E>(&self, make: impl Fn(&T) -> Result<U, E>) -> Result<ByHost<U>, E> {
        let entry = |(host, entry): (&String, &T)| Ok((host.clone(), make(entry)?));
        let table = |table: &BTreeMap<String, T>| table.iter().map(entry).collect();
        self.0.iter().map(table).collect::<Result<_, E>>().map(ByHost)
    }
}

/// Returns the entry of the longest matching pattern. A name has as many suffixes as dots; the first one is
/// the longest.
fn by_pattern<'a, T>(table: &'a BTreeMap<String, T>, host: &str) -> Option<&'a T> {
    host.match_indices('.').find_map(|(dot, _)| table.get(&format!("*{}", &host[dot..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: &[(&str, u32)]) -> BTreeMap<String, u32> {
        entries.iter().map(|(host, entry)| ((*host).to_owned(), *entry)).collect()
    }

    #[test]
    fn a_name_goes_before_a_pattern_and_a_longer_pattern_before_a_shorter() {
        let hosts = ByHost::of(vec![table(&[("a.b.org", 1), ("*.b.org", 2), ("*.org", 3)])]);
        let found = ["a.b.org", "x.b.org", "x.a.b.org", "b.org", "org", "b.com"].map(|host| hosts.get(host).copied());
        assert_eq!(found, [Some(1), Some(2), Some(2), Some(3), None, None]);
    }

    #[test]
    fn whatever_an_earlier_table_says_goes_before_a_later_one() {
        let hosts = ByHost::of(vec![table(&[("*.b.org", 2)]), table(&[("a.b.org", 1), ("c.org", 4)])]);
        assert_eq!(["a.b.org", "c.org"].map(|host| hosts.get(host).copied()), [Some(2), Some(4)]);
    }

    #[test]
    fn one_fault_is_enough_to_make_nothing() {
        let hosts = ByHost::of(vec![table(&[("a.org", 1), ("b.org", 2)])]);
        assert_eq!(hosts.try_map(|n| if *n < 3 { Ok(n * 2) } else { Err(*n) }).unwrap().get("b.org"), Some(&4));
        assert_eq!(hosts.try_map(|n| if *n < 2 { Ok(*n) } else { Err(*n) }), Err(2));
    }
}
