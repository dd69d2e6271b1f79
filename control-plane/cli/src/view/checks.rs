//! The view of checks: each with its outcome, what was found, and what to do.

use nimbus_checks::check::Verdict;
use nimbus_checks::report::{Counts, Report};

use super::View;
use super::layout::Layout;
use crate::output::theme::Tone;

/// Columns of the outcome's word and of a check's name.
const WORD: usize = 9;
const NAME: usize = 20;

/// The report under its title.
pub fn report(view: &View, title: &str, report: &Report) -> String {
    let theme = &view.theme;
    let mut layout = Layout::new(view);
    let tone = if !report.passed {
        Tone::Bad
    } else if report.is_doubtful() {
        Tone::Warn
    } else {
        Tone::Good
    };
    layout.line(&theme.paint(tone, &format!("{title}: {}.", counted(report.counts)))).gap();
    for finding in &report.checks {
        let outcome = &finding.outcome;
        let word = theme.paint(toned(outcome.verdict), &format!("{:<WORD$}", outcome.verdict.as_str()));
        let name = theme.paint(Tone::Strong, &format!("{:<NAME$}", finding.name));
        layout.hanging(&format!("{word}{name}"), WORD + NAME, Tone::Plain, &outcome.found);
        if !outcome.remedy.is_empty() {
            let lead = " ".repeat(WORD + NAME);
            layout.hanging(&lead, WORD + NAME, Tone::Note, &outcome.remedy);
        }
    }
    if !report.not_asked.is_empty() {
        layout.heading("Not asked for");
        for one in &report.not_asked {
            let name = theme.paint(Tone::Quiet, &format!("{:<width$}", one.name, width = NAME));
            layout.hanging(&format!("{:WORD$}{name}", ""), WORD + NAME, Tone::Quiet, one.how);
        }
    }
    layout.end()
}

/// `9 passed, 1 warning`.
fn counted(counts: Counts) -> String {
    let warnings = if counts.warning == 1 { "warning" } else { "warnings" };
    let parts = [
        (counts.failure, "failed"),
        (counts.warning, warnings),
        (counts.unknown, "unknown"),
        (counts.pass, "passed"),
    ];
    let told: Vec<String> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    if told.is_empty() { "nothing was checked".to_owned() } else { told.join(", ") }
}

fn toned(verdict: Verdict) -> Tone {
    match verdict {
        Verdict::Pass => Tone::Good,
        Verdict::Warning | Verdict::Unknown => Tone::Warn,
        Verdict::Failure => Tone::Bad,
    }
}

#[cfg(test)]
mod tests {
    use nimbus_checks::check::{Check, Judged, Open, Outcome, Unread};
    use unicode_width::UnicodeWidthStr as _;

    use super::*;
    use crate::view::sample::view;

    fn one(name: &'static str, judge: fn(&()) -> Judged) -> Check<()> {
        Check { name, what: "it is so", judge }
    }

    #[test]
    fn a_report_fits_on_eighty_columns() {
        let list = [
            one("kubectl", |()| Ok(Outcome::pass("kubectl 1.33.0"))),
            one("storage", |()| {
                Ok(Outcome::failure(
                    "no StorageClass is the default one; there are fast, slow\u{1b}[2J",
                    "name one in the value persistence.storageClass, or make one the default",
                ))
            }),
            one("kubernetes-version", |()| {
                Ok(Outcome::warning("Kubernetes 1.38.0", "look for a newer Nimbus"))
            }),
            one("clock", |()| Err(Open::Unread(Unread::new("no date is shown", "compare `date -u`")))),
            one("database", |()| Err(Open::NotAsked("--database URL, or NIMBUS_DATABASE_URL"))),
        ];
        let at = "2026-11-27T08:00:00Z".parse().unwrap();
        let text = report(&view(80), "Preflight", &Report::of(&list, &(), at));
        assert!(text.lines().all(|line| line.width() <= 80), "{text}");
        insta::assert_snapshot!(text, @r"
        Preflight: 1 failed, 1 warning, 1 unknown, 1 passed.

        pass     kubectl             kubectl 1.33.0
        failure  storage             no StorageClass is the default one; there are fast,
                                     slow�[2J
                                     name one in the value persistence.storageClass, or
                                     make one the default
        warning  kubernetes-version  Kubernetes 1.38.0
                                     look for a newer Nimbus
        unknown  clock               no date is shown
                                     compare `date -u`

        Not asked for
                 database            --database URL, or NIMBUS_DATABASE_URL
        ");
    }
}
