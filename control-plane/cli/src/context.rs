//! What every command receives: the flags, the terminal, the clock, and the functions that print.

use std::collections::BTreeSet;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nimbus_api::List;
use nimbus_api::client::Answer;
use serde_json::Value;

use crate::error::Failure;
use crate::exit::Exit;
use crate::format::{self, Format};
use crate::global::Global;
use crate::output::theme::{Theme, Tone};
use crate::output::time::Clock;
use crate::output::wrap::wrap;
use crate::view::View;

/// One command's surroundings.
#[derive(Debug)]
pub struct Context {
    /// The flags that hold everywhere.
    pub global: Global,
    /// For data, on stdout.
    pub theme: Theme,
    /// For hints and questions, on stderr.
    pub hints: Theme,
}

impl Context {
    /// Looks at the terminal and the environment.
    pub fn new(global: &Global) -> Self {
        let theme = Theme::choose(global.no_color, std::io::stdout().is_terminal());
        let hints = Theme::choose(global.no_color, std::io::stderr().is_terminal());
        Self { global: global.clone(), theme, hints }
    }

    /// How a view is to look now.
    pub fn view(&self) -> View {
        let wide = self.global.format == Format::Wide;
        let terminal =
            terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
        View { theme: self.theme, clock: Clock::system(), width: terminal.filter(|_| !wide), wide }
    }

    /// Prints data. A reader that went away (`| head`) is no error.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Failure::new("the output cannot be written").found(crate::files::reason(&error)))
            }
            _ => Ok(()),
        }
    }

    /// Prints an answer: through `table` for a person, as it was sent for a program.
    pub fn show<T>(
        &self,
        answer: &Answer<T>,
        table: impl FnOnce(&View, &T) -> String,
    ) -> Result<(), Failure> {
        self.print_either(&answer.raw, |view| table(view, &answer.typed))
    }

    /// Prints a page of a list, and on stderr how to see the rest.
    pub fn show_page<T>(
        &self,
        page: &Answer<List<T>>,
        table: impl FnOnce(&View, &List<T>) -> String,
    ) -> Result<(), Failure> {
        self.show(page, table)?;
        if let Some(next) = &page.typed.next {
            self.hint(&format!("There is more: the same command with --after {next} (or a larger --limit)."));
        }
        Ok(())
    }

    /// Prints `document` for a program, or `text` for a person.
    pub fn print_either(&self, document: &Value, text: impl FnOnce(&View) -> String) -> Result<(), Failure> {
        if self.global.format.is_table() {
            self.print(&text(&self.view()))
        } else {
            self.print(&format::document(document, self.global.format)?)
        }
    }

    /// Prints a document for a program, nothing for a person, who reads the hints instead.
    pub fn print_document(&self, document: &Value) -> Result<(), Failure> {
        self.print_either(document, |_| String::new())
    }

    /// A hint on stderr, only for a person who reads tables.
    pub fn hint(&self, text: &str) {
        if !self.global.quiet && self.global.format.is_table() {
            let room = hints_width().unwrap_or(usize::MAX);
            for line in text.lines().flat_map(|line| wrap(line, room)) {
                eprintln!("{}", self.hints.paint(Tone::Quiet, &line));
            }
        }
    }

    /// Whether anything but a failure is printed on stderr: with `-o json` the failure is a document and is alone there.
    fn prints_progress(&self) -> bool {
        !self.global.quiet && self.global.format != Format::Json
    }

    /// Something to know, on stderr; `-q` and `-o json` silence it.
    pub fn warn(&self, text: &str) {
        self.warn_of(&Failure::new(text));
    }

    /// What could not be done and ends nothing, laid out as an error is.
    pub fn warn_of(&self, failure: &Failure) {
        if self.prints_progress() {
            eprint!("{}", failure.render_warning(&self.hints, hints_width()));
        }
    }

    /// What is being waited for: a spinner on a terminal, otherwise a line for each thing to say, nothing with `-q` or
    /// `-o json`.
    pub fn progress(&self, text: &str) -> Progress {
        let terminal = std::io::stderr().is_terminal() && self.prints_progress();
        let bar = ProgressBar::with_draw_target(
            None,
            if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
        );
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        let mut progress =
            Progress { bar, lines: !terminal && self.prints_progress(), printed: BTreeSet::new() };
        if !text.is_empty() {
            progress.say(text);
        }
        progress
    }

    /// As [`Self::progress`] for what is only counted: one line that moves on a terminal, and nothing elsewhere.
    pub fn moving(&self, text: &str) -> Progress {
        let mut progress = self.progress("");
        progress.lines = false;
        progress.count(text);
        progress
    }

    /// Whether a person sees such a line beside what is printed.
    pub fn moves_a_line(&self) -> bool {
        self.prints_progress() && std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Says what went wrong, and with which code to end.
    pub fn report(&self, failure: &Failure) -> Exit {
        if self.global.format == Format::Json {
            eprintln!("{}", failure.problem_json());
        } else {
            eprint!("{}", failure.render(&self.hints, hints_width()));
        }
        failure.exit
    }
}

/// Columns of the terminal behind stderr, if there is one.
fn hints_width() -> Option<usize> {
    terminal_size::terminal_size_of(std::io::stderr()).map(|(width, _)| usize::from(width.0).max(20))
}

/// Something that takes a while.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    lines: bool,
    /// The lines that were printed; a wait has few different ones.
    printed: BTreeSet<String>,
}

impl Progress {
    /// Says how far it is. Without a terminal each line is printed once, however often its turn comes again.
    pub fn say(&mut self, text: &str) {
        let text = crate::output::plain(text);
        if self.lines && self.is_new(&text) {
            eprintln!("{text} …");
        }
        self.bar.set_message(text.into_owned());
    }

    /// Says how far it is, on a terminal.
    pub fn count(&self, text: &str) {
        self.bar.set_message(crate::output::plain(text).into_owned());
    }

    /// Prints something while the line that moves is out of the way.
    pub fn aside<R>(&self, print: impl FnOnce() -> R) -> R {
        self.bar.suspend(print)
    }

    fn is_new(&mut self, line: &str) -> bool {
        self.printed.insert(line.to_owned())
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_things_that_are_waited_for_in_turn_are_each_said_once() {
        let mut progress = Progress { bar: ProgressBar::hidden(), lines: true, printed: BTreeSet::new() };
        let lines =
            ["a: job running", "b: job running", "a: job running", "b: job running", "a: job succeeded"];
        let printed: Vec<_> = lines.into_iter().filter(|line| progress.is_new(line)).collect();
        assert_eq!(printed, ["a: job running", "b: job running", "a: job succeeded"]);
    }
}
