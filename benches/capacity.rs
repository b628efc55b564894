//! What the settings in `deploy/env` carry, by `warmup simulate`: `make capacity`. Fails where a day is not filled in time.
//!
//! A case is a fleet and what it must do: so many mails by 17:00, or so many in its busiest hour.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::ensure;
use warmup::{
    app::simulate::{HourOf, Progress, Report, SimulationInput, simulate},
    config::{Settings, env_file},
};

struct Case {
    mailboxes: u32,
    workers: u32,
    settings: &'static str,
    asked: Asked,
}

enum Asked {
    Day(u64),
    Hour(u64),
}

const fn case(mailboxes: u32, workers: u32, settings: &'static str, asked: Asked) -> Case {
    Case { mailboxes, workers, settings, asked }
}

const CASES: [Case; 8] = [
    case(48, 1, "small", Asked::Day(1_440)),
    case(100, 1, "small", Asked::Day(3_000)),
    case(1_000, 1, "small", Asked::Day(30_000)),
    case(10_000, 3, "medium", Asked::Day(300_000)),
    case(100_000, 10, "large", Asked::Day(3_000_000)),
    case(400, 1, "small", Asked::Hour(1_500)),
    case(4_000, 3, "medium", Asked::Hour(15_000)),
    case(13_000, 10, "large", Asked::Hour(50_000)),
];

fn main() -> anyhow::Result<ExitCode> {
    let mut missed = 0;
    for name in ["small", "medium", "large"] {
        println!("deploy/env/{name}.env");
        settings(name)?
            .overrides()
            .iter()
            .for_each(|set| println!("  {}={} (default {})", set.name, set.value, set.default));
    }
    println!(
        "\n{:>9} {:>7} {:<8} {:>9} {:>9} {:>13}  {:<10} {:>6}",
        "MAILBOXES", "WORKERS", "SETTINGS", "SENT", "COMPLETED", "BUSIEST HOUR", "BOTTLENECK", "TOOK"
    );
    for case in &CASES {
        let (report, took) = run(case)?;
        let verdict = if does(case, &report) { "" } else { "  MISSED" };
        missed += usize::from(!verdict.is_empty());
        let completed = report.completed_at.map_or("never".to_owned(), |at| at.format("%H:%M:%S").to_string());
        let Report { sent, bottleneck, .. } = &report;
        println!(
            "{:>9} {:>7} {:<8} {sent:>9} {completed:>9} {:>13}  {bottleneck:<10} {took:>5.1}s{verdict}",
            case.mailboxes,
            case.workers,
            case.settings,
            busiest(&report).sent,
        );
    }
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::disallowed_methods, reason = "a bench measures")]
fn run(case: &Case) -> anyhow::Result<(Report, f64)> {
    let began = std::time::Instant::now();
    let question = SimulationInput {
        mailboxes: case.mailboxes,
        workers: case.workers,
        days: 1,
        seed: 1,
        users: case.mailboxes.div_ceil(100),
        largest_user: None,
        latency: Duration::from_millis(500),
    };
    let report = simulate(&settings(case.settings)?, &question, &Progress::default())?;
    ensure!(report.failed == 0, "{} mails failed on hosts that take everything", report.failed);
    Ok((report, began.elapsed().as_secs_f64()))
}

fn settings(name: &str) -> anyhow::Result<Settings> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("deploy/env/{name}.env"));
    Ok(Settings::from_vars(&env_file(&file)?)?.0)
}

fn does(case: &Case, report: &Report) -> bool {
    match case.asked {
        Asked::Day(mails) => report.sent == mails && report.bottleneck == "none",
        Asked::Hour(mails) => busiest(report).sent >= mails,
    }
}

fn busiest(report: &Report) -> HourOf {
    report.hours.iter().copied().max_by_key(|hour| hour.sent).expect("a day has hours")
}
