//! The view of a release: what it holds, and what is wrong with it.

use nimbus_release::verify::Report;

use super::View;
use super::layout::Layout;
use crate::output::theme::Tone;

/// The most problems that are shown; the JSON document has all.
const SHOWN: usize = 20;

/// Whether the release is what `key` signed.
pub fn verified(view: &View, report: &Report, key: &str) -> String {
    let theme = &view.theme;
    let mut layout = Layout::new(view);
    let files = super::count(report.files as u64, "file", "files");
    let what = format!("{files}, {}, as signed", super::bytes(report.bytes));
    if report.problems.is_empty() {
        layout.line(&theme.paint(Tone::Good, "The release is whole, and this key signed it."));
        layout.fact("checked", &what).fact("key", key).heading("Artefacts");
        for artefact in &report.artefacts {
            layout.line(&format!("  {}", crate::output::plain(artefact)));
        }
        return layout.end();
    }
    let problems = super::count(report.problems.len() as u64, "problem", "problems");
    layout.line(&theme.paint(Tone::Bad, &format!("The release is not to be used: {problems}.")));
    layout.fact("good", &what).fact("key", key);
    for problem in report.problems.iter().take(SHOWN) {
        layout.gap().line(&crate::output::plain(&problem.at)).fact("wrong", &problem.what);
    }
    if report.problems.len() > SHOWN {
        let more = report.problems.len() - SHOWN;
        layout.gap().line(&format!("{more} more are not shown; -o json lists all."));
    }
    layout.end()
}

#[cfg(test)]
mod tests {
    use nimbus_release::verify::Problem;

    use super::*;
    use crate::view::sample::view;

    #[test]
    fn good_and_bad_releases() {
        let key = format!("sha256:{}", "ab".repeat(32));
        let mut report = Report {
            files: 14,
            bytes: 45_000_000,
            artefacts: vec![
                "archives/nimbus-0.1.0-linux-x86_64.tar.gz".to_owned(),
                "images/nimbus-agent".to_owned(),
            ],
            problems: Vec::new(),
        };
        insta::assert_snapshot!("good", verified(&view(80), &report, &key));
        let problem = |at: &str, what: &str| Problem { at: at.to_owned(), what: what.to_owned() };
        report.problems = vec![
            problem("SHA256SUMS", "expected the list that SHA256SUMS.dsse.json signs, found another one"),
            problem(
                "packages/a\u{1b}[2J.deb",
                &format!("expected SHA-256 {}, found {}", "ab".repeat(32), "cd".repeat(32)),
            ),
        ];
        insta::assert_snapshot!("bad", verified(&view(80), &report, &key));
        report.problems = vec![report.problems[0].clone(); SHOWN + 3];
        assert!(verified(&view(80), &report, &key).contains("3 more are not shown"));
    }
}
