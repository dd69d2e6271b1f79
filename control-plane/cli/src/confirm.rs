//! Questions to the user. Without a terminal nothing is asked or done, and the message names the flag that answers.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use crate::context::Context;
use crate::error::Failure;
use crate::output::theme::Tone;

/// A person's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Yes, or `--yes`.
    Yes,
    /// No, or anything that is not yes.
    No,
    /// There is no terminal to ask on.
    Nobody,
}

/// Asks; only `y` and `yes` mean yes.
pub fn ask(context: &Context, question: &str) -> Result<Answer, Failure> {
    if context.global.yes {
        return Ok(Answer::Yes);
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(Answer::Nobody);
    }
    eprint!("{} [y/N] ", context.hints.paint(Tone::Strong, question));
    let failed =
        |error: std::io::Error| Failure::new("no answer could be read").found(crate::files::reason(&error));
    std::io::stderr().flush().map_err(failed)?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).map_err(failed)?;
    Ok(if is_yes(&line) { Answer::Yes } else { Answer::No })
}

fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn only_yes_is_yes() {
        assert!(["y\n", " YES \n", "Yes"].into_iter().all(is_yes));
        assert!(!["", "\n", "n", "yess", "ja", "true"].into_iter().any(is_yes));
    }
}
