//! The list of a release's files with their SHA-256, in the form that `sha256sum --check` reads.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::{MOST_BYTES, MOST_FILES};

/// A file's SHA-256.
pub type Sum = [u8; 32];

/// Each file's name, relative to the release's directory with `/` between its parts, and its sum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sums(BTreeMap<String, Sum>);

/// Why a text is not such a list. Lines count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// Longer than any list may be.
    #[error("expected at most {MOST_BYTES} bytes, found {0}")]
    TooLong(u64),
    /// More files than any release has.
    #[error("expected at most {MOST_FILES} files, found more")]
    TooMany,
    /// Not UTF-8.
    #[error("expected text, found bytes that are not UTF-8")]
    NotText,
    /// It ends in the middle of a line.
    #[error("expected a line break at the end, found none: the list was cut off")]
    CutOff,
    /// Not `SUM  NAME`.
    #[error("line {0}: expected 64 lower-case hexadecimal digits, two spaces and a name")]
    Line(usize),
    /// A name that could lead out of the directory, or that two systems read differently.
    #[error("line {0}: expected a relative name of plain parts, found {1:?}")]
    Name(usize, String),
    /// A second line for a name, or one out of order.
    #[error("line {0}: expected names in order and each once, found {1:?} there")]
    Order(usize, String),
    /// The list names nothing.
    #[error("expected at least one file, found none")]
    Empty,
}

impl Sums {
    /// A list of these files.
    pub fn new(files: impl IntoIterator<Item = (String, Sum)>) -> Self {
        Self(files.into_iter().collect())
    }

    /// Reads a list. There is one way only to write a list, so that what was signed can be read in one way only.
    pub fn read(bytes: &[u8]) -> Result<Self, Wrong> {
        if bytes.len() as u64 > MOST_BYTES {
            return Err(Wrong::TooLong(bytes.len() as u64));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Wrong::NotText)?;
        if text.is_empty() {
            return Err(Wrong::Empty);
        }
        let text = text.strip_suffix('\n').ok_or(Wrong::CutOff)?;
        let mut files = BTreeMap::<String, Sum>::new();
        for (at, line) in text.split('\n').enumerate().map(|(at, line)| (at + 1, line)) {
            if files.len() == MOST_FILES {
                return Err(Wrong::TooMany);
            }
            let (sum, name) = line.split_once("  ").ok_or(Wrong::Line(at))?;
            let sum = read_sum(sum).ok_or(Wrong::Line(at))?;
            if !is_plain(name) {
                return Err(Wrong::Name(at, name.to_owned()));
            }
            if files.last_key_value().is_some_and(|(before, _)| before.as_str() >= name) {
                return Err(Wrong::Order(at, name.to_owned()));
            }
            files.insert(name.to_owned(), sum);
        }
        Ok(Self(files))
    }

    /// The list as text.
    pub fn write(&self) -> String {
        let mut text = String::new();
        for (name, sum) in &self.0 {
            let _ = writeln!(text, "{}  {name}", hex::encode(sum));
        }
        text
    }

    /// The sum of a file that is listed.
    pub fn of(&self, name: &str) -> Option<&Sum> {
        self.0.get(name)
    }

    /// Every file with its sum, in order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Sum)> {
        self.0.iter().map(|(name, sum)| (name.as_str(), sum))
    }

    /// How many files are listed.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Is nothing listed?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A sum in lower-case hexadecimal digits.
pub fn read_sum(text: &str) -> Option<Sum> {
    let lower = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let mut sum = Sum::default();
    (lower && hex::decode_to_slice(text, &mut sum).is_ok()).then_some(sum)
}

/// Letters, digits and `+-._~@` in parts between `/`, none of which is empty, `.` or `..`: a name that means the same file
/// on every system and stays inside the directory.
pub fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._~@".contains(&byte);
    let part = |part: &str| !matches!(part, "" | "." | "..") && part.len() <= 255 && part.bytes().all(plain);
    name.len() <= 1_024 && name.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_list_is_read_as_it_is_written() {
        let sums = Sums::new([("b/c.tar.gz".to_owned(), [1; 32]), ("a".to_owned(), [2; 32])]);
        assert_eq!(Sums::read(sums.write().as_bytes()), Ok(sums.clone()));
        assert_eq!(sums.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b/c.tar.gz"]);
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        let wrong = |text: &str| Sums::read(text.as_bytes()).unwrap_err();
        assert_eq!(wrong(""), Wrong::Empty);
        assert_eq!(wrong(&format!("{ONE}  a")), Wrong::CutOff);
        assert_eq!(wrong(&format!("{ONE} *a\n")), Wrong::Line(1));
        assert_eq!(wrong(&format!("{}  a\n", ONE.to_uppercase())), Wrong::Line(1));
        assert_eq!(wrong(&format!("{ONE}  a\n\n")), Wrong::Line(2));
        assert_eq!(wrong(&format!("{ONE}  b\n{ONE}  a\n")), Wrong::Order(2, "a".to_owned()));
        assert_eq!(wrong(&format!("{ONE}  a\n{ONE}  a\n")), Wrong::Order(2, "a".to_owned()));
        assert_eq!(Sums::read(&[0xff, b'\n']), Err(Wrong::NotText));
    }

    #[test]
    fn a_name_that_leads_out_of_the_directory_is_refused() {
        for name in ["/a", "../a", "a/../b", "a//b", "a/", ".", "a/./b", "a\\b", "a b", "ä", "", "a\r"] {
            let text = format!("{ONE}  {name}\n");
            assert_eq!(Sums::read(text.as_bytes()), Err(Wrong::Name(1, name.to_owned())), "{name:?}");
        }
    }

    #[test]
    fn more_files_than_a_release_has_are_refused() {
        let list = |count: usize| {
            let lines: Vec<String> = (0..count).map(|at| format!("{ONE}  f{at:05}\n")).collect();
            lines.concat()
        };
        assert_eq!(Sums::read(list(MOST_FILES).as_bytes()).map(|sums| sums.len()), Ok(MOST_FILES));
        assert_eq!(Sums::read(list(MOST_FILES + 1).as_bytes()), Err(Wrong::TooMany));
    }
}
