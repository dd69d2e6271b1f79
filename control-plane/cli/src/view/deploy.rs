//! The views of an installation: what is planned, what was done, what would be undone.

use std::path::Path;

use nimbus_deploy::drive::Done;
use nimbus_deploy::journal::{Journal, State};
use nimbus_deploy::plan::Plan;
use nimbus_deploy::step::Undo;

use super::View;
use super::layout::Layout;
use crate::output::plain;
use crate::output::theme::Tone;

/// What is written, or would be, and the steps.
pub fn planned(view: &View, directory: &Path, plan: &Plan, is_dry: bool) -> String {
    let mut layout = Layout::new(view);
    let title =
        if is_dry { "Nothing was written. The plan:" } else { "The plan is written; nothing was installed." };
    layout.line(&view.theme.paint(Tone::Good, title));
    layout.fact("directory", &plain(&directory.display().to_string())).fact("of", &plan.identity);
    layout.heading("Files");
    for file in &plan.files {
        layout.line(&format!("  {}", file.path));
    }
    layout.heading("Steps");
    for (number, step) in plan.steps.iter().enumerate() {
        layout.line(&format!("  {:>2}  {}", number + 1, step.title));
    }
    if !is_dry {
        layout.gap().paragraph("Read GUIDE.md there. To carry the plan out:");
        layout.command(&format!(
            "nimbus enterprise deploy --mode on-premise --out {} --apply",
            plain(&directory.display().to_string())
        ));
    }
    layout.end()
}

/// What happened to each step.
pub fn carried_out(view: &View, done: &Done, title: &str) -> String {
    let mut layout = Layout::new(view);
    layout.line(&view.theme.paint(Tone::Good, title));
    for (id, state) in &done.steps {
        layout.line(&format!("  {state:<9}  {id}"));
    }
    for left in &done.left_over {
        layout.fact("left over", &format!("{left}: no longer in the plan; --undo removes it"));
    }
    layout.end()
}

/// What an undo would do.
pub fn to_undo(view: &View, journal: &Journal, with_data: bool) -> String {
    let mut layout = Layout::new(view);
    layout.line(&format!("Nothing was undone. What would be, of {}:", plain(&journal.identity)));
    for entry in journal.entries.iter().rev() {
        let word = match (&entry.step.undo, entry.state) {
            (_, State::Found) => "left",
            (Undo::Data { .. }, _) if !with_data => "kept",
            (Undo::Nothing | Undo::Run(_) | Undo::Data { .. }, _) => "undone",
        };
        layout.line(&format!("  {word:<9}  {}", plain(&entry.step.title)));
    }
    layout.end()
}

#[cfg(test)]
mod tests {
    use nimbus_deploy::draft::Draft;
    use nimbus_deploy::journal::Entry;
    use nimbus_deploy::plan::{Charts, plan};
    use nimbus_deploy::read::read;

    use super::*;
    use crate::view::sample::view;

    fn example() -> Plan {
        let mut draft = Draft::default();
        draft.set("registry", "registry.example.internal").unwrap();
        draft.set("database.kind", "sqlite").unwrap();
        let charts = Charts { control_plane: "/charts/a".into(), agent: "/charts/b".into() };
        plan(&read(&draft).unwrap(), &charts, &draft.file(), &[]).unwrap()
    }

    #[test]
    fn a_plan_what_was_done_and_what_would_be_undone() {
        let (plan, directory) = (example(), Path::new("/home/op/prod"));
        insta::assert_snapshot!("planned", planned(&view(80), directory, &plan, false));
        let steps = vec![("namespace-nimbus".to_owned(), "found"), ("control-plane".to_owned(), "made")];
        let done = Done { steps, left_over: vec!["The DNS records of the load balancers".to_owned()] };
        insta::assert_snapshot!(
            "carried_out",
            carried_out(&view(80), &done, "The installation is complete.")
        );
        let mut journal = Journal::new(&plan.identity);
        for (number, step) in plan.steps.iter().enumerate() {
            let state = if number == 2 { State::Found } else { State::Made };
            journal.note(Entry { state, mark: None, at: 0, step: step.clone() });
        }
        insta::assert_snapshot!("to_undo", to_undo(&view(80), &journal, false));
    }
}
