//! `warmup mailbox list`.

use std::process::ExitCode;

use crate::{
    app::overview::{MailboxStatus, mailbox_statuses},
    cli::session::{Session, instant, print, print_json, table},
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let session = Session::open().await?;
    let mailboxes = mailbox_statuses(&session.pool, session.now).await?;
    match () {
        () if args.json => print_json(&mailboxes)?,
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
