//! The part of a view that shows a plan and why it was chosen, shared by incidents, approvals and drift.

use nimbus_api::{Considered, Outlook, Plan};

use super::View;
use super::layout::Layout;
use crate::output;
use crate::output::changes::{Changes, Way};
use crate::output::theme::{Tone, readable};

/// Most lines of a change that are shown; the rest is counted.
pub const MAX_CHANGES: usize = 200;

/// The plan's change, reason and alternatives.
pub fn add(layout: &mut Layout<'_>, view: &View, plan: &Plan) {
    layout.heading("What will change");
    layout.paragraph(&plan.summary);
    changes(layout, plan.changes.iter().map(String::as_str), Way::Forward);
    if !plan.rationale.is_empty() {
        layout.heading("Why this").paragraph(&plan.rationale);
    }
    considered(layout, view, &plan.considered);
    if let Some(told) = &plan.outlook {
        outlook(layout, told);
    }
}

fn outlook(layout: &mut Layout<'_>, told: &Outlook) {
    layout.heading("If it fails").paragraph(&told.if_it_fails);
    // A word that this command does not know is shown as it is.
    let heading = match told.undo.as_str() {
        "person" => "To undo it".to_owned(),
        "nobody" => "It cannot be undone".to_owned(),
        other => format!("Undone by: {}", readable(other)),
    };
    layout.heading(&heading).paragraph(&told.undo_how);
}

/// The lines of a change, bounded, read one way or the other.
pub fn changes<'t>(layout: &mut Layout<'_>, lines: impl Iterator<Item = &'t str>, way: Way) {
    let lines: Vec<&str> = lines.flat_map(output::changes::lines).collect();
    let shown = lines.len().min(MAX_CHANGES);
    layout.changes(&Changes::read(lines[..shown].iter().copied(), way));
    if lines.len() > shown {
        layout.paragraph(&format!("… {} more lines; -o json has them all", lines.len() - shown));
    }
}

fn considered(layout: &mut Layout<'_>, view: &View, options: &[Considered]) {
    if options.is_empty() {
        return;
    }
    layout.heading("Considered");
    for option in options {
        let (mark, tone) = if option.chosen { ("✓", Tone::Good) } else { ("·", Tone::Quiet) };
        let what = readable(&option.what);
        let text = if option.why.is_empty() { what } else { format!("{what}: {}", option.why) };
        layout.item(&view.theme.paint(tone, mark), &text);
    }
}
