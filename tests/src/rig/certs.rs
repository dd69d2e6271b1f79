//! The certificate authority of the test cluster, and client certificates for the users that a test needs.
//!
//! Decides names and extensions; the authority lives in memory and ends with the cluster.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use serde_json::{Value, json};

use super::real_node::Place;

/// The authority that signs the API server's and every user's certificate.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// A new authority with a key of its own.
    pub fn new() -> anyhow::Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, "rig authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), pem })
    }

    /// Writes what the API server needs: `ca.crt`, `apiserver.crt`, `apiserver.key` and the key that
    /// signs service account tokens, `accounts.key` with its public half `accounts.pub`; by `kubelet-client.crt` and its key
    /// it asks kubelets, and a real node's kubelet serves with the node's name and `.crt`.
    pub fn write_server_files(&self, dir: &Path) -> anyhow::Result<()> {
        let names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        let mut params = CertificateParams::new(names.map(str::to_owned))?;
        for ip in [Ipv4Addr::LOCALHOST, Ipv4Addr::new(10, 96, 0, 1), super::real_node::ADDRESS] {
            params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(ip)));
        }
        let (certificate, key) =
            self.issue(params, "kube-apiserver", &[], ExtendedKeyUsagePurpose::ServerAuth)?;
        let masters = ["system:masters"];
        let (client, client_key) = self.issue(
            CertificateParams::new(Vec::new())?,
            "kube-apiserver-kubelet-client",
            &masters,
            ExtendedKeyUsagePurpose::ClientAuth,
        )?;
        let (proxy, proxy_key) = self.issue(
            CertificateParams::new(Vec::new())?,
            "front-proxy",
            &[],
            ExtendedKeyUsagePurpose::ClientAuth,
        )?;
        let accounts = KeyPair::generate()?;
        for (name, text) in [
            ("ca.crt", &self.pem),
            ("apiserver.crt", &certificate),
            ("apiserver.key", &key),
            ("kubelet-client.crt", &client),
            ("kubelet-client.key", &client_key),
            ("front-proxy.crt", &proxy),
            ("front-proxy.key", &proxy_key),
            ("accounts.key", &accounts.serialize_pem()),
            ("accounts.pub", &accounts.public_key_pem()),
        ] {
            std::fs::write(dir.join(name), text).with_context(|| format!("cannot write {name}"))?;
        }
        for place in [Place::First, Place::Second] {
            let (certificate, key) = self.kubelet_serving(place)?;
            for (end, text) in [("crt", certificate), ("key", key)] {
                let name = format!("{}.{end}", place.name());
                std::fs::write(dir.join(&name), text).with_context(|| format!("cannot write {name}"))?;
            }
        }
        Ok(())
    }

    /// The certificate that the kubelet of a real node serves with, as `serverTLSBootstrap` gets one.
    fn kubelet_serving(&self, place: Place) -> anyhow::Result<(String, String)> {
        let mut params = CertificateParams::new(vec![place.name().to_owned()])?;
        params.subject_alt_names.push(SanType::IpAddress(IpAddr::V4(place.address())));
        let name = format!("system:node:{}", place.name());
        self.issue(params, &name, &["system:nodes"], ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A kubeconfig (as JSON, which every reader of YAML reads) for a user of these groups.
    pub fn kubeconfig(&self, server: &str, user: &str, groups: &[&str]) -> anyhow::Result<Value> {
        let params = CertificateParams::new(Vec::new())?;
        let (certificate, key) = self.issue(params, user, groups, ExtendedKeyUsagePurpose::ClientAuth)?;
        Ok(json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "rig",
            "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": user}}],
            "clusters": [{"name": "rig", "cluster": {
                "server": server, "certificate-authority-data": STANDARD.encode(&self.pem),
            }}],
            "users": [{"name": user, "user": {
                "client-certificate-data": STANDARD.encode(certificate),
                "client-key-data": STANDARD.encode(key),
            }}],
        }))
    }

    /// A certificate and its key, both PEM. The API server reads the user from the common name and
    /// the groups from the organisations.
    fn issue(
        &self,
        mut params: CertificateParams,
        name: &str,
        groups: &[&str],
        purpose: ExtendedKeyUsagePurpose,
    ) -> anyhow::Result<(String, String)> {
        params.distinguished_name.push(DnType::CommonName, name);
        for group in groups {
            params.distinguished_name.push(DnType::OrganizationName, *group);
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok((certificate.pem(), key.serialize_pem()))
    }
}
