//! Content that looks like a secret: marks of known credentials, assignments to names that tell, passwords in
//! addresses, and long random strings.

use super::entropy::is_random;

/// What stands in the text of known credentials, whatever is around it.
const MARKS: [&str; 18] = [
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
];
/// Beginnings of AWS access key ids, followed by 16 capitals or digits.
const AWS: [&str; 4] = ["AKIA", "ASIA", "AROA", "AIDA"];
/// What a name has in it (without `_`, `-`, `.` and in lower case) when its value is a secret.
const NAMES: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "privatekey",
    "credential",
    "authkey",
    "encryptionkey",
];
/// What a name ends with when its value is a secret.
const NAME_ENDS: [&str; 4] = ["pwd", "pass", "psk", "auth"];

pub(super) fn looks_secret(content: &[u8]) -> bool {
    let text = String::from_utf8_lossy(content);
    MARKS.iter().any(|mark| text.contains(mark))
        || AWS.iter().any(|start| has_access_key(&text, start))
        || assigns_secret(&text)
        || text.lines().any(|line| has_bearer(line) || has_password_in_address(line) || is_login(line))
        || words(&text).any(is_random)
}

fn has_access_key(text: &str, start: &str) -> bool {
    text.match_indices(start).any(|(at, _)| {
        let rest = text.as_bytes().get(at + 4..at + 20).unwrap_or_default();
        rest.len() == 16 && rest.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    })
}

/// Is a name that tells given any value at all? Values that are plainly none do not count.
fn assigns_secret(text: &str) -> bool {
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        for (end, name) in names(line) {
            let Some(value) = value_after(line, end, name.starts_with("--")) else { continue };
            if value.is_empty()
                || value == "|"
                || value == ">"
                || value.starts_with("|-")
                || value.starts_with(">-")
            {
                // The value may stand on the next line, further in.
                let indent = |l: &str| l.len() - l.trim_start().len();
                if lines.peek().is_some_and(|next| indent(next) > indent(line) && !next.trim().is_empty()) {
                    return true;
                }
            } else if !is_placeholder(value) {
                return true;
            }
        }
    }
    false
}

/// The names in a line that tell, and where each ends.
fn names(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < line.len() {
            let rest = &line[at..];
            let start = at + rest.find(part)?;
            let length = line[start..].find(|c| !part(c)).unwrap_or(line.len() - start);
            at = start + length;
            let name = &line[start..at];
            if tells(name) {
                return Some((at, name));
            }
        }
        None
    })
}

fn tells(name: &str) -> bool {
    let plain: String =
        name.chars().filter(|c| !matches!(c, '_' | '-' | '.')).flat_map(char::to_lowercase).collect();
    NAMES.iter().any(|n| plain.contains(n)) || NAME_ENDS.iter().any(|end| plain.ends_with(end))
}

/// What is assigned to the name that ends at `end`: behind `=`, `:` or `>`, or behind a space after a flag. `None` when
/// nothing is assigned there.
fn value_after(line: &str, end: usize, flag: bool) -> Option<&str> {
    let rest = line[end..].trim_start_matches(['"', '\'', ']', ' ', '\t']);
    let assigned = rest.strip_prefix([':', '=', '>']);
    let assigned = match assigned {
        Some(value) => value,
        None if flag && line[end..].starts_with(' ') => rest,
        None => return None,
    };
    Some(assigned.trim_start_matches(['=', '>', ' ', '\t']).trim_start_matches(['"', '\'']).trim())
}

/// A value that is plainly no secret: nothing, a reference, or a switch.
fn is_placeholder(value: &str) -> bool {
    let value = value.trim_end_matches([',', ';', '"', '\'']).trim();
    let reference = (value.starts_with("${") && value.ends_with('}') && !value.contains(":-"))
        || (value.starts_with("{{") && value.ends_with("}}"));
    let value = value.trim_end_matches(['}', ']']).trim();
    value.is_empty()
        || reference
        || value.starts_with("</")
        || matches!(
            value,
            "true" | "false" | "null" | "none" | "None" | "~" | "yes" | "no" | "{" | "[" | "{}" | "[]"
        )
}

fn has_bearer(line: &str) -> bool {
    let lower = line.to_lowercase();
    ["bearer ", "basic "].iter().any(|scheme| {
        lower.match_indices(scheme).any(|(at, _)| {
            let token = lower[at + scheme.len()..].split(|c: char| c.is_whitespace() || c == '"').next();
            token.is_some_and(|t| t.len() >= 8 && !t.starts_with("${"))
        })
    })
}

/// `scheme://user:password@host`.
fn has_password_in_address(line: &str) -> bool {
    line.match_indices("://").any(|(at, _)| {
        let rest = &line[at + 3..];
        let authority = rest.split(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '<')).next();
        let user = authority.and_then(|a| a.rsplit_once('@')).map(|(user, _)| user);
        user.and_then(|u| u.split_once(':')).is_some_and(|(_, password)| !is_placeholder(password))
    })
}

/// A line as in `.netrc`.
fn is_login(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.windows(2).any(|w| w[0] == "login") && words.windows(2).any(|w| w[0] == "password")
}

/// Runs of characters that keys and tokens are made of.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '_' | '-' | '=')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_that_tells() {
        for text in [
            "password=hunter2",
            "\"db_password\": \"x\",",
            "  secret_key_base: 'abc'",
            "export API_KEY=abc",
            "apiKey => 'abc'",
            "app.token: abc",
            "DB_PASS=1234",
            "psk=\"home sweet home\"",
            "<password>x</password>",
            "password:\n  value: x",
            "password: >-\n  folded",
            "run --auth-token abc",
            "url: postgres://app:pw@db/app",
            "Authorization: Bearer abcdefgh12",
            "-----BEGIN RSA PRIVATE KEY-----",
            "aws AKIAABCDEFGHIJKLMNOP",
            "machine h login me password pw",
            "x ghp_0123456789abcdef",
            "key sT7vQ2mZ9xL4bN8cR1wK6yP3dF5gH0jA",
            "password = ${PASSWORD:-default}",
        ] {
            assert!(looks_secret(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn content_that_does_not() {
        for text in [
            "",
            "listen = 8080\nworkers = 4\nlog_level = info\n",
            "server_name www.example.com;\nlocation / { proxy_pass_header Server; }\n",
            "image: registry.example/app@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "password = ${PASSWORD}",
            "password:\nother: 1",
            "token = null",
            "# the password is asked for at the start",
            "url = https://example.com:8443/path?x=1",
            "uid 0b9a7c1e-1234-4abc-8def-0123456789ab",
            "see http://example.com/a/quite/long/path/with/many/Parts/In/It2",
            "the-quick-brown-fox-jumps-over-the-lazy-dog-again-and-again",
        ] {
            assert!(!looks_secret(text.as_bytes()), "{text}");
        }
    }
}
