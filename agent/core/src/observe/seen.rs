//! A table with a hash of what was last sent for each object, so that an unchanged object is not sent again.
//!
//! It tells changed from unchanged and, at the end of a listing, what vanished. It does not keep the objects: an
//! object takes 25 bytes in a table that is between 7/16 and 7/8 full, so **at most 58 bytes** (half as much again
//! for a moment while the table grows). The bound is the number of objects in the cluster.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher};

use nimbus_protocol::kind::{Body, ObjectKind};
use nimbus_protocol::v1;
use prost::Message as _;

/// A UID: the 128 bits of its UUID text, or of the hash of any other text.
type Key = [u64; 2];

/// The hash of what was sent, but for two bits: the listing in which the object was last seen, and whether its UID
/// cannot be told from its key.
type State = u64;

const LISTING: State = 1;
const UNNAMED: State = 2;

/// The objects of one kind.
#[derive(Debug)]
pub struct Seen {
    kind: ObjectKind,
    // Hashed without randomness: nothing depends on the order, and the API server alone chooses UIDs.
    objects: HashMap<Key, State, BuildHasherDefault<DefaultHasher>>,
    listing: State,
}

/// Objects that a complete listing no longer has.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Vanished {
    /// To be sent, sorted by UID. Namespace and name are empty: they were not kept.
    pub gone: Vec<v1::Gone>,
    /// How many more vanished whose UID was no UUID and is not known any more. Unless it is 0, everything has to be
    /// listed to the control plane between marks, so that it can tell what is gone.
    pub unnamed: usize,
}

impl Seen {
    /// Nothing seen yet, of objects of this kind.
    pub fn new(kind: ObjectKind) -> Self {
        Self { kind, objects: HashMap::default(), listing: 0 }
    }

    /// Forgets everything: each object is sent again.
    pub fn clear(&mut self) {
        self.objects = HashMap::default();
    }

    /// A full listing starts.
    pub fn begin_relist(&mut self) {
        self.listing ^= LISTING;
    }

    /// Notes the object; true when it differs from what was sent last, or was never sent. Its resource version alone
    /// does not count.
    pub fn changed(&mut self, uid: &str, body: &Body) -> bool {
        let (key, named) = key(uid);
        let flags = self.listing | if named { 0 } else { UNNAMED };
        let state = content_hash(body) & !(LISTING | UNNAMED) | flags;
        let before = self.objects.insert(key, state);
        before.is_none_or(|before| before | LISTING != state | LISTING)
    }

    /// The object is gone: a watch said so.
    pub fn forget(&mut self, uid: &str) {
        let (key, _) = key(uid);
        self.objects.remove(&key);
    }

    /// The listing is complete: what was not in it has vanished, and is forgotten.
    pub fn end_relist(&mut self) -> Vanished {
        let listing = self.listing;
        let (mut gone, mut unnamed) = (Vec::new(), 0);
        self.objects.retain(|key, state| {
            let there = *state & LISTING == listing;
            if !there && *state & UNNAMED == 0 {
                gone.push(v1::Gone {
                    kind: self.kind.as_str().to_owned(),
                    uid: text(*key),
                    ..Default::default()
                });
            }
            unnamed += usize::from(!there && *state & UNNAMED != 0);
            there
        });
        gone.sort_by(|a, b| a.uid.cmp(&b.uid));
        if self.objects.capacity() > 4 * self.objects.len() + 64 {
            self.objects.shrink_to_fit();
        }
        Vanished { gone, unnamed }
    }

    /// Objects noted.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Is nothing noted?
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// Bytes that the table holds on the heap.
    pub fn heap_bytes(&self) -> usize {
        let buckets = self.objects.capacity() * 8 / 7;
        buckets * (size_of::<Key>() + size_of::<State>() + 1)
    }
}

/// The key of a UID, and whether the UID can be told from it.
fn key(uid: &str) -> (Key, bool) {
    if let Some(key) = parse(uid) {
        return (key, true);
    }
    let digest = nimbus_protocol::sha256(uid.as_bytes());
    (halves(u128::from_be_bytes(*digest.first_chunk().unwrap_or(&[0; 16]))), false)
}

fn halves(bits: u128) -> Key {
    // The two halves of 128 bits are 64 bits each.
    [u64::try_from(bits >> 64).unwrap_or(0), u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(0)]
}

/// The bits of a UUID in its usual lower-case form, the only one that [`text`] gives back.
fn parse(uid: &str) -> Option<Key> {
    let groups: Vec<usize> = uid.split('-').map(str::len).collect();
    let plain = uid.bytes().all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if groups != [8, 4, 4, 4, 12] || !plain {
        return None;
    }
    u128::from_str_radix(&uid.replace('-', ""), 16).ok().map(halves)
}

fn text(key: Key) -> String {
    let hex = format!("{:016x}{:016x}", key[0], key[1]);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

fn content_hash(body: &Body) -> u64 {
    let mut body = body.clone();
    if let Some(meta) = body.meta_mut() {
        meta.resource_version.clear();
    }
    let bytes = v1::Observation { body: Some(body), ..Default::default() }.encode_to_vec();
    let digest = nimbus_protocol::sha256(&bytes);
    u64::from_be_bytes(*digest.first_chunk().unwrap_or(&[0; 8]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(number: u32) -> String {
        format!("{number:08x}-1234-4abc-8def-0123456789ab")
    }

    fn pod(version: &str, node: &str) -> Body {
        let meta = v1::ObjectMeta { resource_version: version.into(), ..Default::default() };
        Body::Pod(v1::Pod { meta: Some(meta), node: node.into(), ..Default::default() })
    }

    #[test]
    fn only_a_real_change_is_one() {
        let mut seen = Seen::new(ObjectKind::Pod);
        assert!(seen.changed(&uid(1), &pod("1", "a")));
        assert!(!seen.changed(&uid(1), &pod("2", "a")), "a new resource version alone");
        assert!(seen.changed(&uid(1), &pod("3", "b")));
        seen.forget(&uid(1));
        assert!(seen.changed(&uid(1), &pod("3", "b")));
        seen.clear();
        assert!(seen.changed(&uid(1), &pod("3", "b")));
    }

    #[test]
    fn a_new_resource_version_alone_is_no_change_of_any_kind() {
        fn body(kind: ObjectKind, version: &str) -> Body {
            let meta = Some(v1::ObjectMeta { resource_version: version.into(), ..Default::default() });
            match kind {
                ObjectKind::Pod => Body::Pod(v1::Pod { meta, ..Default::default() }),
                ObjectKind::ReplicaSet => Body::ReplicaSet(v1::ReplicaSet { meta, ..Default::default() }),
                ObjectKind::Deployment => Body::Deployment(v1::Deployment { meta, ..Default::default() }),
                ObjectKind::StatefulSet => Body::StatefulSet(v1::StatefulSet { meta, ..Default::default() }),
                ObjectKind::DaemonSet => Body::DaemonSet(v1::DaemonSet { meta, ..Default::default() }),
                ObjectKind::BatchJob => Body::BatchJob(v1::BatchJob { meta, ..Default::default() }),
                ObjectKind::PodEvent => Body::PodEvent(v1::PodEvent { meta, ..Default::default() }),
                ObjectKind::ConfigMap => Body::ConfigMap(v1::ConfigMap { meta, ..Default::default() }),
                ObjectKind::Secret => Body::Secret(v1::Secret { meta, ..Default::default() }),
                ObjectKind::PersistentVolumeClaim => {
                    Body::PersistentVolumeClaim(v1::PersistentVolumeClaim { meta, ..Default::default() })
                }
                ObjectKind::PersistentVolume => {
                    Body::PersistentVolume(v1::PersistentVolume { meta, ..Default::default() })
                }
                ObjectKind::PodDisruptionBudget => {
                    Body::PodDisruptionBudget(v1::PodDisruptionBudget { meta, ..Default::default() })
                }
                ObjectKind::StorageClass => {
                    Body::StorageClass(v1::StorageClass { meta, ..Default::default() })
                }
                ObjectKind::Certificate => Body::Certificate(v1::Certificate { meta, ..Default::default() }),
                ObjectKind::TlsSecret => Body::TlsSecret(v1::TlsSecret { meta, ..Default::default() }),
                ObjectKind::Issuer => Body::Issuer(v1::Issuer { meta, ..Default::default() }),
                ObjectKind::ClusterIssuer => Body::ClusterIssuer(v1::Issuer { meta, ..Default::default() }),
                ObjectKind::HorizontalPodAutoscaler => {
                    Body::HorizontalPodAutoscaler(v1::HorizontalPodAutoscaler { meta, ..Default::default() })
                }
                ObjectKind::Node => Body::Node(v1::Node { meta, ..Default::default() }),
            }
        }
        for kind in ObjectKind::ALL {
            let mut seen = Seen::new(*kind);
            assert!(seen.changed(&uid(1), &body(*kind, "1")), "{kind}");
            assert!(!seen.changed(&uid(1), &body(*kind, "2")), "{kind}");
        }
    }

    #[test]
    fn a_listing_tells_what_vanished_and_sends_only_what_changed() {
        let mut seen = Seen::new(ObjectKind::Pod);
        for listing in 0..5 {
            seen.begin_relist();
            for number in [1, 2, 3] {
                assert_eq!(seen.changed(&uid(number), &pod("1", "a")), listing == 0);
            }
            assert_eq!(seen.end_relist(), Vanished::default());
        }
        seen.begin_relist();
        assert!(!seen.changed(&uid(2), &pod("9", "a")));
        let gone = seen.end_relist().gone;
        assert_eq!(gone.iter().map(|g| g.uid.clone()).collect::<Vec<_>>(), [uid(1), uid(3)]);
        assert_eq!(gone[0].kind, "Pod");
        assert_eq!(seen.len(), 1);
    }

    #[test]
    fn uids_that_are_no_uuids_are_counted_when_they_vanish() {
        let mut seen = Seen::new(ObjectKind::Node);
        for odd in ["node-1", "0000000A-1234-4abc-8def-0123456789ab", ""] {
            assert!(seen.changed(odd, &pod("1", "a")));
            assert!(!seen.changed(odd, &pod("1", "a")));
        }
        seen.begin_relist();
        seen.changed("node-1", &pod("1", "a"));
        assert_eq!(seen.end_relist(), Vanished { gone: Vec::new(), unnamed: 2 });
        assert_eq!(seen.len(), 1);
    }

    #[test]
    fn an_object_takes_at_most_58_bytes_once_the_table_has_grown() {
        for objects in [1_000u32, 7_168, 7_169, 10_000, 57_000] {
            let mut seen = Seen::new(ObjectKind::Pod);
            for number in 0..objects {
                seen.changed(&uid(number), &pod("1", "a"));
            }
            assert_eq!(seen.len(), objects as usize);
            let each = seen.heap_bytes() / objects as usize;
            assert!(each <= 58, "{each} bytes for each of {objects}");
        }
    }
}
