//! The view of a support bundle: what is in it, how many values were taken out, and what could not be had.

use std::path::Path;

use super::View;
use super::layout::Layout;
use crate::bundle::manifest::Manifest;
use crate::bundle::parts::Part;
use crate::output::table::{Cell, Column, Cut, Table};
use crate::output::theme::Tone;

/// What was written.
pub fn made(view: &View, manifest: &Manifest, file: &Path) -> String {
    let theme = &view.theme;
    let mut layout = Layout::new(view);
    let values = super::count(manifest.redactions as u64, "value was", "values were");
    layout
        .line(&theme.paint(Tone::Good, "The support bundle was written."))
        .fact("file", &file.display().to_string())
        .fact("made at", &manifest.created_at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
        .fact("size", &format!("{} unpacked", super::bytes(manifest.bytes as u64)))
        .fact("redacted", &format!("{values} taken out"));
    let mut table =
        Table::new(vec![Column::new("PART"), Column::new("BYTES").right(), Column::new("REDACTED").right()]);
    for part in manifest.parts.iter().filter(|part| part.bytes > 0) {
        let bytes = if part.cut { format!("{} (cut)", part.bytes) } else { part.bytes.to_string() };
        table.row(vec![Cell::new(&part.name), Cell::new(bytes), Cell::new(part.redactions.to_string())]);
    }
    layout.heading("What is in it");
    for line in table.render(theme, view.width).lines() {
        layout.line(line);
    }
    if manifest.problems() > 0 {
        layout.heading("What was wrong");
        for part in &manifest.parts {
            if let Some(problem) = &part.problem {
                layout.item("-", &format!("{}: {problem}", part.name));
            }
        }
    }
    layout.end()
}

/// What would be asked for.
pub fn planned(view: &View, parts: &[Part]) -> String {
    let mut table = Table::new(vec![Column::new("PART"), Column::new("ASKED").cut(Cut::End, 20)]);
    for part in parts {
        table.row(vec![Cell::new(&part.name), Cell::new(part.source.says())]);
    }
    table.render(&view.theme, view.width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::manifest::{Entry, FORMAT};
    use crate::view::sample::view;

    #[test]
    fn a_person_reads_what_is_in_it_and_what_is_not() {
        let entry = |name: &str, bytes, problem: Option<&str>| Entry {
            name: name.to_owned(),
            source: "somebody".to_owned(),
            bytes,
            redactions: 2,
            cut: bytes > 1000,
            problem: problem.map(str::to_owned),
        };
        let manifest = Manifest {
            format: FORMAT,
            product: "0.1.0".to_owned(),
            created_at: "2026-11-22T07:30:00.5Z".parse().unwrap(),
            server: "http://127.0.0.1:7070".to_owned(),
            namespace: "nimbus".to_owned(),
            redactions: 4,
            bytes: 1900,
            parts: vec![
                entry("control-plane/status.json", 900, None),
                entry("cluster/pods.json", 1001, None),
                entry("cluster/events.json", 0, Some("there is no kubectl on the PATH")),
            ],
        };
        let text = made(&view(80), &manifest, Path::new("/tmp/x.tar.gz"));
        for said in [
            "4 values were taken out",
            "control-plane/status.json",
            "1001 (cut)",
            "- cluster/events.json: there is no kubectl on the PATH",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
}
