//! The PersistentVolumeClaim of the inventory: which volume it is bound to. There may be many thousands: no more is kept.

use nimbus_protocol::{ObjectKind, v1};
use serde::{Deserialize, Serialize};

use crate::world::bounds::{NAME, WORD, cut, is_meta_kept};
use crate::world::meta::Meta;
use crate::world::object::Object;

/// A PersistentVolumeClaim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersistentVolumeClaim {
    /// Who it is.
    pub meta: Meta,
    /// Pending, Bound, Lost.
    pub phase: String,
    /// The PersistentVolume that it is bound to; empty while it is to none.
    pub volume: String,
}

impl PersistentVolumeClaim {
    /// The volume that it is bound to, if it is.
    pub fn bound_to(&self) -> Option<&str> {
        (self.phase == "Bound" && !self.volume.is_empty()).then_some(self.volume.as_str())
    }
}

impl Object for PersistentVolumeClaim {
    const KIND: ObjectKind = ObjectKind::PersistentVolumeClaim;
    const API_VERSION: &'static str = "v1";

    fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl From<v1::PersistentVolumeClaim> for PersistentVolumeClaim {
    fn from(claim: v1::PersistentVolumeClaim) -> Self {
        Self { meta: claim.meta.unwrap_or_default().into(), phase: claim.phase, volume: claim.volume }
    }
}

/// Cuts what is too long; false where the claim cannot be kept.
pub(super) fn bound(claim: &mut v1::PersistentVolumeClaim) -> bool {
    cut(&mut claim.phase, WORD);
    cut(&mut claim.volume, NAME);
    cut(&mut claim.storage_class, NAME);
    is_meta_kept(claim.meta.as_mut())
}
