//! `warmup fleet`: orders to all workers at once.

use std::{process::ExitCode, sync::Arc};

use clap::Subcommand;

use super::session::{Session, print, print_json};
use crate::{
    adapters::system::SystemClock,
    app::control::{Control, Ordered},
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the standing order, the workers and their shards.
    Status(super::status::Args),
    /// Let the fleet send.
    Start(Args),
    /// Stop the fleet: what is on its way finishes, nothing new starts until `fleet start`.
    Stop(Args),
    /// Let all workers plan now, without waiting for the next tick.
    Trigger,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Status(args) => return super::status::run(args).await,
        Command::Start(args) => order(true, args.json).await?,
        Command::Stop(args) => order(false, args.json).await?,
        Command::Trigger => {
            control(&Session::open().await?)?.trigger().await?;
            print("all workers plan now")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn control(session: &Session) -> anyhow::Result<Control> {
    Control::new(&session.settings, session.pool.clone(), Arc::new(SystemClock::real()))
}

async fn order(running: bool, json: bool) -> anyhow::Result<()> {
    let session = Session::open().await?;
    let ordered = control(&session)?.order(running, "the command line", session.now).await?;
    if json { print_json(&ordered) } else { Ok(print(&told(&ordered))?) }
}

fn told(ordered: &Ordered) -> String {
    let mut text = match (ordered.running, ordered.changed) {
        (true, true) => "the fleet is started".to_owned(),
        (true, false) => "the fleet was started already".to_owned(),
        (false, true) => "the fleet is stopped: what is on its way finishes, nothing new starts".to_owned(),
        (false, false) => "the fleet was stopped already".to_owned(),
    };
    if let Some(why) = &ordered.silent {
        text.push_str(&format!("\nRedis does not pass it on ({why}): workers obey at their next heartbeat"));
    }
    text
}
