//! Layer 7: the command line. Exit 0 done, 1 failed, 2 usage (clap), 64 bad configuration.

mod bench;
mod config;
mod confirm;
mod dashboard;
mod demo;
mod domain;
mod events;
mod fleet;
mod healthcheck;
mod import;
mod keys;
mod local;
mod local_fleet;
mod logs;
mod mailbox;
mod migrate;
mod pause;
mod progress;
mod run;
mod secret;
mod session;
mod simulate;
mod sink;
mod status;
mod stop;
mod template;
mod token;
mod user;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Warms up e-mail mailboxes: each day, each mailbox its quota.
#[derive(Debug, Parser)]
#[command(name = "warmup", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a worker until SIGTERM or Ctrl-C.
    Run(run::Args),
    /// Run a worker with a Postgres and a Redis of its own, kept in a data folder, until SIGTERM or Ctrl-C.
    Local(local::Args),
    /// Send a whole day for 48 mailboxes through the real path in about a minute, and prove the sums.
    Demo(demo::Args),
    /// Bring the database to this release.
    Migrate(migrate::Args),
    /// Move in from another system.
    #[command(subcommand)]
    Import(import::Command),
    /// Enrol, change, test and look at mailboxes.
    #[command(subcommand)]
    Mailbox(mailbox::Command),
    /// The owners of mailboxes: their roles and daily limits.
    #[command(subcommand)]
    User(user::Command),
    /// The tokens with which users speak to the API.
    #[command(subcommand)]
    Token(token::Command),
    /// The domains that are confirmed to belong to a user.
    #[command(subcommand)]
    Domain(domain::Command),
    /// The pauses of mail hosts and domains: which stand, and how to end one.
    #[command(subcommand)]
    Pause(pause::Command),
    /// Show what happened to mailboxes, users and hosts, the newest last.
    Events(events::Args),
    /// Rotate the master key.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Write with your own texts instead of the built-in ones.
    #[command(subcommand)]
    Template(template::Command),
    /// Give orders to the whole fleet.
    #[command(subcommand)]
    Fleet(fleet::Command),
    /// Show how today is going.
    Status(status::Args),
    /// Ask the worker of this machine whether it is alive; for container runtimes.
    Healthcheck(healthcheck::Args),
    /// List what became of the mails; repair an older system's log.
    #[command(subcommand)]
    Logs(logs::Command),
    /// Check, show and document the settings.
    #[command(subcommand)]
    Config(config::Command),
    /// Plan capacity: let the worker live through days of a fleet that is only imagined, in a moment.
    Simulate(simulate::Args),
    /// Measure what this machine, these servers and a mail host can do together.
    #[command(subcommand)]
    Bench(bench::Command),
    /// Run several workers with a Postgres, a Redis and a mail host of their own, until SIGTERM or Ctrl-C: `make fleet`.
    #[command(hide = true)]
    LocalFleet(local_fleet::Args),
    /// A small SMTP server that journals what it accepts, for the demo and for tests.
    #[command(hide = true)]
    Sink(sink::Args),
}

/// The exit status for a bad configuration (sysexits.h `EX_USAGE`).
const BAD_CONFIGURATION: u8 = 64;

/// Parses the command line, runs the command and returns its exit status.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: the async runtime does not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(async {
        match cli.command {
            Command::Run(args) => run::run(args).await,
            Command::Local(args) => local::run(args).await,
            Command::Demo(args) => demo::run(args).await,
            Command::Migrate(args) => migrate::run(args).await,
            Command::Import(command) => import::run(command).await,
            Command::Mailbox(command) => mailbox::run(command).await,
            Command::User(command) => user::run(command).await,
            Command::Token(command) => token::run(command).await,
            Command::Domain(command) => domain::run(command).await,
            Command::Pause(command) => pause::run(command).await,
            Command::Events(args) => events::run(args).await,
            Command::Keys(command) => keys::run(command).await,
            Command::Template(command) => template::run(command).await,
            Command::Fleet(command) => fleet::run(command).await,
            Command::Status(args) => status::run(args).await,
            Command::Healthcheck(args) => healthcheck::run(args).await,
            Command::Logs(command) => logs::run(command).await,
            Command::Config(command) => config::run(command).await,
            Command::Simulate(args) => simulate::run(args).await,
            Command::Bench(command) => bench::run(command).await,
            Command::LocalFleet(args) => local_fleet::run(args).await,
            Command::Sink(args) => sink::run(args).await,
        }
    });
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            let bad_configuration =
                error.is::<crate::config::SettingErrors>() || error.is::<crate::observe::telemetry::TelemetryError>();
            if bad_configuration { ExitCode::from(BAD_CONFIGURATION) } else { ExitCode::FAILURE }
        }
    }
}
