//! Runs other programs and says which one failed, and with what words.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

/// The cargo that runs this, for the tree at `root`.
pub fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}

/// A command as a person would type it.
pub fn shown(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let name = program.rsplit('/').next().unwrap_or_default();
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
    std::iter::once(name.to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// Runs it and returns what it wrote.
pub fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("cannot run `{}`", shown(command)))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "`{}` failed: {}", shown(command), said.trim());
    String::from_utf8(output.stdout).with_context(|| format!("`{}` did not write text", shown(command)))
}

/// Runs it with its output visible.
pub fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("cannot run `{}`", shown(command)))?;
    anyhow::ensure!(status.success(), "`{}` ended with {status}; its messages are above", shown(command));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_fails_is_named_with_its_words() {
        let wrong = |mut command: Command| format!("{:#}", output(&mut command).unwrap_err());
        let mut command = Command::new("sh");
        command.args(["-c", "echo broken >&2; exit 3"]);
        assert!(wrong(command).ends_with("failed: broken"));
        let missing = wrong(Command::new("no-such-program-here"));
        assert!(missing.contains("no-such-program-here"), "{missing}");
        assert!(run(&mut Command::new("false")).is_err());
    }
}
