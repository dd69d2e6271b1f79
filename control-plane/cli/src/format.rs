//! The `-o` formats for programs (JSON, YAML, names). Tables are rendered by the views.

use std::fmt::Write as _;

use clap::ValueEnum;
use nimbus_api::text::{escaped_json, is_unseen};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::error::Failure;

/// What `-o` may name. The variants carry no help of their own: five words say it in one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
#[expect(missing_docs, reason = "a documentation comment would become help text")]
pub enum Format {
    // For reading.
    #[default]
    Table,
    // As table, with more columns and nothing cut.
    Wide,
    // One JSON document.
    Json,
    // One YAML document.
    Yaml,
    // Ids alone, one a line.
    Name,
}

impl Format {
    /// For a person?
    pub fn is_table(self) -> bool {
        matches!(self, Self::Table | Self::Wide)
    }
}

/// `value` in a format for programs, with a final line break. For `name` the ids in it.
pub fn document(value: &Value, format: Format) -> Result<String, Failure> {
    let cannot = |error: String| Failure::new("the answer cannot be written in that format").found(error);
    match format {
        Format::Yaml => serde_saphyr::to_string(&Quoted(value))
            .map(|text| escaped_yaml(&text))
            .map_err(|error| cannot(error.to_string())),
        Format::Name => Ok(names(value)
            .iter()
            .flat_map(|name| [crate::output::plain(name).into_owned(), "\n".to_owned()])
            .collect()),
        // The strings mean the same; no terminal gets what it would obey or not show.
        Format::Json | Format::Table | Format::Wide => serde_json::to_string_pretty(value)
            .map(|text| escaped_json(&text) + "\n")
            .map_err(|error| cannot(error.to_string())),
    }
}

/// A document in which each text with what is not seen stands in double quotes, where YAML knows escapes. Control
/// characters make the writer do that by itself. The names of fields are the contract's own and hold neither.
struct Quoted<'a>(&'a Value);

impl Serialize for Quoted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::String(text) if text.contains(is_unseen) => {
                serde_saphyr::DoubleQuoted(text).serialize(serializer)
            }
            Value::Array(items) => serializer.collect_seq(items.iter().map(Quoted)),
            Value::Object(fields) => {
                serializer.collect_map(fields.iter().map(|(name, value)| (name, Quoted(value))))
            }
            other => other.serialize(serializer),
        }
    }
}

/// YAML in which what is not seen is escaped; it stands in double quotes alone.
fn escaped_yaml(yaml: &str) -> String {
    let mut out = String::with_capacity(yaml.len());
    for c in yaml.chars() {
        // YAML has no pairs of halves as JSON has them: what is longer has eight digits. Writing to a string cannot fail.
        let _ = match u32::from(c) {
            _ if !is_unseen(c) => out.write_char(c),
            code @ ..=0xffff => write!(out, "\\u{code:04X}"),
            code => write!(out, "\\U{code:08X}"),
        };
    }
    out
}

/// The ids of a list's items, or of the one document.
fn names(value: &Value) -> Vec<String> {
    let one = |item: &Value| {
        let found = ["id", "uid", "name", "rule", "hash"]
            .iter()
            .find_map(|key| item.get(key).and_then(Value::as_str));
        found.map(str::to_owned)
    };
    match value.get("items").and_then(Value::as_array) {
        Some(items) => items.iter().filter_map(one).collect(),
        None => one(value).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_says_the_same() {
        let list = serde_json::json!({"items": [{"id": "inc_1", "z": 1, "a": "yes"}, {"name": "prod"}], "next": null});
        assert_eq!(document(&list, Format::Name).unwrap(), "inc_1\nprod\n");
        let json = document(&list, Format::Json).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), list);
        let yaml = document(&list, Format::Yaml).unwrap();
        assert_eq!(serde_saphyr::from_str::<Value>(&yaml).unwrap(), list);
    }

    #[test]
    fn what_a_terminal_obeys_or_hides_is_escaped_and_means_the_same() {
        let value = serde_json::json!({
            "path": "/srv/\u{202e}fnoc", "word": "pass\u{200b}word", "tag": "x\u{e0041}", "plain": "größer, 文 \\u202E",
            "diff": "-a\n+a\u{200b}\u{9b}2J \"q\" \\ \r\n", "lines": "one\ntwo\n", "mark": "\u{feff}\u{2028}",
            "items": ["\u{202e}", {"deep": "- \u{2066}: #"}, [], {}, null, 1, true], "long": "\u{200d} word".repeat(40)
        });
        for format in [Format::Json, Format::Yaml] {
            let text = document(&value, format).unwrap();
            let raw = |c: char| c != '\n' && nimbus_api::text::is_unsafe(c);
            assert!(!text.contains(raw), "{text}");
        }
        let json = document(&value, Format::Json).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
        let yaml = document(&value, Format::Yaml).unwrap();
        assert_eq!(serde_saphyr::from_str::<Value>(&yaml).unwrap(), value, "{yaml}");
        assert!(yaml.contains("path: \"/srv/\\u202Efnoc\"\n"), "{yaml}");
        assert!(yaml.contains("tag: \"x\\U000E0041\"\n"), "{yaml}");
    }
}
