//! Why a machine cannot have a real node. Tests and `cargo xtask` share this file, so it needs nothing but std.
//!
//! A real node needs root, namespaces, the controllers of cgroup v1, and programs that every distribution packages. What
//! no package can bring is an obstacle; what is only missing can be installed.

use std::path::Path;
use std::process::{Command, Stdio};

/// Programs and files from packages, each with where it is looked for.
pub const PARTS: [(&str, &[&str]); 9] = [
    ("runc", &["/usr/sbin/runc", "/usr/bin/runc"]),
    ("the CNI plugin bridge", &["/usr/lib/cni/bridge", "/usr/libexec/cni/bridge", "/opt/cni/bin/bridge"]),
    (
        "the CNI plugin host-local",
        &["/usr/lib/cni/host-local", "/usr/libexec/cni/host-local", "/opt/cni/bin/host-local"],
    ),
    ("iptables", &["/usr/sbin/iptables", "/sbin/iptables", "/usr/bin/iptables"]),
    ("conntrack", &["/usr/sbin/conntrack", "/usr/bin/conntrack"]),
    ("ip", &["/usr/sbin/ip", "/sbin/ip", "/usr/bin/ip"]),
    ("curl", &["/usr/bin/curl"]),
    // For volumes that grow.
    ("mkfs.xfs", &["/usr/sbin/mkfs.xfs", "/sbin/mkfs.xfs", "/usr/bin/mkfs.xfs"]),
    ("a static busybox", &["/bin/busybox.static", "/bin/busybox", "/usr/bin/busybox"]),
];

/// The controllers of cgroup v1 without which a kubelet does not start.
const CONTROLLERS: [&str; 5] = ["cpu", "cpuset", "memory", "devices", "pids"];

/// What no package can bring; `None` when a real node can run here.
pub fn of_machine() -> Option<String> {
    if !cfg!(target_os = "linux") {
        return Some("a real node needs Linux".to_owned());
    }
    let said = |program: &str, words: &[&str]| {
        let output = Command::new(program).args(words).stdin(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    if said("id", &["-u"]).as_deref() != Some("0") {
        return Some("a real node needs root".to_owned());
    }
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let has = |wanted: &str| {
        own.lines()
            .filter_map(|line| line.split(':').nth(1))
            .any(|names| names.split(',').any(|it| it == wanted))
    };
    if let Some(missing) = CONTROLLERS.into_iter().find(|controller| !has(controller)) {
        return Some(format!(
            "a real node needs the controllers of cgroup v1, and {missing} is not among them"
        ));
    }
    let namespaces = ["-m", "-C", "-n", "-p", "--fork", "--kill-child", "--mount-proc", "true"];
    if said("unshare", &namespaces).is_none() {
        return Some("a real node needs mount, cgroup, network and process namespaces of its own".to_owned());
    }
    None
}

/// Why there is no real node here, as things are installed now; `None` when there can be one.
pub fn of_all() -> Option<String> {
    of_machine().or_else(|| {
        let missing = missing_programs();
        (!missing.is_empty()).then(|| format!("not installed: {}", missing.join(", ")))
    })
}

/// Programs that are not installed.
pub fn missing_programs() -> Vec<&'static str> {
    let there = |paths: &[&str]| paths.iter().any(|path| Path::new(path).is_file());
    PARTS.into_iter().filter(|(_, paths)| !there(paths)).map(|(what, _)| what).collect()
}
