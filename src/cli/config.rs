use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    Placeholder,
}

pub(super) async fn run(_command: Command) -> anyhow::Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
