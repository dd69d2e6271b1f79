//! Reads a process's memory from `/proc/PID/status` and its processor time from `/proc/PID/stat`.

use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::process::Process;

/// Resident memory in bytes, shared pages included.
pub fn resident_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS line")?;
    let kib: u64 = line.split_whitespace().next().context("an empty VmRSS line")?.parse()?;
    Ok(kib * 1024)
}

/// Processor time used so far, user and system.
pub fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold spaces; utime and stime are the 12th and 13th fields after it.
    let after = stat.rsplit_once(')').context("no name in stat")?.1;
    let fields: Vec<&str> = after.split_whitespace().collect();
    let ticks =
        |at: usize| -> anyhow::Result<u64> { Ok(fields.get(at).context("a short stat line")?.parse()?) };
    // USER_HZ is 100 on every Linux architecture that we build for.
    Ok(Duration::from_millis((ticks(11)? + ticks(12)?) * 10))
}

/// Share of one core, in percent, over `window`.
pub fn processor_percent(pid: u32, window: Duration) -> anyhow::Result<f64> {
    let (before, begun) = (processor_time(pid)?, Instant::now());
    std::thread::sleep(window);
    let used = processor_time(pid)?.saturating_sub(before);
    Ok(used.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0)
}

/// node_exporter on a loopback port, to be measured in the same minutes; `None` where it is not installed.
pub fn node_exporter(dir: &std::path::Path, port: u16) -> anyhow::Result<Option<Process>> {
    let names = ["prometheus-node-exporter", "node_exporter"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).flat_map(|d| names.map(|n| d.join(n))).find(|p| p.is_file());
    let Some(program) = found else { return Ok(None) };
    let mut command = std::process::Command::new(program);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    Ok(Some(Process::start("node_exporter", command, dir)?))
}
