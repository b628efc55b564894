//! `warmup status`: how today is going, from the database alone.

use std::process::ExitCode;

use comfy_table::{Table, presets};
use serde::Serialize;

use super::context;
use crate::{
    adapters::postgres::view::{self, BatchLine, FleetToday, ShardOwner},
    app::{partners, world},
};

const BATCHES: i64 = 5;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(flatten)]
    fleet: FleetToday,
    shards: Vec<ShardOwner>,
    batches: Vec<BatchLine>,
    warnings: Vec<String>,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let settings = context::settings()?;
    let database = world::database(&settings).await?;
    let status = Status {
        fleet: view::fleet(&database, context::now()).await?,
        shards: view::shard_owners(&database).await?,
        batches: view::last_batches(&database, BATCHES).await?,
        warnings: partners::warnings(&database).await?,
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&status)?)
    } else {
        print(&status)
    }
    Ok(ExitCode::SUCCESS)
}

fn print(status: &Status) {
    let fleet = &status.fleet;
    for warning in &status.warnings {
        println!("warning: {warning}");
    }
    println!("fleet      {}", if fleet.running { "running" } else { "stopped by order" });
    println!("mailboxes  {} enrolled, {} enabled, {} of them stopped", fleet.mailboxes, fleet.enabled, fleet.stopped);
    println!(
        "today      {} of {} sent, {} replied, {} failed, {} uncertain, {} on their way",
        fleet.sent, fleet.quota, fleet.replied, fleet.failed, fleet.uncertain, fleet.in_flight
    );
    println!("quota      {} of {} mailboxes complete", fleet.complete, fleet.owing);
    for owner in &status.shards {
        println!("shards     {} last owned by {}", owner.shards, owner.worker.as_deref().unwrap_or("nobody yet"));
    }
    if !status.batches.is_empty() {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header(["batch", "worker", "started", "mails", "sent", "failed", "uncertain"]);
        for batch in &status.batches {
            let counts = [batch.processed, batch.sent, batch.failed, batch.uncertain].map(|count| count.to_string());
            let mut row = vec![batch.id.to_string(), batch.worker_id.clone(), batch.started_at.to_rfc3339()];
            row.extend(counts);
            table.add_row(row);
        }
        println!("\n{table}");
    }
}
