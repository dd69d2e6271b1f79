//! Describes the machine that a benchmark ran on, in a few words.

use std::process::Command;

/// Cores, processor, memory, kernel and system, as one line. What cannot be found out reads unknown.
pub fn described() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let cpu = field("/proc/cpuinfo", "model name")
        .unwrap_or_else(|| said("sysctl", &["-n", "machdep.cpu.brand_string"]));
    let memory = field("/proc/meminfo", "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .map_or_else(|| "unknown memory".to_owned(), |kib| format!("{} GB memory", kib.div_ceil(1_048_576)));
    let system = std::fs::read_to_string("/etc/os-release")
        .ok()
        .and_then(|text| {
            let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
            Some(name.trim_matches('"').to_owned())
        })
        .unwrap_or_else(|| said("uname", &["-o"]));
    format!(
        "{cores} cores of {cpu}, {memory}, {} {}, {system}",
        said("uname", &["-s"]),
        said("uname", &["-r"])
    )
}

/// Today, as the machine's clock has it, in UTC.
pub fn today() -> String {
    said("date", &["-u", "+%Y-%m-%d"])
}

/// The value of the first `NAME : VALUE` line of a file.
fn field(path: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().ok().filter(|output| output.status.success());
    output.map_or_else(
        || "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
