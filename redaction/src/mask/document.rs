//! Takes secrets out of JSON documents: by the names of their fields, and as texts.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::Redactor;
use crate::MASK;
use crate::secret::entries::{is_entry, is_item};
use crate::secret::given::counts;
use crate::secret::name::{Name, judge};
use crate::secret::rules::{Rules, Text};
use crate::secret::values::{is_mixed, is_nothing};

/// A number of fewer digits is a count and no secret.
const SHORTEST_NUMBER: usize = 4;
/// Fields of a map that hold what an entry is called, and those that hold what it is.
const NAMES: [&str; 5] = ["name", "key", "field", "header", "k"];
const VALUES: [&str; 5] = ["value", "val", "content", "default", "v"];
/// Headers whose value is a scheme and what belongs to it.
const HEADERS: [&str; 2] = ["authorization", "proxy-authorization"];
/// Headers of which each value is a name and what it is given.
const COOKIES: [&str; 2] = ["cookie", "set-cookie"];
/// Something that would be a secret under a name that tells of one.
const SAMPLE: &str = "x7Q-9f3kLm2Z";
/// The fields of a JSON web key that only its owner may know.
const PRIVATE_PARTS: [&str; 8] = ["d", "k", "p", "q", "dp", "dq", "qi", "oth"];
/// The longest map that is judged as a whole, too, bytes.
const LONGEST_MAP: usize = 1_024;
/// The longest list of arguments that is judged as a whole, too, bytes.
const LONGEST_LIST: usize = 4_096;
/// Deepest document within a string of a document.
const DEPTH: usize = 4;

/// A document without its secrets, and how many values were taken out.
pub fn redact(redactor: &mut Redactor, document: Value) -> (Value, usize) {
    let mut walk = Walk { redactor, count: 0, depth: 0, below: 0 };
    let document = walk.value(document, "");
    (document, walk.count)
}

struct Walk<'a> {
    redactor: &'a mut Redactor,
    count: usize,
    depth: usize,
    /// How many names that tell stand above.
    below: usize,
}

impl Walk<'_> {
    /// A value, which is in a field of this name.
    fn value(&mut self, value: Value, key: &str) -> Value {
        let is_nested = matches!(value, Value::Object(_) | Value::Array(_));
        if is_nested && is_given(key, SAMPLE, self.redactor.rules) {
            self.below += 1;
            let left = self.within(value, key);
            self.below -= 1;
            return left;
        }
        self.within(value, key)
    }

    fn within(&mut self, value: Value, key: &str) -> Value {
        if !self.redactor.time.is_left() {
            return Value::String(MASK.to_owned());
        }
        match value {
            Value::Object(map) => Value::Object(self.map(map, key)),
            Value::Array(items) => self.list(items, key),
            Value::String(text) => self.string(&text, key),
            Value::Number(number) => {
                let text = number.to_string();
                if text.len() >= SHORTEST_NUMBER && is_given(key, &text, self.redactor.rules) {
                    return self.masked(&text);
                }
                Value::Number(number)
            }
            Value::Null | Value::Bool(_) => value,
        }
    }

    fn masked(&mut self, value: &str) -> Value {
        self.count += 1;
        self.redactor.learn(value.trim());
        Value::String(MASK.to_owned())
    }

    fn string(&mut self, text: &str, key: &str) -> Value {
        let rules = self.redactor.rules;
        if is_given(key, text, rules) || is_cookie(key, text) || (self.below > 0 && may_be_one(text.trim())) {
            return self.masked(text);
        }
        let inner = text.trim_start();
        if self.depth < DEPTH
            && inner.starts_with(['{', '['])
            && let Ok(document) = serde_json::from_str::<Value>(inner)
        {
            self.depth += 1;
            let document = self.value(document, key).to_string();
            self.depth -= 1;
            return self.text(&document);
        }
        self.text(text)
    }

    fn text(&mut self, text: &str) -> Value {
        let redacted = self.redactor.string(text);
        self.count += redacted.count;
        Value::String(redacted.text)
    }

    fn list(&mut self, items: Vec<Value>, key: &str) -> Value {
        let rules = self.redactor.rules;
        let mut flag = String::new();
        let is_pair = items.len() == 2;
        let mut left = Vec::with_capacity(items.len());
        for item in items {
            let Value::String(text) = item else {
                flag.clear();
                left.push(self.value(item, key));
                continue;
            };
            let is_secret = is_given(&flag, &text, rules)
                || is_cookie(key, &text)
                || (is_header(key) && is_given(key, &text, rules))
                || judge(key, "", rules).is_some_and(|name| is_item(&text, &name, rules));
            // `--password` and its value are two arguments.
            let is_name = is_pair && left.is_empty() && is_given(&text, SAMPLE, rules);
            flag = if is_name || (text.starts_with('-') && !text.contains(['=', ' '])) {
                text.clone()
            } else {
                String::new()
            };
            left.push(if is_secret { self.masked(&text) } else { self.string(&text, "") });
        }
        self.told_together(left)
    }

    /// Masks the arguments that tell together what none tells alone, as `["-u", "ops", "-p", "x7"]` do.
    fn told_together(&mut self, items: Vec<Value>) -> Value {
        let is_argument = |item: &Value| item.as_str().is_some_and(|text| text.starts_with('-'));
        let text = if items.len() > 1 && items.iter().any(is_argument) && items.iter().all(Value::is_string) {
            serde_json::to_string(&items).unwrap_or_default()
        } else {
            String::new()
        };
        if text.is_empty() || text.len() > LONGEST_LIST {
            return Value::Array(items);
        }
        let (rules, text) = (self.redactor.rules, Text::new(&text));
        let told =
            rules.found.iter().filter(|rule| !rule.around && !rule.by_line && rule.is_in(&text, rules));
        let values = told.flat_map(|rule| rule.places(text.text, rules)).filter_map(|place| place.value);
        let values: Vec<&str> = values.filter_map(|place| text.text.get(place)).collect();
        let is_told = |item: &Value| {
            let item = item.to_string();
            let item = item.trim_matches('"');
            values.iter().any(|value| item == *value || (item.starts_with('-') && item.ends_with(value)))
        };
        let mask = |item: Value| match item.as_str() {
            Some(text) if is_told(&item) => self.masked(text),
            Some(_) | None => item,
        };
        Value::Array(items.into_iter().map(mask).collect())
    }

    fn map(&mut self, map: Map<String, Value>, key: &str) -> Map<String, Value> {
        let rules = self.redactor.rules;
        let name = NAMES.iter().find_map(|field| map.get(*field)?.as_str()).unwrap_or_default().to_owned();
        let secret = is_secret_object(&map);
        let is_key = map.contains_key("kty");
        let is_files = map.get("kind").and_then(Value::as_str) == Some("ConfigMap");
        let parent = judge(key, "", rules);
        let mut left = Map::new();
        let mut names = FreeNames::default();
        for (field, value) in map {
            let is_secret = field == "stringData"
                || (secret && field == "data")
                || (is_key && PRIVATE_PARTS.contains(&field.as_str()))
                || parent.as_ref().is_some_and(|parent| is_below(parent, &field, &value, rules));
            let value = if is_secret {
                self.all(value)
            } else if is_files && field == "data" {
                self.files(value)
            } else if VALUES.contains(&field.as_str()) && !name.is_empty() {
                self.entry(value, &name, &field)
            } else {
                self.value(value, &field)
            };
            let redacted = self.redactor.string(&field);
            self.count += redacted.count;
            left.insert(names.free(redacted.text, &left), value);
        }
        if self.tells_as_a_whole(&left) {
            return left.into_iter().map(|(field, value)| (field, self.all(value))).collect();
        }
        left
    }

    /// Do the fields of a small map tell together what none tells alone, as `{"encrypt": ...}` does?
    fn tells_as_a_whole(&self, map: &Map<String, Value>) -> bool {
        if map.is_empty() || map.values().any(is_deep) {
            return false;
        }
        let text = serde_json::to_string(map).unwrap_or_default();
        let rules = self.redactor.rules;
        text.len() <= LONGEST_MAP && {
            let text = Text::new(&text);
            rules.found.iter().any(|rule| !rule.around && !rule.by_line && rule.is_in(&text, rules))
        }
    }

    /// What a ConfigMap holds is files, of which each line may stand for itself.
    fn files(&mut self, data: Value) -> Value {
        let Value::Object(files) = data else { return self.value(data, "") };
        let file = |(name, value): (String, Value)| {
            let value = match value {
                Value::String(text)
                    if !is_given(&name, &text, self.redactor.rules)
                        && !text.trim_start().starts_with(['{', '[']) =>
                {
                    let redacted = self.redactor.text(&text);
                    self.count += redacted.count;
                    Value::String(redacted.text)
                }
                value => self.value(value, &name),
            };
            (name, value)
        };
        files.into_iter().map(file).collect()
    }

    /// The value of an entry that says its name in another field.
    fn entry(&mut self, value: Value, name: &str, field: &str) -> Value {
        let text = match &value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
        };
        if matches!(value, Value::Object(_) | Value::Array(_)) {
            // What it is called holds for all that is in it.
            return self.value(value, name);
        }
        if is_given(name, &text, self.redactor.rules) { self.masked(&text) } else { self.value(value, field) }
    }

    /// Masks every value.
    fn all(&mut self, value: Value) -> Value {
        match value {
            Value::Object(map) => map.into_iter().map(|(field, value)| (field, self.all(value))).collect(),
            Value::Array(items) => items.into_iter().map(|item| self.all(item)).collect(),
            Value::String(text) if text.is_empty() || text == MASK => Value::String(text),
            Value::String(text) => self.masked(&text),
            Value::Number(number) => self.masked(&number.to_string()),
            Value::Null | Value::Bool(_) => value,
        }
    }
}

/// Finds names for fields that have the same one once they are redacted: `[redacted]`, `[redacted] 2` and so on.
#[derive(Default)]
struct FreeNames(HashMap<String, usize>);

impl FreeNames {
    /// The name, with a number behind it where the map has it already.
    fn free(&mut self, name: String, map: &Map<String, Value>) -> String {
        if !map.contains_key(&name) {
            return name;
        }
        let number = self.0.entry(name.clone()).or_insert(1);
        loop {
            *number += 1;
            let numbered = format!("{name} {number}");
            if !map.contains_key(&numbered) {
                return numbered;
            }
        }
    }
}

/// May a text below a name that tells be what it tells of? One of letters and digits may, also where a pod could be called so.
fn may_be_one(text: &str) -> bool {
    text.len() >= 8 && is_mixed(text) && text.contains(|c: char| c.is_ascii_digit())
}

/// Has a value more than one level below it?
fn is_deep(value: &Value) -> bool {
    let is_nested = |value: &Value| matches!(value, Value::Object(_) | Value::Array(_));
    match value {
        Value::Object(map) => map.values().any(is_nested),
        Value::Array(items) => items.iter().any(is_nested),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Is it the name of a header whose value is a scheme and what belongs to it?
fn is_header(name: &str) -> bool {
    HEADERS.iter().any(|header| name.eq_ignore_ascii_case(header))
}

/// Is it what a browser sends or is given to keep: names with their values?
fn is_cookie(name: &str, value: &str) -> bool {
    COOKIES.iter().any(|header| name.eq_ignore_ascii_case(header)) && value.contains('=')
}

/// Is a field of this name given a value that counts?
fn is_given(name: &str, value: &str, rules: &Rules) -> bool {
    if name.is_empty() {
        return false;
    }
    if is_header(name) {
        // What belongs to a scheme stands behind it.
        return value.trim().contains(' ') && !is_nothing(value, rules);
    }
    // All of a string is one value, also where it begins with a sign that would end one in a line.
    let signs: &[char] = if is_mixed(value) { &[',', ';', '&', '|', '<'] } else { &[',', ';', '&', '|'] };
    let bare = value.trim_start().trim_start_matches(signs);
    judge(name, value, rules).is_some_and(|name| {
        let flag = name.text.starts_with('-');
        counts(value, "", &name, flag, rules)
            || (!is_nothing(value, rules) && counts(bare, "", &name, flag, rules))
    })
}

/// Is an entry of a map one of the secrets that the map's name tells of?
fn is_below(parent: &Name<'_>, field: &str, value: &Value, rules: &Rules) -> bool {
    value.as_str().is_some_and(|text| is_entry(field, text, parent, rules))
}

/// A Secret of Kubernetes, with its kind or, in a list, with its type.
fn is_secret_object(map: &Map<String, Value>) -> bool {
    let kind = map.get("kind").and_then(Value::as_str);
    let is_type = |kind: &str| kind == "Opaque" || kind.contains("kubernetes.io/");
    match kind {
        Some(kind) => kind == "Secret",
        None => map.get("type").and_then(Value::as_str).is_some_and(is_type),
    }
}
