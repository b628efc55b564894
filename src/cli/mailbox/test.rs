//! `warmup mailbox test` tests the login of mailboxes.

use std::{fmt::Write, process::ExitCode, sync::Arc};

use super::selector::Selector;
use crate::{
    adapters::{from_settings, postgres::keyring, seal::Sealer, smtp::SmtpMailer, system::SystemClock},
    admin::mailbox_test::{MailboxTestReport, candidates, check},
    cli::{
        progress::Bar,
        session::{Session, count, print, print_json},
    },
};

/// Mailboxes whose steps are all shown; of more only those that failed.
const SHOWN_WHOLE: usize = 20;
/// A server's words beside a step.
const EXCERPT_CHARS: usize = 60;

#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    selector: Selector,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(in crate::cli) async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let session = Session::open().await?;
    let sealer = Sealer::new(session.settings.require_master_key()?.expose());
    // The key is checked first, because a wrong key would make every mailbox fail.
    keyring::check(&session.pool, &sealer).await?;
    let candidates = candidates(&session.pool, &args.selector.filter()).await?;
    let mailer =
        SmtpMailer::new(from_settings::smtp(&session.settings), Arc::new(sealer), Arc::new(SystemClock::real()))?;
    let bar = Bar::new(candidates.len(), "mailboxes");
    let checked = check(Arc::new(mailer), candidates, |done, _| bar.at(done)).await;
    bar.end();
    if args.json {
        print_json(&checked)?
    } else {
        print(&render(&checked)?)?
    }
    Ok(if checked.iter().all(|checked| checked.ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn render(checked: &[MailboxTestReport]) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let mut shown = checked.iter().filter(|one| checked.len() <= SHOWN_WHOLE || !one.ok);
    shown.try_for_each(|one| block(&mut text, one))?;
    let failed = checked.iter().filter(|one| !one.ok).count();
    let (tested, good) = (count(checked.len(), "mailbox", "mailboxes"), checked.len() - failed);
    write!(text, "{tested} tested: {good} can send, {failed} failed")?;
    Ok(text)
}

fn block(text: &mut String, checked: &MailboxTestReport) -> std::fmt::Result {
    writeln!(text, "{}  {}", checked.email, checked.smtp)?;
    let mut line = |step: &str, code: Option<u16>, ms: u64, words: &str| {
        let code = code.map_or_else(|| "   ".to_owned(), |code| code.to_string());
        let words: String = words.chars().take(EXCERPT_CHARS).collect();
        writeln!(text, "{}", format!("  {step:9} {code} {ms:6} ms  {words}").trim_end())
    };
    for step in &checked.steps {
        line(&step.step, step.code, step.ms, &step.text)?;
    }
    let Some(fault) = &checked.fault else { return writeln!(text, "  ok\n") };
    line(fault.stage, fault.code, fault.ms, "failed")?;
    let enhanced = fault.enhanced_code.iter().map(|code| format!("{code} "));
    writeln!(text, "  failed at {}: {}: {}{}", fault.stage, fault.reason, enhanced.collect::<String>(), fault.text)?;
    if let Some(advice) = &fault.advice {
        writeln!(text, "  to do: {advice}")?;
    }
    writeln!(text)
}
