//! Every outcome of every check, and what a report is as a document.

mod doctor;
mod pod_security;
mod preflight;
mod secrets;

use crate::check::Verdict::{self, Failure, Pass, Unknown, Warning};
use crate::report::Report;

/// The check's verdict; none: nobody asked for it. Whatever is no pass says what to do.
fn verdict(report: &Report, name: &str) -> Option<Verdict> {
    let known = report.checks.iter().any(|finding| finding.name == name)
        || report.not_asked.iter().any(|one| one.name == name);
    assert!(known, "no check is called {name}");
    let finding = report.finding(name)?;
    let outcome = &finding.outcome;
    assert!(!outcome.found.is_empty(), "{finding:?}");
    assert_eq!(outcome.remedy.is_empty(), outcome.verdict == Pass, "{finding:?}");
    Some(outcome.verdict)
}

/// What a check found, with what to do.
fn text(report: &Report, name: &str) -> String {
    report
        .finding(name)
        .map(|one| format!("{} / {}", one.outcome.found, one.outcome.remedy))
        .unwrap_or_default()
}

#[test]
fn a_report_is_a_document_with_one_word_for_each_outcome() {
    let report = preflight::report(|snapshot| {
        snapshot.classes = Ok(Vec::new());
        snapshot.helm = Err(crate::check::Unread::new("no helm", "install it"));
    });
    let document = serde_json::to_value(&report).unwrap();
    assert_eq!(document["passed"], false);
    assert_eq!(document["counts"]["failure"], 1);
    assert_eq!(document["counts"]["unknown"], 1);
    let storage = document["items"].as_array().unwrap().iter().find(|one| one["name"] == "storage").unwrap();
    assert_eq!(storage["outcome"], "failure");
    assert!(storage["found"].is_string() && storage["remedy"].is_string() && storage["what"].is_string());
    assert_eq!(document["not_asked"][0]["name"], "load-balancer");
    for verdict in [Pass, Warning, Failure, Unknown] {
        assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.as_str());
    }
}

#[test]
fn no_two_checks_of_a_list_have_one_name() {
    let preflight: Vec<&str> = crate::preflight::CHECKS.iter().map(|check| check.name).collect();
    let doctor: Vec<&str> = crate::doctor::CHECKS.iter().map(|check| check.name).collect();
    for list in [preflight, doctor] {
        let names: std::collections::BTreeSet<&str> = list.iter().copied().collect();
        assert_eq!(names.len(), list.len(), "{list:?}");
        assert!(names.iter().all(|name| name.len() <= 18), "a table of 80 columns has room for 18: {list:?}");
    }
}
