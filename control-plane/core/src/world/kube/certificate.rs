//! The Certificate of cert-manager in the inventory: until when what was issued is valid, and how far its renewal has come.

use jiff::{SignedDuration, Timestamp};
use nimbus_protocol::{ObjectKind, v1};
use serde::{Deserialize, Serialize};

use crate::world::bounds::{NAME, TEXT, WORD, cut, is_meta_kept};
use crate::world::meta::{Meta, at};
use crate::world::object::Object;

/// cert-manager's own API group.
const CERT_MANAGER: &str = "cert-manager.io";
/// Most names that are kept of one.
const NAMES: usize = 4;

/// A Certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Who it is.
    pub meta: Meta,
    /// The Secret that it is written to.
    pub secret_name: String,
    /// The API group of whom it is asked.
    pub issuer_group: String,
    /// The kind of whom it is asked.
    pub issuer_kind: String,
    /// The name of whom it is asked.
    pub issuer_name: String,
    /// The first few names that it is for.
    pub names: Vec<String>,
    /// What was issued last; `None` where nothing was, or that is not told.
    pub issued: Option<Issued>,
    /// `True`, `False` or `Unknown`.
    pub ready: String,
    /// Why it is not ready.
    pub ready_reason: String,
    /// The same in words.
    pub ready_message: String,
    /// `True` while cert-manager works at it; `False` where that failed; empty where there is no such condition.
    pub issuing: String,
    /// Why it is issued, or failed to be.
    pub issuing_reason: String,
    /// The same in words.
    pub issuing_message: String,
    /// Since when.
    pub issuing_since: Option<Timestamp>,
    /// When issuing it failed last.
    pub last_failure: Option<Timestamp>,
    /// How often in a row it failed.
    pub failed_attempts: u32,
}

/// What was issued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// Which one in a row it is.
    pub revision: u32,
    /// Valid from then; `None` where that is not told.
    pub not_before: Option<Timestamp>,
    /// Valid until then.
    pub not_after: Timestamp,
    /// When cert-manager begins to renew it; `None` where that is not told.
    pub renewal: Option<Timestamp>,
}

impl Issued {
    /// For how long it is valid in all; `None` where that is not told.
    pub fn lifetime(&self) -> Option<SignedDuration> {
        let lifetime = self.not_after.duration_since(self.not_before?);
        lifetime.is_positive().then_some(lifetime)
    }
}

impl Certificate {
    /// Does cert-manager work at it now?
    pub fn is_issuing(&self) -> bool {
        self.issuing == "True"
    }

    /// Is it asked of an issuer of cert-manager's own, whose state is known by its own kinds?
    pub fn is_of_cert_manager(&self) -> bool {
        self.issuer_group == CERT_MANAGER && matches!(self.issuer_kind.as_str(), "Issuer" | "ClusterIssuer")
    }

    /// Whom it is asked of, for people.
    pub fn issuer(&self) -> String {
        let group =
            if self.issuer_group == CERT_MANAGER { String::new() } else { format!(".{}", self.issuer_group) };
        format!("{}{group} {}", self.issuer_kind, self.issuer_name)
    }
}

impl Object for Certificate {
    const KIND: ObjectKind = ObjectKind::Certificate;
    const API_VERSION: &'static str = "cert-manager.io/v1";

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl From<v1::Certificate> for Certificate {
    fn from(told: v1::Certificate) -> Self {
        let issued = at(told.not_after_us).map(|not_after| Issued {
            revision: told.revision,
            not_before: at(told.not_before_us),
            not_after,
            renewal: at(told.renewal_time_us),
        });
        Self {
            meta: told.meta.unwrap_or_default().into(),
            secret_name: told.secret_name,
            issuer_group: told.issuer_group,
            issuer_kind: told.issuer_kind,
            issuer_name: told.issuer_name,
            names: told.names,
            issued,
            ready: told.ready,
            ready_reason: told.ready_reason,
            ready_message: told.ready_message,
            issuing: told.issuing,
            issuing_reason: told.issuing_reason,
            issuing_message: told.issuing_message,
            issuing_since: at(told.issuing_since_us),
            last_failure: at(told.last_failure_us),
            failed_attempts: told.failed_attempts,
        }
    }
}

/// Cuts what is too long; false where the Certificate cannot be kept.
pub(super) fn bound(told: &mut v1::Certificate) -> bool {
    for name in [&mut told.secret_name, &mut told.issuer_group, &mut told.issuer_kind, &mut told.issuer_name]
    {
        cut(name, NAME);
    }
    for word in [&mut told.ready, &mut told.ready_reason, &mut told.issuing, &mut told.issuing_reason] {
        cut(word, WORD);
    }
    for text in [&mut told.ready_message, &mut told.issuing_message] {
        cut(text, TEXT);
    }
    told.names.truncate(NAMES);
    for name in &mut told.names {
        cut(name, NAME);
    }
    is_meta_kept(told.meta.as_mut())
}
