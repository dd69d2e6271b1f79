//! The TLS handshake that an agent begins with over TCP, made to see who listens. Nothing is sent behind it.

use std::sync::Arc;
use std::time::Duration;

use nimbus_checks::listener::{Greeting, NAME, PROTOCOL};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme,
};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use x509_parser::extensions::GeneralName;

/// Longest wait for the handshake.
const GREETS_WITHIN: Duration = Duration::from_secs(3);

/// Makes the handshake on a connection that was taken.
pub async fn greet(stream: TcpStream) -> Greeting {
    let (config, name) = match (config(), ServerName::try_from(NAME)) {
        (Ok(config), Ok(name)) => (config, name),
        (Err(error), _) => return Greeting::NoTls(error.to_string()),
        (_, Err(error)) => return Greeting::NoTls(error.to_string()),
    };
    match timeout(GREETS_WITHIN, TlsConnector::from(Arc::new(config)).connect(name, stream)).await {
        Ok(Ok(mut stream)) => {
            let greeting = finished(stream.get_ref().1);
            // A farewell; whoever does not take it in time is left without one.
            let _ = timeout(GREETS_WITHIN, stream.shutdown()).await;
            greeting
        }
        Ok(Err(error)) => failed(&error),
        Err(_) => Greeting::Silent,
    }
}

fn finished(connection: &ClientConnection) -> Greeting {
    let leaf = connection.peer_certificates().and_then(|chain| chain.first());
    Greeting::Finished {
        protocol: connection.alpn_protocol().map(<[u8]>::to_vec),
        names: leaf.map(|leaf| names(leaf)).unwrap_or_default(),
    }
}

/// The DNS names of a certificate; none of one that cannot be read.
fn names(leaf: &[u8]) -> Vec<String> {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(leaf) else { return Vec::new() };
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return Vec::new() };
    let dns = |name: &GeneralName<'_>| {
        if let GeneralName::DNSName(name) = name { Some((*name).to_owned()) } else { None }
    };
    names.value.general_names.iter().filter_map(dns).collect()
}

/// Of an error of the handshake: the library's own, or the connection's.
fn failed(error: &std::io::Error) -> Greeting {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        Some(Error::AlertReceived(AlertDescription::NoApplicationProtocol)) => Greeting::NoProtocol,
        Some(other) => Greeting::NoTls(other.to_string()),
        None => Greeting::Closed,
    }
}

/// As an agent that is to join: TLS 1.3, its protocol, and no certificate.
fn config() -> Result<ClientConfig, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let anybody = Arc::new(Anybody { provider: Arc::clone(&provider) });
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(anybody)
        .with_no_client_auth();
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// Takes every certificate: nothing is said to whoever shows it, and by which CA it is to be known only a join token says.
#[derive(Debug)]
struct Anybody {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _leaf: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("expected TLS 1.3, found TLS 1.2".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// What comes of a connection to something that answers whatever it gets with `answer`, and closes.
    async fn greeted(answer: &'static [u8]) -> Greeting {
        let listening = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listening.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listening.accept().await.unwrap();
            let mut bytes = [0; 8192];
            let _ = stream.read(&mut bytes).await.unwrap();
            stream.write_all(answer).await.unwrap();
        });
        let greeting = greet(TcpStream::connect(at).await.unwrap()).await;
        serving.await.unwrap();
        greeting
    }

    #[tokio::test]
    async fn what_speaks_no_tls_another_protocol_or_not_at_all_is_told_apart() {
        assert_eq!(greeted(b"").await, Greeting::Closed);
        let web = greeted(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n").await;
        assert!(matches!(web, Greeting::NoTls(_)), "{web:?}");
        // The alert no_application_protocol, fatal.
        assert_eq!(greeted(&[21, 3, 3, 0, 2, 2, 120]).await, Greeting::NoProtocol);
        // And handshake_failure, as of a server of TLS 1.2.
        let old = greeted(&[21, 3, 3, 0, 2, 2, 40]).await;
        assert!(matches!(old, Greeting::NoTls(_)), "{old:?}");
    }
}
