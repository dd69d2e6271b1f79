//! The Issuer and the ClusterIssuer of cert-manager in the inventory: whether they can issue.

use nimbus_protocol::{ObjectKind, v1};
use serde::{Deserialize, Serialize};

use crate::world::bounds::{TEXT, WORD, cut, is_meta_kept};
use crate::world::meta::Meta;
use crate::world::object::Object;

/// An Issuer, of its own namespace's Certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issuer {
    /// Who it is.
    pub meta: Meta,
    /// `True`, `False` or `Unknown`.
    pub ready: String,
    /// Why it is not ready.
    pub ready_reason: String,
    /// The same in words.
    pub ready_message: String,
}

/// A ClusterIssuer, of all namespaces' Certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClusterIssuer(pub Issuer);

impl Object for Issuer {
    const KIND: ObjectKind = ObjectKind::Issuer;
    const API_VERSION: &'static str = "cert-manager.io/v1";

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl Object for ClusterIssuer {
    const KIND: ObjectKind = ObjectKind::ClusterIssuer;
    const API_VERSION: &'static str = "cert-manager.io/v1";

    fn meta(&self) -> &Meta {
        &self.0.meta
    }
}

impl From<v1::Issuer> for Issuer {
    fn from(told: v1::Issuer) -> Self {
        Self {
            meta: told.meta.unwrap_or_default().into(),
            ready: told.ready,
            ready_reason: told.ready_reason,
            ready_message: told.ready_message,
        }
    }
}

/// Cuts what is too long; false where the issuer cannot be kept.
pub(super) fn bound(told: &mut v1::Issuer) -> bool {
    cut(&mut told.ready, WORD);
    cut(&mut told.ready_reason, WORD);
    cut(&mut told.ready_message, TEXT);
    is_meta_kept(told.meta.as_mut())
}
