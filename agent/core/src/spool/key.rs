//! The key of an observation, which names the object that it is of. Only the newest observation of each key matters.

use nimbus_protocol::v1::{self, observation::Body, sync_mark};

/// The end of a listing, or the state of the object that hashes so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(u64);

impl Key {
    /// Not sent when a part of what it closes was dropped.
    pub(super) const LIST_END: Self = Self(0);
    /// Of no object that is known here: nothing newer makes up for it.
    const OTHER: Self = Self(1);

    /// The key of an observation. Two objects share one by accident only (64 bits of SHA-256); then, and only at
    /// the spool's bound, the older one's state is dropped without a new listing.
    pub(super) fn of(observation: &v1::Observation) -> Self {
        let (kind, name) = match &observation.body {
            Some(Body::Sync(mark)) if mark.phase() == sync_mark::Phase::End => return Self::LIST_END,
            Some(Body::Sync(mark)) => ("list", mark.kind.as_str()),
            Some(Body::Gone(o)) => (o.kind.as_str(), o.uid.as_str()),
            Some(Body::Host(_)) => ("host", ""),
            Some(Body::File(o)) => ("file", o.path.as_str()),
            Some(Body::AgentStatus(_)) => ("status", ""),
            Some(Body::Units(_)) => ("units", ""),
            Some(Body::CertificateFiles(_)) => ("certificate-files", ""),
            Some(Body::NodeMeasured(o)) => ("measured", o.node.as_str()),
            Some(Body::WorkloadLoad(o)) => ("load", o.meta.as_ref().map_or("", |meta| meta.uid.as_str())),
            Some(object) => {
                let Some(kind) = object.object_kind() else { return Self::OTHER };
                (kind.as_str(), object.meta().map_or("", |meta| meta.uid.as_str()))
            }
            None => return Self::OTHER,
        };
        let text = format!("{}\0{kind}\0{name}", observation.cluster_uid);
        let digest = nimbus_protocol::sha256(text.as_bytes());
        let hash = digest[..8].iter().fold(0u64, |all, byte| all << 8 | u64::from(*byte));
        Self(hash.max(2))
    }

    /// Is it a state, of which only the newest counts?
    pub(super) fn is_state(self) -> bool {
        self.0 > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cluster: &str, body: Body) -> Key {
        Key::of(&v1::Observation { cluster_uid: cluster.into(), body: Some(body), ..Default::default() })
    }

    #[test]
    fn gone_supersedes_the_same_object_only() {
        let meta = v1::ObjectMeta { uid: "u1".into(), ..Default::default() };
        let pod = Body::Pod(v1::Pod { meta: Some(meta.clone()), ..Default::default() });
        let node = Body::Node(v1::Node { meta: Some(meta), ..Default::default() });
        let gone = Body::Gone(v1::Gone { kind: "Pod".into(), uid: "u1".into(), ..Default::default() });
        assert_eq!(of("c", pod.clone()), of("c", gone.clone()));
        assert_ne!(of("c", pod.clone()), of("d", gone));
        assert_ne!(of("c", pod), of("c", node));
    }

    #[test]
    fn the_end_of_a_listing_is_no_state() {
        let end = v1::SyncMark { kind: "Pod".into(), phase: sync_mark::Phase::End.into(), lease_term: 1 };
        let begin = v1::SyncMark { phase: sync_mark::Phase::Begin.into(), ..end.clone() };
        let end = of("", Body::Sync(end));
        assert!(end == Key::LIST_END && !end.is_state());
        assert!(of("", Body::Sync(begin)).is_state());
    }
}
