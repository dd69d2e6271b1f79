//! The catalogue of scenes in `tests/scenes`: reads each file, and says what is missing in it.
//!
//! A file is `NAME.md`; its form is described in `tests/scenes/README.md`. What is not right yet stands in
//! `tests/scenes/not-yet.txt`, one line for each scene, with the reason.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};

/// Where a scene is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// A real API server with simulated kubelets.
    Cluster,
    /// A real kubelet with real containers.
    Node,
    /// Real files of this machine.
    Host,
}

impl Place {
    /// Every place, in the order in which they are played.
    pub const ALL: [Self; 3] = [Self::Host, Self::Cluster, Self::Node];

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Node => "node",
            Self::Host => "host",
        }
    }

    /// The place of this word.
    pub fn parse(word: &str) -> anyhow::Result<Self> {
        let found = Self::ALL.into_iter().find(|place| place.word() == word);
        found.with_context(|| format!("expected cluster, node or host, found {word:?}"))
    }
}

/// What kind of answer is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Something is changed, after approval where that is needed.
    Act,
    /// Nothing is changed, and nobody is asked.
    Refrain,
    /// Nothing is changed; a person is told what to do, and why Nimbus does not.
    Recommend,
}

impl Right {
    fn parse(word: &str) -> anyhow::Result<Self> {
        Ok(match word {
            "act" => Self::Act,
            "refrain" => Self::Refrain,
            "recommend" => Self::Recommend,
            other => bail!("expected act, refrain or recommend, found {other:?}"),
        })
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Act => "act",
            Self::Refrain => "refrain",
            Self::Recommend => "recommend",
        }
    }
}

/// One file of the catalogue.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The file's name without `.md`.
    pub name: String,
    /// Its heading: the situation in one line.
    pub title: String,
    /// Where it is played.
    pub place: Place,
    /// What kind of answer is right.
    pub right: Right,
    /// The rules of judgement that decide it; none for what is judged by plain sense.
    pub rules: Vec<u8>,
    /// Why nothing else may be played on the same cluster meanwhile.
    pub alone: Option<String>,
}

/// How many rules of judgement there are.
const RULES: u8 = 25;

/// The sections that every file has, each with at least a sentence.
const SECTIONS: [&str; 3] = ["Situation", "Right answer", "Why"];

/// Everything that the catalogue says.
#[derive(Debug, Clone)]
pub struct Catalogue {
    /// By name.
    pub entries: BTreeMap<String, Entry>,
    /// Scenes that are not right yet, each with the reason.
    pub not_yet: BTreeMap<String, String>,
}

/// The directory of the catalogue.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenes")
}

impl Catalogue {
    /// Reads the whole directory.
    ///
    /// # Errors
    /// When a file is not of the form; every file that is not is named.
    pub fn read(directory: &Path) -> anyhow::Result<Self> {
        let (mut entries, mut wrong) = (BTreeMap::new(), Vec::new());
        let listing = std::fs::read_dir(directory).with_context(|| directory.display().to_string())?;
        for file in listing {
            let path = file?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".md")) else {
                continue;
            };
            if name == "README" {
                continue;
            }
            match parse(name, &std::fs::read_to_string(&path)?) {
                Ok(entry) => {
                    entries.insert(name.to_owned(), entry);
                }
                Err(error) => wrong.push(format!("{name}.md: {error:#}")),
            }
        }
        let list = directory.join("not-yet.txt");
        let text = std::fs::read_to_string(&list).with_context(|| list.display().to_string())?;
        let not_yet = parse_not_yet(&text)?;
        let unknown = not_yet.keys().filter(|name| !entries.contains_key(*name));
        wrong.extend(unknown.map(|name| format!("not-yet.txt: there is no scene {name}")));
        ensure!(wrong.is_empty(), "the catalogue of scenes is not in order:\n{}", wrong.join("\n"));
        Ok(Self { entries, not_yet })
    }
}

fn parse_not_yet(text: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let split = line.split_once(": ").filter(|(_, why)| !why.trim().is_empty());
        let (name, why) = split.with_context(|| format!("expected NAME: REASON, found {line:?}"))?;
        ensure!(found.insert(name.to_owned(), why.to_owned()).is_none(), "{name} is listed twice");
    }
    Ok(found)
}

fn parse(name: &str, text: &str) -> anyhow::Result<Entry> {
    let title = text.lines().next().and_then(|line| line.strip_prefix("# ")).context("expected a heading")?;
    let head = text.split("\n## ").next().unwrap_or_default();
    let fields: BTreeMap<&str, &str> =
        head.lines().filter_map(|line| line.strip_prefix("- ")?.split_once(": ")).collect();
    for key in fields.keys() {
        ensure!(["where", "right", "rules", "alone"].contains(key), "there is no field {key:?}");
    }
    let field =
        |key: &str| fields.get(key).copied().with_context(|| format!("expected a line `- {key}: ...`"));
    let mut rules = Vec::new();
    for rule in field("rules")?.split(", ").filter(|rule| *rule != "none") {
        let number: u8 = rule.parse().with_context(|| format!("expected a rule's number, found {rule:?}"))?;
        ensure!((1..=RULES).contains(&number), "there is no rule {number}");
        rules.push(number);
    }
    for section in SECTIONS {
        let body = text.split(&format!("\n## {section}\n")).nth(1);
        let body = body.with_context(|| format!("expected a section {section:?}"))?;
        let body = body.split("\n## ").next().unwrap_or_default().trim();
        ensure!(body.len() >= 20 && body.ends_with('.'), "expected whole sentences below {section:?}");
    }
    Ok(Entry {
        name: name.to_owned(),
        title: title.to_owned(),
        place: Place::parse(field("where")?)?,
        right: Right::parse(field("right")?)?,
        rules,
        alone: fields.get("alone").map(|&why| why.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# A quota\n\n- where: cluster\n- right: recommend\n- rules: 3, 15\n\n## Situation\n\n\
        A quota stops it, and so on.\n\n## Right answer\n\nOne incident that says so.\n\n## Why\n\nThe template is innocent.\n";

    #[test]
    fn a_file_says_everything() {
        let entry = parse("quota", GOOD).unwrap();
        assert_eq!(
            (entry.title.as_str(), entry.place, entry.right),
            ("A quota", Place::Cluster, Right::Recommend)
        );
        assert_eq!((entry.rules.as_slice(), entry.alone), (&[3, 15][..], None));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (from, to, expected) in [
            ("# A", "A", "a heading"),
            ("- where: cluster\n", "", "where"),
            ("cluster", "moon", "moon"),
            ("recommend", "maybe", "maybe"),
            ("3, 15", "26", "no rule 26"),
            ("- rules", "- colour: red\n- rules", "colour"),
            ("The template is innocent.", "No", "Why"),
            ("## Right answer", "## Answer", "Right answer"),
        ] {
            let error = parse("quota", &GOOD.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }

    #[test]
    fn a_reason_is_needed_to_be_on_the_list() {
        let list = parse_not_yet("# a comment\n\nquota: rule 3 reads no events\n").unwrap();
        assert_eq!(list["quota"], "rule 3 reads no events");
        for wrong in ["quota", "quota: ", "a: b\na: c"] {
            assert!(parse_not_yet(wrong).is_err(), "{wrong}");
        }
    }
}
