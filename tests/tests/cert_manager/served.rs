//! What is in a certificate, and which one is served.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use anyhow::Context as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// The first certificate of a PEM file.
pub fn first(pem: &[u8]) -> anyhow::Result<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem).context("expected a certificate in PEM")
}

/// Every name and address in a certificate.
pub fn names_in(pem: &[u8]) -> anyhow::Result<BTreeSet<String>> {
    let der = first(pem)?;
    let (_, certificate) = X509Certificate::from_der(&der)?;
    let names = certificate.subject_alternative_name()?.context("a certificate without names")?;
    let all = names.value.general_names.iter().map(|name| match name {
        GeneralName::DNSName(name) => Ok((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes),
        other => anyhow::bail!("expected names and addresses, found {other:?}"),
    });
    all.collect()
}

fn address(bytes: &[u8]) -> anyhow::Result<String> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let address = four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
    Ok(address.context("expected 4 or 16 bytes of an address")?.to_string())
}

/// The certificate that is shown to somebody who trusts this authority alone and calls the server by this name or address.
pub async fn served(port: u16, authority: &[u8], name: &str) -> anyhow::Result<CertificateDer<'static>> {
    let mut roots = RootCertStore::empty();
    roots.add(first(authority)?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    let name = ServerName::try_from(name.to_owned())?;
    let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    let (_, session) = tls.get_ref();
    let chain = session.peer_certificates().context("no certificate was shown")?;
    Ok(chain.first().context("an empty chain was shown")?.clone())
}
