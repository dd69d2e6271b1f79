//! Tests of the certificate authority: what is issued, what is refused, and what a damaged directory reports.

use std::sync::Arc;

use x509_parser::prelude::FromDer as _;

use super::*;

const AGENT: &str = "agt_00000000000000000000000000000001";

fn authority(dir: &Path) -> Result<Authority, CaError> {
    Authority::open(&dir.join("ca.pem"), &dir.join("ca.key"), nimbus_platform::now())
}

fn csr(key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::default();
    change(&mut params);
    params.serialize_request(key).unwrap().der().to_vec()
}

#[test]
fn the_same_root_is_there_after_a_restart_with_a_private_key_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let first = authority(dir.path()).unwrap().fingerprint();
    assert_eq!(authority(dir.path()).unwrap().fingerprint(), first);
    let mode = std::fs::metadata(dir.path().join("ca.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn of_a_request_only_the_key_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let authority = authority(dir.path()).unwrap();
    let key = new_key().unwrap();
    let request = csr(&key, |params| {
        params.distinguished_name.push(DnType::CommonName, "agt_ffffffffffffffffffffffffffffffff");
        params.subject_alt_names = vec![SanType::DnsName(SERVER_NAME.to_owned().try_into().unwrap())];
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let agent: AgentId = AGENT.parse().unwrap();
    let issued = authority.issue_agent(agent, &request, nimbus_platform::now(), AGENT_LIFETIME).unwrap();
    let found = peer(&issued.chain[0]).unwrap();
    let key_sha256 = hex::encode(nimbus_protocol::sha256(&spki(&key)));
    let ago = nimbus_platform::now().as_second() - found.issued_at.as_second();
    assert!((0..60).contains(&ago), "{ago}");
    assert_eq!((found.agent, &found.key_sha256), (agent, &key_sha256));
    assert_eq!(issued.key_sha256, key_sha256);
    let (_, parsed) = x509_parser::prelude::X509Certificate::from_der(&issued.chain[0]).unwrap();
    assert!(!parsed.is_ca());
    assert_eq!(parsed.subject_alternative_name().unwrap().unwrap().value.general_names.len(), 1);
    let usage = parsed.extended_key_usage().unwrap().unwrap().value;
    assert!(usage.client_auth && !usage.server_auth);
}

#[test]
fn a_request_that_its_sender_cannot_have_signed_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let authority = authority(dir.path()).unwrap();
    let agent: AgentId = AGENT.parse().unwrap();
    let good = csr(&new_key().unwrap(), |_| {});
    let mut forged = good.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    for bad in [forged, good[..20].to_vec(), vec![], vec![0; MAX_CSR + 1]] {
        let refused = authority.issue_agent(agent, &bad, nimbus_platform::now(), AGENT_LIFETIME);
        assert!(matches!(refused, Err(CaError::Request(_))), "{refused:?}");
    }
}

#[test]
fn a_server_certificate_names_no_agent() {
    let dir = tempfile::tempdir().unwrap();
    let authority = authority(dir.path()).unwrap();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let (chain, _) = authority.issue_server(&names, nimbus_platform::now()).unwrap();
    assert_eq!(chain.len(), 2);
    assert!(peer(&chain[0]).is_err());
}

#[test]
fn the_servers_certificate_is_renewed_before_it_expires() {
    fn start() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }
    let dir = tempfile::tempdir().unwrap();
    let authority = Arc::new(authority(dir.path()).unwrap());
    let provider = crate::tls::provider();
    let mut leaf = Leaf::new(authority, provider, vec!["localhost".into()], start).unwrap();
    let first = leaf.current();
    assert!(Arc::ptr_eq(&first, &leaf.current()));
    leaf.clock_at(|| start() + SERVER_LIFETIME * 3 / 4);
    let second = leaf.current();
    assert_ne!(first.cert[0], second.cert[0]);
    // Made while the clock was ahead, it would not be valid yet after that was put right.
    leaf.clock_at(start);
    assert_ne!(second.cert[0], leaf.current().cert[0]);
}

#[test]
fn half_an_authority_and_a_foreign_key_are_named() {
    let dir = tempfile::tempdir().unwrap();
    authority(dir.path()).unwrap();
    let key = dir.path().join("ca.key");
    let kept = std::fs::read(&key).unwrap();
    std::fs::remove_file(&key).unwrap();
    assert!(matches!(authority(dir.path()), Err(CaError::Half { found: "ca.pem" })));
    write_atomic(&key, new_key().unwrap().serialize_pem().as_bytes(), 0o600).unwrap();
    assert!(matches!(authority(dir.path()), Err(CaError::Unusable { file: "ca.key", .. })));
    write_atomic(&key, &kept, 0o600).unwrap();
    assert!(authority(dir.path()).is_ok());
}
