//! Finds credentials in lines that carry no telling name: `user:password@` without a scheme, a quoted user and password
//! alone on a line, and an SNMP community string.

use super::placeholder::is_placeholder;

/// Words before an address of mail or telephony, which looks like a user with a password.
const ADDRESSES: [&str; 10] =
    ["mailto", "mail", "email", "sip", "sips", "xmpp", "to", "from", "cc", "contact"];
/// Directives of an SNMP agent whose next word is a community, in comments too.
const COMMUNITIES: [&str; 7] = [
    "rocommunity",
    "rwcommunity",
    "rocommunity6",
    "rwcommunity6",
    "trapcommunity",
    "readcommunity",
    "writecommunity",
];

pub(super) fn is_in(line: &str) -> bool {
    has_user_and_password(line) || is_quoted_pair(line) || has_community(line)
}

/// `user:password@`, as in `root:hunter2@tcp(db:3306)/app`. With a scheme it is the address's question.
fn has_user_and_password(line: &str) -> bool {
    let word_ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>');
    line.split(word_ends).any(|word| {
        let Some((account, host)) = word.split_once('@') else { return false };
        let Some((before, password)) = account.split_once(':') else { return false };
        let user = before.rsplit(['=', '(', '[', '{', ',', ';']).next().unwrap_or_default();
        let of_user = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | '\\');
        // `::` is of an IPv6 address or a name in a program, and `image@sha256:` names a digest.
        let other = password.starts_with(':') || password.contains("//") || host.starts_with("sha256:");
        !user.is_empty()
            && user.chars().all(of_user)
            && !ADDRESSES.contains(&user.to_lowercase().as_str())
            && !host.is_empty()
            && !other
            && !is_placeholder(password)
    })
}

/// `"app" "hunter2"` and nothing else, as in a connection pooler's list of users.
fn is_quoted_pair(line: &str) -> bool {
    let quoted = |quote: char| {
        let mut parts = line.trim().split(quote);
        let [Some(""), Some(user), Some(between), Some(password), Some(""), None] =
            [parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next()]
        else {
            return false;
        };
        let apart = !between.is_empty() && between.trim().is_empty();
        apart && !user.is_empty() && !is_placeholder(password)
    };
    quoted('"') || quoted('\'')
}

fn has_community(line: &str) -> bool {
    let start = line.trim_start();
    let comment = start.starts_with(['#', ';', '!']);
    let words: Vec<&str> = start.trim_start_matches(['#', ';', '!', ' ', '\t']).split_whitespace().collect();
    let first = words.first().copied().unwrap_or_default();
    let given = |at: usize| words.get(at).is_some_and(|value| !is_placeholder(value) && !is_of_routes(value));
    if COMMUNITIES.contains(&first) || (first.starts_with("com2sec") && words.len() > 3) {
        return given(1);
    }
    let spaced = words.iter().position(|word| *word == "community").is_some_and(|at| {
        let snmp = words[..at].iter().any(|word| word.to_lowercase().contains("snmp"));
        (at == 0 || snmp) && given(at + 1) && !words[at + 1].starts_with(['=', ':'])
    });
    (spaced && !comment) || assigns_community(line)
}

/// A community of BGP, which is none: `65000:100`, `no-export`.
fn is_of_routes(value: &str) -> bool {
    let value = value.trim_matches(['"', '\'', ',', ';', '[', ']']);
    let numbers = value.contains(':') && value.chars().all(|c| c.is_ascii_digit() || c == ':');
    numbers || matches!(value, "no-export" | "no-advertise" | "local-AS" | "none" | "additive")
}

/// `community: x`, `snmp_community = "x"`.
fn assigns_community(line: &str) -> bool {
    let lower = line.to_lowercase();
    lower.match_indices("community").any(|(at, name)| {
        let rest = lower[at + name.len()..].trim_start_matches(['"', '\'', ' ', '\t']);
        let value =
            rest.strip_prefix([':', '=']).map(|v| v.trim_start_matches(['>', '=', ' ', '\t', '"', '\'']));
        value.is_some_and(|value| {
            !value.starts_with('/') && !is_placeholder(value) && !is_of_routes(value.trim())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_without_a_telling_name_are_found() {
        for line in [
            "root:hunter2@tcp(127.0.0.1:3306)/app",
            "dsn = \"app:hunter2@unix(/run/mysqld.sock)/app?parseTime=true\"",
            "DATABASE=app:hunter2@db.example:5432/app",
            "amqp = guest:guest@broker",
            "\"app\" \"hunter2\"",
            "  \"app\"\t\"SCRAM-x\"  ",
            "'app' 'hunter2'",
            "rocommunity hunter2",
            "# rocommunity hunter2 default",
            "rwcommunity6 hunter2 ::1",
            "community hunter2",
            "snmp-server community hunter2 RO",
            "set snmp community hunter2 authorization read-only",
            "com2sec local localhost hunter2",
            "community: hunter2",
            "  snmp_community = \"hunter2\"",
        ] {
            assert!(is_in(line), "{line}");
        }
    }

    #[test]
    fn ordinary_configuration_shows() {
        for line in [
            "",
            "git@github.example:org/repo.git",
            "contact = mailto:ops@example.com",
            "email:ops@example.com",
            "user@host:/srv/data",
            "image: localhost:5000/app@sha256:9f86d081884c7d65",
            "url = https://example.com:8443/@me",
            "listen = 0.0.0.0:8080",
            "fe80::1@eth0",
            "dsn = app:${DB_PASS}@tcp(db:3306)/app",
            "at 12:30 @daily",
            "\"~^www\" \"backend\";",
            "log_format \"a\" \"b\" \"c\"",
            "\"only one\"",
            "\"app\" \"\"",
            "\"key\": \"value\"",
            "set community 65000:100 additive",
            "match community CL1",
            "neighbor 10.0.0.1 send-community both",
            "community: 65000:100",
            "# the community edition of the server",
            "The community is at https://example.com/community/",
            "homepage = https://community.example.com:8443/",
        ] {
            assert!(!is_in(line), "{line}");
        }
    }
}
