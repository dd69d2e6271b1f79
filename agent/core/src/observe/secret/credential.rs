//! Credentials by their own shape, whatever is around them.

/// What stands in the text of known credentials.
const MARKS: [&str; 20] = [
    "PRIVATE KEY-----",
    "PRIVATE KEY BLOCK-----",
    "PuTTY-User-Key-File",
    "OPENSSH PRIVATE KEY",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "sk_live_",
    "rk_live_",
    "AIza",
    "client-key-data",
    "$ANSIBLE_VAULT",
    "hvs.",
    "{SSHA",
    "{CRYPT}",
];
/// Beginnings of AWS access key ids, followed by 16 capitals or digits.
const AWS: [&str; 4] = ["AKIA", "ASIA", "AROA", "AIDA"];
/// Beginnings of password hashes, followed by the salt (or the cost), `$` and more.
const HASHES: [&str; 9] = ["$1$", "$2a$", "$2b$", "$2y$", "$5$", "$6$", "$y$", "$apr1$", "$argon2"];
/// Beginnings of keys that are words of their own, and how many characters of a key follow at least.
const KEYS: [(&str, usize); 4] = [("sk-proj-", 4), ("sk-ant-", 4), ("sk-", 16), ("xapp-", 8)];

pub(super) fn is_in(text: &str) -> bool {
    MARKS.iter().any(|mark| text.contains(mark))
        || AWS.iter().any(|start| {
            behind(text, start).any(|rest| {
                let id = rest.as_bytes().get(..16).unwrap_or_default();
                id.len() == 16 && id.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            })
        })
        || HASHES.iter().any(|start| behind(text, start).any(is_hash))
        || KEYS.iter().any(|(start, least)| begins_word(text, start).any(|rest| is_key(rest, *least)))
        || begins_word(text, "SG.").any(|rest| has_parts(rest, [8, 8]))
        || begins_word(text, "eyJ").any(|rest| has_parts(rest, [1, 1]) && parts(rest).count() > 2)
}

/// The text behind each place where `start` stands.
fn behind<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    text.match_indices(start).map(move |(at, _)| &text[at + start.len()..])
}

/// The same, only where nothing of a word stands before it.
fn begins_word<'a>(text: &'a str, start: &'a str) -> impl Iterator<Item = &'a str> {
    let free = |at: usize| !text[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-'));
    text.match_indices(start).filter(move |(at, _)| free(*at)).map(move |(at, _)| &text[at + start.len()..])
}

/// The rest of a crypt hash: a part of its alphabet, `$`, and more of it.
fn is_hash(rest: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '=' | ',' | '+' | '-');
    let first = rest.find(|c| !part(c)).unwrap_or(rest.len());
    let second = rest[first..].strip_prefix('$');
    first > 0 && second.is_some_and(|second| second.starts_with(part))
}

/// So many characters of a key; in a short word one of them is no small letter, as in no name.
fn is_key(rest: &str, least: usize) -> bool {
    let end = rest.find(|c| !is_token(c)).unwrap_or(rest.len());
    let key = &rest[..end];
    key.len() >= least && (least < 8 || key.contains(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit()))
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

/// The parts, between dots, of the token that continues here.
fn parts(rest: &str) -> impl Iterator<Item = &str> {
    let end = rest.find(|c| !is_token(c) && c != '.').unwrap_or(rest.len());
    rest[..end].split('.')
}

/// Two parts between dots, each of at least so many characters.
fn has_parts(rest: &str, least: [usize; 2]) -> bool {
    let mut parts = parts(rest);
    least.iter().all(|least| parts.next().is_some_and(|part| part.len() >= *least))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_by_their_shape() {
        for text in [
            "alice:$6$salt$hash",
            "root:$y$j9T$abcdef$ghi:19000:0:99999:7:::",
            "web:$2y$10$abcdefghijklmnopqrstuv",
            "hash: $argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
            "x:$apr1$salt$hash",
            "x:$6$rounds=5000$salt$hash",
            "userdata {SSHA}abcdef",
            "openai sk-proj-abcd",
            "openai sk-proj-aB3dE5gH7jK9",
            "\"sk-ant-abcd1234\"",
            "x sk-0123456789abcdefghij",
            "slack xapp-1-A0123456-789",
            "mail SG.abcdefghij.klmnopqrst",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
            "x=eyJh.eyJz.sig",
            "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
        ] {
            assert!(is_in(text), "{text}");
        }
        for text in [
            "rewrite ^/(.*)$ /$1$is_args$args;",
            "price $1 and $2",
            "disk-usage-of-every-mounted-file-system-0",
            "task-runner-with-a-rather-long-name-2",
            "sk-learn-pipeline-configuration",
            "SG.txt",
            "eyJust.a",
        ] {
            assert!(!is_in(text), "{text}");
        }
    }
}
