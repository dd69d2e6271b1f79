//! Compares an expected and an actual state field by field.

use std::collections::BTreeSet;

use nimbus_protocol::to_hex;

use crate::model::{Attribute, Drift, DriftSource, FileFacts, ObjectRef};

/// What differs between two states of a file: kind, content, mode, owner. The states are `expected` and `actual`.
pub fn of_file(path: &str, expected: &FileFacts, actual: &FileFacts) -> Vec<Drift> {
    let mut all = Vec::new();
    let mut differs = |field: &str, expected: String, actual: String| {
        let (source, object) = (DriftSource::Files, ObjectRef::File { path: path.to_owned() });
        all.push(Drift { source, object, field: field.to_owned(), expected, actual });
    };
    if expected.kind != actual.kind {
        differs("kind", expected.kind.clone(), actual.kind.clone());
    }
    if expected.sha256 != actual.sha256 {
        differs("sha256", short_or_none(&expected.sha256), short_or_none(&actual.sha256));
    }
    // A file that is not there has neither mode nor owner to compare.
    if expected.kind != "absent" && actual.kind != "absent" {
        if expected.mode != actual.mode {
            differs("mode", format!("{:04o}", expected.mode), format!("{:04o}", actual.mode));
        }
        if (expected.uid, expected.gid) != (actual.uid, actual.gid) {
            let owner = |facts: &FileFacts| format!("{}:{}", facts.uid, facts.gid);
            differs("owner", owner(expected), owner(actual));
        }
    }
    all
}

/// An attribute that differs between two states of a file. `None`: that state has none of this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttributeChange<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it should be, as text for people.
    pub expected: Option<&'a str>,
    /// What it is, as text for people.
    pub actual: Option<&'a str>,
}

/// The attributes that differ between two states of a file, by name.
pub fn attribute_changes<'a>(expected: &'a [Attribute], actual: &'a [Attribute]) -> Vec<AttributeChange<'a>> {
    let names: BTreeSet<&'a str> = expected.iter().chain(actual).map(|one| one.name.as_str()).collect();
    let change = |name: &'a str| AttributeChange {
        name,
        expected: value_of(expected, name),
        actual: value_of(actual, name),
    };
    names.into_iter().map(change).filter(|change| change.expected != change.actual).collect()
}

fn value_of<'a>(all: &'a [Attribute], name: &str) -> Option<&'a str> {
    all.iter().find(|one| one.name == name).map(|one| one.shown.as_str())
}

/// What differs between the attributes of two states of a file, by name.
pub fn of_attributes(path: &str, expected: &[Attribute], actual: &[Attribute]) -> Vec<Drift> {
    let value = |side: Option<&str>| side.unwrap_or("none").to_owned();
    let drift = |change: AttributeChange<'_>| Drift {
        source: DriftSource::Files,
        object: ObjectRef::File { path: path.to_owned() },
        field: change.name.to_owned(),
        expected: value(change.expected),
        actual: value(change.actual),
    };
    attribute_changes(expected, actual).into_iter().map(drift).collect()
}

fn short_or_none(hash: &[u8]) -> String {
    if hash.is_empty() { "none".to_owned() } else { short(&to_hex(hash)).to_owned() }
}

/// The first 12 digits of a hash, for people.
pub fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(mode: u32, sha256: u8) -> FileFacts {
        FileFacts { kind: "file".into(), mode, sha256: vec![sha256], ..Default::default() }
    }

    fn lines(from: &FileFacts, to: &FileFacts) -> Vec<String> {
        of_file("/a", from, to).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_attribute_has_its_line_and_equal_ones_have_none() {
        assert_eq!(lines(&file(0o644, 0xaa), &file(0o644, 0xaa)), Vec::<String>::new());
        let other = FileFacts { uid: 7, ..file(0o600, 0xbb) };
        assert_eq!(
            lines(&file(0o644, 0xaa), &other),
            ["sha256: aa -> bb", "mode: 0644 -> 0600", "owner: 0:0 -> 7:0"]
        );
        let list = |shown: &str| {
            vec![
                Attribute { name: "user.note".into(), shown: shown.into() },
                Attribute { name: "flag immutable".into(), shown: "set".into() },
            ]
        };
        let words = |from: &[Attribute], to: &[Attribute]| -> Vec<String> {
            of_attributes("/a", from, to).iter().map(ToString::to_string).collect()
        };
        assert_eq!(words(&list("1 byte, aa"), &list("1 byte, bb")), ["user.note: 1 byte, aa -> 1 byte, bb"]);
        assert_eq!(words(&list("x"), &list("x")[..1]), ["flag immutable: set -> none"]);
        let both = list("x");
        let gone = AttributeChange { name: "flag immutable", expected: Some("set"), actual: None };
        assert_eq!(attribute_changes(&both, &both[..1]), [gone]);
        let absent = FileFacts { kind: "absent".into(), ..Default::default() };
        assert_eq!(lines(&absent, &file(0o644, 0xaa)), ["kind: absent -> file", "sha256: none -> aa"]);
    }
}
