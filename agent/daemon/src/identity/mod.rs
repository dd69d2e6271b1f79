//! The agent's identity: its private key, its certificate, the CA that it trusts, and the keys whose signatures on jobs
//! it trusts.
//!
//! `agent.json` is written last, so an enrolment that a crash cut short leaves no identity; the key it made is used
//! again by the next try. A renewal replaces the certificate and keeps the key.

pub mod key;
pub mod proof;
pub mod renew;

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use ed25519_dalek::VerifyingKey;
use nimbus_protocol::ids::AgentId;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};

use crate::config::agent_kind;
use key::AgentKey;

/// Why there is no usable identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// There is neither an identity nor a token.
    #[error(
        "expected an identity in {0} or a join token, found neither; make one with `nimbus agents token create --name NAME` and give it \
         once: with --join TOKEN, in NIMBUS_JOIN_TOKEN, or, to a service of a package, in the file /etc/nimbus/join-token"
    )]
    Nothing(PathBuf),
    /// The token cannot be read.
    #[error(transparent)]
    Token(#[from] nimbus_protocol::join::JoinTokenError),
    /// The key cannot be made or read.
    #[error("expected an ECDSA P-256 key in PKCS#8 PEM, found: {0}")]
    Key(String),
    /// A file of the identity does not hold what it should.
    #[error(
        "expected {what} in {path}, found {found}; restore the identity directory from a backup, or revoke this agent \
         (`nimbus agents revoke NAME`), remove that directory and join again with a new token"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What should be there.
        what: &'static str,
        /// What is there.
        found: String,
    },
    /// The system refuses.
    #[error("expected to read and write {path}, found: {error}; check its owner, permissions and free space")]
    Io {
        /// What was tried.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The control plane refused the enrolment.
    #[error(
        "the control plane refused to enrol this agent ({code}): expected {expected}, found {found}; {remedy}"
    )]
    Refused {
        /// A stable word.
        code: String,
        /// What it expected.
        expected: String,
        /// What it found.
        found: String,
        /// What to do.
        remedy: String,
        /// The same request may be taken a little later.
        passes: bool,
    },
    /// The control plane cannot be reached, or is not the one that the token names.
    #[error("cannot enrol at {server}: {found}")]
    Unreachable {
        /// `HOST:PORT`.
        server: String,
        /// Expected, found and what to do.
        found: String,
    },
    /// The control plane's answer makes no identity.
    #[error("expected {expected} from the control plane, found {found}; upgrade the older side")]
    Answer {
        /// What an answer holds.
        expected: &'static str,
        /// What this one holds.
        found: String,
    },
}

/// What is kept in `agent.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct About {
    agent_id: AgentId,
    name: String,
    kind: String,
}

/// A usable identity.
#[derive(Debug)]
pub struct Identity {
    /// The id that the control plane gave.
    pub agent_id: AgentId,
    /// The name that the control plane gave.
    pub name: String,
    /// `cluster` or `host`, as the token said.
    pub kind: String,
    /// This agent's key.
    pub key: AgentKey,
    /// This agent's certificate, leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The control plane's CA: the only one that is trusted.
    pub ca: CertificateDer<'static>,
    /// The keys whose jobs are trusted.
    pub job_keys: Vec<VerifyingKey>,
}

impl Identity {
    /// The identity in `dir`, or `None` when enrolment was never completed there.
    pub fn load(dir: &Path) -> Result<Option<Self>, IdentityError> {
        let about_path = dir.join("agent.json");
        let Some(about) = read(&about_path)? else { return Ok(None) };
        let about: About = serde_json::from_slice(&about).map_err(|e| IdentityError::Damaged {
            path: about_path,
            what: "an agent's id, name and kind",
            found: e.to_string(),
        })?;
        let key = load_key(dir)?.ok_or_else(|| damaged(&dir.join("key.pem"), "a private key", "no file"))?;
        let chain = certificates(&dir.join("cert.pem"))?;
        let ca = certificates(&dir.join("ca.pem"))?.swap_remove(0);
        let keys_path = dir.join("job-keys");
        let keys = read(&keys_path)?.ok_or_else(|| damaged(&keys_path, "job keys", "no file"))?;
        let job_keys = String::from_utf8_lossy(&keys)
            .lines()
            .map(|line| unhex(line.trim()).and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok()))
            .collect::<Option<Vec<_>>>()
            .filter(|keys| !keys.is_empty())
            .ok_or_else(|| damaged(&keys_path, "one Ed25519 public key in hex a line", "something else"))?;
        Ok(Some(Self {
            agent_id: about.agent_id,
            name: about.name,
            kind: agent_kind(&about.kind).to_owned(),
            key,
            chain,
            ca,
            job_keys,
        }))
    }

    /// Makes a new identity durable; `agent.json` comes last.
    pub fn save(&self, dir: &Path) -> Result<(), IdentityError> {
        self.save_certificates(dir)?;
        write(&dir.join("ca.pem"), certificate_pem(std::slice::from_ref(&self.ca)).as_bytes())?;
        let about = About { agent_id: self.agent_id, name: self.name.clone(), kind: self.kind.clone() };
        let json = serde_json::to_vec_pretty(&about).unwrap_or_default();
        write(&dir.join("agent.json"), &json)
    }

    /// Makes a renewed certificate and the job keys durable.
    pub fn save_certificates(&self, dir: &Path) -> Result<(), IdentityError> {
        let keys: String = self.job_keys.iter().map(|key| hex(key.as_bytes()) + "\n").collect();
        write(&dir.join("job-keys"), keys.as_bytes())?;
        write(&dir.join("cert.pem"), certificate_pem(&self.chain).as_bytes())
    }

    /// Takes a renewed chain (leaf first, then the CA) and job keys, if they are this agent's.
    pub fn renewed(&mut self, chain_der: &[Vec<u8>], job_keys: &[Vec<u8>]) -> Result<(), IdentityError> {
        let (chain, ca) = split_chain(chain_der, &self.key)?;
        if ca != self.ca {
            return Err(IdentityError::Answer {
                expected: "a certificate of the CA that this agent joined",
                found: "another CA".to_owned(),
            });
        }
        self.job_keys = verifying_keys(job_keys)?;
        self.chain = chain;
        Ok(())
    }

    /// When to renew: after two thirds of the certificate's life, in seconds since the Unix epoch.
    pub fn renew_at(&self) -> i64 {
        validity(&self.chain[0]).map_or(0, |(from, until)| from + (until - from) / 3 * 2)
    }

    /// When the certificate ends, in seconds since the Unix epoch; 0 when it cannot be read.
    pub fn expires_at(&self) -> i64 {
        validity(&self.chain[0]).map_or(0, |(_, until)| until)
    }
}

/// The key of an enrolment that is under way or done.
pub(crate) fn load_key(dir: &Path) -> Result<Option<AgentKey>, IdentityError> {
    let path = dir.join("key.pem");
    let Some(pem) = read(&path)? else { return Ok(None) };
    let key = AgentKey::from_pem(&String::from_utf8_lossy(&pem));
    key.map(Some).map_err(|e| damaged(&path, "a private key", &e.to_string()))
}

/// Leaf and CA of an answer whose leaf is for `key`.
pub(crate) fn split_chain(
    chain: &[Vec<u8>],
    key: &AgentKey,
) -> Result<(Vec<CertificateDer<'static>>, CertificateDer<'static>), IdentityError> {
    let answer = |found: &str| IdentityError::Answer {
        expected: "a certificate for this agent's key, then the CA's",
        found: found.to_owned(),
    };
    let [leaf, .., ca] = chain else { return Err(answer("fewer than two certificates")) };
    let (_, parsed) =
        x509_parser::parse_x509_certificate(leaf).map_err(|_| answer("no X.509 certificate"))?;
    if parsed.public_key().raw != key.public_spki() {
        return Err(answer("a certificate for another key"));
    }
    x509_parser::parse_x509_certificate(ca).map_err(|_| answer("a CA that is no X.509 certificate"))?;
    let own = chain[..chain.len() - 1].iter().map(|der| CertificateDer::from(der.clone())).collect();
    Ok((own, CertificateDer::from(ca.clone())))
}

/// The Ed25519 keys of an answer; at least one.
pub(crate) fn verifying_keys(keys: &[Vec<u8>]) -> Result<Vec<VerifyingKey>, IdentityError> {
    let parsed: Option<Vec<_>> = keys
        .iter()
        .map(|key| <[u8; 32]>::try_from(key.as_slice()).ok().and_then(|k| VerifyingKey::from_bytes(&k).ok()))
        .collect();
    parsed.filter(|keys| !keys.is_empty()).ok_or_else(|| IdentityError::Answer {
        expected: "Ed25519 public keys of 32 bytes for jobs",
        found: format!("{} keys, not all of them such", keys.len()),
    })
}

/// Not-before and not-after, in seconds since the Unix epoch.
fn validity(der: &[u8]) -> Option<(i64, i64)> {
    let (_, parsed) = x509_parser::parse_x509_certificate(der).ok()?;
    let validity = parsed.validity();
    Some((validity.not_before.timestamp(), validity.not_after.timestamp()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let pem = read(path)?.ok_or_else(|| damaged(path, "a certificate", "no file"))?;
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match parsed {
        Ok(all) if !all.is_empty() && all.iter().all(|der| validity(der).is_some()) => Ok(all),
        _ => Err(damaged(path, "X.509 certificates in PEM", "something else")),
    }
}

fn certificate_pem(chain: &[CertificateDer<'_>]) -> String {
    let mut out = String::new();
    for der in chain {
        out.push_str("-----BEGIN CERTIFICATE-----\n");
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        for at in (0..text.len()).step_by(64) {
            out.push_str(&text[at..text.len().min(at + 64)]);
            out.push('\n');
        }
        out.push_str("-----END CERTIFICATE-----\n");
    }
    out
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, IdentityError> {
    nimbus_platform::read_optional(path).map_err(|error| IdentityError::Io { path: path.to_owned(), error })
}

/// Every file of the identity is for the owner alone.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    nimbus_platform::write_atomic(path, bytes, 0o600)
        .map_err(|error| IdentityError::Io { path: path.to_owned(), error })
}

fn damaged(path: &Path, what: &'static str, found: &str) -> IdentityError {
    IdentityError::Damaged { path: path.to_owned(), what, found: found.to_owned() }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut out = [0; 32];
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
    }
    Some(out)
}
