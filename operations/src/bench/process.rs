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
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Usage {
        cpu: times(&stat(pid)?)?[0],
        peak_kib: peak(&status)?,
    })
}

/// CPU of a process, of its children, and of those of its children that have ended; `None` where it cannot be seen.
pub(super) fn family(pid: u32) -> Option<Duration> {
    let [own, ended] = times(&stat(pid)?)?;
    let children = fs::read_dir("/proc").ok()?.filter_map(|entry| {
        let child = stat(entry.ok()?.file_name().to_str()?.parse().ok()?)?;
        let is_child = parent_in(&child)? == pid;
        let [cpu, _] = times(&child)?;
        is_child.then_some(cpu)
    });
    Some(own + ended + children.sum::<Duration>())
}

/// The process that started process `pid`.
pub(super) fn parent(pid: u32) -> Option<u32> {
    parent_in(&stat(pid)?)
}

fn stat(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/stat")).ok()
}

/// The fields from the third on. The second one, the program's name, may hold anything, and ends at the last parenthesis.
fn fields(stat: &str) -> Option<std::str::SplitWhitespace<'_>> {
    let (_, behind_name) = stat.rsplit_once(')')?;
    Some(behind_name.split_whitespace())
}

fn parent_in(stat: &str) -> Option<u32> {
    fields(stat)?.nth(1)?.parse().ok()
}

/// Fields 14 to 17: CPU of the process, and of its children that were waited for.
fn times(stat: &str) -> Option<[Duration; 2]> {
    let mut ticks = fields(stat)?.skip(11).map(str::parse::<u32>);
    let mut next = || Some(TICK * (ticks.next()?.ok()? + ticks.next()?.ok()?));
    Some([next()?, next()?])
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
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 70 30 20 0 9 0 1 2 3";
        assert_eq!(times(stat), Some([2, 1].map(Duration::from_secs)));
        assert_eq!(parent_in(stat), Some(1));
        assert_eq!(times("42 (cut) S 1"), None);
    }

    #[test]
    fn a_family_is_a_process_and_its_children() {
        let mut child = std::process::Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .spawn()
            .expect("a shell");
        let this = std::process::id();
        assert_eq!(parent(child.id()), Some(this));
        let until = std::time::Instant::now() + Duration::from_secs(20);
        let work = || usage(child.id()).map(|usage| usage.cpu).unwrap_or_default();
        while work() < TICK * 5 && std::time::Instant::now() < until {
            std::thread::yield_now();
        }
        let part = work();
        let whole = family(this).unwrap_or_default();
        child.kill().and_then(|()| child.wait()).expect("it ends");
        assert!(part >= TICK * 5 && whole >= part, "{whole:?} of all, {part:?} of one");
    }

    #[test]
    fn the_peak_is_read() {
        assert_eq!(peak("Name:\tx\nVmPeak:\t  900 kB\nVmHWM:\t   123 kB\n"), Some(123));
        assert_eq!(peak("Name:\tx\n"), None);
    }
}
