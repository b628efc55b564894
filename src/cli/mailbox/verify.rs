//! `warmup mailbox verify ADDRESS [--code CODE]` sends a code to a mailbox, or verifies the mailbox by its code.

use std::{process::ExitCode, sync::Arc};

use anyhow::Context;

use crate::{
    adapters::{from_settings, postgres::keyring, seal::Sealer, smtp::SmtpMailer, system::SystemClock},
    admin::verification::{CodeServices, SentCode, enter_code, send_code},
    cli::session::{Session, instant, print, print_json},
    ports::Clock,
    reporting::sql::{self, Selection},
};

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// Its address, in any case.
    address: String,
    /// The code that the mailbox received; without it a code is sent.
    #[arg(long)]
    code: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let session = Session::open().await?;
    let mailbox = sql::mailbox_id(&session.pool, Selection::Email(args.address.trim())).await?;
    let mailbox =
        mailbox.with_context(|| format!("there is no mailbox {}: `warmup mailbox list` shows all", args.address))?;
    if let Some(code) = args.code {
        let verified = enter_code(&session.pool, mailbox, None, &code.into(), session.now).await?;
        let line = format!("verified: {} receives from other owners", verified.email);
        if args.json {
            print_json(&verified)?
        } else {
            print(&line)?
        }
        return Ok(ExitCode::SUCCESS);
    }
    let settings = &session.settings;
    let sealer = Sealer::new(settings.require_master_key()?.expose());
    keyring::check(&session.pool, &sealer).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::real());
    let mailer = SmtpMailer::new(from_settings::smtp(settings), Arc::new(sealer), Arc::clone(&clock))?;
    let caps = from_settings::limited_caps(settings, from_settings::redis(settings, 1)?, &clock)?;
    let (pool, cooldown) = (&session.pool, settings.mailbox_cooldown_min);
    let services = CodeServices { pool, mailer: &mailer, caps: &caps, clock: &*clock, cooldown };
    let sent = send_code(services, mailbox, None).await?;
    if args.json {
        print_json(&sent)?
    } else {
        print(&line(&sent))?
    }
    Ok(ExitCode::SUCCESS)
}

fn line(sent: &SentCode) -> String {
    let SentCode { email, outcome, expires_at, attempts } = sent;
    let what = match *outcome {
        "sent" => format!("a code was sent to {email}"),
        _ => format!("a code may have been sent to {email}, its mail host did not answer"),
    };
    format!(
        "{what}. Enter it before {} with `warmup mailbox verify {email} --code CODE`; {attempts} wrong codes make it void",
        instant(*expires_at)
    )
}
