//! A `Scenario` is a failure that the sink produces for a mail on request.
//!
//! | local part begins with | effect | accepted |
//! |---|---|---|
//! | `slow-` | the reply to the dot comes a second late | yes |
//! | `temperror-` | `451 4.0.0` to the dot | no |
//! | `permerror-` | `554 5.0.0` to the dot | no |
//! | `drop-before-dot-` | the connection ends at DATA | no |
//! | `drop-after-dot-` | accepted, but the connection ends instead of a reply | yes |
//! | `vanish-after-dot-` | the connection ends after the dot, and the mail is lost | no |
//!
//! The refusals carry codes that concern one message only, so that a demo with faults pauses no mailbox for
//! long.
//!
//! A random mail is chosen by the hash of seed, sender and recipient. These are all that is known at DATA, where
//! a connection must end if the client is to know that it ended before the dot. A pair is used once a day, so
//! each mail is chosen independently.

use sha2::{Digest, Sha256};

/// A `Scenario` is one kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scenario {
    Slow,
    TempError,
    PermError,
    DropBeforeDot,
    DropAfterDot,
    VanishAfterDot,
}

impl Scenario {
    /// Every scenario with the prefix of the local parts that request it.
    pub const ALL: [(&'static str, Scenario); 6] = [
        ("slow-", Scenario::Slow),
        ("temperror-", Scenario::TempError),
        ("permerror-", Scenario::PermError),
        ("drop-before-dot-", Scenario::DropBeforeDot),
        ("drop-after-dot-", Scenario::DropAfterDot),
        ("vanish-after-dot-", Scenario::VanishAfterDot),
    ];
}

/// Returns the scenario of a mail, if it meets one: by the recipient's address, or else by chance for `faults`
/// percent.
pub fn of_mail(seed: u64, faults: u8, from: &str, to: &str) -> Option<Scenario> {
    by_address(to).or_else(|| by_chance(seed, faults, from, to))
}

fn by_address(to: &str) -> Option<Scenario> {
    Scenario::ALL.iter().find(|(head, _)| to.starts_with(head)).map(|(_, scenario)| *scenario)
}

fn by_chance(seed: u64, faults: u8, from: &str, to: &str) -> Option<Scenario> {
    let hash = Sha256::new().chain_update(seed.to_be_bytes()).chain_update(from).chain_update([0]).chain_update(to);
    let hash = hash.finalize();
    let number = |at: usize| u32::from_be_bytes([hash[at], hash[at + 1], hash[at + 2], hash[at + 3]]);
    let chosen = number(0) % 100 < u32::from(faults);
    chosen.then(|| Scenario::ALL[number(4) as usize % Scenario::ALL.len()].1)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn an_address_asks_for_its_scenario() {
        for (head, scenario) in Scenario::ALL {
            assert_eq!(of_mail(1, 0, "a@one.test", &format!("{head}7@two.test")), Some(scenario));
        }
        assert_eq!(of_mail(1, 0, "slow-a@one.test", "b@two.test"), None);
    }

    #[test]
    fn chance_takes_about_its_share_of_each_and_repeats() {
        let mut met: HashMap<Scenario, usize> = HashMap::new();
        for n in 0..6000 {
            let (from, to) = (format!("a{}@one.test", n % 60), format!("b{n}@two.test"));
            let scenario = of_mail(7, 10, &from, &to);
            assert_eq!(scenario, of_mail(7, 10, &from, &to));
            if let Some(scenario) = scenario {
                *met.entry(scenario).or_default() += 1;
            }
        }
        assert_eq!(met.len(), 6);
        assert!((480..720).contains(&met.values().sum::<usize>()), "{met:?}");
        assert!((0..1000).all(|n| of_mail(7, 100, "a", &n.to_string()).is_some()));
    }
}
