//! Runs programs of the system.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use tokio::process::Command;

/// How long a program may take; to make a file system takes a fraction of a second.
const LIMIT: Duration = Duration::from_mins(1);

/// Requires a program to succeed, and returns what it printed.
///
/// # Errors
/// When it cannot be run, fails, or takes too long; the command is named.
pub async fn run(program: &str, words: &[&str]) -> anyhow::Result<String> {
    let shown = format!("`{program} {}`", words.join(" "));
    let mut command = Command::new(program);
    command.args(words).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, command.output()).await;
    let output = output.with_context(|| format!("{shown} took longer than {} s", LIMIT.as_secs()))?;
    let output = output.with_context(|| format!("cannot run {shown}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{shown} failed: {}", said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_fails_is_named_with_its_words() {
        let error = run("sh", &["-c", "echo sorry >&2; exit 3"]).await.unwrap_err().to_string();
        assert!(error.contains("`sh -c ") && error.ends_with("failed: sorry"), "{error}");
    }
}
