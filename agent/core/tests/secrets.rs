//! Compares both sides of the rules for secrets with the tables of made-up texts in `redaction/tests/tables`: no secret of
//! `secret.toml` leaves the host, and the differences of every file in `harmless.toml` stay readable.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it finds something else")]

use nimbus_agent_core::observe::file::{Contents, Entry, Kind, Visibility, compare};
use nimbus_agent_core::observe::secret;
use nimbus_protocol::v1;
use prost::Message as _;
use serde::Deserialize;

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

fn entry(content: &[u8]) -> Entry {
    Entry {
        kind: if content.is_empty() { Kind::Absent } else { Kind::File },
        size: content.len() as u64,
        sha256: Some(nimbus_protocol::sha256(content)),
        ..Entry::absent()
    }
}

/// What leaves the host of a change from one text to the other, where the policy lets contents be shown.
fn observed(path: &str, before: &str, after: &str) -> v1::File {
    let contents = Contents { before: Some(before.as_bytes()), after: Some(after.as_bytes()) };
    let (old, new) = (entry(before.as_bytes()), entry(after.as_bytes()));
    compare("/etc/app", path, &old, &new, contents, Visibility::Shown, None)
}

#[test]
fn no_secret_leaves_the_host() {
    let cases = cases(include_str!("../../../redaction/tests/tables/secret.toml"));
    assert!(cases.len() >= 150, "{} kinds", cases.len());
    let mut left = Vec::new();
    for case in &cases {
        assert!(case.text.contains(&case.secret), "{}: the text holds the secret", case.kind);
        let text = &case.text;
        let other = "a = 1\n# other\n";
        for (name, before, after) in [
            ("added", String::new(), text.clone()),
            ("taken out", text.clone(), other.to_owned()),
            ("in the middle", other.to_owned(), format!("{other}\n{text}\n{other}")),
            ("with CRLF", other.to_owned(), text.replace('\n', "\r\n")),
            ("further in", other.to_owned(), format!("x:\n  {}\n", text.trim_end().replace('\n', "\n  "))),
        ] {
            // A bare key is one because nothing else is in its file.
            if case.kind.starts_with("a bare") && !matches!(name, "added" | "taken out") {
                continue;
            }
            let file = observed(&case.path, &before, &after);
            let bytes = v1::Observation {
                body: Some(v1::observation::Body::File(file.clone())),
                ..Default::default()
            }
            .encode_to_vec();
            if bytes.windows(case.secret.len()).any(|part| part == case.secret.as_bytes())
                || !file.diff.is_empty()
            {
                left.push(format!("{} ({name}): {text:?}", case.kind));
            }
        }
    }
    assert!(left.is_empty(), "{} of {} left:\n{}", left.len(), cases.len(), left.join("\n"));
}

#[test]
fn harmless_files_stay_readable() {
    let cases = cases(include_str!("../../../redaction/tests/tables/harmless.toml"));
    assert!(cases.len() >= 80, "{} files", cases.len());
    let mut hidden = Vec::new();
    for case in &cases {
        let file = observed(&case.path, "", &case.text);
        if file.diff.is_empty() {
            let mut lines: Vec<&str> = case.text.lines().collect();
            lines.retain(|line| secret::looks_secret(&case.path, line));
            hidden.push(format!("{} ({}): {lines:?}", case.kind, file.diff_withheld));
        }
    }
    assert!(hidden.is_empty(), "{} of {} hidden:\n{}", hidden.len(), cases.len(), hidden.join("\n"));
}
