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

/// The text with "…" for what may be the user and the password of an address: what stands between "://", or the beginning, and
/// the last "@"; without an "@", all that follows "://" where a colon is in it. A password may hold any sign, blanks too.
fn redacted(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let begin = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    match rest.rfind('@') {
        Some(sign) => format!("{begin}…{}", &rest[sign..]),
        None if !scheme.is_empty() && rest.contains(':') => format!("{begin}…"),
        None => text.to_owned(),
    }
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
        assert_eq!(
            wrong.found, r#""postgres://…@b'"#,
            "a password may hold any sign: what stands between goes"
        );
        for (given, shown) in [
            ("postgres://u:it'sPW@h/db", "postgres://…@h/db"),
            ("u:PW@h/db", "…@h/db"),
            ("postgres://u:PW", "postgres://…"),
            ("postgres://u:P W@h", "postgres://…@h"),
            ("https://registry.example/x", "https://registry.example/x"),
            ("two words: one", "two words: one"),
        ] {
            assert_eq!(redacted(given), shown);
        }
    }
}
