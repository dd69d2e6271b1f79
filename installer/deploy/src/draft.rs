//! Answers as they are gathered: from a file, from the command line, from a person. Nothing is checked here but that a key
//! is known and its value has the right form.

pub mod keys;

use std::collections::BTreeMap;

use toml::{Table, Value};

use self::keys::{Form, KEYS, Key, Without};
use crate::wrong::Wrong;

/// The most bytes of a file of answers.
pub const MOST_BYTES: usize = 64 << 10;
/// The most elements of a list.
pub const MOST_ELEMENTS: usize = 100;

/// One answer's value.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Given {
    Text(String),
    List(Vec<String>),
}

/// Some answers, each by its key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Draft(BTreeMap<&'static str, Given>);

impl Draft {
    /// Reads a file; everything that is wrong in it at once.
    pub fn parse(text: &str) -> Result<Self, Vec<Wrong>> {
        if text.len() > MOST_BYTES {
            let found = format!("{} bytes", text.len());
            return Err(vec![Wrong::new(
                "the file",
                format!("at most {MOST_BYTES} bytes"),
                found,
                "is it a file of answers?",
            )]);
        }
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let found = error.to_string().trim_end().to_owned();
            vec![Wrong::new("the file", "TOML", found, "correct that place")]
        })?;
        let (mut draft, mut wrong) = (Self::default(), Vec::new());
        draft.take(&table, "", &mut wrong);
        if wrong.is_empty() { Ok(draft) } else { Err(wrong) }
    }

    fn take(&mut self, table: &Table, above: &str, wrong: &mut Vec<Wrong>) {
        for (name, value) in table {
            let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            match (keys::find(&path), value) {
                (None, Value::Table(inner)) if is_above(&path) => self.take(inner, &path, wrong),
                (None, _) => wrong.push(unknown(&path)),
                (Some(key), value) => match given(key, value) {
                    Ok(given) => drop(self.0.insert(key.path, given)),
                    Err(error) => wrong.push(error),
                },
            }
        }
    }

    /// Takes one answer as a person types it.
    pub fn set(&mut self, path: &str, typed: &str) -> Result<(), Wrong> {
        let key = keys::find(path).ok_or_else(|| unknown(path))?;
        self.0.insert(key.path, typed_as(key, typed)?);
        Ok(())
    }

    /// The answers of `over` win.
    pub fn merge(&mut self, over: Self) {
        self.0.extend(over.0);
    }

    /// The keys that a person is to be asked for, in their order, as far as the answers so far tell.
    pub fn next_question(&self) -> Option<&'static Key> {
        KEYS.iter().find(|key| key.is_asked && !self.0.contains_key(key.path) && (key.matters)(self))
    }

    /// The answers that are needed and not there.
    pub fn missing(&self) -> Vec<&'static Key> {
        let needed = |key: &&Key| key.without == Without::Needed && (key.matters)(self);
        KEYS.iter().filter(needed).filter(|key| self.text(key.path).is_empty()).collect()
    }

    /// The answers that were given and do not matter beside the others, each with the answers that decide so. One that says no
    /// more than what holds without it is none of them.
    pub fn idle(&self) -> Vec<(&'static Key, &'static str)> {
        let is_idle = |key: &&Key| {
            let says_something = match key.without {
                Without::This(text) => !self.says(key.path, text),
                Without::Needed => self.has(key.path),
            };
            // A number of control planes is checked beside the database, with what to do about it.
            self.is_given(key.path) && !(key.matters)(self) && says_something && key.path != "replicas"
        };
        KEYS.iter().filter(is_idle).map(|key| (key, keys::decided_by(key.path))).collect()
    }

    /// Gives up the answers of `before` that mattered there and do not matter any more: another answer decided so. Their keys.
    pub fn leave_behind(&mut self, before: &Self) -> Vec<&'static str> {
        let idle = self.idle().into_iter().map(|(key, _)| key);
        let left: Vec<&'static str> = idle
            .filter(|key| before.0.get(key.path) == self.0.get(key.path) && (key.matters)(before))
            .map(|key| key.path)
            .collect();
        self.0.retain(|path, _| !left.contains(path));
        left
    }

    /// The answer, or what holds without it; a list with commas.
    pub fn text(&self, path: &str) -> String {
        match self.0.get(path) {
            Some(Given::Text(text)) => text.clone(),
            Some(Given::List(list)) => list.join(","),
            None => match keys::find(path).map(|key| key.without) {
                Some(Without::This(text)) => text.to_owned(),
                Some(Without::Needed) | None => String::new(),
            },
        }
    }

    /// The elements of a list.
    pub fn list(&self, path: &str) -> Vec<String> {
        elements(&self.text(path))
    }

    /// Whether this was answered, or would not matter.
    pub fn is_given(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// Whether the answer is this word.
    pub fn says(&self, path: &str, word: &str) -> bool {
        self.text(path) == word
    }

    /// Whether there is an answer that is not empty.
    pub fn has(&self, path: &str) -> bool {
        !self.text(path).is_empty()
    }

    /// Whether Terraform is written.
    pub fn has_cloud(&self) -> bool {
        !self.says("cloud.kind", "none")
    }

    /// Whether Terraform makes the database.
    pub fn makes_database(&self) -> bool {
        self.says("database.kind", "terraform")
    }

    /// As a file that [`Self::parse`] reads: every answer that matters, what held without one too.
    pub fn file(&self) -> String {
        let mut root = Table::new();
        for key in KEYS.iter().filter(|key| (key.matters)(self)) {
            let text = self.text(key.path);
            let value = match key.form {
                Form::List => Value::Array(elements(&text).into_iter().map(Value::String).collect()),
                Form::Number => text.parse().map_or(Value::String(text), Value::Integer),
                Form::Switch => text.parse().map_or(Value::String(text), Value::Boolean),
                Form::Text | Form::Word(_) => Value::String(text),
            };
            match key.path.split_once('.') {
                None => drop(root.insert(key.path.to_owned(), value)),
                Some((section, name)) => {
                    let section = root.entry(section).or_insert_with(|| Value::Table(Table::new()));
                    if let Value::Table(section) = section {
                        section.insert(name.to_owned(), value);
                    }
                }
            }
        }
        root.to_string()
    }
}

fn elements(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
}

fn is_above(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

fn unknown(path: &str) -> Wrong {
    let known: Vec<&str> = KEYS.iter().map(|key| key.path).collect();
    Wrong::new(
        path,
        format!("one of the keys {}", known.join(", ")),
        "another one",
        "correct its name, or take it away",
    )
}

fn given(key: &Key, value: &Value) -> Result<Given, Wrong> {
    let other =
        |expected: &str| Err(Wrong::new(key.path, expected, value.to_string(), "correct it in the file"));
    match (key.form, value) {
        (Form::Text | Form::Word(_), Value::String(text)) => typed_as(key, text),
        (Form::Number, Value::Integer(number)) => Ok(Given::Text(number.to_string())),
        (Form::Switch, Value::Boolean(switch)) => Ok(Given::Text(switch.to_string())),
        (Form::List, Value::Array(list)) => {
            let texts: Option<Vec<String>> = list.iter().map(|it| it.as_str().map(str::to_owned)).collect();
            match texts {
                Some(list) => bounded(key, list),
                None => other("a list of texts"),
            }
        }
        (Form::Text | Form::Word(_), _) => other("a text"),
        (Form::Number, _) => other("a whole number"),
        (Form::Switch, _) => other("true or false"),
        (Form::List, _) => other("a list of texts"),
    }
}

fn typed_as(key: &Key, typed: &str) -> Result<Given, Wrong> {
    let text = typed.trim().to_owned();
    let other = |expected: String| Wrong::new(key.path, expected, format!("{text:?}"), "give another answer");
    match key.form {
        Form::Text => Ok(Given::Text(text)),
        Form::List => bounded(key, elements(&text)),
        Form::Number => match text.parse::<u32>() {
            Ok(number) => Ok(Given::Text(number.to_string())),
            Err(_) => Err(other("a whole number".to_owned())),
        },
        Form::Switch => match text.as_str() {
            "true" | "yes" | "y" => Ok(Given::Text("true".to_owned())),
            "false" | "no" | "n" => Ok(Given::Text("false".to_owned())),
            _ => Err(other("true or false".to_owned())),
        },
        Form::Word(words) if words.contains(&text.as_str()) => Ok(Given::Text(text)),
        Form::Word(words) => Err(other(format!("one of {}", words.join(", ")))),
    }
}

fn bounded(key: &Key, list: Vec<String>) -> Result<Given, Wrong> {
    if list.len() > MOST_ELEMENTS {
        let expected = format!("at most {MOST_ELEMENTS} elements");
        return Err(Wrong::new(key.path, expected, list.len().to_string(), "name fewer"));
    }
    Ok(Given::List(list))
}
