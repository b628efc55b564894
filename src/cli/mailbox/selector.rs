//! `Selector` chooses the mailboxes of a command: by addresses, or by selectors that must all match.

use std::collections::HashSet;

use crate::admin::mailbox_state::Filter;

const SELECTORS: [&str; 5] = ["user", "domain", "host", "reason", "all"];

/// `ADDRESS…`, or `--user`, `--domain`, `--host`, `--reason`, `--all`.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Selector {
    /// Addresses, in any case.
    #[arg(
        value_name = "ADDRESS",
        required_unless_present_any = SELECTORS,
        conflicts_with_all = SELECTORS
    )]
    addresses: Vec<String>,
    #[command(flatten)]
    narrowed: Narrowed,
    /// All mailboxes.
    #[arg(long, conflicts_with_all = ["user", "domain", "host", "reason"])]
    all: bool,
}

/// Selectors; of several all must hold.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Narrowed {
    /// Those of this owner.
    #[arg(long, value_name = "ADDRESS")]
    user: Option<String>,
    /// Those with an address in this domain.
    #[arg(long)]
    domain: Option<String>,
    /// Those that submit through this mail host.
    #[arg(long)]
    host: Option<String>,
    /// Those that are paused, disabled or excluded from receiving for this reason, such as auth-refused.
    #[arg(long)]
    reason: Option<String>,
}

impl Selector {
    /// Says whether the mailboxes were named one by one: then nobody has to be asked.
    pub(in crate::cli) fn is_by_name(&self) -> bool {
        !self.addresses.is_empty()
    }

    pub(in crate::cli) fn filter(&self) -> Filter {
        let mut seen = HashSet::new();
        let emails: Vec<String> = self.addresses.iter().map(|email| email.trim().to_lowercase()).collect();
        let emails = emails.into_iter().filter(|email| seen.insert(email.clone())).collect();
        Filter { emails: self.is_by_name().then_some(emails), ..self.narrowed.filter() }
    }

    /// The selectors in words, for a question.
    pub(in crate::cli) fn words(&self) -> String {
        let Narrowed { user, domain, host, reason } = &self.narrowed;
        let parts = [("user", user), ("domain", domain), ("host", host), ("reason", reason)];
        let parts = parts.iter().filter_map(|(name, value)| Some(format!("{name} {}", value.as_ref()?)));
        parts.collect::<Vec<_>>().join(", ")
    }
}

impl Narrowed {
    pub(in crate::cli) fn filter(&self) -> Filter {
        let lower = |text: &Option<String>| text.as_ref().map(|text| text.trim().to_lowercase());
        // A host or a domain may end with a dot, as in DNS.
        let name = |text: &Option<String>| lower(text).map(|name| name.trim_end_matches('.').to_owned());
        Filter {
            user: lower(&self.user),
            domain: name(&self.domain),
            host: name(&self.host),
            reason: self.reason.clone(),
            ..Filter::default()
        }
    }
}
