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
        finding.outcome.found = redactor.text(&finding.outcome.found).text;
    }
    Ok(report)
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
            "- keys.existingSecret: expected the name of a Secret, found none; make one with kubectl - replicas: expected 1",
            // As the check of Secrets says it.
            "there is no Secret join in nimbus, which join.existingSecret names; the Secret web in nimbus (tls.existingSecret) has nothing \
             under tls.key; found tls.crt, ca.crt",
            // As the control plane says it of a wrong token.
            "this needs the operator's token; another one (expected a header Authorization of type Bearer with what \
             operator.token in the data directory holds)",
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
        assert_eq!(clean.checks[2].outcome.found, texts[2]);
        assert_eq!(clean.checks[3].outcome.found, texts[3]);
        assert_eq!(clean.checks[4].outcome.found, texts[4]);
    }
}
