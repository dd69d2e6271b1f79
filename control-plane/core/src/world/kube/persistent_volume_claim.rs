//! The PersistentVolumeClaim of the inventory: which volume it is bound to, how large that is and is to be, and whose the claim
//! is.

use nimbus_protocol::{ObjectKind, v1};
use serde::{Deserialize, Serialize};

use crate::world::bounds::{ITEMS, NAME, TEXT, WORD, cut, cut_texts, is_meta_kept};
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
    /// Its class; empty when none is named, or where that was not kept yet.
    #[serde(default)]
    pub storage_class: String,
    /// How much it asks for, bytes; `None` where its agent does not tell.
    #[serde(default)]
    pub requested: Option<u64>,
    /// How much its volume has by its status, bytes.
    #[serde(default)]
    pub capacity: Option<u64>,
    /// The change of its size that is under way; empty where none is.
    #[serde(default)]
    pub resizing: String,
    /// Why such a change does not get on; empty where nothing is said to be wrong.
    #[serde(default)]
    pub resize_error: String,
    /// Who keeps it in its desired state; empty where nobody known does.
    #[serde(default)]
    pub manager: String,
    /// What says so.
    #[serde(default)]
    pub manager_evidence: String,
    /// `Filesystem` or `Block`; empty where its agent does not tell.
    #[serde(default)]
    pub volume_mode: String,
    /// How it may be mounted.
    #[serde(default)]
    pub access_modes: Vec<String>,
    /// The field manager that last wrote how much it asks for.
    #[serde(default)]
    pub size_writer: String,
}

impl PersistentVolumeClaim {
    /// May nobody write to it? Then it does not fill.
    pub fn is_only_read(&self) -> bool {
        !self.access_modes.is_empty() && self.access_modes.iter().all(|mode| mode == "ReadOnlyMany")
    }

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
        let told = |bytes: u64| Some(bytes).filter(|bytes| *bytes > 0);
        Self {
            meta: claim.meta.unwrap_or_default().into(),
            phase: claim.phase,
            volume: claim.volume,
            storage_class: claim.storage_class,
            requested: told(claim.requested_bytes),
            capacity: told(claim.capacity_bytes),
            resizing: claim.resizing,
            resize_error: claim.resize_error,
            manager: claim.manager,
            manager_evidence: claim.manager_evidence,
            volume_mode: claim.volume_mode,
            access_modes: claim.access_modes,
            size_writer: claim.size_writer,
        }
    }
}

/// Cuts what is too long; false where the claim cannot be kept.
pub(super) fn bound(claim: &mut v1::PersistentVolumeClaim) -> bool {
    cut(&mut claim.phase, WORD);
    cut(&mut claim.volume, NAME);
    cut(&mut claim.storage_class, NAME);
    for word in [&mut claim.manager, &mut claim.volume_mode, &mut claim.size_writer] {
        cut(word, WORD);
    }
    cut_texts(&mut claim.access_modes);
    claim.access_modes.truncate(ITEMS);
    for text in [&mut claim.resizing, &mut claim.resize_error, &mut claim.manager_evidence] {
        cut(text, TEXT);
    }
    is_meta_kept(claim.meta.as_mut())
}
