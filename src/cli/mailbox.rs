//! `warmup mailbox` enrols, changes, tests and shows mailboxes.

mod add;
mod columns;
pub(super) mod import;
mod list;
mod selector;
mod show;
mod state;
mod test;
mod verify;

use std::process::ExitCode;

use crate::admin::mailbox_state::Change;

/// The file's columns. A test holds it to those that are read.
const COLUMNS: &str = "\
Columns (a known address changes only in those that are there and filled):
  email, password, smtp_host, smtp_port   required in the header
  user            owner's address; made when new (operator@localhost)
  display_name    as recipients see it
  username        for AUTH (the email)
  smtp_security   tls, starttls or none (by the port: 465, 587, 25)
  imap_host, imap_port, imap_security   checked and kept for later
  timezone        IANA name (WARMUP_TIMEZONE)
  window          when it sends (09:00-17:00)
  days            weekdays (mon-sun)
  ramp_start      mails on the first day (3)
  ramp_step       more on each further one (3)
  daily_max       at most (WARMUP_MIN_DAILY_QUOTA)
  reply_rate      percent of its mails that are answered (35)
  enabled         true or false (true)";

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Enrol the mailboxes of a CSV file, or update them: all of it, or nothing when there is any fault.
    #[command(after_help = COLUMNS)]
    Import(import::Args),
    /// Enrol one mailbox. Its password is asked for, or comes from a file or standard input.
    Add(Box<add::AddArgs>),
    /// Change mailboxes in the columns that are given; nothing else.
    Set(Box<add::SetArgs>),
    /// List mailboxes with their today.
    List(list::Args),
    /// Show everything about one mailbox, and when it sends next or why not.
    Show(show::Args),
    /// Log in as mailboxes and go as far as RCPT to themselves, then RSET: no mail is sent, nothing is changed.
    Test(test::Args),
    /// Send a code to a mailbox, or verify the mailbox by the code that it received: it then receives from other owners.
    Verify(verify::Args),
    /// Let mailboxes neither send nor receive until they are resumed. Selectors ask first.
    Pause(state::Args),
    /// Let mailboxes send and receive again, whatever stopped them; with --host or --domain also those. Selectors ask first.
    Resume(state::Args),
    /// Erase the passwords of mailboxes and never use them again; logs and counters stay. Selectors ask first.
    Remove(state::Args),
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Import(args) => import::run(args).await,
        Command::Add(args) => add::add(*args).await,
        Command::Set(args) => add::set(*args).await,
        Command::List(args) => list::run(args).await,
        Command::Show(args) => show::run(args).await,
        Command::Test(args) => test::run(args).await,
        Command::Verify(args) => verify::run(args).await,
        Command::Pause(args) => state::run(Change::Pause, args).await,
        Command::Resume(args) => state::run(Change::Resume, args).await,
        Command::Remove(args) => state::run(Change::Remove, args).await,
    }
}

#[cfg(test)]
mod tests {
    use super::COLUMNS;
    use crate::domain::enrolment::Column;

    #[test]
    fn every_column_is_explained() {
        for column in Column::ALL {
            assert!(COLUMNS.contains(column.name()), "{}", column.name());
        }
    }
}
