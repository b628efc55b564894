//! This module offers to raise caps that cannot carry the enrolled mailboxes, on a terminal, before the worker
//! starts.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::{
    app::local::Local,
    cli::confirm,
    config::{Settings, Warning, environment},
    local::data_dir::{save_settings, settings_file, with_saved},
    reporting::capacity::shortfalls,
};

/// The time that an answer may take. Nothing is sent meanwhile, so a terminal that nobody watches must not hold up the
/// start.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks whether the suggested lines are saved in the data folder, and uses them from now on if the answer is yes. Without
/// a terminal nothing is asked and nothing changes.
pub(super) async fn offer(local: &mut Local, stop: &CancellationToken) -> anyhow::Result<()> {
    if !confirm::is_possible() {
        return Ok(());
    }
    let short = shortfalls(local.database(), local.settings(), None).await?;
    let set_already = environment();
    let lines: Vec<String> =
        short.iter().filter(|warning| !set_already.contains_key(warning.name)).filter_map(Warning::line).collect();
    if lines.is_empty() {
        return Ok(());
    }
    short.iter().for_each(|warning| eprintln!("warning: {warning}"));
    let file = settings_file(local.folder());
    let question = format!("Save {} in {} and use it from now on?", lines.join(" and "), file.display());
    let answer = stop.run_until_cancelled(tokio::time::timeout(PATIENCE, confirm::on_terminal(question))).await;
    match answer {
        Some(Ok(true)) => {}
        Some(Err(_)) => {
            eprintln!("\nNo answer within {} s: starting with the present limits.", PATIENCE.as_secs());
            return Ok(());
        }
        _ => return Ok(()),
    }
    save_settings(local.folder(), &lines)?;
    let (settings, _) = Settings::with_files(&with_saved(local.folder(), set_already)?)?;
    local.adopt(settings);
    Ok(())
}
