//! `warmup fleet` gives orders to all workers at once.

use std::{process::ExitCode, sync::Arc};

use clap::Subcommand;

use super::{
    confirm::confirm,
    session::{Session, print, print_json},
};
use crate::{
    adapters::{postgres::Fenced, system::SystemClock},
    admin::fleet_orders::{FleetOrders, OrderResult},
    reporting::sql,
};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the standing order, the workers and their shards.
    Status(super::status::Args),
    /// Let the fleet send.
    Start(StartArgs),
    /// Stop the fleet: what is on its way finishes, nothing new starts until `fleet start`.
    Stop(Args),
    /// After the database was restored, or lost commits: stop the fleet, close today for every mailbox in its own zone, and
    /// settle mails in flight as uncertain. Then `fleet start --after-restore` lets it send again, from tomorrow on.
    Fence(FenceArgs),
    /// Let all workers plan now, without waiting for the next tick.
    Trigger,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct StartArgs {
    /// The database was restored or has lost commits, and `fleet fence` has closed today.
    #[arg(long)]
    after_restore: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct FenceArgs {
    /// Do not ask.
    #[arg(long, short)]
    yes: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

const FENCE: &str = "Close today for every mailbox? No mailbox sends before tomorrow in its own zone, mails in flight \
                     become uncertain, and replies that wait lapse.";

/// Who gives an order of this command line.
const BY: &str = "the command line";

pub(super) async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Status(args) => return super::status::run(args).await,
        Command::Start(args) if args.after_restore => start_after_restore(args.json).await?,
        Command::Start(args) => order(true, args.json).await?,
        Command::Fence(args) => return fence(&args).await,
        Command::Stop(args) => order(false, args.json).await?,
        Command::Trigger => {
            control(&Session::open().await?)?.trigger().await?;
            print("all workers plan now")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn control(session: &Session) -> anyhow::Result<FleetOrders> {
    FleetOrders::new(&session.settings, session.pool.clone(), Arc::new(SystemClock::real()))
}

async fn order(running: bool, json: bool) -> anyhow::Result<()> {
    let session = Session::open().await?;
    let ordered = control(&session)?.order(running, BY, session.now).await?;
    show(&ordered, json)
}

async fn start_after_restore(json: bool) -> anyhow::Result<()> {
    let session = Session::open().await?;
    let ordered = control(&session)?.start_after_restore(BY, sql::server_time(&session.pool).await?).await?;
    show(&ordered, json)
}

async fn fence(args: &FenceArgs) -> anyhow::Result<ExitCode> {
    let session = Session::open().await?;
    if !args.yes && !confirm(FENCE)? {
        print("nothing was done")?;
        return Ok(ExitCode::FAILURE);
    }
    // The workers' days follow the server's clock, not that of the operator's machine. It is read after the
    // confirmation, which may take a night.
    let fenced = control(&session)?.fence(BY, sql::server_time(&session.pool).await?).await?;
    if args.json {
        print_json(&fenced)?;
    } else {
        let Fenced { uncertain, closed, lapsed } = fenced;
        print(&format!(
            "the fleet is stopped and fenced: today is closed for {closed} mailboxes, {uncertain} mails in flight are \
             uncertain, {lapsed} replies lapsed\nto let it send again, from tomorrow on: `warmup fleet start --after-restore`"
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(ordered: &OrderResult, json: bool) -> anyhow::Result<()> {
    if json { print_json(ordered) } else { Ok(print(&render(ordered))?) }
}

fn render(ordered: &OrderResult) -> String {
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
