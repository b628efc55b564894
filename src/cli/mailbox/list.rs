//! `warmup mailbox list`.

use std::process::ExitCode;

use comfy_table::{Table, presets};

use super::super::context;
use crate::{
    adapters::postgres::view::{self, MailboxLine},
    app::world,
};

pub(super) async fn run(json: bool) -> anyhow::Result<ExitCode> {
    let settings = context::settings()?;
    let database = world::database(&settings).await?;
    let mailboxes = view::mailboxes(&database, context::now(), None).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&mailboxes)?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["id", "email", "user", "host", "state", "quota", "sent", "left", "failed", "uncertain"]);
    for mailbox in &mailboxes {
        table.add_row([
            mailbox.id.to_string(),
            mailbox.email.clone(),
            mailbox.user_email.clone(),
            format!("{}:{}", mailbox.smtp_host, mailbox.smtp_port),
            state(mailbox),
            mailbox.quota.to_string(),
            mailbox.sent.to_string(),
            (mailbox.quota - i32::from(mailbox.reserved)).max(0).to_string(),
            mailbox.failed.to_string(),
            mailbox.uncertain.to_string(),
        ]);
    }
    println!("{table}\n{} mailboxes", mailboxes.len());
    Ok(ExitCode::SUCCESS)
}

/// The state in a word or two, with its reason.
pub(super) fn state(mailbox: &MailboxLine) -> String {
    let sending = match (&mailbox.reason, mailbox.enabled) {
        (_, false) => "not enabled".to_owned(),
        (Some(reason), _) if mailbox.state != "active" => format!("{} ({reason})", mailbox.state),
        _ => mailbox.state.clone(),
    };
    match &mailbox.receive_reason {
        Some(reason) if !mailbox.receives => format!("{sending}, not written to ({reason})"),
        _ => sending,
    }
}
