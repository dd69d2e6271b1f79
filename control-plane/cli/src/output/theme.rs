//! Colours by meaning: decides how a severity or a state is coloured, and whether colours are used at all.

use clap::builder::styling::{AnsiColor, Style};

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// A heading.
    Strong,
    /// Secondary: labels, ages, ids.
    Quiet,
    /// Well.
    Good,
    /// Needs a look.
    Warn,
    /// Broken.
    Bad,
    /// Under way, or to be typed.
    Note,
}

/// Whether to colour, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    colour: bool,
}

impl Theme {
    /// No colour.
    pub fn plain() -> Self {
        Self { colour: false }
    }

    /// Always colour.
    pub fn coloured() -> Self {
        Self { colour: true }
    }

    /// Colour on a terminal, unless `--no-color`, `NO_COLOR` or `TERM=dumb` forbids it.
    pub fn choose(forbidden: bool, terminal: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { colour: terminal && !forbidden && !set("NO_COLOR") && !dumb }
    }

    /// `text` in its tone. The text itself is made safe for a terminal.
    pub fn paint(&self, tone: Tone, text: &str) -> String {
        let text = super::plain(text);
        if !self.colour || tone == Tone::Plain || text.is_empty() {
            return text.into_owned();
        }
        let style = style(tone);
        format!("{style}{text}{style:#}")
    }

    /// A heading on its own line.
    pub fn heading(&self, text: &str) -> String {
        self.paint(Tone::Strong, text)
    }

    /// A word of the product (state, severity) in its tone.
    pub fn word(&self, word: &str) -> String {
        self.paint(tone_of(word), &readable(word))
    }
}

/// `waiting_approval` as a person writes it.
pub fn readable(word: &str) -> String {
    match word {
        "pod_crash_loop" => "crash loop".to_owned(),
        "waiting_approval" => "waiting for approval".to_owned(),
        other => other.replace('_', " "),
    }
}

/// The tone of each state, severity and condition.
pub fn tone_of(word: &str) -> Tone {
    match word {
        "critical" | "escalated" | "failed" | "revoked" | "disconnected" => Tone::Bad,
        "warning" | "open" | "waiting_approval" | "pending" | "refused" | "unknown" | "compensated"
        | "expired" | "drifted" => Tone::Warn,
        "info" | "remediating" | "dispatched" | "running" => Tone::Note,
        "resolved" | "succeeded" | "approved" | "ready" | "connected" | "act" | "usable" => Tone::Good,
        "silenced" | "denied" | "observe" | "used" => Tone::Quiet,
        _ => Tone::Plain,
    }
}

fn style(tone: Tone) -> Style {
    match tone {
        Tone::Plain => Style::new(),
        Tone::Strong => Style::new().bold(),
        Tone::Quiet => Style::new().dimmed(),
        Tone::Good => AnsiColor::Green.on_default(),
        Tone::Warn => AnsiColor::Yellow.on_default(),
        Tone::Bad => AnsiColor::Red.on_default().bold(),
        Tone::Note => AnsiColor::Cyan.on_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_added_only_where_it_may() {
        assert_eq!(Theme::plain().word("waiting_approval"), "waiting for approval");
        assert_eq!(Theme::coloured().word("resolved"), "\u{1b}[32mresolved\u{1b}[0m");
        assert_eq!(Theme::choose(true, true), Theme::plain());
        assert_eq!(Theme::choose(false, false), Theme::plain());
    }
}
