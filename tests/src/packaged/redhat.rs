//! Control plane and agent from the RPM packages, on PostgreSQL: installed, upgraded, rolled back and erased.
//!
//! The host is the Debian one, with rpm beside dpkg: a root of Fedora or RHEL cannot be made here. It stands for what rpm does
//! with the packages (files, configuration, and the scripts, which run with the numbers that rpm gives them) and for a real
//! systemd 252, which RHEL 9 has too; not for SELinux, and not for what `dnf` resolves (`--nodeps`: rpm knows no package of this
//! host).

use anyhow::Context as _;

use super::Clock;
use super::debian::nothing_runs;
use super::host::Host;
use super::listing::Listing;
use super::packages::{Kind, Packages, Version};
use super::site::{
    AGENT, BOTH, CONTROL_PLANE, Identity, Operator, WATCHED, configuration_is_kept, join, pid,
};
use crate::postgres::Postgres;

/// What every call of rpm has: its records are away from the files that are compared, and it installs although it is a guest here.
const RPM: [&str; 5] = ["rpm", "--dbpath", "/run/rpm", "--nodeps", "--force-debian"];

/// What is removed by hand once a package is erased, as rpm has no purge.
const BY_HAND: &str = "rm -rf /var/lib/private/nimbus /var/lib/nimbus /etc/nimbus";

/// Tells it.
pub fn tell(host: &Host, packages: &Packages, before: &Listing) -> anyhow::Result<()> {
    let mut clock = Clock::start();
    let postgres = Postgres::start()?;
    let database = postgres.fresh_database()?;
    let [plane, agent] = packages.both(Version::Older, Kind::Rpm)?;
    rpm(host, &["-i", &plane])?;
    host.write("/etc/nimbus/database-url", 0o600, &database)?;
    host.run(&["systemctl", "enable", "--now", CONTROL_PLANE])?;
    let tables = postgres.sql(
        database.rsplit('/').next().context("a database")?,
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'",
    )?;
    anyhow::ensure!(tables.parse::<u32>()? > 5, "PostgreSQL has {tables} tables of the control plane");
    let operator = Operator::of(host)?;
    rpm(host, &["-i", &agent])?;
    join(host, &operator)?;
    let identity = Identity::of(host)?;
    clock.say("rpm -i of control plane (PostgreSQL) and agent, until the agent's baseline is known");

    for (version, words) in [(Version::Newer, &["-U"][..]), (Version::Older, &["-U", "--oldpackage"])] {
        let paths = packages.both(version, Kind::Rpm)?;
        let old = [pid(host, CONTROL_PLANE)?, pid(host, AGENT)?];
        rpm(host, &[words, &[&paths[0], &paths[1]]].concat())?;
        for (unit, old) in BOTH.into_iter().zip(old) {
            let release = rpm(host, &["-q", "--queryformat", "%{RELEASE}", unit])?;
            let expected = if version == Version::Newer { "2" } else { "1" };
            anyhow::ensure!(release == expected, "{unit} is packaging {release}, not {expected}");
            anyhow::ensure!(pid(host, unit)? != old, "{unit} still runs the program of before");
        }
        configuration_is_kept(host, "another version")?;
        identity.is_kept(host, "another version")?;
        operator.wait_for_agent("nothing dropped", |agent| agent["dropped"] == 0)?;
    }
    clock.say("rpm -U of newer packages and back to the older ones, until the agent is connected");

    rpm(host, &["-e", AGENT, CONTROL_PLANE])?;
    nothing_runs(host)?;
    identity.is_kept(host, "the removal")?;
    let kept = host.run(&["ls", "-A", "/etc/nimbus"])?;
    for file in ["agent.env.rpmsave", "policy.toml.rpmsave", "join-token", "database-url"] {
        anyhow::ensure!(kept.lines().any(|name| name == file), "{file} is not kept: {kept}");
    }
    host.shell(&format!("{BY_HAND} {WATCHED}"))?;
    Listing::of(host)?.is(before)?;
    clock.say("rpm -e, and what is left removed by hand; the host is as it was before");
    Ok(())
}

fn rpm(host: &Host, words: &[&str]) -> anyhow::Result<String> {
    let fixed: &[&str] = match words.first() {
        // A question takes neither of the last two.
        Some(&"-q") => &RPM[..3],
        Some(&"-e") => &RPM[..4],
        _ => &RPM,
    };
    host.run(&[fixed, words].concat())
}
