//! One HTTP request of the API client and its response, bounded in time and size.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, header, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{ClientError, Silence};
use crate::{BASE, Problem};

/// Longest wait for an answer; then the control plane counts as unreachable.
pub const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait for the answers that walk the whole audit chain.
pub const LONG_TIMEOUT: Duration = Duration::from_mins(10);
/// Longest answer that is read, an export excepted; a longer one is an error.
pub const MAX_ANSWER_BYTES: usize = 64 << 20;

/// The word of a control plane that stands by for the one that leads: another connection may reach that one.
const STANDBY: &str = "standby";
/// How often a request is sent while none leads, and the pause between: some 15 s, longer than a takeover takes.
const STANDBY_TRIES: u32 = 50;
const STANDBY_PAUSE: Duration = Duration::from_millis(300);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A control plane and the operator's token for it. Cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    token: header::HeaderValue,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({}, token withheld)", self.server())
    }
}

/// What the control plane answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// As it was sent, with fields that this version does not know: for a program.
    pub raw: Value,
    /// As this version reads it.
    pub typed: T,
}

/// An answer that arrives in pieces.
#[derive(Debug)]
pub struct Export {
    server: String,
    response: Response,
}

impl Client {
    /// A client of the control plane at `server` (scheme, host and port), with the operator token, and with the
    /// CA certificate (PEM) of a control plane whose certificate no public authority signed.
    pub fn new(server: &str, token: &str, ca_pem: Option<&[u8]>) -> Result<Self, ClientError> {
        let bad = || ClientError::BadAddress(server.to_owned());
        let mut base: Url = server.trim().parse().map_err(|_| bad())?;
        let host = base.host_str().ok_or_else(bad)?.to_owned();
        let plain = base.username().is_empty() && base.password().is_none() && base.query().is_none();
        if !matches!(base.scheme(), "http" | "https") || !plain {
            return Err(bad());
        }
        let loopback = is_loopback(&host);
        if base.scheme() == "http" && !loopback {
            return Err(ClientError::PlainHttp(server.to_owned()));
        }
        base.set_fragment(None);
        let mut token = header::HeaderValue::from_str(&format!("Bearer {}", token.trim()))
            .map_err(|_| ClientError::BadToken)?;
        token.set_sensitive(true);
        let http = build(&base, loopback, ca_pem)?;
        Ok(Self { http, base, token })
    }

    /// The certificate (DER) that the control plane shows, which the client trusts; none over plain HTTP. Needs no token.
    pub async fn certificate(&self) -> Result<Option<Vec<u8>>, ClientError> {
        let request = self.request(Method::GET, &["version"])?.timeout(TIMEOUT);
        let response = self.send(request).await?;
        let shown = response.extensions().get::<reqwest::tls::TlsInfo>();
        Ok(shown.and_then(|shown| shown.peer_certificate().map(<[u8]>::to_vec)))
    }

    /// Scheme, host and port, as they are shown.
    pub fn server(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }

    /// Reads `/api/v1/<path>` with `query`; `path` is given segment by segment, unescaped.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &(impl Serialize + ?Sized),
    ) -> Result<Answer<T>, ClientError> {
        let request = self.request(Method::GET, path)?.query(query);
        self.read(request, TIMEOUT).await
    }

    /// The figures of the control plane's process in the Prometheus text format. They are not below `/api/v1`.
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| ClientError::BadAddress(self.server()))?
            .pop_if_empty()
            .push("metrics");
        let request = self.http.get(url).header(header::AUTHORIZATION, self.token.clone());
        let response = self.send(request.timeout(TIMEOUT)).await?;
        Ok(String::from_utf8_lossy(&self.body(response).await?).into_owned())
    }

    /// As [`Client::get`], for an answer that walks the whole audit chain.
    pub(super) async fn get_slowly<T: DeserializeOwned>(
        &self,
        path: &[&str],
    ) -> Result<Answer<T>, ClientError> {
        self.read(self.request(Method::GET, path)?, LONG_TIMEOUT).await
    }

    /// Sends `body` to `/api/v1/<path>`.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<Answer<T>, ClientError> {
        let request = self.request(Method::POST, path)?.json(body);
        self.read(request, TIMEOUT).await
    }

    /// Deletes `/api/v1/<path>`, as `query` says.
    pub(super) async fn delete<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &(impl Serialize + ?Sized),
    ) -> Result<Answer<T>, ClientError> {
        self.read(self.request(Method::DELETE, path)?.query(query), TIMEOUT).await
    }

    /// Opens an answer that is read in pieces.
    pub(super) async fn open(
        &self,
        path: &[&str],
        query: &(impl Serialize + ?Sized),
    ) -> Result<Export, ClientError> {
        let request = self.request(Method::GET, path)?.query(query).timeout(LONG_TIMEOUT);
        let response = self.send(request).await?;
        Ok(Export { server: self.server(), response })
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, ClientError> {
        let mut url = self.base.clone();
        {
            let bad = || ClientError::BadAddress(self.server());
            let mut segments = url.path_segments_mut().map_err(|()| bad())?;
            segments.pop_if_empty().extend(BASE.trim_start_matches('/').split('/')).extend(path);
        }
        Ok(self.http.request(method, url).header(header::AUTHORIZATION, self.token.clone()))
    }

    async fn read<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        timeout: Duration,
    ) -> Result<Answer<T>, ClientError> {
        let response = self.send(request.timeout(timeout)).await?;
        let status = response.status();
        let bytes = self.body(response).await?;
        let raw = serde_json::from_slice(&bytes);
        let raw: Value =
            raw.map_err(|_| self.unreadable(format!("status {status} with a body that is no JSON")))?;
        let typed = T::deserialize(&raw);
        let typed = typed
            .map_err(|error| self.unreadable(format!("status {status} with another document: {error}")))?;
        Ok(Answer { raw, typed })
    }

    /// Sends a request until it is not answered by a control plane that stands by, which has done nothing for it; what it
    /// says is the error after [`STANDBY_TRIES`].
    async fn send(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let mut tries = 1;
        loop {
            let again = request.try_clone();
            let Some(this) = again else {
                return Err(self.unreadable("a request that cannot be sent twice".to_owned()));
            };
            let response = this.send().await.map_err(|error| self.unreachable(&error))?;
            if response.status().is_success() {
                return Ok(response);
            }
            match self.refusal(response).await {
                ClientError::Problem(problem) if problem.code == STANDBY && tries < STANDBY_TRIES => {
                    tries += 1;
                }
                error => return Err(error),
            }
            tokio::time::sleep(STANDBY_PAUSE).await;
        }
    }

    async fn refusal(&self, response: Response) -> ClientError {
        let status = response.status();
        match self.body(response).await.map(|bytes| serde_json::from_slice::<Problem>(&bytes)) {
            Ok(Ok(problem)) => ClientError::Problem(Box::new(problem)),
            // Said by what stands before a control plane, or by one that cannot even write a document.
            Ok(Err(_)) if is_of_the_way(status) => ClientError::Unreachable {
                server: self.server(),
                why: Silence::Unready,
                detail: format!("status {status} without a problem document"),
            },
            Ok(Err(_)) => self.unreadable(format!("status {status} without a problem document")),
            Err(error) => error,
        }
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, ClientError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.broken_off(&error))? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(self.unreadable(format!("an answer of more than {MAX_ANSWER_BYTES} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn unreachable(&self, error: &reqwest::Error) -> ClientError {
        ClientError::Unreachable { server: self.server(), why: silence(error), detail: root_cause(error) }
    }

    /// The error for an answer that began and did not come to its end.
    fn broken_off(&self, error: &reqwest::Error) -> ClientError {
        // One that stands still has not broken off: whoever writes it has too much to do.
        let why = if error.is_timeout() { Silence::Crowded } else { Silence::BrokenOff };
        ClientError::Unreachable { server: self.server(), why, detail: root_cause(error) }
    }

    fn unreadable(&self, found: String) -> ClientError {
        ClientError::Unreadable { server: self.server(), found }
    }
}

impl Export {
    /// The next piece; `None` after the last. A connection that breaks off is an error, never an end.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let chunk = self.response.chunk().await.map_err(|error| ClientError::Unreachable {
            server: self.server.clone(),
            why: Silence::BrokenOff,
            detail: root_cause(&error),
        })?;
        Ok(chunk.map(|bytes| bytes.to_vec()))
    }
}

fn build(base: &Url, loopback: bool, ca_pem: Option<&[u8]>) -> Result<reqwest::Client, ClientError> {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Losing the race against another thread that installs one is as good.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    }
    let mut builder = reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirect::Policy::none())
        .tls_info(true)
        .user_agent(concat!("nimbus/", env!("CARGO_PKG_VERSION")));
    if loopback {
        builder = builder.no_proxy();
    }
    if let Some(pem) = ca_pem {
        let bad = |error: reqwest::Error| ClientError::BadCertificate(root_cause(&error));
        let certificates = reqwest::Certificate::from_pem_bundle(pem).map_err(bad)?;
        if certificates.is_empty() {
            return Err(ClientError::BadCertificate("no certificate in it".to_owned()));
        }
        builder = builder.tls_certs_only(certificates);
    } else if base.scheme() == "http" {
        // Nothing to trust: the system's certificates need not even exist.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| ClientError::BadCertificate(root_cause(&error)))
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Does this status say that nobody is there to answer, rather than what the answer is?
fn is_of_the_way(status: StatusCode) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT)
}

/// What an error of the network says of the other side, before an answer began.
fn silence(error: &reqwest::Error) -> Silence {
    use std::io::ErrorKind;
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        let text = inner.to_string();
        if text.contains("invalid peer certificate") {
            return Silence::Untrusted;
        }
        if text.contains("dns error") || text.contains("failed to lookup address") {
            return Silence::Absent;
        }
        if let Some(io) = inner.downcast_ref::<std::io::Error>() {
            match io.kind() {
                ErrorKind::ConnectionRefused => return Silence::Stopped,
                ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable => {
                    return Silence::Absent;
                }
                ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::UnexpectedEof => {
                    return Silence::Crowded;
                }
                _ => {}
            }
        }
        if text.contains("connection closed before message completed") {
            return Silence::Crowded;
        }
        cause = inner.source();
    }
    match (error.is_timeout(), error.is_connect()) {
        // Whoever listens takes a connection at once, however much it has to do.
        (true, true) => Silence::Absent,
        (true, false) => Silence::Crowded,
        (false, _) => Silence::Other,
    }
}

/// The innermost message: the outer ones only say that a request failed.
fn root_cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_would_leak_the_token_or_lead_nowhere_is_refused() {
        let new = |server: &str| Client::new(server, "t", None);
        assert!(matches!(new("http://10.0.0.1:8080"), Err(ClientError::PlainHttp(_))));
        assert!(matches!(new("ftp://127.0.0.1"), Err(ClientError::BadAddress(_))));
        assert!(matches!(new("127.0.0.1:8080"), Err(ClientError::BadAddress(_))));
        assert!(matches!(new("http://user:pw@127.0.0.1"), Err(ClientError::BadAddress(_))));
        for good in ["http://127.0.0.1:8080", "http://localhost:1/", "http://[::1]:8080"] {
            assert!(new(good).is_ok(), "{good}");
        }
        assert!(matches!(Client::new("http://127.0.0.1", "a\nb", None), Err(ClientError::BadToken)));
        let certificate = Client::new("https://127.0.0.1", "t", Some(b"no pem"));
        assert!(matches!(certificate, Err(ClientError::BadCertificate(_))));
    }

    #[test]
    fn the_token_is_not_in_the_debug_text_and_ids_are_escaped() {
        let client = Client::new("http://127.0.0.1:8080/", "s3cret-word", None).unwrap();
        assert!(!format!("{client:?}").contains("s3cret-word"));
        let request = client.request(Method::GET, &["incidents", "../a b?c"]).unwrap().build().unwrap();
        assert_eq!(request.url().as_str(), "http://127.0.0.1:8080/api/v1/incidents/..%2Fa%20b%3Fc");
        assert!(request.headers()["authorization"].is_sensitive());
    }
}
