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

/// How many lines of the tests that failed are repeated in the summary.
const REASON_LINES: usize = 60;

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

/// Runs two programs at the same time: the output of the first is visible, that of the second is printed when both have
/// ended, so that their lines do not mix.
pub fn beside(visible: &mut Command, kept: &mut Command) -> Outcome {
    let line = shown(kept);
    eprintln!("beside it, shown when both have ended: $ {line}");
    let (first, second) = std::thread::scope(|scope| {
        let second = scope.spawn(|| kept.output());
        let first = program(visible);
        (first, second.join().unwrap_or_else(|_| Err(std::io::Error::other("its thread panicked"))))
    });
    let second = match second {
        Ok(output) => {
            eprintln!("$ {line}");
            for part in [&output.stderr, &output.stdout] {
                eprint!("{}", String::from_utf8_lossy(part));
            }
            if output.status.success() {
                Outcome::Passed
            } else {
                let why = reasons(&String::from_utf8_lossy(&output.stdout));
                Outcome::Failed(format!("`{line}` ended with {}{why}", output.status))
            }
        }
        Err(error) => Outcome::Failed(format!("`{line}` cannot be run: {error}")),
    };
    match (first, second) {
        (Outcome::Failed(first), Outcome::Failed(second)) => {
            Outcome::Failed(format!("{first}; and {second}"))
        }
        (Outcome::Failed(why), _) | (_, Outcome::Failed(why)) => Outcome::Failed(why),
        (first, _) => first,
    }
}

/// What tests that failed said, at most [`REASON_LINES`] lines: a long output hides it from whoever reads the summary.
fn reasons(output: &str) -> String {
    let from = |line: &str| line.starts_with("---- ");
    let to = |line: &str| line.starts_with("failures:") || line.starts_with("stack backtrace:");
    let mut said = String::new();
    let mut is_reason = false;
    let lines = output.lines().filter(|line| {
        is_reason = from(line) || (is_reason && !to(line));
        is_reason && !line.is_empty()
    });
    for line in lines.take(REASON_LINES) {
        said.push_str("\n    ");
        said.push_str(line);
    }
    said
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
    fn of_two_programs_beside_each_other_each_that_fails_is_named() {
        let run = |first: &str, second: &str| beside(&mut Command::new(first), &mut Command::new(second));
        assert_eq!(run("true", "true"), Outcome::Passed);
        for (first, second, named) in [
            ("false", "true", vec!["`false` ended"]),
            ("true", "false", vec!["`false` ended"]),
            ("false", "no-such-program-here", vec!["`false` ended", "`no-such-program-here` cannot be run"]),
        ] {
            let Outcome::Failed(why) = run(first, second) else { panic!("{first} and {second} passed") };
            assert!(named.iter().all(|name| why.contains(name)), "{why}");
        }
    }

    #[test]
    fn why_a_test_failed_is_repeated_without_its_stack_and_without_an_end() {
        let output = "test a ... FAILED\n\nfailures:\n\n---- a stdout ----\nthread 'a' panicked at a.rs:1:1:\n\
                      left and right\nstack backtrace:\n   0: rust\n\n---- b stdout ----\nno pod\n\nfailures:\n    a\n";
        let told = "\n    ---- a stdout ----\n    thread 'a' panicked at a.rs:1:1:\n    left and right\
                    \n    ---- b stdout ----\n    no pod";
        assert_eq!(reasons(output), told);
        let long = format!("---- a stdout ----\n{}", "a line\n".repeat(1_000));
        assert_eq!(reasons(&long).lines().count(), REASON_LINES + 1);
        assert_eq!(reasons("test a ... ok\n"), "");
    }

    #[test]
    fn a_program_that_is_not_there_fails_with_its_name() {
        let Outcome::Failed(why) = program(Command::new("no-such-program-here").arg("--flag")) else {
            panic!("it cannot be run")
        };
        assert!(why.contains("no-such-program-here --flag"), "{why}");
    }
}
