//! `warmup mailbox list`.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;

use super::selector::Narrowed;
use crate::{
    app::{
        overview::{MailboxStatus, mailbox_statuses_of},
        standing::Filter,
    },
    cli::session::{Session, instant, print, print_json, table},
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    narrowed: Narrowed,
    /// Only those in this state; the removed ones are listed only so.
    #[arg(long, value_parser = PossibleValuesParser::new(["active", "off", "paused", "disabled", "removed"]))]
    state: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let session = Session::open().await?;
    let filter = Filter { removed: args.state.as_deref() == Some("removed"), ..args.narrowed.filter() };
    let is_narrow = args.state.is_some() || filter != Filter::default();
    let mut mailboxes = mailbox_statuses_of(&session.pool, &filter, session.now).await?;
    mailboxes.retain(|mailbox| args.state.as_ref().is_none_or(|state| mailbox.state == *state));
    match () {
        () if args.json => print_json(&mailboxes)?,
        () if mailboxes.is_empty() && is_narrow => print("no mailbox is like that")?,
        () if mailboxes.is_empty() => print("no mailbox is enrolled: `warmup mailbox import FILE.csv`")?,
        () => print(&told(&mailboxes))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn told(mailboxes: &[MailboxStatus]) -> String {
    let mut table = table(&["ID", "EMAIL", "USER", "HOST", "STATE", "QUOTA", "SENT", "LEFT"], &[0, 5, 6, 7]);
    for mailbox in mailboxes {
        table.add_row([
            mailbox.id.to_string(),
            mailbox.email.clone(),
            mailbox.user.clone(),
            mailbox.smtp_host.clone(),
            state(mailbox),
            mailbox.quota.to_string(),
            mailbox.sent.to_string(),
            mailbox.left.to_string(),
        ]);
    }
    table.trim_fmt()
}

/// The state with its reason and its end, in one line.
pub(super) fn state(mailbox: &MailboxStatus) -> String {
    let mut text = mailbox.state.clone();
    if let Some(reason) = &mailbox.reason {
        text = format!("{text}: {reason}");
    }
    match mailbox.until {
        Some(until) => format!("{text} (until {})", instant(until)),
        None => text,
    }
}
