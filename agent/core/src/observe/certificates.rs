//! What is told of a host's certificate files: until when they are valid, and nothing else of them.
//!
//! A file may hold a key beside its certificates: only the blocks that are certificates are decoded.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::v1;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::X509Certificate;

use super::bounded;

/// Most files that are told of one host.
pub const MOST: usize = 64;
/// Most certificates in one file: the first one and the chain behind it. One with more is a bundle of authorities.
pub const LONGEST_CHAIN: usize = 10;
/// What is known is told again after so long, also where nothing changed, so that it is known to be known.
pub const AT_LEAST_EVERY: SignedDuration = SignedDuration::from_mins(5);

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Why nothing is known of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoCertificate {
    /// It has none.
    #[error("expected a certificate in PEM, found none")]
    None,
    /// It has more than a chain.
    #[error(
        "expected a certificate and its chain, found more than {LONGEST_CHAIN} certificates: a bundle of authorities is not watched"
    )]
    Bundle,
    /// One of them cannot be read.
    #[error("expected certificates of X.509, found one that cannot be read")]
    Unreadable,
}

/// What is told of the file with this text.
///
/// # Errors
/// Where it has no certificate that can be read, or too many.
pub fn read(path: &str, text: &str, now: Timestamp) -> Result<v1::CertificateFile, NoCertificate> {
    let mut told: Option<v1::CertificateFile> = None;
    for (at, block) in blocks(text).enumerate() {
        if at == LONGEST_CHAIN {
            return Err(NoCertificate::Bundle);
        }
        let (_, pem) =
            x509_parser::pem::parse_x509_pem(block.as_bytes()).map_err(|_| NoCertificate::Unreadable)?;
        let (not_before_us, not_after_us, name) = facts(&pem)?;
        told = Some(match told {
            // Where one of the chain ends first, the file does.
            Some(first) => v1::CertificateFile {
                not_before_us: first.not_before_us.max(not_before_us),
                not_after_us: first.not_after_us.min(not_after_us),
                ..first
            },
            None => v1::CertificateFile {
                path: path.to_owned(),
                name,
                not_before_us,
                not_after_us,
                sha256: nimbus_protocol::sha256(&pem.contents).to_vec(),
                expired: false,
            },
        });
    }
    let mut told = told.ok_or(NoCertificate::None)?;
    told.expired = told.not_after_us <= nimbus_protocol::to_micros(now);
    Ok(told)
}

/// The certificates of a text, each as the block that it is.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let from = &rest[rest.find(BEGIN)?..];
        let end = from.find(END)? + END.len();
        rest = &from[end..];
        Some(&from[..end])
    })
}

/// From when and until when it is valid, and for what.
fn facts(pem: &Pem) -> Result<(i64, i64, String), NoCertificate> {
    let certificate = pem.parse_x509().map_err(|_| NoCertificate::Unreadable)?;
    let validity = certificate.validity();
    let micros = |seconds: i64| seconds.saturating_mul(1_000_000);
    Ok((
        micros(validity.not_before.timestamp()),
        micros(validity.not_after.timestamp()),
        bounded(&name(&certificate)),
    ))
}

fn name(certificate: &X509Certificate<'_>) -> String {
    let names = certificate.subject_alternative_name().ok().flatten();
    let mut all = names.iter().flat_map(|names| &names.value.general_names);
    let dns = all.find_map(|name| if let GeneralName::DNSName(name) = name { Some(*name) } else { None });
    // Who looks at it looks at these; the common name may be anything.
    let common = || certificate.subject().iter_common_name().find_map(|name| name.as_str().ok());
    dns.or_else(common).unwrap_or_default().to_owned()
}

/// All files as one picture, and when it is told.
#[derive(Debug, Default)]
pub struct CertificatePicture {
    told: Option<(v1::CertificateFiles, Timestamp)>,
}

impl CertificatePicture {
    /// What is known is told again.
    pub fn reset(&mut self) {
        self.told = None;
    }

    /// What is to be told now, if anything. Of the same certificate in several files of one directory the first file by name is told.
    pub fn offer(&mut self, files: Vec<v1::CertificateFile>, now: Timestamp) -> Option<v1::CertificateFiles> {
        let mut by_path: BTreeMap<String, v1::CertificateFile> = BTreeMap::new();
        for file in files {
            by_path.insert(file.path.clone(), file);
        }
        let mut kept: Vec<v1::CertificateFile> = Vec::new();
        for file in by_path.into_values() {
            let directory = |path: &str| path.rsplit_once('/').map(|(directory, _)| directory.to_owned());
            let is_told = |one: &v1::CertificateFile| {
                one.sha256 == file.sha256 && directory(&one.path) == directory(&file.path)
            };
            if let Some(same) = kept.iter_mut().find(|one| is_told(one)) {
                // A chain beside the certificate alone: what ends first counts.
                same.not_after_us = same.not_after_us.min(file.not_after_us);
                same.expired |= file.expired;
            } else {
                kept.push(file);
            }
        }
        let not_listed = u32::try_from(kept.len().saturating_sub(MOST)).unwrap_or(u32::MAX);
        // Those that end first are the ones to know of.
        if not_listed > 0 {
            kept.sort_by_key(|file| file.not_after_us);
            kept.truncate(MOST);
            kept.sort_by(|a, b| a.path.cmp(&b.path));
        }
        let picture = v1::CertificateFiles { files: kept, not_listed };
        // Where there is nothing to watch, nothing has to be known to be known.
        let lasts = picture.files.is_empty() && picture.not_listed == 0;
        let is_known = self.told.as_ref().is_some_and(|(told, at)| {
            *told == picture && (lasts || now.duration_since(*at).abs() < AT_LEAST_EVERY)
        });
        if is_known {
            return None;
        }
        self.told = Some((picture.clone(), now));
        Some(picture)
    }
}

#[cfg(test)]
#[path = "certificates_tests.rs"]
mod tests;
