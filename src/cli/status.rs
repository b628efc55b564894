//! `warmup status` shows the progress of today, from the database alone.

use std::{
    fmt::{self, Write},
    process::ExitCode,
};

use super::{
    session::{Session, count, instant, table},
    watch::{Watch, WatchView},
};
use crate::reporting::{
    FleetStatus, READ_ONLY, SlowHost, fleet_status,
    snapshot::{SnapshotCache, is_read_only},
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    watch: Watch,
}

pub(super) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let session = Session::open().await?;
    let census = SnapshotCache::for_commands(session.pool.clone(), session.settings.mailbox_cooldown_max);
    args.watch
        .show(async |now| match fleet_status(&session.pool, &census, &session.settings, now).await {
            // The database has no snapshot yet, and a read-only one can't store any.
            Err(error) if is_read_only(&error) => anyhow::bail!(READ_ONLY),
            status => Ok(status?),
        })
        .await
}

impl WatchView for FleetStatus {
    fn full_text(&self) -> anyhow::Result<String> {
        Ok(render(self)?)
    }

    fn summary_line(&self) -> String {
        let FleetStatus { today, .. } = self;
        let order = if self.running { "" } else { "stopped; " };
        format!(
            "{order}{} of {} sent, {} replied, {} failed, {} uncertain; {} complete, {} behind, {} failing; {} in flight",
            today.sent,
            today.quota,
            today.replied,
            today.failed,
            today.uncertain,
            today.complete,
            today.behind,
            today.failing,
            self.in_flight
        )
    }
}

fn render(status: &FleetStatus) -> Result<String, fmt::Error> {
    let mut text = String::new();
    let order = match (status.running, &status.ordered_by) {
        (true, _) => "may send".to_owned(),
        (false, Some(by)) => format!("stopped by {by}"),
        (false, None) => "stopped".to_owned(),
    };
    let FleetStatus { mailboxes, enabled, off, paused, disabled, today, .. } = status;
    writeln!(text, "{:10} {order}", "fleet")?;
    writeln!(
        text,
        "{:10} {mailboxes}: {enabled} enabled, {paused} paused, {disabled} disabled, {off} off",
        "mailboxes"
    )?;
    let rest = [(today.replied, "replied"), (today.failed, "failed"), (today.uncertain, "uncertain")];
    let rest: Vec<String> = rest.iter().map(|(number, what)| format!("{number} {what}")).collect();
    writeln!(text, "{:10} {} of {} sent, {}", "today", today.sent, today.quota, rest.join(", "))?;
    writeln!(
        text,
        "{:10} {} complete, {} behind, {} failing, {} in flight",
        "plan", today.complete, today.behind, today.failing, status.in_flight
    )?;
    if today.starting > 0 {
        let mailboxes = count(today.starting as usize, "mailbox", "mailboxes");
        writeln!(text, "{:10} {mailboxes} enrolled, resumed or started less than one cooldown ago", "starting")?;
    }
    if status.unverified > 0 {
        writeln!(text, "{:10} {}", "unverified", unverified(status))?;
    }
    writeln!(text, "{:10} {}", "shards", owners(status))?;
    for SlowHost { host, since } in &status.slow_hosts {
        let since = instant(*since);
        writeln!(
            text,
            "{:10} {host} has not answered in time since {since}: few mails are sent to it at once",
            "slow"
        )?;
    }
    if !status.users_at_limit.is_empty() {
        let users = status.users_at_limit.join(", ");
        writeln!(text, "{:10} daily limit reached today by {users}: their mailboxes wait for tomorrow", "limits")?;
    }
    for warning in &status.warnings {
        writeln!(text, "{:10} {warning}", "warning")?;
    }
    if !status.last_batches.is_empty() {
        write!(text, "\n{}", batches(status))?;
    }
    Ok(text)
}

/// The mailboxes that only their owner's mailboxes write to, and the commands that change that.
fn unverified(status: &FleetStatus) -> String {
    let which = match status.unverified {
        1 => "1 mailbox is not verified and exchanges mails only with its owner's mailboxes".to_owned(),
        many => format!("{many} mailboxes are not verified and exchange mails only with their owners' mailboxes"),
    };
    let mut examples = status.unverified_examples.join(", ");
    let more = status.unverified - status.unverified_examples.len() as i64;
    if more > 0 {
        examples += &format!(" and {more} more");
    }
    format!(
        "{which}: {examples}. To verify: `warmup mailbox verify ADDRESS`, or `warmup domain verify DOMAIN --user ADDRESS`"
    )
}

fn owners(status: &FleetStatus) -> String {
    let owner = |worker: &Option<String>| worker.clone().unwrap_or_else(|| "nobody".to_owned());
    let owners: Vec<String> = status
        .shards
        .iter()
        .map(|shards| format!("{} of {}", count(shards.shards as usize, "shard", "shards"), owner(&shards.worker_id)))
        .collect();
    if owners.is_empty() { "none: run `warmup migrate`".to_owned() } else { owners.join(", ") }
}

fn batches(status: &FleetStatus) -> String {
    let headings = ["BATCH", "STARTED", "WORKER", "MAILS", "SENT", "FAILED", "UNCERTAIN", "RELEASED", "TOOK"];
    let mut table = table(&headings, &[0, 3, 4, 5, 6, 7, 8]);
    for batch in &status.last_batches {
        let took = batch.finished_at.map(|finished| (finished - batch.started_at).num_milliseconds());
        let numbers = [batch.processed, batch.sent, batch.failed, batch.uncertain, batch.released];
        let mut row = vec![batch.id.to_string(), instant(batch.started_at), batch.worker_id.clone()];
        row.extend(numbers.iter().map(ToString::to_string));
        row.push(took.map_or_else(|| "running".to_owned(), |millis| format!("{millis} ms")));
        table.add_row(row);
    }
    table.trim_fmt()
}
