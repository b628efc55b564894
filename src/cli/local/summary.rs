//! This module prints the summary that `warmup local` shows after its start.

use std::fmt::Write;

use chrono::{DateTime, Utc};

use crate::{app::local::Local, cli::session::instant, local::data_dir::FoundKey, reporting::FleetStatus};

/// Where the data is, who is enrolled, when the first mail goes, how to look, how to stop.
pub(super) fn render(
    local: &Local,
    status: &FleetStatus,
    next: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
    is_usual: bool,
) -> String {
    let folder = local.folder().display().to_string();
    let mut text = String::new();
    let mut line = |name: &str, words: String| {
        writeln!(text, "{name:10} {words}").expect("a string takes all that is written");
    };
    line("data", format!("{folder} (kept: the next start goes on from there)"));
    if let Some(words) = local.key().and_then(key) {
        line("key", words);
    }
    line("mailboxes", mailboxes(status));
    line("next mail", first_mail(status, next, now));
    status.warnings.iter().for_each(|warning| line("warning", warning.clone()));
    let given = if is_usual { String::new() } else { format!("WARMUP_DATA_DIR='{folder}' ") };
    line("look", format!("{given}warmup status, in another terminal; so all other commands"));
    line("stop", "Ctrl-C, or SIGTERM".to_owned());
    text
}

/// The same with where to watch it: last, because its address is known last.
pub(super) fn with_dashboard(told: &str, address: &str) -> String {
    format!("{told}{:10} {address}\n", "dashboard")
}

/// Said once, when it was made: nobody reads what stands there every day.
fn key(found: &FoundKey) -> Option<String> {
    let words =
        || format!("{} was made: keep a copy, without it no stored password can be opened", found.path.display());
    found.made.then(words)
}

fn mailboxes(status: &FleetStatus) -> String {
    let FleetStatus { mailboxes, enabled, paused, disabled, off, .. } = status;
    match mailboxes {
        0 => "none yet: `warmup mailbox import FILE.csv`, in another terminal".to_owned(),
        _ => format!("{mailboxes}: {enabled} enabled, {paused} paused, {disabled} disabled, {off} off"),
    }
}

fn first_mail(status: &FleetStatus, next: Option<DateTime<Utc>>, now: DateTime<Utc>) -> String {
    match next {
        Some(at) if at <= now => "now".to_owned(),
        Some(at) => instant(at),
        None if status.mailboxes == 0 => "none".to_owned(),
        None => "none, as things are: `warmup mailbox show ADDRESS` says why".to_owned(),
    }
}
