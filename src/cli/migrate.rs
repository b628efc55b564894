//! `warmup migrate` migrates the database to this release.

use std::process::ExitCode;

use super::session::{Session, count, print, print_json};
use crate::{
    adapters::postgres::migrate::{Migrated, migrate},
    admin::reshard_check,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let session = Session::connect().await?;
    let shards = session.settings.shards;
    if let Some(unseen) = reshard_check::nobody_works(&session.settings, &session.pool).await? {
        eprintln!("warning: {unseen}");
    }
    let migrated = migrate(&session.pool, shards, session.now).await?;
    if args.json {
        print_json(&migrated)?;
    } else {
        print(&render(&migrated, shards))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn render(migrated: &Migrated, shards: u16) -> String {
    let Migrated { version, applied, partitions, indexes, shards_before, moved } = migrated;
    let mut text = format!(
        "the database is at migration {version}: {} applied now, {} made, {} built\n",
        count(*applied, "migration", "migrations"),
        count(*partitions as usize, "log partition", "log partitions"),
        count(*indexes, "index", "indexes")
    );
    if let Some(before) = shards_before {
        let moved = count(*moved, "mailbox", "mailboxes");
        text.push_str(&format!(
            "{shards} shards instead of {before}: {moved} moved; start all workers with WARMUP_SHARDS={shards}\n"
        ));
    }
    text
}
