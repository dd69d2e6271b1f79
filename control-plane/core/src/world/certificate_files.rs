//! The certificate files of a host as its agent last told of them.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::v1;
use serde::{Deserialize, Serialize};

use super::bounds::{NAME, PATH, cut, cut_digest, is_name};
use super::kube::Issued;
use super::meta::at;

/// Most files that are kept of one host: what an agent tells of.
const MOST: usize = 64;
/// What was told longer ago than this is not known any more: an agent tells every five minutes at least.
const FRESH: SignedDuration = SignedDuration::from_mins(15);

/// The newest picture.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HostCertificates {
    /// By path.
    pub files: BTreeMap<String, CertificateFile>,
    /// How many more there are.
    pub not_listed: u32,
    /// When it reached the control plane.
    pub told_at: Option<Timestamp>,
}

/// A file with a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFile {
    /// For what it is.
    pub name: String,
    /// Until when it is valid.
    pub issued: Issued,
    /// It is over by the host's own clock.
    pub expired: bool,
}

impl HostCertificates {
    /// Is it a picture of now?
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.told_at.is_some_and(|told| now.duration_since(told).abs() < FRESH)
    }
}

/// Takes what an agent told at that time; true when the picture changed.
pub(super) fn take(known: &mut Option<HostCertificates>, told: &v1::CertificateFiles, heard_at: Timestamp) {
    let file = |file: &v1::CertificateFile| {
        let issued = Issued {
            revision: 0,
            not_before: at(file.not_before_us),
            not_after: at(file.not_after_us)?,
            renewal: None,
        };
        let facts = CertificateFile { name: file.name.clone(), issued, expired: file.expired };
        Some((file.path.clone(), facts))
    };
    *known = Some(HostCertificates {
        files: told.files.iter().filter_map(file).collect(),
        not_listed: told.not_listed,
        told_at: Some(heard_at),
    });
}

/// Cuts what is too long; a file whose path cannot be kept is left out.
pub(super) fn bound(told: &mut v1::CertificateFiles) -> bool {
    let before = told.files.len();
    told.files.retain(|file| is_name(&file.path, PATH));
    told.files.truncate(MOST);
    let left_out = u32::try_from(before - told.files.len()).unwrap_or(u32::MAX);
    told.not_listed = told.not_listed.saturating_add(left_out);
    for file in &mut told.files {
        cut(&mut file.name, NAME);
        cut_digest(&mut file.sha256);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> v1::CertificateFile {
        v1::CertificateFile { path: path.into(), not_after_us: 1, ..v1::CertificateFile::default() }
    }

    #[test]
    fn what_is_too_long_is_cut_and_what_cannot_be_kept_is_counted() {
        let odd = [
            file(&"a".repeat(5_000)),
            file("/b\0c"),
            v1::CertificateFile { not_after_us: 0, ..file("/never") },
            v1::CertificateFile { name: "n".repeat(9_000), ..file("/named") },
        ];
        let many = (0..200).map(|n| file(&format!("/many/{n:03}")));
        let mut told = v1::CertificateFiles { files: odd.into_iter().chain(many).collect(), not_listed: 1 };
        assert!(bound(&mut told));
        assert_eq!((told.files.len(), told.not_listed), (64, 141));
        let mut known = None;
        take(&mut known, &told, Timestamp::UNIX_EPOCH);
        let known = known.unwrap();
        // When it ends is not told: nothing is known of it.
        assert_eq!((known.files.len(), known.not_listed), (63, 141));
        assert_eq!(known.files["/named"].name.len(), 253);
    }
}
