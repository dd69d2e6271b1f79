//! Reads the rules in `rules.toml`, which is compiled in, and tests them with the examples that they bring.

use std::ops::Range;
use std::sync::OnceLock;

use regex::bytes::{Captures, Regex, RegexBuilder};
use serde::Deserialize;

use super::letters::fold;

/// Most bytes that one compiled form may take.
const FORM_BYTES: usize = 1 << 20;

/// All rules.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    pub paths: Paths,
    pub names: Names,
    pub values: Values,
    pub lines: Lines,
    pub random: Random,
    pub public: Public,
    pub found: Vec<Found>,
}

/// What the name of a file tells.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    pub names: Vec<String>,
    pub endings: Vec<String>,
    pub beginnings: Vec<String>,
    pub parts: Vec<String>,
    pub directories: Vec<String>,
    pub by_content: Vec<String>,
    pub by_content_endings: Vec<String>,
    pub unless_public: Vec<String>,
}

/// What the name of a value tells.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    pub secret: Vec<String>,
    pub ends: Vec<String>,
    pub last: Vec<String>,
    pub only_accounts: Vec<String>,
    pub only_mixed: Vec<String>,
    pub several: Vec<String>,
    pub several_by_key: Vec<String>,
    pub about: Vec<String>,
    pub measures: Vec<String>,
    pub innocent: Vec<String>,
    pub files: Vec<String>,
    pub phrases: Vec<String>,
    pub hex_key: usize,
    pub hex_ends: Vec<String>,
    pub words: usize,
}

/// Which values are none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Values {
    pub nothing: Vec<String>,
    pub reference: Vec<Whole>,
    pub plain: Vec<Whole>,
    pub number: Vec<Whole>,
    pub forms: Vec<String>,
    pub keys: Vec<String>,
    pub beside: Vec<String>,
    pub fallback: Vec<Form>,
    pub verbs: Vec<String>,
    pub prose: Vec<String>,
    pub before_a_name: Vec<String>,
    pub comments: Vec<String>,
}

/// Lines that are not searched for names.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lines {
    pub harmless: Vec<Form>,
}

/// When a word looks random, or stands for itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Random {
    pub from: usize,
    pub bits: f64,
    pub run: usize,
    pub bare: usize,
    pub bare_line: usize,
    pub bare_names: Vec<String>,
    pub bare_plain: Vec<Whole>,
}

/// What is random and public.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Public {
    pub spans: Vec<Form>,
    pub around: Vec<Form>,
}

/// What stands in a text.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Found {
    pub what: String,
    has: Vec<String>,
    forms: Vec<Form>,
    #[serde(default)]
    unless: Vec<Form>,
    hit: Vec<String>,
    #[serde(default)]
    miss: Vec<String>,
    /// What is found only tells of a secret that stands around it.
    #[serde(default)]
    pub around: bool,
    /// It tells in a file, where it is a line, and not in a document, where digests are strings of their own.
    #[serde(default)]
    pub by_line: bool,
}

/// A regular expression over bytes, compiled when it is first needed.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
pub struct Form {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

impl From<String> for Form {
    fn from(text: String) -> Self {
        Self { text, compiled: OnceLock::new() }
    }
}

impl Form {
    fn compile(&self) -> Result<Regex, regex::Error> {
        RegexBuilder::new(&self.text).unicode(false).size_limit(FORM_BYTES).build()
    }

    /// `None` only where it cannot be compiled, of which [`Rules::read`] makes sure.
    pub fn get(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| self.compile().ok()).as_ref()
    }

    /// Does it stand anywhere in the text?
    pub fn is_in(&self, text: &str) -> bool {
        self.get().is_some_and(|form| form.is_match(text.as_bytes()))
    }
}

/// A form that a whole text has to have.
#[derive(Debug, Deserialize)]
#[serde(from = "String")]
pub struct Whole(Form);

impl From<String> for Whole {
    fn from(text: String) -> Self {
        Self(Form::from(format!("^(?:{text})$")))
    }
}

impl Whole {
    /// Has the text this form, from its beginning to its end?
    pub fn is(&self, text: &str) -> bool {
        self.0.is_in(text)
    }
}

impl Rules {
    /// The rules in `text`, if they can be used and each finds what it should.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut rules: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let names = &mut rules.names;
        for word in names.secret.iter_mut().chain(&mut names.last).chain(&mut names.only_mixed) {
            *word = word.chars().flat_map(fold).collect();
        }
        let ascii = rules.names.secret.iter().filter(|word| word.is_ascii());
        let secret = ascii.map(String::as_str).collect::<Vec<_>>().join("|");
        for rule in &mut rules.found {
            for form in rule.forms.iter_mut().chain(&mut rule.unless) {
                form.text = form.text.replace("{secret}", &secret);
            }
        }
        rules.compile_all()?;
        rules.test()?;
        // Few agents show contents: what was compiled for the test is dropped until it is needed.
        for form in rules.found.iter_mut().flat_map(|rule| rule.forms.iter_mut().chain(&mut rule.unless)) {
            form.compiled = OnceLock::new();
        }
        Ok(rules)
    }

    /// Every form can be compiled; what was compiled for that is dropped again.
    fn compile_all(&self) -> Result<(), String> {
        let found = self.found.iter().flat_map(|rule| rule.forms.iter().chain(&rule.unless));
        let lines = self.lines.harmless.iter().chain(&self.public.spans).chain(&self.public.around);
        let lines = lines.chain(&self.values.fallback);
        let values = self.values.reference.iter().chain(&self.values.plain).chain(&self.values.number);
        let whole = values.chain(&self.random.bare_plain).map(|whole| &whole.0);
        for form in found.chain(lines).chain(whole) {
            form.compile().map_err(|error| format!("{}: {error}", form.text))?;
        }
        Ok(())
    }

    /// Each rule finds its own examples, and not what it must leave alone.
    fn test(&self) -> Result<(), String> {
        let mut wrong = Vec::new();
        for rule in &self.found {
            let mut expect = |expected: &str, example: &str| {
                wrong.push(format!("the rule for {}: expected it {expected} find {example:?}", rule.what));
            };
            if rule.hit.is_empty() {
                expect("to", "an example of its own");
            }
            for hit in rule.hit.iter().filter(|hit| !rule.is_in(&Text::new(hit), self)) {
                expect("to", hit);
            }
            for miss in rule.miss.iter().filter(|miss| rule.is_in(&Text::new(miss), self)) {
                expect("not to", miss);
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
    }
}

impl Values {
    /// True for nothing, a switch such as `true`, and a reference such as `${NAME}`.
    pub fn is_nothing(&self, value: &str) -> bool {
        let value = value.trim().trim_end_matches([',', ';']).trim();
        let bare = value.trim_matches(['"', '\'', '`', ',', ';']).trim();
        let open = bare.trim_end_matches([')', '}', ']', '>']).trim();
        let words = &self.nothing;
        bare.is_empty()
            || [value, bare, open].iter().any(|form| form.is_empty() || words.iter().any(|word| word == form))
            || [value, bare].iter().any(|value| self.reference.iter().any(|form| form.is(value)))
    }
}

/// A text, and the same in lower case, where the words of `has` are looked for.
pub struct Text<'a> {
    pub text: &'a str,
    lower: String,
}

impl<'a> Text<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { text, lower: text.to_lowercase() }
    }
}

/// Where something was found, in bytes.
pub struct Place {
    /// All that was found.
    pub whole: Range<usize>,
    /// The value in it.
    pub value: Option<Range<usize>>,
}

impl Found {
    pub fn is_in(&self, text: &Text<'_>, rules: &Rules) -> bool {
        self.may_be_in(&text.lower) && self.forms.iter().any(|form| self.is_form_in(form, text.text, rules))
    }

    fn is_form_in(&self, form: &Form, text: &str, rules: &Rules) -> bool {
        form.get().is_none() || self.next(form, text, 0, rules).is_some()
    }

    /// Can it be found in a text at all? `lower` is the text in lower case.
    pub fn may_be_in(&self, lower: &str) -> bool {
        self.has.iter().any(|word| lower.contains(word))
    }

    /// Every place where it is found: the whole of what was found, and the value in it if it has one.
    pub fn places(&self, text: &str, rules: &Rules) -> Vec<Place> {
        let mut places = Vec::new();
        for form in &self.forms {
            let mut at = 0;
            while let Some(place) = self.next(form, text, at, rules) {
                at = place.value.as_ref().unwrap_or(&place.whole).end.max(place.whole.start + 1);
                places.push(place);
            }
        }
        places
    }

    /// The first place from a byte on where a form is found and counts.
    fn next(&self, form: &Form, text: &str, from: usize, rules: &Rules) -> Option<Place> {
        let regex = form.get()?;
        let mut at = from;
        while at <= text.len() {
            let found = regex.captures_at(text.as_bytes(), at)?;
            let whole = found.get(0)?.range();
            if self.counts(&found, rules) {
                return Some(Place { whole, value: found.name("value").map(|value| value.range()) });
            }
            // What does not count may overlap what does: the search goes on behind its first byte.
            at = whole.start + 1;
        }
        None
    }

    fn counts(&self, found: &Captures<'_>, rules: &Rules) -> bool {
        let whole = found.get(0).map_or(&b""[..], |whole| whole.as_bytes());
        let excepted = self.unless.iter().any(|form| form.get().is_some_and(|unless| unless.is_match(whole)));
        let value = found.name("value").map(|value| String::from_utf8_lossy(value.as_bytes()));
        !excepted && value.is_none_or(|value| !rules.values.is_nothing(&value))
    }
}
