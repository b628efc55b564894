//! `warmup mailbox list` lists mailboxes.

use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use serde::Serialize;

use super::selector::Narrowed;
use crate::{
    admin::mailbox_state::Filter,
    cli::{
        session::{Session, count, instant, table},
        watch::{Watch, WatchView},
    },
    reporting::{MailboxStatus, mailbox_statuses_of},
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    narrowed: Narrowed,
    /// Only those in this state; the removed ones are listed only so.
    #[arg(long, value_parser = PossibleValuesParser::new(["active", "off", "paused", "disabled", "removed"]))]
    state: Option<String>,
    #[command(flatten)]
    watch: Watch,
}

/// The mailboxes that were asked for.
#[derive(Serialize)]
#[serde(transparent)]
struct Listed {
    mailboxes: Vec<MailboxStatus>,
    /// Not all were.
    #[serde(skip)]
    is_narrow: bool,
}

pub(in crate::cli) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let session = Session::open().await?;
    let filter = Filter { removed: args.state.as_deref() == Some("removed"), ..args.narrowed.filter() };
    let is_narrow = args.state.is_some() || filter != Filter::default();
    let look = async |now| {
        let mut mailboxes = mailbox_statuses_of(&session.pool, &filter, now).await?;
        mailboxes.retain(|mailbox| args.state.as_ref().is_none_or(|state| mailbox.state == *state));
        Ok(Listed { mailboxes, is_narrow })
    };
    args.watch.show(look).await
}

impl WatchView for Listed {
    fn full_text(&self) -> anyhow::Result<String> {
        Ok(match () {
            () if self.mailboxes.is_empty() && self.is_narrow => "no mailbox is like that".to_owned(),
            () if self.mailboxes.is_empty() => "no mailbox is enrolled: `warmup mailbox import FILE.csv`".to_owned(),
            () => render(&self.mailboxes),
        })
    }

    fn summary_line(&self) -> String {
        let sum = |of: fn(&MailboxStatus) -> i16| self.mailboxes.iter().map(|one| i64::from(of(one))).sum::<i64>();
        let active = self.mailboxes.iter().filter(|mailbox| mailbox.state == "active").count();
        let count = count(self.mailboxes.len(), "mailbox", "mailboxes");
        let (sent, quota, left) = (sum(|one| one.sent), sum(|one| one.quota), sum(|one| one.left));
        format!("{count}, {active} active; {sent} of {quota} sent, {left} left")
    }
}

fn render(mailboxes: &[MailboxStatus]) -> String {
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
