//! Recognises credentials by their format alone (key headers, token prefixes), whatever text surrounds them.

/// What stands in the text of known credentials.
const MARKS: [&str; 21] = [
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
    "SCRAM-SHA-256$",
];
/// Beginnings of AWS access key ids, followed by 16 capitals or digits.
const AWS: [&str; 4] = ["AKIA", "ASIA", "AROA", "AIDA"];
/// Beginnings of password hashes, followed by the salt (or the cost), `$` and more.
const HASHES: [&str; 9] = ["$1$", "$2a$", "$2b$", "$2y$", "$5$", "$6$", "$y$", "$apr1$", "$argon2"];
/// Names in braces before a stored password, in any case; a text that may be one follows.
const SCHEMES: [&str; 16] = [
    "sha",
    "sha1",
    "sha224",
    "sha256",
    "sha384",
    "sha512",
    "ssha",
    "ssha256",
    "ssha512",
    "md5",
    "smd5",
    "crypt",
    "pbkdf2",
    "argon2",
    "plain",
    "cleartext",
];
/// Characters of a stored password that are enough to be one.
const STORED: usize = 6;
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
        || begins_word(text, "md5").any(is_md5)
        || behind(text, "{").any(is_stored)
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

/// Behind `md5`: 32 digits in hex and nothing more of a word, as PostgreSQL and its poolers keep passwords.
fn is_md5(rest: &str) -> bool {
    let end = rest.find(|c| !is_token(c)).unwrap_or(rest.len());
    end == 32 && rest[..end].bytes().all(|b| b.is_ascii_hexdigit())
}

/// Behind `{`: a scheme, `}` and a stored password, as LDAP keeps them. A path or a name is none.
fn is_stored(rest: &str) -> bool {
    // No scheme is longer, and a text full of braces is not searched anew for each.
    let Some(end) = rest.bytes().take(12).position(|b| b == b'}') else { return false };
    let (scheme, stored) = (&rest[..end], &rest[end + 1..]);
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '$');
    SCHEMES.contains(&scheme.to_ascii_lowercase().as_str())
        && stored.chars().take_while(|c| part(*c)).take(STORED).count() == STORED
        && !stored.starts_with('/')
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
            "admin:$6$salt$hash",
            "root:$y$j9T$abcdef$ghi:19000:0:99999:7:::",
            "web:$2y$10$abcdefghijklmnopqrstuv",
            "hash: $argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
            "x:$apr1$salt$hash",
            "x:$6$rounds=5000$salt$hash",
            "userdata {SSHA}abcdef",
            "app:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
            "userPassword: {ssha512}abcdefgh",
            "ops:{PLAIN}hunter2",
            "\"app\" \"md50123456789abcdef0123456789abcdef\"",
            "app md50123456789ABCDEF0123456789abcdef",
            "app SCRAM-SHA-256$4096:c2FsdA==$a:b",
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
            "releases/{sha}/artifacts",
            "app-{sha256}.tar",
            "{md5} of it",
            "md5sum 0123456789abcdef0123456789abcdef",
            "md5:0123456789abcdef0123456789abcdef",
            "md50123456789abcdef0123456789abcdef0",
        ] {
            assert!(!is_in(text), "{text}");
        }
    }
}
