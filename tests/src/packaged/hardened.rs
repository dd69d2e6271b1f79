//! What a unit may, measured on the host: `systemd-analyze security`, the user and the capabilities of its process, and whose
//! its state is.

use anyhow::Context as _;

use super::host::Host;
use super::site::{AGENT, CONTROL_PLANE, pid};

/// CAP_DAC_READ_SEARCH.
pub const READS_ALL: u64 = 1 << 2;

/// A unit, its directory of state, the exposure that it must stay below, and the capabilities of its process.
const UNITS: [(&str, &str, f64, u64); 2] =
    [(AGENT, "agent", 1.7, 0), (CONTROL_PLANE, "control-plane", 1.5, 0)];

/// The numbers from which systemd takes a dynamic user's.
const DYNAMIC: std::ops::RangeInclusive<u32> = 61_184..=65_519;

/// Requires that both units are as closed as the documentation says.
pub fn check(host: &Host) -> anyhow::Result<()> {
    for (unit, state, limit, capabilities) in UNITS {
        let exposure = exposure(host, unit)?;
        println!(
            "          exposure of {unit}: {exposure} (systemd-analyze security; below {limit} is required)"
        );
        anyhow::ensure!(
            exposure < limit,
            "the exposure of {unit} is {exposure}, and has to be below {limit}"
        );
        is_dynamic(host, unit, state)?;
        // As a unit beside it that makes backups does.
        host.run(&[
            "systemd-run",
            "--wait",
            "--quiet",
            "--property=DynamicUser=yes",
            &format!("--property=User={unit}"),
            &format!("--property=StateDirectory=nimbus/{state}"),
            "--property=StateDirectoryMode=0700",
            "cat",
            &format!("/var/lib/nimbus/{state}/lock"),
        ])
        .context("a unit of the same user reads the state")?;
        let found = effective_capabilities(host, unit)?;
        anyhow::ensure!(
            found == capabilities,
            "{unit} has the capabilities {found:#x}, not {capabilities:#x}"
        );
    }
    Ok(())
}

/// Requires that the user of a unit's process is a dynamic one, that its state is that user's, and no other user gets there.
pub fn is_dynamic(host: &Host, unit: &str, state: &str) -> anyhow::Result<()> {
    let number =
        |path: &str| -> anyhow::Result<u32> { Ok(host.run(&["stat", "-L", "-c", "%u", path])?.parse()?) };
    let user = number(&format!("/proc/{}", pid(host, unit)?))?;
    anyhow::ensure!(DYNAMIC.contains(&user), "{unit} runs as user {user}, which is no dynamic one");
    let owner = number(&format!("/var/lib/nimbus/{state}"))?;
    anyhow::ensure!(owner == user, "the state of {unit} is user {owner}'s, while it runs as {user}");
    let mode = host.run(&["stat", "-L", "-c", "%a", &format!("/var/lib/nimbus/{state}")])?;
    anyhow::ensure!(mode == "700", "the state of {unit} has mode {mode}");
    let closed = host.run(&["stat", "-c", "%a %u", "/var/lib/private"])?;
    anyhow::ensure!(closed == "700 0", "/var/lib/private is {closed}, and has to be root's alone");
    let users = host.run(&["cat", "/etc/passwd"])?;
    anyhow::ensure!(!users.contains("nimbus"), "a user was made for good: {users}");
    Ok(())
}

/// How exposed a unit is, as `systemd-analyze security` says: from 0, which is closed, to 10.
pub fn exposure(host: &Host, unit: &str) -> anyhow::Result<f64> {
    let said = host.run(&["systemd-analyze", "security", "--no-pager", &format!("{unit}.service")])?;
    let line =
        said.lines().find(|line| line.contains("Overall exposure level")).context("an overall exposure")?;
    let words = line.split(": ").nth(1).and_then(|rest| rest.split_whitespace().next());
    words.and_then(|figure| figure.parse().ok()).with_context(|| format!("no figure in {line:?}"))
}

/// The effective capabilities of a unit's process, as bits.
pub fn effective_capabilities(host: &Host, unit: &str) -> anyhow::Result<u64> {
    let status = host.run(&["cat", &format!("/proc/{}/status", pid(host, unit)?)])?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).context("CapEff")?;
    u64::from_str_radix(line.trim(), 16).with_context(|| line.to_owned())
}
