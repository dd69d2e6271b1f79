//! Takes the secrets out of the tables of made-up texts: none of `tables/secret.toml`, `tables/encoded.toml` and
//! `tables/headers.toml` is left, and what is harmless stays as it was.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it finds something else")]

use nimbus_redaction::secret::looks_secret;
use nimbus_redaction::{MASK, Redactor};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Table {
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    kind: String,
    #[serde(default = "settings")]
    path: String,
    #[serde(default)]
    secret: String,
    text: String,
}

fn settings() -> String {
    "/etc/app/settings.conf".to_owned()
}

fn cases(table: &str) -> Vec<Case> {
    let table: Table = toml::from_str(table).unwrap();
    table.case
}

/// Those of which each holds a secret.
fn secrets() -> Vec<Case> {
    let mut all = cases(include_str!("tables/secret.toml"));
    all.extend(cases(include_str!("tables/encoded.toml")));
    all.extend(cases(include_str!("tables/headers.toml")));
    all
}

fn redactor() -> Redactor {
    Redactor::new(&[]).unwrap()
}

/// Known only by what is around them, of which the file's name and the file as a whole are parts: those are withheld whole.
fn stands_alone(case: &Case) -> bool {
    case.kind.starts_with("a bare")
}

#[test]
fn none_of_the_secrets_is_left() {
    let cases = secrets();
    assert!(cases.len() >= 400, "{} kinds", cases.len());
    let mut left = Vec::new();
    let mut withheld = 0;
    for case in cases.iter().filter(|case| !stands_alone(case)) {
        let text = &case.text;
        let other = "a = 1\n# other\n";
        for (form, text) in [
            ("alone", text.clone()),
            ("in the middle", format!("{other}\n{text}\n{other}")),
            ("with CRLF", text.replace('\n', "\r\n")),
            ("further in", format!("x:\n  {}\n", text.trim_end().replace('\n', "\n  "))),
        ] {
            let redacted = redactor().file(&case.path, &text);
            withheld += usize::from(redacted.text.trim() == MASK);
            assert!(text.contains(&case.secret), "{}: the text holds the secret", case.kind);
            if redacted.text.contains(&case.secret) || redacted.count == 0 {
                left.push(format!("{} ({form}): {:?}", case.kind, redacted.text));
            }
        }
        let (document, _) = redactor().json(json!({"kind": "ConfigMap", "data": {"settings.conf": text}}));
        if case.path == settings() && document.to_string().contains(&case.secret) {
            left.push(format!("{} (in a document): {document}", case.kind));
        }
    }
    assert!(left.is_empty(), "{} of {} left:\n{}", left.len(), cases.len() * 5, left.join("\n"));
    assert!(withheld < cases.len(), "{withheld} were withheld whole");
}

#[test]
fn what_is_harmless_stays_as_it_was() {
    let cases = cases(include_str!("tables/harmless.toml"));
    assert!(cases.len() >= 140, "{} files", cases.len());
    let mut changed = Vec::new();
    for case in &cases {
        let redacted = redactor().file(&case.path, &case.text);
        if redacted.text != case.text {
            let lines = case.text.lines().filter(|line| !redacted.text.contains(line)).collect::<Vec<_>>();
            changed.push(format!("{} ({}): {lines:?} -> {:?}", case.kind, redacted.count, redacted.text));
        }
    }
    assert!(changed.is_empty(), "{} of {} changed:\n{}", changed.len(), cases.len(), changed.join("\n"));
}

#[test]
fn what_was_redacted_once_stays_as_it_is() {
    for case in secrets() {
        let once = redactor().text(&case.text).text;
        let twice = redactor().text(&once);
        assert_eq!(twice.text, once, "{}", case.kind);
    }
}

#[test]
fn a_file_with_one_of_them_is_taken_for_secret_and_a_harmless_one_is_not() {
    let mut shown = Vec::new();
    for case in cases(include_str!("tables/secret.toml")) {
        let (text, other) = (&case.text, "a = 1\n# other\n");
        let all = [
            text.clone(),
            format!("{other}\n{text}\n{other}"),
            text.replace('\n', "\r\n"),
            format!("x:\n  {}\n", text.trim_end().replace('\n', "\n  ")),
        ];
        let forms = if stands_alone(&case) { &all[..1] } else { &all[..] };
        shown.extend(forms.iter().filter(|text| !looks_secret(&case.path, text)).cloned());
    }
    assert!(shown.is_empty(), "{} would be shown: {shown:#?}", shown.len());
    let harmless = cases(include_str!("tables/harmless.toml")).into_iter();
    let harmless = harmless.filter(|case| looks_secret(&case.path, &case.text));
    let harmless: Vec<String> = harmless.map(|case| case.kind).collect();
    assert!(harmless.is_empty(), "{} would be withheld: {harmless:#?}", harmless.len());
}
