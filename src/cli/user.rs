//! `warmup user list|add|set` manages the owners of mailboxes.

use std::process::ExitCode;

use clap::{
    ArgGroup,
    builder::{PossibleValuesParser, TypedValueParser},
};

use super::session::{Session, instant, print, print_json, table};
use crate::admin::users::{self, User, UserUpdate, in_words};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// List all users.
    List {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make a user. Importing a mailbox with a new `user` makes one too.
    Add {
        /// Its address.
        address: String,
        #[command(flatten)]
        wanted: Flags,
    },
    /// Change the role or the daily limit of users.
    #[command(group = ArgGroup::new("change").args(["role", "daily_limit"]).required(true).multiple(true))]
    Set {
        /// Addresses, in any case.
        #[arg(required = true, value_name = "ADDRESS")]
        addresses: Vec<String>,
        #[command(flatten)]
        wanted: Flags,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// admin sees and orders all; user sees its own mailboxes.
    #[arg(long, value_parser = PossibleValuesParser::new(["admin", "user"]).map(String::from))]
    role: Option<String>,
    /// Mails a day over all its mailboxes (stretched by WARMUP_USER_DAILY_CAP), or none.
    #[arg(long, value_name = "MAILS|none", value_parser = limit)]
    daily_limit: Option<Limit>,
}

/// A number, or none: within `Option` the two would look alike to clap.
#[derive(Clone, Copy, Debug)]
struct Limit(Option<i32>);

fn limit(text: &str) -> Result<Limit, String> {
    let wrong = || format!("write a number from 0 to {}, or none", i32::MAX);
    match text {
        "none" => Ok(Limit(None)),
        text => text.parse().ok().filter(|limit| *limit >= 0).map(|limit| Limit(Some(limit))).ok_or_else(wrong),
    }
}

impl Flags {
    fn wanted(self) -> UserUpdate {
        UserUpdate { role: self.role, daily_limit: self.daily_limit.map(|limit| limit.0) }
    }
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let Session { pool, now, .. } = Session::open().await?;
    match command {
        Command::List { json } => {
            let users = users::all(&pool).await?;
            if json { print_json(&users)? } else { print(&listed(&users))? }
        }
        Command::Add { address, wanted } => {
            let (address, _) = users::add(&pool, &address, &wanted.wanted(), now).await?;
            print(&format!("added: {address}"))?;
        }
        Command::Set { addresses, wanted, json } => {
            let changed = users::set(&pool, &addresses, &wanted.wanted(), now).await?;
            if json { print_json(&changed)? } else { print(&render(&changed))? }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn listed(users: &[User]) -> String {
    let mut table = table(&["ID", "EMAIL", "ROLE", "DAILY LIMIT", "MAILBOXES", "CREATED"], &[0, 3, 4]);
    for user in users {
        table.add_row([
            user.id.to_string(),
            user.email.clone(),
            user.role.clone(),
            in_words(user.daily_limit),
            user.mailboxes.to_string(),
            instant(user.created_at),
        ]);
    }
    table.trim_fmt()
}

fn render(changed: &[users::Changed]) -> String {
    let line = |changed: &users::Changed| match changed.changes.is_empty() {
        true => format!("unchanged: {}", changed.email),
        false => format!("set: {}: {}", changed.email, changed.changes.join(", ")),
    };
    changed.iter().map(line).collect::<Vec<_>>().join("\n")
}
