//! What the pods of a namespace ask for.

use crate::excess::Excess;
use crate::needs::Needs;
use crate::preflight::{Place, Snapshot};

/// What the pods in a namespace ask for beyond `restricted`.
pub(super) struct Asked<'a> {
    /// Those that the namespace is for.
    pub(super) own: &'a [Excess],
    /// The agents, where they are in the control plane's namespace.
    pub(super) guests: &'a [Excess],
}

impl<'a> Asked<'a> {
    pub(super) fn in_place(place: &Place, snapshot: &Snapshot, needs: &'a Needs) -> Self {
        let of = |other: &Place, excess: &'a [Excess]| if place.name == other.name { excess } else { &[] };
        let control_plane = of(&snapshot.control_plane, &needs.control_plane_excess);
        let agents = of(&snapshot.agents, &needs.agent_excess);
        if place.name == snapshot.control_plane.name {
            Self { own: control_plane, guests: agents }
        } else {
            Self { own: agents, guests: &[] }
        }
    }
}
