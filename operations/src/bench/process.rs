//! What a process has cost, as Linux counts it.

use std::fs;
use std::time::Duration;

/// Unit of CPU times under `/proc`: the kernel's `USER_HZ`, 100 on every architecture this is built for.
const TICK: Duration = Duration::from_millis(10);

/// What a process has cost so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    /// CPU of all its threads, in user and kernel mode.
    pub(super) cpu: Duration,
    /// Most memory it had resident at once, KiB.
    pub(super) peak_kib: u64,
}

/// Looks at process `pid`; `None` where there is no `/proc`, or no such process.
pub(super) fn usage(pid: u32) -> Option<Usage> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Usage {
        cpu: cpu(&stat)?,
        peak_kib: peak(&status)?,
    })
}

/// Fields 14 and 15; the second one, the program's name, may hold anything, and ends at the last parenthesis.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    let mut times = behind_name.split_whitespace().skip(11).map(str::parse::<u32>);
    Some(TICK * (times.next()?.ok()? + times.next()?.ok()?))
}

fn peak(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_program_is_called() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 9 0 1 2 3";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
        assert_eq!(cpu("42 (cut) S 1"), None);
    }

    #[test]
    fn the_peak_is_read() {
        assert_eq!(peak("Name:\tx\nVmPeak:\t  900 kB\nVmHWM:\t   123 kB\n"), Some(123));
        assert_eq!(peak("Name:\tx\n"), None);
    }
}
