//! `warmup pause list|end` lists and ends pauses of mail hosts and domains.

use std::process::ExitCode;

use super::session::{Session, instant, print, print_json, table};
use crate::admin::{
    mailbox_state::EndedPause,
    pauses::{self, PauseKey, StandingPause},
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List the pauses of mail hosts and domains that stand.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// End the pause of a mail host or of a domain. Its mailboxes are planned at once.
    End {
        /// The mail host: its name, name:port, or its key as the list shows it.
        #[arg(long, required_unless_present = "domain", conflicts_with = "domain")]
        host: Option<String>,
        /// The domain.
        #[arg(long)]
        domain: Option<String>,
        /// Only the pause of this owner; without it also the one for everybody.
        #[arg(long, value_name = "ADDRESS")]
        user: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let Session { pool, now, .. } = Session::open().await?;
    match command {
        Command::List { json } => {
            let standing = pauses::standing_pauses(&pool, None, now).await?;
            if json { print_json(&standing)? } else { print(&listed(&standing))? }
        }
        Command::End { host, domain, user, json } => {
            let scope = if host.is_some() { "host" } else { "domain" };
            let wanted = PauseKey { scope, key: host.or(domain).unwrap_or_default(), user };
            let ended = pauses::end(&pool, None, &wanted, now).await?;
            if json { print_json(&ended)? } else { print(&ended.iter().map(line).collect::<Vec<_>>().join("\n"))? }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn listed(standing: &[StandingPause]) -> String {
    if standing.is_empty() {
        return "no mail host and no domain is paused".to_owned();
    }
    let mut table = table(&["SCOPE", "KEY", "OWNER", "MAILBOXES", "UNTIL", "REASON"], &[3]);
    for pause in standing {
        let probing = if pause.probing { ", then one mailbox at a time" } else { "" };
        table.add_row([
            pause.scope.clone(),
            pause.key.clone(),
            pause.user.clone().unwrap_or_else(|| "all".to_owned()),
            pause.mailboxes.to_string(),
            format!("{}{probing}", instant(pause.until)),
            pause.reason.clone(),
        ]);
    }
    table.trim_fmt()
}

fn line(ended: &EndedPause) -> String {
    let owner = ended.user.as_ref().map(|user| format!(" of {user}")).unwrap_or_default();
    format!("ended: the pause of {} {}{owner} (was: {})", ended.scope, ended.key, ended.reason)
}
