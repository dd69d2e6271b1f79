//! What will be done and why: the part that incidents, approvals and drift share.

use nimbus_api::{Considered, Plan};

use super::View;
use super::story::Story;
use crate::output::theme::{Tone, readable};

/// Most lines of a change that are shown; the rest is counted.
pub const MAX_CHANGES: usize = 200;

/// The plan's change, reason and alternatives.
pub fn tell(story: &mut Story<'_>, view: &View, plan: &Plan) {
    story.heading("What will change");
    story.paragraph(&plan.summary);
    changes(story, plan.changes.iter().map(String::as_str));
    if !plan.rationale.is_empty() {
        story.heading("Why this").paragraph(&plan.rationale);
    }
    considered(story, view, &plan.considered);
}

/// The lines of a change, bounded.
pub fn changes<'t>(story: &mut Story<'_>, lines: impl Iterator<Item = &'t str>) {
    let lines: Vec<&str> = lines.flat_map(str::lines).collect();
    let shown = lines.len().min(MAX_CHANGES);
    story.changes(lines[..shown].iter().copied());
    if lines.len() > shown {
        story.paragraph(&format!("… {} more lines; -o json has them all", lines.len() - shown));
    }
}

fn considered(story: &mut Story<'_>, view: &View, options: &[Considered]) {
    if options.is_empty() {
        return;
    }
    story.heading("Considered");
    for option in options {
        let (mark, tone) = if option.chosen { ("✓", Tone::Good) } else { ("·", Tone::Quiet) };
        let what = readable(&option.what);
        let text = if option.why.is_empty() { what } else { format!("{what}: {}", option.why) };
        story.item(&view.theme.paint(tone, mark), &text);
    }
}
