//! The address of a database, which is parsed once and never shows its password.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use crate::StoreError;

/// Parameters that a PostgreSQL address may carry. Others are refused rather than passed over: a misspelt
/// `sslmode` must not lead to a connection without TLS.
const PARAMETERS: [&str; 10] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "host",
    "port",
    "user",
    "password",
    "application_name",
];

/// The address of a database: `sqlite:///path/nimbus.db` or `postgres://user:password@host:5432/nimbus`.
///
/// Its `Display` and `Debug` leave out the password and the parameters.
#[derive(Clone)]
pub struct StoreUrl(pub(crate) Address);

#[derive(Clone)]
pub(crate) enum Address {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

impl StoreUrl {
    /// The embedded database in a file.
    pub fn sqlite(path: impl Into<PathBuf>) -> Self {
        Self(Address::Sqlite(path.into()))
    }

    /// A PostgreSQL server?
    pub fn is_postgres(&self) -> bool {
        matches!(self.0, Address::Postgres(_))
    }

    /// The embedded database's file.
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Address::Sqlite(path) => Some(path),
            Address::Postgres(_) => None,
        }
    }
}

impl FromStr for StoreUrl {
    type Err = StoreError;

    fn from_str(text: &str) -> Result<Self, StoreError> {
        let error = |problem: &str| StoreError::Url { problem: problem.to_owned() };
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(error("no scheme"));
        };
        match scheme {
            "sqlite" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                match path {
                    "" => Err(error("no path after sqlite:")),
                    ":memory:" => Err(error("a database in memory, which keeps nothing")),
                    _ if path.contains('?') => {
                        Err(error("parameters after the path, there are none for SQLite"))
                    }
                    _ => Ok(Self::sqlite(path)),
                }
            }
            "postgres" | "postgresql" => {
                // Without them, user and password would be taken for the database, which is shown.
                let Some(rest) = rest.strip_prefix("//") else {
                    return Err(error("no // after the scheme"));
                };
                if is_ambiguous(rest) {
                    return Err(error(
                        "an @ behind the host's place, as where a password holds one of / ? # @: in a password they are written \
                         %2F, %3F, %23 and %40",
                    ));
                }
                let parameters = text.split_once('?').map_or("", |(_, parameters)| parameters);
                for (at, parameter) in parameters.split('&').enumerate() {
                    let name = parameter.split('=').next().unwrap_or_default();
                    if !name.is_empty() && !PARAMETERS.contains(&name) {
                        // By its place: what somebody took for a password may stand there.
                        return Err(error(&format!(
                            "parameter number {} is none of {}",
                            at + 1,
                            PARAMETERS.join(", ")
                        )));
                    }
                }
                let options = PgConnectOptions::from_str(text)
                    .map_err(|_| error("one that is not of the form postgres://user@host:port/database"))?;
                Ok(Self(Address::Postgres(Box::new(options.application_name("nimbus")))))
            }
            other => Err(error(&format!("the scheme {:?}", other.chars().take(20).collect::<String>()))),
        }
    }
}

/// Whether an `@` stands where no user and password end any more: then some of a password may be taken for the host, the
/// database or a parameter, which are shown.
fn is_ambiguous(rest: &str) -> bool {
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    rest[end..].contains('@')
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Address::Sqlite(path) => write!(f, "sqlite://{}", path.display()),
            Address::Postgres(options) => write!(
                f,
                "postgres://{}@{}:{}/{}",
                options.get_username(),
                options.get_host(),
                options.get_port(),
                options.get_database().unwrap_or_default()
            ),
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for text in [
            "postgres://nimbus:s3cret@db.example:6432/fleet?sslmode=require",
            "postgresql://nimbus@db.example:6432/fleet?password=s3cret",
        ] {
            let url: StoreUrl = text.parse().unwrap();
            assert_eq!(url.to_string(), "postgres://nimbus@db.example:6432/fleet");
            assert!(!format!("{url:?}").contains("s3cret"));
        }
        for text in
            ["postgres://nimbus:s3cret@db:port/x", "mysql://a:s3cret@b/c", "postgres://a:s3cret@b/c?tls=no"]
        {
            let error = text.parse::<StoreUrl>().unwrap_err().to_string();
            assert!(!error.contains("s3cret") && error.contains("expected"), "{error}");
        }
        // With a character in it that ends something in an address.
        for text in [
            "postgres://nim:Tr0ub?s3cret@127.0.0.1:5432/nim",
            "postgres://nim:p@s3cret/x@127.0.0.1:5432/nim",
            "postgres://nim:x/s3cret@127.0.0.1/nim",
            "postgres://nim:x#s3cret@127.0.0.1/nim",
            r"postgres://nim:x\s3cret@127.0.0.1/nim",
            "postgres:nim:s3cret@127.0.0.1/nim",
            "postgres:/nim:s3cret@127.0.0.1/nim",
            "postgres://nim:x?s3cret",
            "postgres://db/nim?password=p@s3cret",
        ] {
            let error = text.parse::<StoreUrl>().unwrap_err().to_string();
            assert!(!error.contains("s3cret") && error.contains("expected"), "{error}");
        }
    }

    #[test]
    fn a_sqlite_address_is_its_path() {
        let url: StoreUrl = "sqlite:///var/lib/nimbus/nimbus.db".parse().unwrap();
        assert_eq!(url.path(), Some(Path::new("/var/lib/nimbus/nimbus.db")));
        assert_eq!(url.to_string(), "sqlite:///var/lib/nimbus/nimbus.db");
        for bad in ["sqlite://", "sqlite::memory:", "sqlite:///x?mode=ro", "/var/lib/x.db"] {
            assert!(bad.parse::<StoreUrl>().is_err(), "{bad}");
        }
    }
}
