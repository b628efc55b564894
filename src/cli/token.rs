//! `warmup token create|list|revoke` manages the tokens of the API.

use std::process::ExitCode;

use anyhow::bail;
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde::Serialize;

use super::session::{Session, instant, print, print_json, table};
use crate::{
    admin::{
        tokens::{self, Token, TokenRequest},
        users,
    },
    domain::{enrolment::DEFAULT_USER, id::UserId},
};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a token and print it, once: only its hash is stored.
    Create {
        /// What it is for, such as dashboard.
        #[arg(long, default_value = "command line")]
        name: String,
        /// The address of the user whom it speaks for; what an admin's may do, its token may.
        #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_USER)]
        user: String,
        /// Days until it holds no more; without it, until it is revoked.
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_650))]
        days: Option<u32>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List all tokens, also those that hold no more; never the tokens themselves.
    List {
        /// Only those of this user.
        #[arg(long, value_name = "ADDRESS")]
        user: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke tokens, at once and for good.
    Revoke {
        /// Their ids, as the list shows them.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<i64>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What is told of a new token.
#[derive(Serialize)]
struct Made<'a> {
    #[serde(flatten)]
    kept: &'a Token,
    token: &'a str,
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let session = Session::open().await?;
    match command {
        Command::Create { name, user, days, json } => create(&session, name, user, days, json).await?,
        Command::List { user, json } => {
            let user = match user {
                Some(address) => Some(find(&session, &address).await?),
                None => None,
            };
            let tokens = tokens::all(&session.pool, user).await?;
            if json { print_json(&tokens)? } else { print(&listed(&tokens, session.now))? }
        }
        Command::Revoke { ids, json } => {
            let revoked = tokens::revoke(&session.pool, &ids, None, session.now).await?;
            let told = |token: &Token| format!("revoked: {} ({}, {})", token.id, token.name, token.user);
            let lines: Vec<String> = revoked.iter().map(told).collect();
            if json { print_json(&revoked)? } else { print(&lines.join("\n"))? }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The token alone goes to standard output, so that a script can take it from there.
async fn create(session: &Session, name: String, user: String, days: Option<u32>, json: bool) -> anyhow::Result<()> {
    let expires_at = days.map(|days| session.now + TimeDelta::days(days.into()));
    let (secret, kept) = tokens::create(&session.pool, &TokenRequest { user, name, expires_at }, session.now).await?;
    if json {
        return print_json(&Made { kept: &kept, token: secret.expose_secret() });
    }
    let until = kept.expires_at.map_or_else(|| "until it is revoked".to_owned(), |at| format!("until {}", instant(at)));
    eprintln!("token {} of {} ({}), {until}; it is shown only this once:", kept.id, kept.user, kept.role);
    Ok(print(secret.expose_secret())?)
}

async fn find(session: &Session, address: &str) -> anyhow::Result<UserId> {
    let users = users::all(&session.pool).await?;
    let Some(user) = users.iter().find(|user| user.email.eq_ignore_ascii_case(address.trim())) else {
        bail!("{address} is no user: `warmup user list` shows all");
    };
    Ok(UserId(user.id))
}

fn listed(tokens: &[Token], now: DateTime<Utc>) -> String {
    let mut table = table(&["ID", "USER", "ROLE", "NAME", "CREATED", "LAST USED", "HOLDS"], &[0]);
    for token in tokens {
        let holds = match (token.revoked_at, token.expires_at) {
            (Some(at), _) => format!("no: revoked {}", instant(at)),
            (None, Some(at)) if at <= now => format!("no: expired {}", instant(at)),
            (None, Some(at)) => format!("until {}", instant(at)),
            (None, None) => "until it is revoked".to_owned(),
        };
        table.add_row([
            token.id.to_string(),
            token.user.clone(),
            token.role.clone(),
            token.name.clone(),
            instant(token.created_at),
            token.last_used_at.map_or_else(|| "never".to_owned(), instant),
            holds,
        ]);
    }
    table.trim_fmt()
}
