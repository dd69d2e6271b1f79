//! Is the PostgreSQL server one that a control plane can use?

use super::Snapshot;
use crate::check::{Check, Judged, Open, Outcome};
use crate::words::sentences;

/// The oldest, as `server_version_num` has it.
const OLDEST: u32 = 140_000;
/// Connections that a control plane keeps at most, and one for its lease and one for a backup beside it.
const CONNECTIONS: u32 = 10;
/// How the refusal ends of a server that has no such database, in whatever language it speaks.
const ABSENT: &str = "code 3D000";

pub(super) const CHECK: Check<Snapshot> = Check {
    name: "database",
    what: "PostgreSQL answers, is 14 or newer, and lets this user create tables",
    judge,
};

/// What a PostgreSQL server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Its address without the password.
    pub at: String,
    /// Its version as a number: 160004 is 16.4.
    pub version_number: u32,
    /// Its version in its own words.
    pub version: String,
    /// The database's encoding: `UTF8`.
    pub encoding: String,
    /// May this user create tables in the schema where they would be?
    pub may_create: bool,
    /// Does it take no writes: a standby, or set so?
    pub is_read_only: bool,
    /// Connections that this user could open beside those that there are now.
    pub free_connections: u32,
    /// The version of Nimbus's schema in it; 0: there is none.
    pub schema: i64,
    /// The newest schema that this build knows.
    pub known_schema: i64,
}

/// Why nothing could be said about a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoDatabase {
    /// It does not answer.
    Unreachable(String),
    /// It refused this user: the password, the name, a missing database.
    Refused(String),
    /// Something else, in a sentence of its own.
    Other(String),
}

fn judge(snapshot: &Snapshot) -> Judged {
    let database = match &snapshot.database {
        None => return Err(Open::NotAsked("--database URL, or NIMBUS_DATABASE_URL")),
        Some(Err(why)) => return Ok(none(why)),
        Some(Ok(database)) => database,
    };
    let Database { at, version, encoding, .. } = database;
    let mut wrong = Vec::new();
    let mut remedies = Vec::new();
    let mut hold = |is_wrong: bool, what: String, remedy: &str| {
        if is_wrong {
            wrong.push(what);
            remedies.push(remedy.to_owned());
        }
    };
    hold(
        database.version_number < OLDEST,
        format!("PostgreSQL {version}, expected 14 or newer"),
        "upgrade the server",
    );
    hold(
        !encoding.eq_ignore_ascii_case("UTF8"),
        format!("the encoding {encoding}, expected UTF8"),
        "make the database anew: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0",
    );
    hold(
        database.is_read_only,
        "a server that takes no writes".to_owned(),
        "name the primary server, or set default_transaction_read_only to off",
    );
    hold(
        !database.may_create,
        "a user who may not create tables".to_owned(),
        "GRANT CREATE ON SCHEMA public TO the user, or make it the database's owner",
    );
    hold(
        database.schema > database.known_schema,
        format!(
            "tables of a newer Nimbus (schema {}, this build knows {})",
            database.schema, database.known_schema
        ),
        "use that newer Nimbus, or an empty database",
    );
    if !wrong.is_empty() {
        return Ok(Outcome::failure(format!("{at}: found {}", sentences(&wrong)), remedies.join("; ")));
    }
    let free = database.free_connections;
    Ok(if free < CONNECTIONS {
        Outcome::warning(
            format!(
                "{at}: {free} connections are free for this user; a control plane takes up to {CONNECTIONS}"
            ),
            "raise max_connections, or the limit of the user or database (ALTER ROLE … CONNECTION LIMIT)",
        )
    } else {
        Outcome::pass(format!(
            "{at}: PostgreSQL {version}, {encoding}, may create tables, {free} connections free"
        ))
    })
}

fn none(why: &NoDatabase) -> Outcome {
    match why {
        NoDatabase::Unreachable(said) => Outcome::failure(
            format!("the database does not answer: {said}"),
            "check that it runs, and host, port and firewall; where only the cluster reaches it, run this there",
        ),
        NoDatabase::Refused(said) if said.ends_with(ABSENT) => Outcome::failure(
            format!("the database is not there: {said}"),
            "make it (CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0), or correct its name in the address",
        ),
        NoDatabase::Refused(said) => Outcome::failure(
            format!("the database refuses this user: {said}"),
            "check user and password in the address, and pg_hba.conf",
        ),
        NoDatabase::Other(said) => {
            Outcome::failure(said.clone(), "correct what it names, then run this again")
        }
    }
}
