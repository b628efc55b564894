//! `warmup mailbox pause|resume|remove` changes the state of mailboxes.

use std::{fmt::Write, process::ExitCode};

use super::selector::Selector;
use crate::{
    admin::mailbox_state::{Change, ChangeReport, EndedPause, Filter, MailboxSelection, OPERATOR, carry_out, choose},
    cli::{
        confirm::{confirm, examples},
        session::{Session, count, instant, print, print_json},
    },
};

/// Mailboxes that are named before the rest is counted; `--json` names all.
const NAMED: usize = 20;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    selector: Selector,
    /// Why, in a word or a sentence: kept in the events, and of a pause or a removal as its reason.
    #[arg(long, value_name = "TEXT", default_value = OPERATOR, value_parser = reason)]
    because: String,
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) async fn run(change: Change, args: Args) -> anyhow::Result<ExitCode> {
    let Session { pool, now, .. } = Session::open().await?;
    let filter = Filter { removed: change == Change::Remove && args.selector.is_by_name(), ..args.selector.filter() };
    let chosen = choose(&pool, &filter, change, &args.because, now).await?;
    let has_work = !chosen.due.is_empty() || !chosen.held.is_empty();
    if has_work && !args.selector.is_by_name() && !args.yes && !confirm(&question(change, &args.selector, &chosen))? {
        print("nothing was done")?;
        return Ok(ExitCode::FAILURE);
    }
    let done = carry_out(&pool, &chosen, change, &args.because, now).await?;
    if args.json {
        print_json(&done)?
    } else {
        print(&render(change, &done)?)?
    }
    Ok(ExitCode::SUCCESS)
}

fn reason(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("write a word or a sentence".to_owned()),
        long if long.chars().count() > 200 => Err("write at most 200 characters".to_owned()),
        text if text.chars().any(char::is_control) => Err("write it in one line".to_owned()),
        text => Ok(text.to_owned()),
    }
}

fn verbs(change: Change) -> (&'static str, &'static str) {
    match change {
        Change::Pause => ("pause", "paused"),
        Change::Resume => ("resume", "resumed"),
        Change::Remove => ("remove (its password is erased)", "removed"),
    }
}

fn question(change: Change, selector: &Selector, chosen: &MailboxSelection) -> String {
    let names: Vec<&str> = chosen.due.iter().map(|found| found.email.as_str()).collect();
    let words = selector.words();
    let of = if words.is_empty() { "of all".to_owned() } else { format!("of {words}") };
    let mut text = format!("{} {} {of}", verbs(change).0, count(names.len(), "mailbox", "mailboxes"));
    if !names.is_empty() {
        text += &format!(" ({})", examples(&names));
    }
    if !chosen.held.is_empty() {
        let held: Vec<String> = chosen.held.iter().map(|held| format!("{} {}", held.scope, held.key)).collect();
        let held: Vec<&str> = held.iter().map(String::as_str).collect();
        text += &format!(", and end the pause of {}", examples(&held));
    }
    text + "?"
}

fn render(change: Change, done: &ChangeReport) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let past = verbs(change).1;
    writeln!(text, "{past}: {}", count(done.changed.len(), "mailbox", "mailboxes"))?;
    for email in done.changed.iter().take(NAMED) {
        writeln!(text, "  {email}")?;
    }
    if done.changed.len() > NAMED {
        writeln!(text, "  {} more (--json names all)", done.changed.len() - NAMED)?;
    }
    for left in done.unchanged.iter().take(NAMED) {
        writeln!(text, "unchanged: {} ({})", left.email, left.because)?;
    }
    if done.unchanged.len() > NAMED {
        writeln!(text, "unchanged: {} more (--json names all)", done.unchanged.len() - NAMED)?;
    }
    for EndedPause { scope, key, reason, .. } in &done.released {
        writeln!(text, "{scope} {key} is not left alone any more (was: {reason})")?;
    }
    for EndedPause { scope, key, user, reason, until } in &done.still_held {
        let until = instant(*until);
        let command = match user {
            None => format!("warmup mailbox resume --{scope} {key}"),
            Some(user) => format!("warmup pause end --{scope} {key} --user {user}"),
        };
        writeln!(text, "but {scope} {key} is left alone until {until} ({reason}): `{command}` ends that")?;
    }
    Ok(text)
}
