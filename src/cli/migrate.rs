//! `warmup migrate`: brings the database to this release.

use std::process::ExitCode;

use super::context;
use crate::{adapters::postgres::migrate, app::world};

#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) async fn run(_args: Args) -> anyhow::Result<ExitCode> {
    let settings = context::settings()?;
    let database = world::database(&settings).await?;
    let done = migrate::migrate(&database, settings.shards, context::now()).await?;
    println!("the database is at migration {} ({} applied now)", done.version, done.applied);
    if let Some(before) = done.shards_before {
        println!("{before} shards became {}: {} mailboxes moved", settings.shards, done.moved);
    }
    println!("{} log partitions made", done.partitions);
    Ok(ExitCode::SUCCESS)
}
