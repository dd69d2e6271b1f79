//! Decides whether a file looks as if it held a secret. Of such a file only hashes leave the host, never content.
//!
//! This is the second line, behind the policy's `diff_paths`. What is taken for a secret is data, in `rules.toml`; here
//! it is applied. When in doubt it withholds: a configuration that mentions a password is withheld whole. A rule set that
//! cannot be used withholds everything, and [`check`] says why.

pub(crate) mod assigned;
mod assigns;
pub(crate) mod below;
pub(crate) mod blocks;
pub(crate) mod columns;
pub(crate) mod entries;
pub(crate) mod given;
mod letters;
pub(crate) mod name;
pub(crate) mod names;
pub(crate) mod properties;
pub(crate) mod random;
pub(crate) mod records;
pub(crate) mod rules;
pub(crate) mod tables;
pub(crate) mod values;
pub(crate) mod words;

use std::sync::OnceLock;

use rules::{Rules, Text};

/// The rules, read and tested once.
pub(crate) fn rules() -> &'static Result<Rules, String> {
    static RULES: OnceLock<Result<Rules, String>> = OnceLock::new();
    RULES.get_or_init(|| Rules::read(include_str!("rules.toml")))
}

/// Can the rules be used? Where they cannot, no contents are shown; the error says what is wrong with them.
pub fn check() -> Result<(), String> {
    match rules() {
        Ok(_) => Ok(()),
        Err(error) => Err(format!(
            "the rules for what looks like a secret cannot be used, so no contents are shown: {error}; install this \
             agent anew"
        )),
    }
}

/// Does the path's name or the content look like a secret?
pub fn looks_secret(path: &str, content: &str) -> bool {
    let Ok(rules) = rules() else { return true };
    name_looks_secret(path, content, rules) || content_looks_secret(path, content, rules)
}

pub(crate) fn name_looks_secret(path: &str, content: &str, rules: &Rules) -> bool {
    let path = path.to_lowercase();
    let name = path.rsplit('/').next().unwrap_or(&path);
    let is = |names: &[String]| names.iter().any(|known| known == name);
    let ends = |endings: &[String]| endings.iter().any(|ending| name.ends_with(ending.as_str()));
    let paths = &rules.paths;
    if is(&paths.by_content) || ends(&paths.by_content_endings) {
        return false;
    }
    if ends(&paths.unless_public) {
        return !content.trim().is_empty() && !random::is_public(content, rules);
    }
    let innocent = words::without_innocent(path.clone(), rules);
    is(&paths.names)
        || ends(&paths.endings)
        || paths.beginnings.iter().any(|beginning| name.starts_with(beginning.as_str()))
        || paths.parts.iter().any(|part| innocent.contains(part.as_str()))
        || path.split('/').any(|component| paths.directories.iter().any(|known| known == component))
}

fn content_looks_secret(path: &str, content: &str, rules: &Rules) -> bool {
    let tells = |content: &str| {
        let text = Text::new(content);
        rules.found.iter().any(|rule| rule.is_in(&text, rules)) || assigns::assigns_secret(content, rules)
    };
    tells(content)
        || joined(content).is_some_and(|joined| tells(&joined))
        || random::is_in(path, content, rules)
}

/// The text with lines that go on behind a backslash as one, where it has any.
fn joined(content: &str) -> Option<String> {
    let goes_on = content.contains("\\\n") || content.contains("\\\r\n");
    goes_on.then(|| content.replace("\\\r\n", " ").replace("\\\n", " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_that_are_compiled_in_can_be_used() {
        assert_eq!(check(), Ok(()));
    }

    #[test]
    fn rules_that_do_not_find_their_own_examples_are_refused() {
        let good = include_str!("rules.toml");
        for (from, to, says) in [
            ("hit = ['AIzaEXAMPLEEXAMPLEEXAMPLE']", "hit = ['nothing']", "a Google key"),
            ("hit = ['AIzaEXAMPLEEXAMPLEEXAMPLE']", "hit = []", "a Google key"),
            ("miss = ['ghp_x']", "miss = ['ghp_0123456789abcdef']", "not to find"),
            ("GOCSPX-[A-Za-z0-9_-]{10,}", "GOCSPX-[A-Za", "GOCSPX"),
            ("[random]", "[ransom]", "ransom"),
            ("hex_key = 32", "hex_keys = 32", "hex_key"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good, "{from}");
            let error = Rules::read(&bad).err().unwrap_or_default();
            assert!(error.contains(says), "{from}: {error}");
        }
    }

    #[test]
    fn names_of_secrets_are_recognised() {
        for path in [
            "/etc/ssl/private/x",
            "/etc/app/tls.key",
            "/etc/app/TLS.PEM",
            "/root/.ssh/config",
            "/root/.ssh/id_rsa.bak",
            "/srv/.env",
            "/srv/.env.production",
            "/srv/prod.env",
            "/etc/shadow",
            "/home/o/.kube/config",
            "/etc/kubernetes/admin.conf",
            "/etc/app/db_password",
            "/etc/app/API-Key.txt",
            "/x/secrets/plain.txt",
            "/home/o/.netrc",
            "/home/o/.pgpass",
            "/var/tokens/a",
            "/etc/pgbouncer/userlist.txt",
            "/var/lib/rabbitmq/.erlang.cookie",
        ] {
            assert!(looks_secret(path, "something"), "{path}");
        }
        for path in [
            "/etc/nginx/nginx.conf",
            "/etc/app/settings.toml",
            "/etc/hosts",
            "/etc/environment.d/x.conf",
            "/etc/passwd",
            "/etc/ssh/ssh_known_hosts",
            "/etc/pam.d/common-password",
        ] {
            assert!(!looks_secret(path, "something"), "{path}");
        }
    }
}
