//! What the figures were seen on, and what a process has used there (Linux: proc(5)).

use std::{fs, process::Command, time::Duration};

/// Ticks of a second in `/proc/*/stat`; USER_HZ is 100 wherever Linux runs.
const TICKS: f64 = 100.0;

/// Processor, memory, kernel, load, and the versions of all that takes part.
pub fn described() -> String {
    let of = |file: &str, name: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.trim_start_matches([':', '\t', ' ', '=']).trim_matches('"').to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let mut text = format!(
        "{cores} cores of {}, {}; {}, Linux {}; load {}\n",
        of("/proc/cpuinfo", "model name"),
        of("/proc/meminfo", "MemTotal"),
        of("/etc/os-release", "PRETTY_NAME"),
        fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim(),
        load.split_whitespace().take(3).collect::<Vec<_>>().join(" "),
    );
    let programs: [(&str, &[&str]); 5] = [
        (super::BINARY, &["--version"]),
        ("rustc", &["--version"]),
        ("redis-server", &["--version"]),
        ("postconf", &["mail_version"]),
        ("psql", &["--version"]),
    ];
    for (program, arguments) in programs {
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let said = Command::new(program).args(arguments).env("PATH", path).output().map(|output| output.stdout);
        text.push_str(String::from_utf8_lossy(&said.unwrap_or_default()).lines().next().unwrap_or_default());
        text.push_str("; ");
    }
    text.trim_end_matches("; ").to_owned()
}

/// CPU time of a process, user and system, to a hundredth of a second.
pub fn cpu_of(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The second field is a name in parentheses and may hold anything.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11..13].iter().map(|ticks| ticks.parse::<f64>().unwrap()).sum();
    Duration::from_secs_f64(ticks / TICKS)
}

/// A line of the `status` of a process, in MiB: `VmRSS` or `VmHWM`.
pub fn memory(pid: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}
