//! `ProcessUsage` measures the CPU time of this process, and its memory where the system reports it (Linux:
//! `/proc/self`).

use std::{fs, time::Duration};

use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

/// The resident memory of this process, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Memory {
    /// The memory before the worker began.
    pub before_bytes: u64,
    /// The peak since then.
    pub peak_bytes: u64,
}

/// The CPU time and memory of this process when the measurement began.
pub(super) struct ProcessUsage {
    cpu: Duration,
    resident: Option<u64>,
}

impl ProcessUsage {
    pub(super) fn from_here() -> ProcessUsage {
        // Resets the peak, so that `VmHWM` covers only the measurement (proc(5), clear_refs). If that file can't
        // be written, the peak is the peak of the process's whole life.
        let _ = fs::write("/proc/self/clear_refs", "5");
        ProcessUsage { cpu: cpu(), resident: status("VmRSS:") }
    }

    pub(super) fn so_far(&self) -> (Duration, Option<Memory>) {
        let memory = self.resident.zip(status("VmHWM:"));
        let memory = memory.map(|(before_bytes, peak_bytes)| Memory { before_bytes, peak_bytes });
        (cpu().saturating_sub(self.cpu), memory)
    }
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Returns the value of a line of `/proc/self/status`, in bytes.
fn status(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn work_is_seen_in_time_and_memory() {
        let spent = ProcessUsage::from_here();
        let filled = vec![1u8; 64 << 20];
        let sum: u64 = filled.iter().map(|byte| u64::from(*byte)).sum();
        let (cpu, memory) = spent.so_far();
        let memory = memory.unwrap();
        assert_eq!(sum, 64 << 20);
        assert!(cpu > Duration::ZERO && memory.peak_bytes >= memory.before_bytes + (60 << 20), "{cpu:?} {memory:?}");
    }
}
