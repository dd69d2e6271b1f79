//! Which server is meant, which token opens it, and what its refusals mean for a command.
//!
//! A token is sent only to the server it belongs to: with `--server` naming another address than the context's,
//! the context's token stays at home.

use std::path::{Path, PathBuf};

use nimbus_api::client::{Client, ClientError};
use nimbus_api::{DEFAULT_LIMIT, MAX_LIMIT};
use serde::Serialize;
use serde_json::{Value, json};

use crate::cli::{Global, Page};
use crate::config::{self, Config};
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::files;

/// Most things looked through for the start of an id; older ones need their whole id.
const MAX_LOOKED_AT: usize = 10_000;

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

/// An open way to a control plane.
#[derive(Debug, Clone)]
pub struct Server {
    /// The contract's client.
    pub client: Client,
    has_token: bool,
}

impl Server {
    /// Finds the server by flags, environment and configuration.
    pub fn open(context: &Context) -> Result<Self, Failure> {
        let config =
            config::config_path().map_or_else(|| Ok(Config::default()), |path| Config::read(&path))?;
        let to = destination(&context.global, &config)?;
        let token = match std::env::var("NIMBUS_TOKEN").ok().filter(|token| !token.trim().is_empty()) {
            Some(token) => token,
            None => to.token_file.as_deref().map_or_else(|| Ok(String::new()), token)?,
        };
        let ca = match &to.ca_file {
            // Plain HTTP shows no certificate: the file need not exist.
            Some(path) if to.server.starts_with("https:") => Some(
                std::fs::read(path)
                    .map_err(|error| files::unreadable("the server's authority", path, &error))?,
            ),
            _ => None,
        };
        let client =
            Client::new(&to.server, token.trim(), ca.as_deref()).map_err(|error| failure(error, true))?;
        Ok(Self { client, has_token: !token.trim().is_empty() })
    }

    /// Reads one document as the server sends it.
    pub async fn get(&self, path: &[&str], query: &impl Serialize) -> Result<Value, Failure> {
        self.client.get(path, query).await.map_err(|error| self.failure(error))
    }

    /// Sends an order, and gives the answer as the server sends it.
    pub async fn post(&self, path: &[&str], body: &impl Serialize) -> Result<Value, Failure> {
        self.client.post(path, body).await.map_err(|error| self.failure(error))
    }

    /// One page of a list, with filters.
    pub async fn page(&self, path: &[&str], filters: Value, page: &Page) -> Result<Value, Failure> {
        let mut query = filters;
        query["limit"] = json!(page.limit.unwrap_or(DEFAULT_LIMIT));
        if let Some(after) = &page.after {
            query["after"] = json!(after);
        }
        self.get(path, &query).await
    }

    /// Every item of a list up to a bound of ten thousand, newest first.
    pub async fn items(&self, path: &[&str], filters: &Value) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut page = Page { limit: Some(MAX_LIMIT), after: None };
        loop {
            let mut list = self.page(path, filters.clone(), &page).await?;
            if let Some(Value::Array(more)) = list.get_mut("items").map(Value::take) {
                items.extend(more);
            }
            let next = list.get("next").and_then(Value::as_str).map(str::to_owned);
            if next.is_none() || next == page.after || items.len() >= MAX_LOOKED_AT {
                return Ok(items);
            }
            page.after = next;
        }
    }

    /// What a client's error means for a command.
    pub fn failure(&self, error: ClientError) -> Failure {
        failure(error, self.has_token)
    }
}

/// Reads a token file. Its content never appears in an error.
fn token(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
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

fn failure(error: ClientError, has_token: bool) -> Failure {
    match error {
        ClientError::Unreachable { server, detail } => Failure::new("the control plane cannot be reached")
            .exit(Exit::Unreachable)
            .expected(format!("a control plane at {server}"))
            .found(detail)
            .next("start one with `nimbus up`, or name another with --server or --context"),
        ClientError::Problem(problem) => {
            let problem = *problem;
            let exit = match (problem.status, problem.code.as_str()) {
                (404, _) => Exit::NotFound,
                (401 | 403, _) => Exit::Refused,
                _ => Exit::Error,
            };
            let sentence = if problem.detail.is_empty() { problem.title } else { problem.detail };
            let mut failure = Failure::new(sentence).exit(exit);
            failure.expected = problem.expected.unwrap_or_default();
            failure.found = problem.found.unwrap_or_default();
            failure.next = problem.remedy.unwrap_or_default();
            failure.status = Some(problem.status);
            failure.type_uri = Some(problem.kind);
            if problem.status == 401 && failure.next.is_empty() {
                failure.next = if has_token {
                    "read the token from the server's data directory (operator.token) again".to_owned()
                } else {
                    "set NIMBUS_TOKEN, or use a context that names a token file".to_owned()
                };
            }
            failure
        }
        ClientError::Unreadable { server, found } => Failure::new("the answer is not a control plane's")
            .expected(format!("a Nimbus control plane at {server}"))
            .found(found)
            .next("check the address"),
        ClientError::BadAddress(found) => Failure::usage("the server's address cannot be used")
            .expected("an address such as http://127.0.0.1:7070 or https://nimbus.example:7070")
            .found(found)
            .next("correct --server, NIMBUS_SERVER or the context"),
        ClientError::PlainHttp(found) => Failure::new("the token would travel in the clear")
            .exit(Exit::Refused)
            .expected("https:// to another machine, http:// only to a loopback address")
            .found(found)
            .next("use https:// and the control plane's ca.pem as the context's ca_file"),
        ClientError::BadToken => Failure::new("the operator's token cannot be used")
            .expected("visible ASCII characters")
            .found("something else")
            .next("read the token from its file again"),
        ClientError::BadCertificate(found) => Failure::new("the server's authority cannot be used")
            .expected("a CA certificate in PEM")
            .found(found)
            .next("copy ca.pem from the control plane's data directory"),
    }
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

    #[test]
    fn without_any_configuration_the_local_default_is_meant() {
        let to = destination(&Global::default(), &Config::default()).unwrap();
        assert_eq!((to.server.as_str(), to.token_file), (config::DEFAULT_SERVER, None));
    }

    #[test]
    fn each_refusal_has_its_exit_code() {
        let problem = |status: u16| {
            let problem = nimbus_api::Problem { status, ..nimbus_api::Problem::default() };
            failure(ClientError::Problem(Box::new(problem)), false)
        };
        let codes = [401, 403, 404, 409, 500].map(|status| problem(status).exit);
        assert_eq!(codes, [Exit::Refused, Exit::Refused, Exit::NotFound, Exit::Error, Exit::Error]);
        assert!(problem(401).next.contains("NIMBUS_TOKEN"));
        let lost = ClientError::Unreachable { server: "http://127.0.0.1:1".into(), detail: "refused".into() };
        assert_eq!(failure(lost, false).exit, Exit::Unreachable);
    }
}
