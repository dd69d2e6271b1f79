//! Plain REST answers only to requests that call it by one of its own names.
//!
//! A page in a browser on this machine can point a name of its own at 127.0.0.1 (DNS rebinding): the browser then takes
//! this server for the page's own and lets the page read its answers, `/metrics` needs no token there. What such a page
//! cannot change is the `Host` header: it names the page's server. So a request that names no address or name of this
//! listener is refused before anything else is looked at. The port is not compared: a forwarded port is another one.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use crate::config::Config;

/// A name or an address, however it is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Host {
    Address(IpAddr),
    Name(String),
}

impl Host {
    /// From a name or an address, an IPv6 one with brackets or without.
    fn of(text: &str) -> Self {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        match bare.parse::<IpAddr>() {
            Ok(address) => Self::Address(address.to_canonical()),
            Err(_) => Self::Name(text.to_ascii_lowercase()),
        }
    }
}

/// The names and addresses to which the listener answers.
#[derive(Debug)]
pub struct Hosts {
    own: BTreeSet<Host>,
}

impl Hosts {
    /// Those of this configuration.
    pub fn of(config: &Config) -> Self {
        Self { own: config.rest_names().iter().map(|name| Host::of(name)).collect() }
    }

    /// What a request calls this server, when that is none of its own names; `none` when it says nothing.
    fn foreign(&self, uri: &Uri, headers: &HeaderMap) -> Option<String> {
        // A request line may hold a whole URL: then both have to be right.
        if let Some(authority) = uri.authority().filter(|authority| !self.knows(authority)) {
            return Some(authority.to_string());
        }
        let mut given = headers.get_all(header::HOST).iter();
        let (first, second) = (given.next(), given.next());
        let Some(value) = first else { return Some("none".to_owned()) };
        let authority = Authority::try_from(value.as_bytes()).ok();
        match authority {
            Some(authority) if second.is_none() && self.knows(&authority) => None,
            _ => Some(String::from_utf8_lossy(value.as_bytes()).into_owned()),
        }
    }

    fn knows(&self, authority: &Authority) -> bool {
        // Nobody writes a user before this server's name, except to deceive whoever reads it.
        !authority.as_str().contains('@') && self.own.contains(&Host::of(authority.host()))
    }

    fn expected(&self) -> String {
        let write = |host: &Host| match host {
            Host::Address(IpAddr::V6(address)) => format!("[{address}]"),
            Host::Address(address) => address.to_string(),
            Host::Name(name) => name.clone(),
        };
        self.own.iter().map(write).collect::<Vec<_>>().join(", ")
    }
}

/// Lets a request through that calls this server by one of its own names.
pub async fn require_own(State(hosts): State<Arc<Hosts>>, request: Request, next: Next) -> Response {
    let Some(found) = hosts.foreign(request.uri(), request.headers()) else { return next.run(request).await };
    let detail =
        "this is not the server that the request names; without TLS it answers to its own names only";
    ApiError::new(StatusCode::MISDIRECTED_REQUEST, "wrong_host", "Another server is meant", detail)
        .expected(format!("one of these in the Host header: {}", hosts.expected()))
        .found(found)
        .remedy(
            "use one of them in the URL; if the other name is meant to lead here, start the control plane with --name \
             NAME, or with names = [\"NAME\"] in the settings file of `nimbus up`",
        )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(listen: &str, names: &[&str]) -> Config {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Config { listen: listen.parse().unwrap(), names, ..Config::new("/x") }
    }

    fn foreign(hosts: &Hosts, uri: &str, given: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in given {
            headers.append(header::HOST, value.parse().unwrap());
        }
        hosts.foreign(&uri.parse().unwrap(), &headers)
    }

    #[test]
    fn what_it_was_bound_to_and_what_a_setting_names_is_its_own_at_any_port() {
        let hosts = Hosts::of(&config("127.9.9.9:7070", &["nimbus.example", "192.0.2.7"]));
        for own in [
            "127.0.0.1:7070",
            "127.0.0.1",
            "localhost:9",
            "LocalHost",
            "[::1]:7070",
            "[::ffff:127.0.0.1]:1",
            "127.9.9.9:7070",
            "Nimbus.Example:443",
            "192.0.2.7",
        ] {
            assert_eq!(foreign(&hosts, "/metrics", &[own]), None, "{own}");
        }
    }

    #[test]
    fn every_other_name_is_foreign_and_so_is_none() {
        let hosts = Hosts::of(&config("127.0.0.1:7070", &["nimbus.example"]));
        for other in [
            "evil.example:7070",
            "localhost.evil.example",
            "127.0.0.1.evil.example:7070",
            "0.0.0.0:7070",
            "[::]:7070",
            "127.0.0.2",
            "10.0.0.1:7070",
            "nimbus.example.",
            "localhost@evil.example",
            "evil.example@localhost",
            "127.1",
            "2130706433",
            "",
            "localhost, evil.example",
        ] {
            assert_eq!(foreign(&hosts, "/metrics", &[other]).as_deref(), Some(other), "{other}");
        }
        assert_eq!(foreign(&hosts, "/", &[]).as_deref(), Some("none"));
        assert!(foreign(&hosts, "/", &["localhost", "evil.example"]).is_some(), "two of them");
        assert!(foreign(&hosts, "http://evil.example/", &["localhost"]).is_some());
        assert!(foreign(&hosts, "http://localhost:7070/", &["evil.example"]).is_some());
        assert_eq!(foreign(&hosts, "http://localhost:7070/", &["localhost:7070"]), None);
    }
}
