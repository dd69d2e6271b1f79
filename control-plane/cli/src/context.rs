//! What every command is given: the flags, the terminal, the clock, and the way to print.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cli::Global;
use crate::error::Failure;
use crate::exit::Exit;
use crate::output::format::{self, Format};
use crate::output::theme::{Theme, Tone};
use crate::output::time::Clock;
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

    /// Prints an answer: through `table` for a person, unchanged for a program.
    pub fn show<T: DeserializeOwned>(
        &self,
        answer: &Value,
        table: impl FnOnce(&View, &T) -> String,
    ) -> Result<(), Failure> {
        if self.global.format.is_table() {
            let typed = read(answer)?;
            self.print(&table(&self.view(), &typed))
        } else {
            self.print(&format::document(answer, self.global.format)?)
        }
    }

    /// Prints what a dry run would do, for a program; a person reads the hint.
    pub fn show_dry(&self, document: &Value) -> Result<(), Failure> {
        if self.global.format.is_table() {
            return Ok(());
        }
        self.print(&format::document(document, self.global.format)?)
    }

    /// Prints a page of a list, and on stderr how to see the rest.
    pub fn show_page<T: DeserializeOwned>(
        &self,
        page: &Value,
        table: impl FnOnce(&View, &T) -> String,
    ) -> Result<(), Failure> {
        self.show(page, table)?;
        if let Some(next) = page.get("next").and_then(Value::as_str) {
            self.hint(&format!("There is more: the same command with --after {next} (or a larger --limit)."));
        }
        Ok(())
    }

    /// A hint on stderr, only for a person who reads tables.
    pub fn hint(&self, text: &str) {
        if !self.global.quiet && self.global.format.is_table() {
            let room = hints_width().unwrap_or(usize::MAX);
            for line in text.lines().flat_map(|line| crate::view::story::wrap(line, room)) {
                eprintln!("{}", self.hints.paint(Tone::Quiet, &line));
            }
        }
    }

    /// May anything but a failure be said on stderr? With `-o json` the failure is a document and stands alone there.
    fn talks(&self) -> bool {
        !self.global.quiet && self.global.format != Format::Json
    }

    /// Something to know, on stderr; `-q` and `-o json` silence it.
    pub fn warn(&self, text: &str) {
        if self.talks() {
            eprintln!("{} {}", self.hints.paint(Tone::Warn, "warning:"), crate::output::plain(text));
        }
    }

    /// What is being waited for: a spinner on a terminal, one line otherwise, nothing with `-q` or `-o json`.
    pub fn progress(&self, text: &str) -> Progress {
        let terminal = std::io::stderr().is_terminal() && self.talks();
        let bar = ProgressBar::with_draw_target(
            None,
            if terminal { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
        );
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        let mut progress = Progress { bar, lines: !terminal && self.talks(), last: String::new() };
        progress.say(text);
        progress
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
    last: String,
}

impl Progress {
    /// Where it stands now; the same words again say nothing new.
    pub fn say(&mut self, text: &str) {
        if self.last == text {
            return;
        }
        text.clone_into(&mut self.last);
        let text = crate::output::plain(text);
        if self.lines {
            eprintln!("{text} …");
        }
        self.bar.set_message(text.into_owned());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Reads an answer as the contract's type.
pub fn read<T: DeserializeOwned>(answer: &Value) -> Result<T, Failure> {
    T::deserialize(answer).map_err(|error| {
        Failure::new("the server's answer cannot be understood")
            .expected(format!("a document of this version's contract (nimbus {})", env!("CARGO_PKG_VERSION")))
            .found(error.to_string())
            .next("compare `nimbus version` with the server's; -o json shows the answer as it is")
    })
}
