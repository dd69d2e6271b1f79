//! The Secret of type `kubernetes.io/tls` of the inventory: until when its certificate is valid.

use nimbus_protocol::{ObjectKind, v1};
use serde::{Deserialize, Serialize};

use super::Issued;
use crate::model::{KubeRef, ObjectRef};
use crate::world::bounds::{NAME, cut, is_meta_kept};
use crate::world::meta::{Meta, at};
use crate::world::object::Object;

/// A Secret with a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsSecret {
    /// Who it is.
    pub meta: Meta,
    /// For what its certificate is.
    pub name: String,
    /// Until when that is valid; `None` where it holds none that can be read.
    pub issued: Option<Issued>,
}

impl Object for TlsSecret {
    const KIND: ObjectKind = ObjectKind::TlsSecret;
    const API_VERSION: &'static str = "v1";

    fn meta(&self) -> &Meta {
        &self.meta
    }

    /// To people it is a Secret.
    fn reference(&self) -> KubeRef {
        let Meta { namespace, name, uid, .. } = &self.meta;
        KubeRef::new(Self::API_VERSION, ObjectKind::Secret.as_str(), namespace, name, uid)
    }

    fn object(&self) -> ObjectRef {
        ObjectRef::Kubernetes(self.reference())
    }
}

impl From<v1::TlsSecret> for TlsSecret {
    fn from(told: v1::TlsSecret) -> Self {
        let issued = at(told.not_after_us).map(|not_after| Issued {
            revision: 0,
            not_before: at(told.not_before_us),
            not_after,
            renewal: None,
        });
        Self { meta: told.meta.unwrap_or_default().into(), name: told.name, issued }
    }
}

/// Cuts what is too long; false where the Secret cannot be kept.
pub(super) fn bound(told: &mut v1::TlsSecret) -> bool {
    cut(&mut told.name, NAME);
    told.sha256.clear();
    is_meta_kept(told.meta.as_mut())
}
