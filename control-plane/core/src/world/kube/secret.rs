//! The Secret of the inventory: who last wrote its content, and when. The content stays in the cluster.

use jiff::Timestamp;
use nimbus_protocol::{ObjectKind, v1};
use serde::{Deserialize, Serialize};

use crate::world::bounds::{WORD, cut, is_meta_kept};
use crate::world::meta::{Meta, at};
use crate::world::object::Object;

/// A Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Who it is.
    pub meta: Meta,
    /// When a part of its content was last written; `None` where nobody is recorded.
    pub written_at: Option<Timestamp>,
    /// The field manager that wrote it.
    pub writer: String,
}

impl Object for Secret {
    const KIND: ObjectKind = ObjectKind::Secret;
    const API_VERSION: &'static str = "v1";

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl From<v1::Secret> for Secret {
    fn from(secret: v1::Secret) -> Self {
        Self {
            meta: secret.meta.unwrap_or_default().into(),
            written_at: at(secret.written_at_us),
            writer: secret.writer,
        }
    }
}

/// Cuts what is too long; false where the Secret cannot be kept.
pub(super) fn bound(secret: &mut v1::Secret) -> bool {
    cut(&mut secret.writer, WORD);
    is_meta_kept(secret.meta.as_mut())
}
