//! What is wrong with an answer.

use serde::Serialize;

/// One answer that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{at}: expected {expected}, found {found}; {next}")]
pub struct Wrong {
    /// Its key, as `database.kind`.
    pub at: String,
    /// What can be used.
    pub expected: String,
    /// What was given.
    pub found: String,
    /// What to do.
    pub next: String,
}

impl Wrong {
    /// With all of its parts. A password in an address that was given in a wrong place is not shown.
    pub fn new(
        at: &str,
        expected: impl Into<String>,
        found: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self {
            at: redacted(at),
            expected: expected.into(),
            found: redacted(&found.into()),
            next: next.into(),
        }
    }
}

/// The text with "…" for what is between "://" and the last "@" of a word: the user and the password of an address.
fn redacted(text: &str) -> String {
    let is_end = |c: char| c.is_whitespace() || c == '"' || c == '\'';
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let word = after.find(is_end).unwrap_or(after.len());
        rest = match after[..word].rfind('@') {
            Some(sign) => {
                shown.push('…');
                &after[sign..]
            }
            None => after,
        };
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_of_a_mistaken_answer_is_not_shown() {
        let url = "postgres://u:P/W@x@h:5432/db?sslmode=require";
        let wrong =
            Wrong::new(url, "a name", format!("{url:?} and https://h/x and 'amqp://a:PW2@b'"), "another");
        assert_eq!(wrong.at, "postgres://…@h:5432/db?sslmode=require");
        let found = r#""postgres://…@h:5432/db?sslmode=require" and https://h/x and 'amqp://…@b'"#;
        assert_eq!(wrong.found, found);
    }
}
