//! The layout of longer texts: headings, labelled facts, paragraphs and lists, wrapped at the terminal's width.

use unicode_width::UnicodeWidthStr as _;

use super::View;
use crate::output::changes::Changes;
use crate::output::theme::Tone;
use crate::output::wrap::wrap;

/// Widest line of running text, however wide the terminal is.
const READABLE: usize = 100;
/// Width of the labels' column.
const LABEL: usize = 12;

/// A text that grows from the top down.
#[derive(Debug)]
pub struct Layout<'a> {
    view: &'a View,
    text: String,
}

impl<'a> Layout<'a> {
    /// An empty text.
    pub fn new(view: &'a View) -> Self {
        Self { view, text: String::new() }
    }

    /// The text.
    pub fn end(self) -> String {
        self.text
    }

    /// A line as it is, already painted.
    pub fn line(&mut self, painted: &str) -> &mut Self {
        self.text.push_str(painted.trim_end());
        self.text.push('\n');
        self
    }

    /// An empty line, never two.
    pub fn gap(&mut self) -> &mut Self {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
        self
    }

    /// A heading after an empty line.
    pub fn heading(&mut self, text: &str) -> &mut Self {
        let painted = self.view.theme.heading(text);
        self.gap().line(&painted)
    }

    /// A labelled fact; an empty one is left out.
    pub fn fact(&mut self, label: &str, text: &str) -> &mut Self {
        self.toned_fact(label, Tone::Plain, text)
    }

    /// A labelled fact in a tone; an empty one is left out.
    pub fn toned_fact(&mut self, label: &str, tone: Tone, text: &str) -> &mut Self {
        if !text.is_empty() {
            let label = self.view.theme.paint(Tone::Quiet, &format!("{label:<LABEL$}"));
            self.wrapped(&format!("  {label}"), 2 + LABEL, tone, text);
        }
        self
    }

    /// A paragraph, indented by two.
    pub fn paragraph(&mut self, text: &str) -> &mut Self {
        self.wrapped("  ", 2, Tone::Plain, text);
        self
    }

    /// A paragraph that belongs to the item above it, indented by four.
    pub fn under(&mut self, text: &str) -> &mut Self {
        self.wrapped("    ", 4, Tone::Quiet, text);
        self
    }

    /// A list's item behind a painted mark of one column.
    pub fn item(&mut self, mark: &str, text: &str) -> &mut Self {
        self.wrapped(&format!("  {mark} "), 4, Tone::Plain, text);
        self
    }

    /// A time and what happened then.
    pub fn event(&mut self, at: &str, text: &str) -> &mut Self {
        let lead = format!("  {}  ", self.view.theme.paint(Tone::Quiet, at));
        self.wrapped(&lead, at.width() + 4, Tone::Plain, text);
        self
    }

    /// A text behind a lead of `indent` columns, already painted; its further lines begin under its first.
    pub fn hanging(&mut self, lead: &str, indent: usize, tone: Tone, text: &str) -> &mut Self {
        self.wrapped(lead, indent, tone, text);
        self
    }

    /// A command to type, never wrapped.
    pub fn command(&mut self, text: &str) -> &mut Self {
        let painted = format!("  {}", self.view.theme.paint(Tone::Note, text));
        self.line(&painted)
    }

    /// The lines of a change, in which what differs is shown and made visible; first, in words, what is not seen.
    pub fn changes(&mut self, changes: &Changes<'_>) -> &mut Self {
        if let Some(unseen) = changes.unseen() {
            self.wrapped("  ", 2, Tone::Warn, &unseen.sentence());
        }
        for row in changes.rows(self.view.width.map(|width| width.saturating_sub(4))) {
            let painted = format!("    {}", self.view.theme.paint(row.tone, &row.text));
            self.line(&painted);
        }
        self
    }

    fn wrapped(&mut self, lead: &str, indent: usize, tone: Tone, text: &str) {
        let room =
            self.view.width.map_or(usize::MAX, |width| width.min(READABLE).saturating_sub(indent).max(20));
        let mut first = true;
        for line in text.lines().flat_map(|line| wrap(&crate::output::plain(line), room)) {
            let lead = if std::mem::take(&mut first) { lead.to_owned() } else { " ".repeat(indent) };
            let painted = format!("{lead}{}", self.view.theme.paint(tone, &line));
            self.line(&painted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::changes::Way;
    use crate::view::sample::view;

    #[test]
    fn a_story_keeps_its_shape_at_any_width() {
        let view = view(40);
        let mut layout = Layout::new(&view);
        layout
            .line("first")
            .fact("why", "the file was changed by somebody who is not known")
            .fact("left", "");
        layout.heading("History").event("08:00:00", "found by the agent during its periodic pass");
        layout.changes(&Changes::read(
            ["@@ -1 +1 @@", "-a\tvery long line that goes on and on and on", "+b"],
            Way::Forward,
        ));
        insta::assert_snapshot!(layout.end(), @r"
        first
          why         the file was changed by
                      somebody who is not known

        History
          08:00:00  found by the agent during
                    its periodic pass
            @@ -1 +1 @@
            -a<TAB>very long line that goes on a
              > nd on and on
            +b
        ");
    }
}
