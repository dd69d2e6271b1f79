//! What programs and pods said, without secrets: the words of others stand in what a check found.

use nimbus_checks::report::Report;
use nimbus_redaction::Redactor;

use crate::error::Failure;

/// The report, with what was found redacted as in a support bundle; `known` are the values that this command itself uses.
pub fn redacted(mut report: Report, known: &[&str]) -> Result<Report, Failure> {
    let mut redactor = Redactor::new(known).map_err(|error| {
        Failure::new("no report is shown, since secrets could not be taken out of it").found(error)
    })?;
    for finding in &mut report.checks {
        finding.outcome.found = without_secrets(&finding.outcome.found, &mut redactor);
    }
    Ok(report)
}

/// The text without secrets. What a chart says of a value stays: it names `existingSecret` and says what was expected, and shows
/// none by itself.
fn without_secrets(text: &str, redactor: &mut Redactor) -> String {
    let mut left = String::new();
    let mut others = String::new();
    for line in text.split_inclusive('\n') {
        if is_of_a_chart(line) {
            left += &redactor.text(&std::mem::take(&mut others)).text;
            left += line;
        } else {
            others += line;
        }
    }
    left + &redactor.text(&others).text
}

/// `- path.of.a.value: expected …`, as both charts refuse values.
fn is_of_a_chart(line: &str) -> bool {
    let named = line.trim_start().strip_prefix("- ").and_then(|line| line.split_once(": expected "));
    named.is_some_and(|(path, _)| {
        !path.is_empty() && path.bytes().all(|it| it.is_ascii_alphanumeric() || b".-_[]*".contains(&it))
    })
}

#[cfg(test)]
mod tests {
    use nimbus_checks::check::Outcome;
    use nimbus_checks::report::{Counts, Finding};

    use super::*;

    #[test]
    fn the_words_of_others_lose_their_secrets_and_a_finding_stays_readable() {
        let found = |text: &str| Finding {
            name: "kubectl",
            what: "it answers",
            outcome: Outcome::unknown(text, "look"),
        };
        let texts = [
            "kubectl said: Get \"https://ada:hunter2secret@10.0.0.1/\": refused",
            "the server has asked for the client to provide credentials",
        ];
        let report = Report {
            at: jiff::Timestamp::UNIX_EPOCH,
            passed: true,
            counts: Counts::default(),
            checks: texts.into_iter().map(found).collect(),
            not_asked: Vec::new(),
        };
        let clean = redacted(report, &["nbo_known"]).unwrap();
        assert!(!clean.checks[0].outcome.found.contains("hunter2secret"), "{clean:?}");
        assert!(clean.checks[0].outcome.found.contains("kubectl said"), "{clean:?}");
        assert_eq!(clean.checks[1].outcome.found, texts[1]);
    }

    #[test]
    fn what_a_chart_says_of_its_values_stays_and_all_around_it_does_not() {
        let mut redactor = Redactor::new(&[]).unwrap();
        let kept =
            "  - keys.existingSecret: expected the name of a Secret, found none; make one with kubectl\n";
        let text = format!("Error: password=hunter2secret\n{kept}token: abcDEF123456ghi\n");
        let clean = without_secrets(&text, &mut redactor);
        assert!(clean.contains(kept), "{clean}");
        assert!(!clean.contains("hunter2secret") && !clean.contains("abcDEF123456ghi"), "{clean}");
        assert!(!is_of_a_chart("  - password: hunter2") && !is_of_a_chart("- a b: expected c"));
    }
}
