//! Tests of the reader against a TLS server on loopback that answers as a kubelet does: verified, unverified, without the
//! right, too large, slow. A real kubelet is asked in the story of the charts (`tests/src/installed`).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::Config;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::read::{MAX_BODY, ReadError, Reader};
use crate::config::KubeletSettings;

/// A CA of a test.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A configuration as a pod has it: the CA of its cluster, and a token.
    pub(super) fn config(&self) -> Config {
        let mut config = Config::new("https://127.0.0.1:1/".parse().unwrap());
        config.root_cert = Some(vec![CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap().to_vec()]);
        config.auth_info.token = Some("the-token".to_owned().into());
        config
    }
}

/// How the kubelet answers.
#[derive(Clone)]
pub(super) enum Answer {
    Status(u16, &'static str),
    /// A body of so many bytes.
    Large(usize),
    Never,
}

/// A kubelet with a certificate of `authority` for `address`, and the requests that came to it.
pub(super) struct Kubelet {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Kubelet {
    pub(super) async fn serve(authority: &Authority, address: Ipv4Addr, answer: Answer) -> Self {
        // Another test, or the agent of another one, may have set it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(address)));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &authority.issuer).unwrap().der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = rustls::ServerConfig::builder().with_no_client_auth();
        let acceptor = TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).unwrap()));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = requests.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { break };
                    head.push(byte);
                }
                if head.is_empty() {
                    continue;
                }
                seen.lock().unwrap().push(String::from_utf8(head).unwrap());
                let (status, body) = match &answer {
                    Answer::Status(status, body) => (*status, (*body).as_bytes().to_vec()),
                    Answer::Large(bytes) => (200, vec![b' '; *bytes]),
                    Answer::Never => {
                        std::future::pending::<()>().await;
                        continue;
                    }
                };
                let head = format!(
                    "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes()).await;
                let _ = stream.write_all(&body).await;
                let _ = stream.shutdown().await;
            }
        });
        Self { port, requests }
    }

    pub(super) fn settings(&self) -> KubeletSettings {
        KubeletSettings {
            node: "node-a".into(),
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: self.port,
            certificate_authority: None,
            insecure_skip_verify: false,
        }
    }

    fn asked(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

pub(super) const SUMMARY: &str =
    r#"{"node": {"nodeName": "node-a", "fs": {"capacityBytes": 7}}, "pods": []}"#;

#[tokio::test]
async fn a_kubelet_of_the_clusters_ca_is_asked_with_the_token() {
    let authority = Authority::new();
    let kubelet = Kubelet::serve(&authority, Ipv4Addr::LOCALHOST, Answer::Status(200, SUMMARY)).await;
    let reader = Reader::with(&kubelet.settings(), authority.config()).unwrap();
    assert_eq!(reader.summary().await.unwrap().node.node_name, "node-a");
    let asked = kubelet.asked();
    assert!(asked[0].starts_with("GET /stats/summary HTTP/1.1\r\n"), "{asked:?}");
    assert!(asked[0].contains("authorization: Bearer the-token\r\n"), "{asked:?}");
}

#[tokio::test]
async fn no_token_goes_to_a_kubelet_that_is_not_verified_unless_that_is_said() {
    let (own, other) = (Authority::new(), Authority::new());
    let stranger = Kubelet::serve(&other, Ipv4Addr::LOCALHOST, Answer::Status(200, SUMMARY)).await;
    let misnamed = Kubelet::serve(&own, Ipv4Addr::new(10, 0, 0, 1), Answer::Status(200, SUMMARY)).await;
    for kubelet in [&stranger, &misnamed] {
        let reader = Reader::with(&kubelet.settings(), own.config()).unwrap();
        let error = reader.summary().await.unwrap_err();
        assert!(matches!(error, ReadError::Unverified { .. }), "{error:?}");
        let text = error.to_string();
        for words in ["unknown", "no token was sent", "kubelet.certificateAuthority", "the cluster's CA"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(kubelet.asked().is_empty(), "it was asked nothing");
    }
    // The CA that is given for kubelets takes the place of the cluster's.
    let given = KubeletSettings { certificate_authority: Some(other.pem.clone()), ..stranger.settings() };
    assert!(Reader::with(&given, own.config()).unwrap().summary().await.is_ok());
    let said = KubeletSettings { insecure_skip_verify: true, ..misnamed.settings() };
    assert!(Reader::with(&said, own.config()).unwrap().summary().await.is_ok());
    assert!(misnamed.asked()[0].contains("Bearer the-token"));
}

#[tokio::test]
async fn without_a_ca_nobody_is_asked() {
    let authority = Authority::new();
    let kubelet = Kubelet::serve(&authority, Ipv4Addr::LOCALHOST, Answer::Status(200, SUMMARY)).await;
    let mut none = authority.config();
    none.root_cert = None;
    let broken = KubeletSettings { certificate_authority: Some("no PEM".into()), ..kubelet.settings() };
    for made in [Reader::with(&kubelet.settings(), none), Reader::with(&broken, authority.config())] {
        let Err(error) = made else { panic!("a reader without a CA") };
        assert!(error.to_string().contains("kubelet.certificateAuthority"), "{error}");
    }
    assert!(kubelet.asked().is_empty());
}

#[tokio::test]
async fn a_refusal_names_what_is_missing() {
    let authority = Authority::new();
    for (status, said, words) in [
        (401, "Unauthorized", &["webhook authentication", "401", "Unauthorized"][..]),
        (403, "Forbidden (user=x, verb=get)", &["nodes/stats", "403", "verb=get", "docs/rights.md"]),
        (500, "a\u{7}\nb", &["500", "a  b"]),
        (404, "", &["404", "/stats/summary"]),
    ] {
        let kubelet = Kubelet::serve(&authority, Ipv4Addr::LOCALHOST, Answer::Status(status, said)).await;
        let error =
            Reader::with(&kubelet.settings(), authority.config()).unwrap().summary().await.unwrap_err();
        for word in words {
            assert!(error.to_string().contains(word), "{word}: {error}");
        }
    }
}

/// An unverified peer was sent the token; what it says may be that.
#[tokio::test]
async fn what_an_unverified_peer_says_is_not_told() {
    let authority = Authority::new();
    for (status, said, word) in
        [(403, "Bearer the-token", "403"), (200, r#"{"node": "the-token"}"#, "column")]
    {
        let kubelet = Kubelet::serve(&authority, Ipv4Addr::LOCALHOST, Answer::Status(status, said)).await;
        let settings = KubeletSettings { insecure_skip_verify: true, ..kubelet.settings() };
        let error = Reader::with(&settings, authority.config()).unwrap().summary().await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(word) && !text.contains("the-token"), "{text}");
    }
}

#[tokio::test]
async fn what_is_too_large_is_refused_and_what_is_just_not_is_read() {
    let authority = Authority::new();
    let read = async |answer| {
        let kubelet = Kubelet::serve(&authority, Ipv4Addr::LOCALHOST, answer).await;
        Reader::with(&kubelet.settings(), authority.config()).unwrap().summary().await.unwrap_err()
    };
    let error = read(Answer::Large(MAX_BODY + 1)).await;
    assert!(matches!(error, ReadError::TooLarge { .. }) && error.to_string().contains("16 MiB"), "{error}");
    let blanks = read(Answer::Large(MAX_BODY)).await;
    assert!(matches!(blanks, ReadError::Shape { .. }), "{blanks}");
    let other = read(Answer::Status(200, "<html>")).await;
    assert!(other.to_string().contains("a kubelet's address"), "{other}");
}

#[tokio::test]
async fn one_that_does_not_answer_is_not_waited_for() {
    let authority = Authority::new();
    let kubelet = Kubelet::serve(&authority, Ipv4Addr::LOCALHOST, Answer::Never).await;
    let reader = Reader::with(&kubelet.settings(), authority.config()).unwrap();
    let error = reader.summary_within(Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(error, ReadError::Unanswered { .. }), "{error}");
    let nobody = KubeletSettings { port: 1, ..kubelet.settings() };
    let error = Reader::with(&nobody, authority.config()).unwrap().summary().await.unwrap_err();
    assert!(
        matches!(error, ReadError::Unanswered { .. }) && error.to_string().contains("NetworkPolicy"),
        "{error}"
    );
}
