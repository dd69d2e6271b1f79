//! The `-o` formats for programs (JSON, YAML, names). Tables are rendered by the views.

use clap::ValueEnum;
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
        Format::Yaml => serde_saphyr::to_string(value).map_err(|error| cannot(error.to_string())),
        Format::Name => Ok(names(value)
            .iter()
            .flat_map(|name| [crate::output::plain(name).into_owned(), "\n".to_owned()])
            .collect()),
        // The strings mean the same; no terminal gets what it would obey or not show.
        Format::Json | Format::Table | Format::Wide => serde_json::to_string_pretty(value)
            .map(|text| nimbus_api::text::escaped_json(&text) + "\n")
            .map_err(|error| cannot(error.to_string())),
    }
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
}
