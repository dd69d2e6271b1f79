//! The HTTP proxy through which TCP goes: `HTTPS_PROXY` says which, `NO_PROXY` for which hosts none. It is asked with CONNECT
//! for a tunnel, in which TLS runs end to end: the proxy sees neither frames nor certificates' keys.

use http::header::HeaderValue;
use http::{StatusCode, Uri};
use hyper_util::client::proxy::matcher::Matcher;
use tokio::net::TcpStream;

use super::DialError;
use super::tunnel::{self, NoTunnel};

/// The variables that say which proxy there is, the first one that is set.
const VARIABLES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The variable that is to say by which proxy `server` is reached, and names none: it would be as if it were not there. `of`
/// reads a variable. Where `NO_PROXY` names the server, nothing else is looked at.
pub fn unusable(server: &str, of: impl Fn(&str) -> Option<String>) -> Option<&'static str> {
    let read = |name: &str| of(name).filter(|text| !text.is_empty());
    let (name, text) = VARIABLES.iter().find_map(|name| Some((*name, read(name)?)))?;
    let exempt = read("NO_PROXY").or_else(|| read("no_proxy")).unwrap_or_default();
    Proxies::new("http://proxy.example:3128", &exempt).of(server)?;
    let proxy = Proxies::new(&text, "").of(server);
    (!proxy.is_some_and(|proxy| proxy.has_address())).then_some(name)
}

/// Warns where the proxy for `server` is one by which this agent cannot ask for a tunnel.
pub fn tell_of_another_kind(server: &str) {
    if let Some(proxy) = Proxies::from_environment().of(server)
        && let Some(scheme) = proxy.speaks_otherwise()
    {
        tracing::warn!(
            proxy = proxy.name(),
            "expected a proxy that speaks http in HTTPS_PROXY or ALL_PROXY, found one that speaks {scheme}: over TCP this agent does not get \
             through it; set HTTPS_PROXY to http://[USER:PASSWORD@]HOST:PORT, or name the control plane's host in NO_PROXY"
        );
    }
}

/// Which proxy for which host.
#[derive(Debug)]
pub struct Proxies {
    /// `None` where `NO_PROXY` exempts every host: the library lets `*` mean names alone, everybody else means addresses too.
    matcher: Option<Matcher>,
    /// Hosts with a port that are exempt: `HOST:PORT`, which the library does not know.
    exempt: Vec<String>,
}

/// The proxy for one host.
pub struct Proxy {
    uri: Uri,
    /// `HOST:PORT`, without user and password.
    name: String,
    auth: Option<HeaderValue>,
}

impl Proxies {
    /// As `HTTPS_PROXY` (else `https_proxy`, `ALL_PROXY`, `all_proxy`) and `NO_PROXY` (else `no_proxy`) say.
    pub fn from_environment() -> Self {
        let set = |name| std::env::var(name).ok().filter(|text| !text.is_empty());
        let exempt = set("NO_PROXY").or_else(|| set("no_proxy")).unwrap_or_default();
        Self { matcher: (!exempts_all(&exempt)).then(Matcher::from_env), exempt: with_ports(&exempt) }
    }

    /// As these texts say, which have the form of the two variables; an empty one says nothing.
    pub fn new(https_proxy: &str, no_proxy: &str) -> Self {
        let matcher = || Matcher::builder().https(https_proxy.to_owned()).no(no_proxy.to_owned()).build();
        Self { matcher: (!exempts_all(no_proxy)).then(matcher), exempt: with_ports(no_proxy) }
    }

    /// The proxy for `server` (`HOST:PORT`); `None` where there is to be none.
    pub fn of(&self, server: &str) -> Option<Proxy> {
        if self.exempt.iter().any(|exempt| exempt.eq_ignore_ascii_case(server)) {
            return None;
        }
        let uri: Uri = format!("https://{server}/").parse().ok()?;
        let found = self.matcher.as_ref()?.intercept(&uri)?;
        let uri = found.uri().clone();
        let name = uri.authority().map_or_else(String::new, |it| {
            // What stands before an @ would be a password.
            it.as_str().rsplit('@').next().unwrap_or_default().to_owned()
        });
        Some(Proxy { auth: found.basic_auth().cloned(), uri, name })
    }
}

fn with_ports(no_proxy: &str) -> Vec<String> {
    no_proxy
        .split(',')
        .map(str::trim)
        .filter(|host| nimbus_platform::is_host_port(host))
        .map(str::to_owned)
        .collect()
}

fn exempts_all(no_proxy: &str) -> bool {
    no_proxy.split(',').any(|host| host.trim() == "*")
}

impl Proxy {
    /// Is there a host, and a port that is one where any is written?
    fn has_address(&self) -> bool {
        let is_whole = |it: &http::uri::Authority| it.host() == self.name || it.port_u16().is_some();
        self.uri.authority().is_some_and(|it| !it.host().is_empty() && is_whole(it))
    }

    /// What it speaks, if that is not the HTTP by which this agent asks for tunnels.
    pub fn speaks_otherwise(&self) -> Option<&str> {
        let scheme = self.uri.scheme_str().unwrap_or("nothing known");
        (scheme != "http").then_some(scheme)
    }

    /// `HOST:PORT`, without user and password.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A tunnel to `server` (`HOST:PORT`).
    pub async fn connect(self, server: &str) -> Result<TcpStream, DialError> {
        let has_password = self.auth.is_some();
        let failed = |found: String, remedy| DialError::Proxy {
            proxy: self.name.clone(),
            server: server.to_owned(),
            found,
            remedy,
        };
        if let Some(scheme) = self.speaks_otherwise() {
            let found = format!("a proxy that speaks {scheme}");
            return Err(failed(found, "set HTTPS_PROXY to http://[USER:PASSWORD@]HOST:PORT"));
        }
        // A proxy without a port has that of HTTP.
        let address = if self.uri.port().is_some() { self.name.clone() } else { format!("{}:80", self.name) };
        tunnel::open(&address, server, self.auth.clone()).await.map_err(|why| {
            let (found, remedy) = explain(&why, has_password);
            failed(found, remedy)
        })
    }
}

/// What a failure of the tunnel means, and what to do.
fn explain(why: &NoTunnel, has_password: bool) -> (String, &'static str) {
    match why {
        NoTunnel::Status(StatusCode::PROXY_AUTHENTICATION_REQUIRED) if has_password => (
            "407, it does not accept the user and password".to_owned(),
            "correct the user and password in HTTPS_PROXY (http://USER:PASSWORD@HOST:PORT; percent-encode special \
             characters)",
        ),
        NoTunnel::Status(StatusCode::PROXY_AUTHENTICATION_REQUIRED) => (
            "407, it wants a user and password, and the variable has none".to_owned(),
            "set HTTPS_PROXY to http://USER:PASSWORD@HOST:PORT",
        ),
        NoTunnel::OtherScheme(schemes) => (
            format!(
                "407, it takes {schemes} and no user and password (Basic), which is all that this agent has"
            ),
            "let the proxy take Basic or this host without authentication, or name the control plane's host in NO_PROXY",
        ),
        NoTunnel::Status(status) if status.is_server_error() => (
            format!("its answer {status}"),
            "check that the proxy reaches that host and port, or name the control plane's host in NO_PROXY",
        ),
        NoTunnel::Status(status) => (
            format!("its answer {status}"),
            "allow CONNECT to that host and port in the proxy, or name the control plane's host in NO_PROXY",
        ),
        NoTunnel::Unreachable(error) => (
            format!("it cannot be reached ({error})"),
            "check HTTPS_PROXY and that the proxy runs, or name the control plane's host in NO_PROXY",
        ),
        NoTunnel::Early(status, bytes) => (
            format!("its answer {status}, and then {bytes} bytes that are not the control plane's"),
            "check that the proxy opens tunnels for CONNECT, or name the control plane's host in NO_PROXY",
        ),
        NoTunnel::Broken(error) => (
            format!("no answer of an HTTP proxy ({error})"),
            "check that HTTPS_PROXY names an HTTP proxy, or name the control plane's host in NO_PROXY",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_taken_for_every_host_but_those_that_are_named() {
        let proxies =
            Proxies::new("http://ada:s3cret%21@proxy.example:3128", "10.0.0.0/8,.inside.example,localhost");
        let proxy = proxies.of("nimbus.example:7071").unwrap();
        assert_eq!(proxy.name(), "proxy.example:3128");
        let auth = proxy.auth.unwrap();
        assert_eq!(auth, HeaderValue::from_static("Basic YWRhOnMzY3JldCE="));
        for direct in ["10.1.2.3:7071", "nimbus.inside.example:7071", "localhost:7071"] {
            assert!(proxies.of(direct).is_none(), "{direct}");
        }
        assert!(proxies.of("[2001:db8::1]:7071").is_some());
        assert!(Proxies::new("", "").of("nimbus.example:7071").is_none());
    }

    #[test]
    fn a_variable_that_names_no_proxy_is_told() {
        let set = |name: &'static str, text: &'static str| {
            unusable("nimbus.example:7071", move |asked| (asked == name).then(|| text.to_owned()))
        };
        for good in
            ["http://proxy.example:3128", "proxy.example:3128", "http://ada:s3cret%23@10.0.0.1:80", ""]
        {
            assert_eq!(set("HTTPS_PROXY", good), None, "{good}");
        }
        for bad in ["http://proxy.example:99999", "http://a b:3128", "http://"] {
            assert_eq!(set("HTTPS_PROXY", bad), Some("HTTPS_PROXY"), "{bad}");
            assert_eq!(set("all_proxy", bad), Some("all_proxy"), "{bad}");
        }
        // One of another kind is named, and told of: over UDP there is no proxy, and all may be well.
        for (foreign, scheme) in [("https://p.example:3128", "https"), ("socks5://p.example:1080", "socks5")]
        {
            assert_eq!(set("HTTPS_PROXY", foreign), None, "{foreign}");
            let proxy = Proxies::new(foreign, "").of("nimbus.example:7071").unwrap();
            assert_eq!(proxy.speaks_otherwise(), Some(scheme));
        }
        // It is not asked where no proxy is to be used.
        for exempt in ["*", "nimbus.example", ".example", "other.example, Nimbus.example:7071"] {
            let of = |asked: &str| match asked {
                "HTTPS_PROXY" => Some("http://proxy.example:99999".to_owned()),
                "NO_PROXY" => Some(exempt.to_owned()),
                _ => None,
            };
            assert_eq!(unusable("nimbus.example:7071", of), None, "{exempt}");
            assert_eq!(unusable("10.0.0.1:7071", of).is_none(), exempt == "*", "{exempt}");
        }
    }

    #[test]
    fn what_the_proxy_says_is_told_with_what_to_do() {
        let status = |number| NoTunnel::Status(StatusCode::from_u16(number).unwrap());
        let text = || "refused".to_owned();
        for (why, has_password, said, to_do) in [
            (status(407), false, "407, it wants", "set HTTPS_PROXY"),
            (status(407), true, "407, it does not accept", "correct the user"),
            (NoTunnel::OtherScheme("NTLM".to_owned()), true, "407, it takes NTLM", "take Basic"),
            (status(403), true, "403 Forbidden", "allow CONNECT"),
            (status(503), true, "503 Service Unavailable", "reaches that host"),
            (NoTunnel::Unreachable(text()), true, "reached (refused)", "the proxy runs"),
            (NoTunnel::Early(StatusCode::OK, 11), true, "200 OK, and then 11 bytes", "opens tunnels"),
            (NoTunnel::Broken(text()), true, "no answer of an HTTP proxy", "names an HTTP proxy"),
        ] {
            let (found, remedy) = explain(&why, has_password);
            assert!(found.contains(said) && remedy.contains(to_do), "{why:?}: {found}; {remedy}");
        }
    }
}
