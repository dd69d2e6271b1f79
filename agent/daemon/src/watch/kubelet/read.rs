//! Asks a kubelet for `/stats/summary`, at its own address and never by way of the API server: a proxy through that would
//! need `nodes/proxy`, which is the right to run anything in any pod.
//!
//! The kubelet is verified before the service account's token is sent: TLS ends the connection first. That token is good at
//! the API server for everything that the agent may do, and a kubelet accepts no token of another audience; so an
//! unverified peer gets it only where somebody said so (`insecure_skip_verify`).

use std::time::Duration;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Bytes;
use kube::client::Body;
use kube::{Client, Config};
use nimbus_agent_core::observe::summary::Summary;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use crate::config::KubeletSettings;
use crate::watch::kube::client::Target;

/// Longest wait for a whole answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer, bytes. That of a node with 500 pods of four containers each has about 5 MB.
pub(super) const MAX_BODY: usize = 16 << 20;
/// How much of a refusal is told, in characters.
const MAX_TOLD: usize = 200;

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The given CA cannot be used, or no client can be made.
    #[error(
        "expected certificates in PEM as the CA of the kubelets, found: {0}; what the kubelet measured is unknown: correct \
         kubelet.certificateAuthority, or leave it out for the cluster's own CA"
    )]
    Authority(String),
    /// Its certificate does not hold.
    #[error(
        "expected the kubelet at {url} to be verified by {by}, found: {found}; what it measured is unknown, and no token was \
         sent to it: give the kubelets serving certificates of that CA (serverTLSBootstrap), or name theirs in \
         kubelet.certificateAuthority"
    )]
    Unverified {
        /// Where.
        url: String,
        /// By which CA.
        by: &'static str,
        /// What is wrong with it.
        found: String,
    },
    /// No answer, or not to its end.
    #[error("expected an answer of the kubelet at {url}, found: {found}; {remedy}")]
    Unanswered {
        /// Where.
        url: String,
        /// What came instead.
        found: String,
        /// What to do.
        remedy: &'static str,
    },
    /// It answered with another status than 200.
    #[error("expected {expected}, found {status} from the kubelet at {url}{text}; {remedy}")]
    Status {
        /// What it would need.
        expected: &'static str,
        /// The status.
        status: u16,
        /// Where.
        url: String,
        /// What it says of it, after a colon; empty where it says nothing, or was not verified.
        text: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Larger than is read.
    #[error(
        "expected at most {} MiB of figures from the kubelet at {url}, found more; they are unknown: run fewer pods on this \
         node",
        MAX_BODY >> 20
    )]
    TooLarge {
        /// Where.
        url: String,
    },
    /// It is no summary.
    #[error(
        "expected a summary as kubelets give it from {url}, found: {found}; check that this is a kubelet's address"
    )]
    Shape {
        /// Where.
        url: String,
        /// What is wrong with it.
        found: String,
    },
}

/// Asks one kubelet.
pub(super) struct Reader {
    client: Client,
    url: String,
    by: &'static str,
    /// Only then is what it says in words told: another peer could say what it was sent.
    is_verified: bool,
}

impl Reader {
    /// For the kubelet of `settings`, with the credentials for `target`.
    pub(super) fn new(settings: &KubeletSettings, target: &Target) -> Result<Self, ReadError> {
        Self::with(settings, target.config().clone())
    }

    /// The same with credentials and a CA that are given as a configuration of the API server's client.
    pub(super) fn with(settings: &KubeletSettings, mut config: Config) -> Result<Self, ReadError> {
        let url = format!("https://{}/", std::net::SocketAddr::new(settings.address, settings.port));
        config.cluster_url =
            url.parse().map_err(|error: http::uri::InvalidUri| ReadError::Authority(error.to_string()))?;
        (config.tls_server_name, config.proxy_url) = (None, None);
        config.accept_invalid_certs = settings.insecure_skip_verify;
        (config.connect_timeout, config.default_retry) = (Some(TIMEOUT), false);
        let mut by = "the cluster's CA";
        if let Some(pem) = &settings.certificate_authority {
            by = "the CA that is given for kubelets";
            (config.root_cert, config.root_cert_file) = (Some(certificates(pem)?), None);
        }
        // Without any CA the system's would be asked, which knows no kubelet.
        if config.root_cert.as_ref().is_none_or(Vec::is_empty) && !settings.insecure_skip_verify {
            return Err(ReadError::Authority("none, and this pod has no CA of its cluster".to_owned()));
        }
        let client =
            Client::try_from(config).map_err(|error| ReadError::Authority(nimbus_platform::chain(&error)))?;
        let is_verified = !settings.insecure_skip_verify;
        Ok(Self { client, url: format!("{url}stats/summary"), by, is_verified })
    }

    /// What it measured.
    pub(super) async fn summary(&self) -> Result<Summary, ReadError> {
        let within = self.summary_within(TIMEOUT).await?;
        serde_json::from_slice(&within).map_err(|error| {
            // What a parser complains of may quote what the peer said.
            let place = || format!("something else at line {}, column {}", error.line(), error.column());
            let found = if self.is_verified { error.to_string() } else { place() };
            ReadError::Shape { url: self.url.clone(), found }
        })
    }

    /// The bytes of it; tests wait for less.
    pub(super) async fn summary_within(&self, time: Duration) -> Result<Bytes, ReadError> {
        match tokio::time::timeout(time, self.ask()).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unanswered(format!("nothing within {} s", time.as_secs()))),
        }
    }

    async fn ask(&self) -> Result<Bytes, ReadError> {
        let request = http::Request::get("/stats/summary").header("accept", "application/json");
        let request = request.body(Body::empty()).map_err(|error| self.unanswered(error.to_string()))?;
        let answer = self.client.send(request).await.map_err(|error| self.failed(&error))?;
        let status = answer.status();
        let bytes = match Limited::new(answer.into_body(), MAX_BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(ReadError::TooLarge { url: self.url.clone() });
            }
            Err(error) => return Err(self.unanswered(nimbus_platform::chain(&*error))),
        };
        if status == http::StatusCode::OK { Ok(bytes) } else { Err(self.refused(status.as_u16(), &bytes)) }
    }

    fn refused(&self, status: u16, said: &[u8]) -> ReadError {
        let (expected, remedy) = match status {
            401 => (
                "a kubelet that takes the service account's token",
                "enable webhook authentication in its configuration (authentication.webhook.enabled)",
            ),
            403 => (
                "the right to get nodes/stats",
                "give the agent's service account that right, as the chart's ClusterRole for reading does (docs/rights.md)",
            ),
            _ => ("figures at /stats/summary", "look at the kubelet's log; it is tried again"),
        };
        let said = if self.is_verified { String::from_utf8_lossy(said) } else { "".into() };
        let text: String = said.trim().chars().take(MAX_TOLD).collect();
        let text = text.replace(char::is_control, " ");
        let text = if text.is_empty() { text } else { format!(": {text}") };
        ReadError::Status { expected, status, url: self.url.clone(), text, remedy }
    }

    fn failed(&self, error: &kube::Error) -> ReadError {
        let found = nimbus_platform::chain(error);
        if is_certificate(error) {
            return ReadError::Unverified { url: self.url.clone(), by: self.by, found };
        }
        self.unanswered(found)
    }

    fn unanswered(&self, found: String) -> ReadError {
        let remedy = "its figures are unknown: check that pods may reach their node's kubelet (a NetworkPolicy, a firewall, \
                      the port); it is tried again";
        ReadError::Unanswered { url: self.url.clone(), found, remedy }
    }
}

/// The certificates of a text in PEM.
fn certificates(pem: &str) -> Result<Vec<Vec<u8>>, ReadError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let all = all.map_err(|error| ReadError::Authority(error.to_string()))?;
    if all.is_empty() {
        return Err(ReadError::Authority("none".to_owned()));
    }
    Ok(all.into_iter().map(|certificate| certificate.to_vec()).collect())
}

/// Did it fail for the peer's certificate?
fn is_certificate(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::InvalidCertificate(_)) = error.downcast_ref::<rustls::Error>() {
            return true;
        }
        // What an I/O error wraps is not among its sources.
        let wrapped = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if wrapped.is_some_and(|wrapped| is_certificate(wrapped)) {
            return true;
        }
        next = error.source();
    }
    false
}
