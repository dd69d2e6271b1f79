//! The configuration of one control plane.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use nimbus_control_core::Settings;
use nimbus_platform::{CredentialError, read_credential};
use nimbus_store::StoreUrl;

/// Where operators (REST) are served unless told otherwise.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7070);
/// Where agents (QUIC) are served unless told otherwise.
pub const DEFAULT_QUIC: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7071);

/// Agents that may be connected at once unless told otherwise.
pub const DEFAULT_CONNECTIONS: usize = 4_096;

/// The name of systemd's credential with the address of a database.
pub const DATABASE_CREDENTIAL: &str = "nimbus-database-url";

/// The address of another database than the embedded one: the one that was `given`, else that of the credential in
/// `credentials`. An address may hold a password, so one that cannot be read is named by its file and not shown.
pub fn database(
    given: Option<String>,
    credentials: Option<&Path>,
) -> Result<Option<String>, CredentialError> {
    if given.is_some() {
        return Ok(given);
    }
    let Some(credential) = read_credential(credentials, DATABASE_CREDENTIAL)? else { return Ok(None) };
    match credential.text.parse::<StoreUrl>() {
        Ok(_) => Ok(Some(credential.text)),
        Err(_) => Err(credential.malformed(
            "an address as --database takes it, postgres://user:password@host:port/database",
            "something else, which is not shown",
        )),
    }
}

/// Where agents are served over TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentTcp {
    /// At the address and port of QUIC: one address serves both.
    Beside,
    /// At this address. Port 0 takes a free one.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

/// What a control plane is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Holds the embedded database, the CA, the keys and the operator's token; made when missing.
    pub data_dir: PathBuf,
    /// Address of another database (`postgres://…` or `sqlite://…`); `None` is the embedded one.
    pub database: Option<String>,
    /// Where REST is served: plain on a loopback address, TLS on any other. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where agents are served. Port 0 takes a free one.
    pub quic: SocketAddr,
    /// Where agents are served over TCP, for networks that do not let QUIC through.
    pub tcp: AgentTcp,
    /// Where agents reach it, HOST:PORT, for the commands that are printed with join tokens; `None`: where it listens.
    pub advertise: Option<String>,
    /// DNS names and IP addresses of this server, beside the addresses it listens on: its certificate is for them, and
    /// plain REST answers to them.
    pub names: Vec<String>,
    /// Every figure of the decisions.
    pub settings: Settings,
    /// Most agents connected at the same time; further ones are refused as `overloaded`, with `retry_after_ms`.
    pub max_connections: usize,
    /// Begin a new history in an empty database although the keys were in use before; see [`crate::datadir`].
    pub new_history: bool,
    /// Directory with the CA, the job key and the operator's token, made elsewhere and never written to; `None` keeps them
    /// in the data directory.
    pub keys: Option<PathBuf>,
    /// Others may hold the database (PostgreSQL only): wait until they are gone, instead of refusing to start.
    pub stand_by: bool,
    /// A file with the token that reads the figures at `/metrics` and nothing else.
    pub metrics_token: Option<PathBuf>,
    /// Certificate chain and key (PEM files) for REST instead of one of the own CA; then REST is TLS everywhere.
    pub tls: Option<(PathBuf, PathBuf)>,
}

impl Config {
    /// The defaults, with everything in `data_dir`.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            database: None,
            listen: DEFAULT_LISTEN,
            quic: DEFAULT_QUIC,
            tcp: AgentTcp::Beside,
            advertise: None,
            names: Vec::new(),
            settings: Settings::default(),
            max_connections: DEFAULT_CONNECTIONS,
            new_history: false,
            keys: None,
            stand_by: false,
            metrics_token: None,
            tls: None,
        }
    }

    /// Where agents are told to reach what listens at `address`: what is advertised, or else there; where it listens on every
    /// address of the machine, by the first name of this server, as nobody can connect to such an address.
    pub fn told_to_agents(&self, address: SocketAddr) -> String {
        if let Some(advertised) = &self.advertise {
            return advertised.clone();
        }
        match self.names.first() {
            Some(name) if address.ip().is_unspecified() => match name.parse::<std::net::IpAddr>() {
                Ok(ip) => SocketAddr::new(ip, address.port()).to_string(),
                Err(_) => format!("{name}:{}", address.port()),
            },
            Some(_) | None => address.to_string(),
        }
    }

    /// Is REST served over TLS?
    pub fn rest_is_tls(&self) -> bool {
        self.tls.is_some() || !self.listen.ip().to_canonical().is_loopback()
    }

    /// The names and addresses in the server's certificate.
    pub fn certificate_names(&self) -> Vec<String> {
        let mut addresses = vec![self.listen.ip(), self.quic.ip()];
        if let AgentTcp::At(address) = self.tcp {
            addresses.push(address.ip());
        }
        self.names_at(&addresses)
    }

    /// The names and addresses to which REST answers.
    pub fn rest_names(&self) -> Vec<String> {
        self.names_at(&[self.listen.ip()])
    }

    fn names_at(&self, addresses: &[IpAddr]) -> Vec<String> {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        let bound =
            addresses.iter().filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_canonical().to_string());
        names.extend(bound.chain(self.names.iter().cloned()));
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_the_one_that_was_given_or_the_credentials() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(DATABASE_CREDENTIAL);
        let read = |given: Option<&str>| database(given.map(str::to_owned), Some(dir.path()));
        assert_eq!(read(None).unwrap(), None, "no file");
        std::fs::write(&file, "\n").unwrap();
        assert_eq!(read(None).unwrap(), None, "the unit's default");
        std::fs::write(&file, "postgres://nimbus:s3cret@db:5432/nimbus\n").unwrap();
        assert_eq!(read(None).unwrap().as_deref(), Some("postgres://nimbus:s3cret@db:5432/nimbus"));
        assert_eq!(read(Some("sqlite:///x.db")).unwrap().as_deref(), Some("sqlite:///x.db"));
        assert_eq!(database(None, None).unwrap(), None);
        for wrong in ["s3cret", "s3cret:x", "postgres://nimbus:p?s3cret@db/nimbus", "sqlite:", "a\ns3cret"] {
            std::fs::write(&file, wrong).unwrap();
            let error = read(None).unwrap_err().to_string();
            assert!(error.contains(file.to_str().unwrap()) && !error.contains("s3cret"), "{wrong}: {error}");
            assert!(read(Some("sqlite:///x.db")).is_ok(), "it is not looked at");
        }
    }

    #[test]
    fn agents_are_told_an_address_that_they_can_connect_to() {
        let told = |names: &[&str], advertise: Option<&str>, at: &str| {
            let (names, advertise) =
                (names.iter().map(|name| (*name).to_owned()).collect(), advertise.map(str::to_owned));
            Config { advertise, names, ..Config::new("/x") }.told_to_agents(at.parse().unwrap())
        };
        let names = ["nimbus.example.internal", "10.0.0.1"];
        assert_eq!(told(&names, None, "0.0.0.0:7071"), "nimbus.example.internal:7071");
        assert_eq!(told(&["fd00::1"], None, "[::]:7071"), "[fd00::1]:7071");
        assert_eq!(told(&names, None, "10.0.0.9:7071"), "10.0.0.9:7071", "as it listens");
        assert_eq!(told(&[], None, "0.0.0.0:7071"), "0.0.0.0:7071", "no name is known");
        assert_eq!(told(&names, Some("outside:443"), "0.0.0.0:7071"), "outside:443");
    }

    #[test]
    fn plain_rest_is_for_loopback_only() {
        let at = |listen: &str| Config { listen: listen.parse().unwrap(), ..Config::new("/x") };
        for plain in ["127.0.0.1:1", "[::1]:1", "127.9.9.9:1", "[::ffff:127.0.0.1]:1"] {
            assert!(!at(plain).rest_is_tls(), "{plain}");
        }
        for tls in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "[fe80::1]:1"] {
            assert!(at(tls).rest_is_tls(), "{tls}");
        }
        let given = Config { tls: Some(("c".into(), "k".into())), ..at("127.0.0.1:1") };
        assert!(given.rest_is_tls());
    }

    #[test]
    fn the_certificate_names_what_is_listened_on_but_not_everything() {
        let config = Config {
            listen: "0.0.0.0:1".parse().unwrap(),
            quic: "10.1.2.3:1".parse().unwrap(),
            names: vec!["nimbus.example".into()],
            ..Config::new("/x")
        };
        let names = config.certificate_names();
        assert!(names.contains(&"10.1.2.3".to_owned()) && names.contains(&"nimbus.example".to_owned()));
        assert!(!names.contains(&"0.0.0.0".to_owned()));
    }
}
