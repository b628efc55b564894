//! `warmup domain verify|list|revoke` manages domains that are confirmed for a user.

use std::process::ExitCode;

use super::session::{Session, count, instant, print, print_json, table};
use crate::admin::domains::{self, DomainChange, VerifiedDomain};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Confirm that a domain belongs to a user: the user's mailboxes in it receive from other owners.
    Verify(Confirmation),
    /// List the confirmed domains.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Take a confirmation back: the mailboxes receive from their owner's mailboxes only.
    Revoke(Confirmation),
}

#[derive(Debug, clap::Args)]
pub(super) struct Confirmation {
    /// Such as example.com.
    domain: String,
    /// The user whose it is.
    #[arg(long, value_name = "ADDRESS")]
    user: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Who confirms on the command line.
const OPERATOR: &str = "operator";

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let Session { pool, now, .. } = Session::open().await?;
    match command {
        Command::List { json } => {
            let all = domains::verified_domains(&pool, None).await?;
            if json { print_json(&all)? } else { print(&listed(&all))? }
        }
        Command::Verify(Confirmation { domain, user, json }) => {
            let done = domains::verify(&pool, &domain, &user, OPERATOR, now).await?;
            if json { print_json(&done)? } else { print(&line("verified", &done))? }
        }
        Command::Revoke(Confirmation { domain, user, json }) => {
            let done = domains::revoke(&pool, &domain, &user, OPERATOR, now).await?;
            if json { print_json(&done)? } else { print(&line("revoked", &done))? }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn line(past: &str, done: &DomainChange) -> String {
    format!("{past}: {} of {}, {}", done.domain, done.user, count(done.mailboxes, "mailbox", "mailboxes"))
}

fn listed(all: &[VerifiedDomain]) -> String {
    let mut table = table(&["DOMAIN", "USER", "MAILBOXES", "VERIFIED BY", "AT"], &[2]);
    for domain in all {
        table.add_row([
            domain.domain.clone(),
            domain.user.clone(),
            domain.mailboxes.to_string(),
            domain.verified_by.clone(),
            instant(domain.verified_at),
        ]);
    }
    table.trim_fmt()
}
