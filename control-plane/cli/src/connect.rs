//! Finds the control plane and the token that a command uses, and turns the control plane's refusals into failures of
//! the command.
//!
//! A token is sent only to the server it belongs to: with `--server` naming another address than the context's, the
//! context's token is not used.

use std::path::{Path, PathBuf};

use nimbus_api::Problem;
use nimbus_api::client::{Client, ClientError, Silence};
use nimbus_platform::{read_regular, read_regular_text};

use crate::config::{self, Config};
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::files;
use crate::global::Global;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The most bytes of a file with a token or a CA.
const MOST_BYTES: u64 = 1 << 20;

/// Where to go and with what, before anything is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// Base URL.
    pub server: String,
    /// File with the token; none where `NIMBUS_TOKEN` gives it or nothing is known.
    pub token_file: Option<PathBuf>,
    /// The authority that signed the server's certificate.
    pub ca_file: Option<PathBuf>,
}

/// Decides where to go: flags and environment win over the context.
pub fn destination(global: &Global, config: &Config) -> Result<Destination, Failure> {
    let named = global.context.as_deref();
    let context = match named.or(config.current.as_deref()) {
        Some(name) => Some(config.context(name)?),
        None => None,
    };
    let same = |a: &str, b: &str| a.trim_end_matches('/').eq_ignore_ascii_case(b.trim_end_matches('/'));
    match (&global.server, context) {
        (Some(server), context) => {
            // A context that was named goes with the server that was named; otherwise only one of the same address.
            let fitting = config.contexts.values().find(|known| same(&known.server, server));
            let context = if named.is_some() { context } else { fitting };
            Ok(Destination {
                server: server.clone(),
                token_file: context.and_then(|c| c.token_file.clone()),
                ca_file: context.and_then(|c| c.ca_file.clone()),
            })
        }
        (None, Some(context)) => Ok(Destination {
            server: context.server.clone(),
            token_file: context.token_file.clone(),
            ca_file: context.ca_file.clone(),
        }),
        (None, None) => {
            Ok(Destination { server: config::DEFAULT_SERVER.to_owned(), token_file: None, ca_file: None })
        }
    }
}

/// Where flags, environment and configuration lead.
pub fn resolve(context: &Context) -> Result<Destination, Failure> {
    let config = config::config_path().map_or_else(|| Ok(Config::default()), |path| Config::read(&path))?;
    destination(&context.global, &config)
}

/// Does a flag, the environment or the configuration name a control plane?
pub fn is_named(context: &Context) -> Result<bool, Failure> {
    let config = config::config_path().map_or_else(|| Ok(Config::default()), |path| Config::read(&path))?;
    let Global { server, context: name, .. } = &context.global;
    Ok(server.is_some() || name.is_some() || config.current.is_some())
}

/// A client of the control plane that flags, environment and configuration name.
pub fn open(context: &Context) -> Result<Client, Failure> {
    let to = resolve(context)?;
    let token = token_for(&to)?;
    let ca = match &to.ca_file {
        // Plain HTTP shows no certificate: the file need not exist.
        Some(path) if to.server.starts_with("https:") => Some(
            read_regular(path, MOST_BYTES)
                .map_err(|error| files::unreadable("the server's CA certificate", path, &error))?,
        ),
        _ => None,
    };
    Ok(Client::new(&to.server, token.trim(), ca.as_deref())?)
}

/// The token that is sent; empty where none is known. For what must not show it.
pub fn secret(context: &Context) -> Result<String, Failure> {
    let config = config::config_path().map_or_else(|| Ok(Config::default()), |path| Config::read(&path))?;
    token_for(&destination(&context.global, &config)?)
}

fn token_for(to: &Destination) -> Result<String, Failure> {
    match std::env::var("NIMBUS_TOKEN").ok().filter(|token| !token.trim().is_empty()) {
        Some(token) => Ok(token),
        None => to.token_file.as_deref().map_or_else(|| Ok(String::new()), token),
    }
}

/// Reads a token file. Its content never appears in an error.
fn token(path: &Path) -> Result<String, Failure> {
    let text = read_regular_text(path, MOST_BYTES).map_err(|error| {
        let failure = files::unreadable("the operator's token", path, &error);
        match error.kind() {
            std::io::ErrorKind::PermissionDenied => failure.exit(Exit::Refused),
            std::io::ErrorKind::NotFound => failure.next(
                "is `nimbus up` still to be started, or its data directory gone? NIMBUS_TOKEN overrides it",
            ),
            _ => failure,
        }
    })?;
    if text.trim().is_empty() {
        return Err(Failure::new("the operator's token is empty")
            .expected(format!("a token in {}", path.display()))
            .found("an empty file")
            .next("stop `nimbus up`, remove the file and start it again: it makes a new one"));
    }
    Ok(text)
}

impl From<ClientError> for Failure {
    /// What a client's error means for a command: its exit code, and what to do next.
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Unreachable { server, why, detail } => unreachable(&server, why, &detail),
            ClientError::Problem(problem) => refusal(*problem),
            ClientError::Unreadable { server, found } => {
                Self::new("the server's answer cannot be understood")
                    .expected(format!("a control plane of this version (nimbus {VERSION}) at {server}"))
                    .found(found)
                    .next("check the address, and compare the versions with `nimbus version`")
            }
            ClientError::BadAddress(found) => Self::usage("the server's address cannot be used")
                .expected("an address such as http://127.0.0.1:7070 or https://nimbus.example:7070")
                .found(found)
                .next("correct --server, NIMBUS_SERVER or the context"),
            ClientError::PlainHttp(found) => Self::new("the token would travel unencrypted")
                .exit(Exit::Refused)
                .expected("https:// to another machine, http:// only to a loopback address")
                .found(found)
                .next("use https:// and the control plane's ca.pem as the context's ca_file"),
            ClientError::BadToken => Self::new("the operator's token cannot be used")
                .expected("visible ASCII characters")
                .found("something else")
                .next("read the token from its file again"),
            ClientError::BadCertificate(found) => Self::new("the server's CA certificate cannot be used")
                .expected("a CA certificate in PEM")
                .found(found)
                .next("copy ca.pem from the control plane's data directory"),
        }
    }
}

/// No answer: a control plane that is stopped, one that is not there, and one that has too much to do are different
/// things to a person.
fn unreachable(server: &str, why: Silence, detail: &str) -> Failure {
    let (title, found, next) = match why {
        Silence::Stopped => (
            "no control plane is running there",
            format!("nothing listens at that address: it is stopped, or was never started ({detail})"),
            "start one with `nimbus up`, or name another with --server or --context",
        ),
        Silence::Absent => (
            "there is no way to the control plane",
            format!("no machine answers at that address ({detail})"),
            "check the name and the network, or name another with --server or --context",
        ),
        Silence::Crowded => (
            "the control plane does not answer in time",
            format!(
                "something listens at that address and gave no answer: it has more to do than it can, or is about to end ({detail})"
            ),
            "try again in a moment; if it stays so, look at its log and at its machine's load",
        ),
        Silence::BrokenOff => (
            "the control plane's answer broke off",
            format!("an answer that began and did not come to its end ({detail})"),
            "try again; if it was stopped, start it with `nimbus up`",
        ),
        Silence::Unready => (
            "the control plane takes no requests now",
            format!(
                "{detail}: it is starting, has more to do than it can, or a proxy before it does not reach it"
            ),
            "try again in a moment; if it stays so, look at its log and its machine's load, and at the proxy if there is one",
        ),
        Silence::Untrusted => (
            "the control plane's certificate is not to be trusted",
            format!("{detail}: another CA signed it, it is expired, or it is of another name"),
            "use the ca.pem of this control plane's data directory as the context's ca_file, or the authority of the \
             certificate that was given to it (as ca.crt of cert-manager's Secret), and a name of --name or the chart's \
             names; if it shows another control plane's certificate, check the address",
        ),
        Silence::Other => (
            "the control plane cannot be reached",
            detail.to_owned(),
            "check the address, or name another with --server or --context",
        ),
    };
    Failure::new(title)
        .exit(Exit::Unreachable)
        .expected(format!("a control plane at {server}"))
        .found(found)
        .next(next)
}

/// The control plane's own refusal, in its own words.
fn refusal(problem: Problem) -> Failure {
    let exit = match problem.status {
        404 => Exit::NotFound,
        401 | 403 => Exit::Refused,
        _ => Exit::Error,
    };
    let sentence = if problem.detail.is_empty() { problem.title } else { problem.detail };
    let mut failure = Failure::new(sentence).exit(exit);
    failure.expected = problem.expected.unwrap_or_default();
    failure.found = problem.found.unwrap_or_default();
    failure.next = problem.remedy.unwrap_or_default();
    failure.status = Some(problem.status);
    failure.type_uri = Some(problem.kind);
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Context as Known;

    fn config() -> Config {
        let mut config = Config::default();
        for (name, server) in [("local", "http://127.0.0.1:7070"), ("prod", "https://nimbus.example:7070")] {
            let token_file = Some(PathBuf::from(format!("/tokens/{name}")));
            config.set(name, Known { server: server.to_owned(), token_file, ca_file: None });
        }
        config
    }

    fn at(server: Option<&str>, context: Option<&str>) -> Result<Destination, Failure> {
        let global = Global {
            server: server.map(str::to_owned),
            context: context.map(str::to_owned),
            ..Global::default()
        };
        destination(&global, &config())
    }

    #[test]
    fn a_token_goes_only_to_the_server_it_belongs_to() {
        let token = |d: Destination| d.token_file.map(|path| path.display().to_string());
        assert_eq!(token(at(None, None).unwrap()).as_deref(), Some("/tokens/local"));
        assert_eq!(token(at(None, Some("prod")).unwrap()).as_deref(), Some("/tokens/prod"));
        assert_eq!(token(at(Some("https://evil.example"), None).unwrap()), None);
        assert_eq!(
            token(at(Some("https://nimbus.example:7070/"), None).unwrap()).as_deref(),
            Some("/tokens/prod")
        );
        assert_eq!(
            token(at(Some("https://10.0.0.9:7070"), Some("prod")).unwrap()).as_deref(),
            Some("/tokens/prod")
        );
        assert_eq!(at(None, Some("nope")).unwrap_err().exit, Exit::NotFound);
    }

    /// Nobody writes into the pipe: what waited for it would not end.
    #[test]
    fn a_pipe_in_the_place_of_a_token_or_of_the_configuration_is_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        files::tests::pipe(&path);
        for failure in [token(&path).unwrap_err(), Config::read(&path).unwrap_err()] {
            assert!(failure.found.contains("a pipe") && failure.next.contains("regular file"), "{failure}");
        }
    }

    #[test]
    fn without_any_configuration_the_local_default_is_meant() {
        let to = destination(&Global::default(), &Config::default()).unwrap();
        assert_eq!((to.server.as_str(), to.token_file), (config::DEFAULT_SERVER, None));
    }

    #[test]
    fn each_refusal_has_its_exit_code_and_keeps_the_servers_words() {
        let problem = |status: u16| {
            let remedy = Some("do this".to_owned());
            Failure::from(ClientError::Problem(Box::new(Problem { status, remedy, ..Problem::default() })))
        };
        let codes = [401, 403, 404, 409, 500].map(|status| problem(status).exit);
        assert_eq!(codes, [Exit::Refused, Exit::Refused, Exit::NotFound, Exit::Error, Exit::Error]);
        assert_eq!(problem(409).next, "do this");
        let silences = [
            Silence::Stopped,
            Silence::Absent,
            Silence::Crowded,
            Silence::BrokenOff,
            Silence::Unready,
            Silence::Untrusted,
            Silence::Other,
        ];
        let lost = silences.map(|why| {
            let (server, detail) = ("http://127.0.0.1:1".into(), "what the system said".into());
            Failure::from(ClientError::Unreachable { server, why, detail })
        });
        assert!(lost.iter().all(|failure| failure.exit == Exit::Unreachable));
        let titles: std::collections::BTreeSet<&str> =
            lost.iter().map(|failure| failure.title.as_str()).collect();
        assert_eq!(titles.len(), 7, "each is told apart: {titles:?}");
    }

    /// What comes of a request to a server that sends these bytes and hangs up.
    async fn answered(bytes: &'static str) -> Failure {
        use std::io::{BufRead as _, BufReader, Write as _};

        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let serving = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            // The request ends in an empty line; unread, it would break the connection off before the answer.
            while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
            stream.write_all(bytes.as_bytes()).unwrap();
        });
        let client = Client::new(&server, "token", None).unwrap();
        let error = client.status().await.unwrap_err();
        serving.join().unwrap();
        error.into()
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_no_silence() {
        let failure = answered("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"a").await;
        assert_eq!(failure.exit, Exit::Unreachable);
        assert!(failure.title.contains("broke off") && failure.next.contains("try again"), "{failure}");
    }

    #[tokio::test]
    async fn a_status_of_the_way_is_no_answer_of_a_control_plane() {
        for unready in [
            "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 3\r\n\r\nbad",
            "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy",
            "HTTP/1.1 504 Gateway Timeout\r\ncontent-length: 0\r\n\r\n",
        ] {
            let failure = answered(unready).await;
            assert_eq!(failure.exit, Exit::Unreachable, "{failure}");
            assert!(failure.title.contains("takes no requests now"), "{failure}");
            assert!(failure.found.contains("status 50") && !failure.next.is_empty(), "{failure}");
        }
        let failure = answered("HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\nno").await;
        assert_eq!(failure.exit, Exit::Error);
        assert!(failure.title.contains("cannot be understood"), "{failure}");
    }
}
