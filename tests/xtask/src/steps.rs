//! Runs steps one after the other, with their times and a summary at the end.

use std::process::Command;
use std::time::{Duration, Instant};

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Passed,
    /// With this to say.
    Failed(String),
    /// Not run, for this reason; not a failure by itself.
    Skipped(String),
}

/// A list of steps and how each ended.
#[derive(Debug, Default)]
pub struct Steps {
    done: Vec<(String, Outcome, Duration)>,
}

impl Steps {
    /// Runs one step, says so, and keeps how it ended. Returns whether it passed.
    pub fn run(&mut self, name: &str, step: impl FnOnce() -> Outcome) -> bool {
        eprintln!("\n== {name}");
        let begun = Instant::now();
        let outcome = step();
        let took = begun.elapsed();
        match &outcome {
            Outcome::Passed => eprintln!("== {name}: passed in {}", seconds(took)),
            // Why is said once, in the summary.
            Outcome::Failed(_) => eprintln!("== {name}: FAILED after {}", seconds(took)),
            Outcome::Skipped(_) => eprintln!("== {name}: skipped"),
        }
        let passed = outcome == Outcome::Passed;
        self.done.push((name.to_owned(), outcome, took));
        passed
    }

    /// Keeps a step that is not run because an earlier one failed.
    pub fn skip(&mut self, name: &str, why: &str) {
        self.done.push((name.to_owned(), Outcome::Skipped(why.to_owned()), Duration::ZERO));
    }

    /// Prints each step with its time, and one closing line. Returns whether nothing failed.
    pub fn summary(&self) -> bool {
        eprintln!();
        for (name, outcome, took) in &self.done {
            match outcome {
                Outcome::Passed => eprintln!("  passed   {:>7}  {name}", seconds(*took)),
                Outcome::Failed(why) => eprintln!("  FAILED   {:>7}  {name}: {why}", seconds(*took)),
                Outcome::Skipped(why) => eprintln!("  skipped        -  {name}: {why}"),
            }
        }
        let failed = self.done.iter().filter(|(_, outcome, _)| matches!(outcome, Outcome::Failed(_))).count();
        let total: Duration = self.done.iter().map(|(_, _, took)| *took).sum();
        let verdict =
            if failed == 0 { "all steps passed".to_owned() } else { format!("{failed} step(s) FAILED") };
        eprintln!("\n{verdict} in {}", seconds(total));
        failed == 0
    }
}

/// Runs a program with its output visible.
pub fn program(command: &mut Command) -> Outcome {
    let line = shown(command);
    eprintln!("$ {line}");
    match command.status() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(format!("`{line}` ended with {status}")),
        Err(error) => Outcome::Failed(format!("`{line}` cannot be run: {error}")),
    }
}

/// A command as a person would type it.
pub fn shown(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let name = program.rsplit('/').next().unwrap_or_default();
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
    std::iter::once(name.to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

/// The cargo that runs this.
pub fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn seconds(time: Duration) -> String {
    let whole = time.as_secs();
    if whole < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {} s", whole / 60, whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_fails_the_whole_and_a_skipped_one_does_not() {
        let mut steps = Steps::default();
        assert!(steps.run("good", || Outcome::Passed));
        steps.skip("later", "not needed");
        assert!(steps.summary());
        assert!(!steps.run("bad", || program(&mut Command::new("false"))));
        assert!(!steps.summary());
    }

    #[test]
    fn a_program_that_is_not_there_fails_with_its_name() {
        let Outcome::Failed(why) = program(Command::new("no-such-program-here").arg("--flag")) else {
            panic!("it cannot be run")
        };
        assert!(why.contains("no-such-program-here --flag"), "{why}");
    }
}
