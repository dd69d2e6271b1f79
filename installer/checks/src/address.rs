//! What is wrong with the address of a database, said without any part of a password.
//!
//! An address that holds a password unescaped may have some of it anywhere: in the place of the host, the port or a parameter. So
//! nothing of an address is repeated but what cannot be part of one.

use crate::words::start;

/// What every complaint begins with. Without a password: what stands in the place of one is taken for one where secrets are taken out.
const EXPECTED: &str = "expected the address of a PostgreSQL database, postgres://user@host:5432/database";
/// How a connection may be encrypted.
const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
/// The most characters of a word that is repeated.
const MOST_SHOWN: usize = 20;

/// An address with `postgres://` in parts.
struct Parts<'a> {
    /// In front of the last `@` before the host.
    user: Option<&'a str>,
    /// Host and port.
    host: &'a str,
    /// Behind the first `?`.
    parameters: &'a str,
}

impl<'a> Parts<'a> {
    fn of(address: &'a str) -> Option<Self> {
        let (_, rest) = address.split_once("://")?;
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, behind) = rest.split_at(end);
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let parameters = behind.split_once('?').map_or("", |(_, parameters)| parameters);
        let parameters = parameters.split('#').next().unwrap_or_default();
        Some(Self { user, host, parameters })
    }

    /// What stands behind the host's colon; the colons of an IPv6 address are in brackets.
    fn port(&self) -> Option<&'a str> {
        let behind = self.host.rsplit_once(']').map_or(self.host, |(_, behind)| behind);
        behind.rsplit_once(':').map(|(_, port)| port)
    }

    /// The parameters with their values.
    fn named(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.parameters.split('&').map(|one| one.split_once('=').unwrap_or((one, "")))
    }

    /// Is a password given as a parameter?
    fn has_password_parameter(&self) -> bool {
        self.named().any(|(name, _)| name.contains("pass"))
    }

    /// Did whatever password there is end before the host? Without an `@` it may be what is taken for the port, and what follows.
    fn is_password_over(&self) -> bool {
        (self.user.is_some() || !self.host.contains(':')) && !self.has_password_parameter()
    }
}

/// Does an address hold no password for certain? Then it may be shown as it is.
pub fn is_without_password(address: &str) -> bool {
    let is_postgres = matches!(address.split_once("://"), Some(("postgres" | "postgresql", _)));
    is_postgres
        && !has_stray_at(address)
        && Parts::of(address).is_some_and(|parts| {
            parts.is_password_over() && parts.user.is_none_or(|user| !user.contains(':'))
        })
}

/// What is wrong with an address; none: nothing that could be said here.
pub fn wrong(address: &str) -> Option<String> {
    let found = |what: &str| Some(format!("{EXPECTED}, found {what}"));
    let Some((scheme, rest)) = address.split_once(':') else {
        return found("one without a scheme");
    };
    match scheme {
        "postgres" | "postgresql" => {}
        "sqlite" => {
            return found(
                "an SQLite file, which needs nothing to be looked at: leave --database and NIMBUS_DATABASE_URL out",
            );
        }
        other if rest.starts_with("//") && is_word(other) => {
            return found(&format!("the scheme {}", start(other, MOST_SHOWN)));
        }
        _ => return found("another scheme"),
    }
    if !rest.starts_with("//") {
        return found("no // after the scheme");
    }
    if has_stray_at(address) {
        return found(
            "an @ behind the host's place, as where a password holds one of / ? # @: in a password they are written %2F, %3F, %23 and %40",
        );
    }
    let parts = Parts::of(address)?;
    if let Some(port) = parts.port()
        // None behind the colon is the usual one.
        && !port.is_empty()
        && !is_port(port)
    {
        // Without a user the colon may be the one before a password.
        return found(&no_port("", port, parts.user.is_some()));
    }
    for (name, value) in parts.named().filter(|(_, value)| !value.contains(['%', '+'])) {
        let may_show = parts.is_password_over();
        match name {
            "port" if !is_port(value) => return found(&no_port("the parameter port, ", value, may_show)),
            "sslmode" | "ssl-mode" if !MODES.contains(&value.to_ascii_lowercase().as_str()) => {
                let said = if may_show && is_word(value) { format!(" {value}") } else { String::new() };
                return found(&format!("another {name}{said} than {}", MODES.join(", ")));
            }
            // What else a parameter may be called is known where the connection is made.
            _ => {}
        }
    }
    None
}

/// Is it a word that may be repeated?
fn is_word(text: &str) -> bool {
    (1..=MOST_SHOWN).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'-' | b'+' | b'.'))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

fn no_port(place: &str, port: &str, may_show: bool) -> String {
    let is_number =
        !port.is_empty() && port.len() <= MOST_SHOWN && port.bytes().all(|byte| byte.is_ascii_digit());
    let said = if may_show && is_number { format!(" {port}") } else { String::new() };
    format!("{place}a port{said} that is no number from 1 to 65535")
}

/// Whether an `@` stands where no user and password end any more.
fn has_stray_at(address: &str) -> bool {
    let rest = address.split_once("://").map_or(address, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    rest[end..].contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named() {
        for (address, word) in [
            ("postgres://nim:s3cret@db/nim?sslmode=nonsense", "another sslmode nonsense than disable, allow"),
            ("postgres://db/nim?sslmode=nonsense", "another sslmode nonsense than"),
            ("postgres://nim@db/nim?application_name=a&ssl-mode=", "another ssl-mode than"),
            ("postgres://nim:s3cret@db:99999/nim", "a port 99999 that is no number from 1 to 65535"),
            ("postgres://nim@[::1]:0/nim", "a port 0 that"),
            ("postgres://nim@db:+80/nim", "a port that"),
            ("postgres://nim@db/nim?port=70000", "the parameter port, a port 70000 that"),
            ("mysql://nim:s3cret@db/nim", "the scheme mysql"),
            ("sqlite:///var/lib/nimbus.db", "an SQLite file, which needs nothing"),
            ("db.example", "one without a scheme"),
        ] {
            let said = wrong(address).unwrap();
            assert!(said.contains(word) && said.contains("PostgreSQL"), "{address}: {said}");
            assert!(!said.contains("s3cret") && !said.contains("sqlite:"), "{address}: {said}");
        }
        for good in [
            "postgres://nim:s3cret@db:5432/nim?sslmode=verify-full&sslrootcert=/ca.pem",
            "postgresql://nim@[2001:db8::1]/nim?sslmode=Require",
            "postgres:///nim?host=%2Frun%2Fpostgresql",
            "postgres://nim@db/nim?sslmode=verify%2Dfull",
            "postgres://db",
            "postgres://nim@db:/nim",
        ] {
            assert_eq!(wrong(good), None, "{good}");
        }
    }

    /// Where an address holds one unescaped, or in the wrong place.
    #[test]
    fn no_part_of_a_password_is_ever_shown() {
        for address in [
            "postgres://nim:s3cret",
            "postgres://nim:s3cret/nim",
            "postgres://nim:4711471147114711",
            "postgres://nim:99999?sslmode=s3cret",
            "postgres://nim:x?sslmode=s3cret",
            "postgres://nim:1?sslmode=scret",
            "postgres://db/nim?password=a&sslmode=scret",
            "postgres://db/nim?password=a&port=4711471147114711",
            "postgres://nim:Tr0ub?s3cret@127.0.0.1:5432/nim",
            "postgres://nim:p@s3cret/x@127.0.0.1:5432/nim",
            "postgres://nim:x#s3cret@127.0.0.1/nim",
            r"postgres://nim:x\s3cret@127.0.0.1/nim",
            "postgres:nim:s3cret@127.0.0.1/nim",
            "postgres:/nim:s3cret@127.0.0.1/nim",
            "nim:s3cret@127.0.0.1/nim",
            "s3cret:nim@127.0.0.1/nim",
            "s3cret",
        ] {
            let said = wrong(address).unwrap();
            assert!(!["cret", "99999", "4711"].iter().any(|part| said.contains(part)), "{address}: {said}");
            assert!(said.contains("expected") && said.contains("found"), "{address}: {said}");
            assert!(!is_without_password(address), "{address}");
        }
        // And of one that is right in form nothing is taken for harmless that is none.
        for address in [
            "postgres://nim:s3cret@db/nim",
            "postgres://db/nim?password=s3cret",
            "postgres://nim@db/nim?sslpassword=s3cret",
            "mysql://nim@db/nim",
            "postgres:nim@db/nim",
        ] {
            assert!(!is_without_password(address), "{address}");
        }
        for address in
            ["postgres://nim@db:5432/nim", "postgresql://db/nim?sslmode=require", "postgres://nim@[::1]/nim"]
        {
            assert!(is_without_password(address), "{address}");
        }
    }
}
