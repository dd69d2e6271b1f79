//! Runs a test in a network namespace of its own, where only loopback is and packets can be dropped without anybody else
//! noticing. It needs root, `unshare`, `ip` and `iptables`; where they are missing the test says so and is left out.

use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

/// Set in the process that runs inside.
const INSIDE: &str = "NIMBUS_TEST_NETNS";

/// Runs `story` in a network namespace of its own: this test's program runs again, in there, with the test `name` alone.
///
/// # Errors
/// When the story fails, with everything that it printed.
pub fn inside<F: Future<Output = anyhow::Result<()>>>(
    name: &str,
    story: impl FnOnce() -> F,
) -> anyhow::Result<()> {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        return runtime.block_on(story());
    }
    if !can_drop_packets() {
        eprintln!(
            "{name} is left out: it needs root, `unshare -n`, `ip` and an `iptables` that can match the length of packets"
        );
        return Ok(());
    }
    // Packets that leave in one burst are to be dropped one by one, as on a wire; where that cannot be said, a burst is dropped
    // as one large packet.
    let script = "ip link set lo up && { ip link set lo gso_max_segs 1 || true; } && exec \"$0\" --exact \"$1\" --nocapture";
    let program = std::env::current_exe()?;
    let output = Command::new("unshare")
        .args(["-n", "sh", "-c", script])
        .arg(program)
        .arg(name)
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .output()
        .context("unshare")?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "in its network namespace the test failed:\n{said}");
    ensure!(said.contains("1 passed"), "in its network namespace no test of that name ran:\n{said}");
    eprintln!("{said}");
    Ok(())
}

fn can_drop_packets() -> bool {
    let script = "ip link set lo up && iptables -A INPUT -p udp -m length --length 1300:65535 -j DROP \
                  && iptables -A INPUT -p tcp --dport 1 -j REJECT --reject-with tcp-reset";
    let tried = Command::new("unshare")
        .args(["-n", "sh", "-c", script])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

/// Changes the rules of this namespace: the words of one `iptables` command.
///
/// # Errors
/// When there is no such command, or it refuses.
pub fn iptables(words: &str) -> anyhow::Result<()> {
    ensure!(std::env::var_os(INSIDE).is_some(), "rules are for a namespace of the test's own");
    let output = Command::new("iptables").args(words.split_whitespace()).output()?;
    ensure!(output.status.success(), "iptables {words}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
