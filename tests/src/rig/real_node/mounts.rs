//! What a node finds in its namespaces: fresh cgroup mounts, its own state directories, the kernel settings that a
//! kubelet wants, and a bridge with the node's address.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context as _;

use super::{ADDRESS, Place};

/// Settings that a kubelet writes at its start. This process may not change the machine's: files with the wanted values
/// are mounted over them.
const KERNEL: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// Directories of the machine that the node's own state is laid over.
const STATE: [&str; 4] = ["/run", "/var/lib", "/var/log", "/etc/cni"];

/// Prepares the namespaces that this process is in; files of its own go below `dir`.
///
/// # Errors
/// When a mount or an address is refused; the command is named.
pub fn prepare(dir: &Path) -> anyhow::Result<()> {
    // Before the old mounts go: which controllers there are.
    let own = fs::read_to_string("/proc/self/cgroup").context("/proc/self/cgroup")?;
    run("mount", &["--make-rprivate", "/"])?;
    run("umount", &["-l", "/sys/fs/cgroup"])?;
    run("mount", &["-t", "sysfs", "sysfs", "/sys"])?;
    run("mount", &["-t", "tmpfs", "-o", "mode=755", "tmpfs", "/sys/fs/cgroup"])?;
    for names in own.lines().filter_map(|line| line.split(':').nth(1)).filter(|names| !names.is_empty()) {
        let at = format!("/sys/fs/cgroup/{}", names.trim_start_matches("name="));
        fs::create_dir(&at).with_context(|| at.clone())?;
        let options = if names.starts_with("name=") { format!("none,{names}") } else { names.to_owned() };
        run("mount", &["-t", "cgroup", "-o", &options, "cgroup", &at])?;
    }
    for (name, value) in KERNEL {
        let file = dir.join(name.replace('/', "."));
        fs::write(&file, format!("{value}\n"))?;
        run("mount", &["--bind", &file.display().to_string(), &format!("/proc/sys/{name}")])?;
    }
    for place in STATE.into_iter().filter(|place| Path::new(place).is_dir()) {
        run("mount", &["-t", "tmpfs", "tmpfs", place])?;
    }
    for place in ["/run/netns", "/run/lock", "/var/lib/kubelet", "/var/log/containers", "/var/log/pods"] {
        fs::create_dir_all(place).with_context(|| place.to_owned())?;
    }
    run("ip", &["link", "set", "lo", "up"])?;
    run("ip", &["link", "add", "node0", "type", "bridge"])?;
    run("ip", &["address", "add", &format!("{ADDRESS}/24"), "dev", "node0"])?;
    run("ip", &["link", "set", "node0", "up"])?;
    fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("ip_forward")
}

/// Prepares what a second node has of its own beside the first: an address, and cgroups below which its kubelet has those of
/// its pods.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_second() -> anyhow::Result<()> {
    let place = Place::Second;
    run("ip", &["address", "add", &format!("{}/24", place.address()), "dev", "node0"])?;
    for hierarchy in fs::read_dir("/sys/fs/cgroup").context("/sys/fs/cgroup")? {
        let hierarchy = hierarchy?.path();
        let own = hierarchy.join(place.name());
        fs::create_dir(&own).with_context(|| own.display().to_string())?;
        // A new cpuset is empty, and nothing can join it.
        for file in ["cpuset.cpus", "cpuset.mems"] {
            let above = hierarchy.join(file);
            if above.exists() {
                let text = fs::read_to_string(&above).with_context(|| above.display().to_string())?;
                fs::write(own.join(file), text).with_context(|| own.display().to_string())?;
            }
        }
    }
    Ok(())
}

/// Requires a program of the system to succeed.
pub(crate) fn run(program: &str, words: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program).args(words).stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot run {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "`{program} {}` failed: {}", words.join(" "), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
