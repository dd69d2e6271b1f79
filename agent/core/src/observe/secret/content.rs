//! Decides whether content looks like a secret: known credential formats, assignments to names such as `password` (with
//! a sign, or with a space as in `redis.conf` and `slapd.conf`), passwords in URLs, and long random strings.

use super::entropy::is_random;
use super::placeholder::is_placeholder;
use super::{account, credential};

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
const NAME_ENDS: [&str; 5] = ["pwd", "pass", "psk", "auth", "pw"];
/// Names with such an end that are followed by something else than a secret.
const NO_NAMES: [&str; 9] = [
    "proxypass",
    "fastcgipass",
    "uwsgipass",
    "scgipass",
    "grpcpass",
    "memcachedpass",
    "proxypassreverse",
    "bypass",
    "compass",
];
/// A name further in than this word is prose, not the name of a value that follows a space.
const WORDS: usize = 3;
/// So many digits in hex behind a name that ends in `key` are one.
const HEX_KEY: usize = 32;

pub(super) fn looks_secret(content: &[u8]) -> bool {
    let text = String::from_utf8_lossy(content);
    credential::is_in(&text)
        || assigns_secret(&text)
        || text.lines().any(is_secret_line)
        || words(&text).any(is_random)
}

fn is_secret_line(line: &str) -> bool {
    has_bearer(line)
        || has_password_in_address(line)
        || is_login(line)
        || is_identified(line)
        || account::is_in(line)
}

/// Is a name that tells given any value at all? Values that are plainly none do not count.
fn assigns_secret(text: &str) -> bool {
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        for (end, name) in names(line) {
            let Some(value) = value_after(line, end, name.starts_with("--")) else {
                if value_after_space(line, end, name) {
                    return true;
                }
                continue;
            };
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
            if is_secret_name(name) || is_hex_key(name, &line[at..]) {
                return Some((at, name));
            }
        }
        None
    })
}

/// A name without what it is written with: `DB_Pass` is `dbpass`.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | '.')).flat_map(char::to_lowercase).collect()
}

fn is_secret_name(name: &str) -> bool {
    let plain = plain(name);
    NAMES.iter().any(|n| plain.contains(n)) || NAME_ENDS.iter().any(|end| plain.ends_with(end))
}

/// A name that ends in `key`, and what follows it is one in hex.
fn is_hex_key(name: &str, rest: &str) -> bool {
    let value = rest.trim_start_matches(['"', '\'', ' ', '\t', ':', '=', '>']);
    let digits = value.strip_prefix("0x").unwrap_or(value);
    plain(name).ends_with("key") && digits.bytes().take_while(u8::is_ascii_hexdigit).count() >= HEX_KEY
}

/// Does a value follow the name after nothing but a space? In quotes anywhere in the line, else where the name is one
/// of its first words; in a comment only as the last word, as other text is prose there.
fn value_after_space(line: &str, end: usize, name: &str) -> bool {
    let rest = line[end..].trim_start_matches(['"', '\'']);
    let value = rest.trim();
    let spaced = rest.starts_with([' ', '\t']);
    let plain = plain(name);
    if !spaced || is_placeholder(value) || is_switch(value) || NO_NAMES.iter().any(|no| plain.ends_with(no)) {
        return false;
    }
    let mut words = value.split_whitespace();
    let first = words.next().unwrap_or_default();
    if plain.ends_with("auth") && !plain.ends_with("masterauth") && !is_user_and_password(first) {
        return false;
    }
    let start = line.trim_start();
    let comment =
        start.starts_with(['#', ';', '*', '!']) || start.starts_with("//") || start.starts_with("-- ");
    value.starts_with(['"', '\''])
        || (line[..end].split_whitespace().count() <= WORDS && !(comment && words.next().is_some()))
}

fn is_user_and_password(word: &str) -> bool {
    word.split_once(':').is_some_and(|(user, password)| !user.is_empty() && !is_placeholder(password))
}

/// A value that only turns something on or off, as in `server_tokens off;`.
fn is_switch(value: &str) -> bool {
    matches!(value.trim_end_matches([';', ',']), "on" | "off")
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

/// SQL: `IDENTIFIED BY ...`, and `IDENTIFIED WITH ... BY ...`.
fn is_identified(line: &str) -> bool {
    let lower = line.to_lowercase();
    let mut words = lower.split_whitespace().skip_while(|word| *word != "identified").skip(1);
    match words.next() {
        Some("by") => words.next().is_some_and(|value| !is_placeholder(value)),
        Some("with") => words.nth(1) == Some("by"),
        _ => false,
    }
}

/// Runs of characters that keys and tokens are made of.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '_' | '-' | '=')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_with_a_secret_is_recognised() {
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
            "requirepass hunter2redis",
            "# requirepass hunter2redis",
            "masterauth hunter2redis",
            "  user admin insecure-password s3cretHA",
            "  user admin password $5$abc$def",
            "  stats auth admin:s3cret",
            "rootpw hunter2",
            "rootpw\t\tsecret",
            "bindpw hunter2",
            "CREATE USER 'app' IDENTIFIED BY \"hunter2\";",
            "create user app identified by hunter2",
            "CREATE USER app IDENTIFIED WITH mysql_native_password BY 'x'",
            "ALTER ROLE app WITH LOGIN PASSWORD 'hunter2'",
            "admin:$6$salt$hash",
            "x: {SSHA}abcdef",
            "model sk-proj-abcdEFGH1234",
            "key=0123456789abcdef0123456789abcdef",
            "encryption key 0x0123456789ABCDEF0123456789ABCDEF",
            "\"signing_key\": \"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"",
            "pw: tiger",
            "dsn root:hunter2@tcp(127.0.0.1:3306)/app",
            "\"app\" \"hunter2\"",
            "rocommunity hunter2",
            "<pw>tiger</pw>",
            "session eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
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
            "workers = 4",
            "listen = 0.0.0.0:8080",
            "keepalive_timeout 65",
            "monkey = 3",
            "key = 3",
            "server_tokens off;",
            "proxy_pass http://backend;\nproxy_cache_bypass $http_upgrade;\nfastcgi_pass php;",
            "ProxyPass / http://127.0.0.1:8080/",
            "PasswordAuthentication no\nPermitRootLogin prohibit-password",
            "auth required pam_unix.so",
            "# see the password section of the manual",
            "ssl_certificate_key /etc/ssl/site.crt;",
            "router bgp 65000\n neighbor 10.0.0.1 send-community both",
            "app-{sha}.tar.gz",
            "from: ops@example.com",
            "the-quick-brown-fox-jumps-over-the-lazy-dog-again-and-again",
        ] {
            assert!(!looks_secret(text.as_bytes()), "{text}");
        }
    }
}
