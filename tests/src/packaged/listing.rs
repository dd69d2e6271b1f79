//! Every file, user and group of a host, to see that a package which is purged leaves it as it was.

use std::collections::BTreeSet;

use super::host::Host;

/// Where nothing is looked at: what is the kernel's, what a boot begins with empty or with directories of systemd's own, the
/// journal, and the package manager's own records, which it is asked for instead.
const ELSEWHERE: [&str; 9] =
    ["/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/mnt", "/var/log", "/var/lib/dpkg"];

/// What there is: a line for each file with its kind, mode and owner, and the lines of `/etc/passwd` and `/etc/group`.
#[derive(Debug)]
pub struct Listing(BTreeSet<String>);

impl Listing {
    /// What there is now.
    pub fn of(host: &Host) -> anyhow::Result<Self> {
        let pruned = ELSEWHERE.map(|place| format!("-path {place}")).join(" -o ");
        let files = format!("find / \\( {pruned} \\) -prune -o -printf '%p %y %m %U:%G\\n'");
        let said = host.shell(&format!("{files}; cat /etc/passwd /etc/group"))?;
        Ok(Self(said.lines().map(str::to_owned).collect()))
    }

    /// Lines that are in this one and not in `before`.
    pub fn since(&self, before: &Self) -> Vec<String> {
        self.0.difference(&before.0).cloned().collect()
    }

    /// Requires that it is the same as `before`.
    pub fn is(&self, before: &Self) -> anyhow::Result<()> {
        let left = self.since(before);
        let gone = before.since(self);
        anyhow::ensure!(
            left.is_empty() && gone.is_empty(),
            "expected the host to be as it was before, found left: {left:#?}, gone: {gone:#?}"
        );
        Ok(())
    }
}
