//! What of an observation is kept: every text has a length, every list a number of items.
//!
//! An agent is enrolled, not trusted: a frame inflates to megabytes, and the picture is kept in memory. What is too long
//! is cut. Where a name by which things are told apart is too long, or holds a NUL (which no database keeps in a
//! text), nothing is kept: cut, it would be another thing's name.

use nimbus_protocol::v1;
use nimbus_protocol::v1::observation::Body;

use super::kube;

/// Longest UID, bytes; Kubernetes' own are 36.
const UID: usize = 128;
/// Longest path, bytes: what Linux accepts.
const PATH: usize = 4_096;
/// Longest name of an object, namespace, node or container, bytes: what Kubernetes accepts.
pub(super) const NAME: usize = 253;
/// Longest word: a phase, a state, a reason, bytes.
pub(super) const WORD: usize = 256;
/// Longest image reference or sentence, bytes.
pub(super) const TEXT: usize = 1_024;
/// Longest diff, bytes: an agent's own bound is a quarter of it.
const DIFF: usize = 64 << 10;
/// Longest digest, bytes.
const DIGEST: usize = 64;
/// Most containers, images or disks of one thing.
pub(super) const ITEMS: usize = 256;

/// Can this be the UID of a cluster? Letters, digits and `-`, up to 64: a UUID, or what a test calls one.
pub fn is_cluster_uid(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    !text.is_empty() && text.len() <= 64 && text.chars().all(plain)
}

/// Cuts what is too long; false where the observation cannot be kept at all.
pub fn sanitize(observation: &mut v1::Observation) -> bool {
    if !observation.cluster_uid.is_empty() && !is_cluster_uid(&observation.cluster_uid) {
        return false;
    }
    match &mut observation.body {
        Some(Body::Gone(gone)) => is_name(&gone.uid, UID),
        Some(Body::Host(host)) => {
            for text in [&mut host.hostname, &mut host.os, &mut host.kernel] {
                cut(text, NAME);
            }
            host.disks.truncate(ITEMS);
            for disk in &mut host.disks {
                cut(&mut disk.mount, PATH);
                cut(&mut disk.filesystem, WORD);
            }
            true
        }
        Some(Body::File(file)) => {
            cut(&mut file.diff, DIFF);
            cut(&mut file.diff_withheld, WORD);
            for state in [file.baseline.as_mut(), file.current.as_mut()].into_iter().flatten() {
                cut(&mut state.kind, WORD);
                cut(&mut state.problem, TEXT);
                cut_digest(&mut state.sha256);
            }
            is_name(&file.path, PATH) && is_name(&file.root, PATH)
        }
        Some(object) => kube::bound(object),
        None => true,
    }
}

/// Cuts an object's metadata; false where it cannot be told apart from every other object.
pub(super) fn is_meta_kept(meta: Option<&mut v1::ObjectMeta>) -> bool {
    let Some(meta) = meta else { return true };
    for text in [
        &mut meta.namespace,
        &mut meta.name,
        &mut meta.owner_api_version,
        &mut meta.owner_kind,
        &mut meta.owner_name,
    ] {
        cut(text, NAME);
    }
    is_name(&meta.uid, UID) && (meta.owner_uid.is_empty() || is_name(&meta.owner_uid, UID))
}

/// At most [`ITEMS`] texts of at most [`TEXT`] bytes.
pub(super) fn cut_texts(texts: &mut Vec<String>) {
    texts.truncate(ITEMS);
    for text in texts {
        cut(text, TEXT);
    }
}

/// At most [`DIGEST`] bytes.
pub(super) fn cut_digest(bytes: &mut Vec<u8>) {
    bytes.truncate(DIGEST);
}

fn is_name(text: &str, most: usize) -> bool {
    text.len() <= most && !text.contains('\0')
}

/// Cuts `text` to so many bytes at a character's boundary; a NUL becomes a replacement character.
pub(super) fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.shrink_to_fit();
    }
    if text.contains('\0') {
        *text = text.replace('\0', "\u{fffd}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, diff: &str) -> v1::Observation {
        let body =
            v1::File { root: "/etc".into(), path: path.into(), diff: diff.into(), ..Default::default() };
        v1::Observation { body: Some(Body::File(body)), ..Default::default() }
    }

    fn pod(uid: &str, containers: usize) -> v1::Observation {
        let meta = v1::ObjectMeta { uid: uid.into(), name: "ä".repeat(1_000), ..Default::default() };
        let container = v1::Container { reason: "x\0y".into(), ..Default::default() };
        let containers = vec![container; containers];
        let body = v1::Pod { meta: Some(meta), containers, ..Default::default() };
        v1::Observation { cluster_uid: "u-1".into(), body: Some(Body::Pod(body)), ..Default::default() }
    }

    #[test]
    fn what_is_long_is_cut_at_a_character_and_a_nul_is_replaced() {
        let mut long = pod("uid-1", 100_000);
        assert!(sanitize(&mut long));
        let Some(Body::Pod(pod)) = long.body else { panic!("a pod") };
        assert_eq!((pod.containers.len(), pod.containers[0].reason.as_str()), (ITEMS, "x\u{fffd}y"));
        assert_eq!(pod.meta.unwrap().name.len(), NAME - 1);
        let mut long = file("/etc/a", &"d".repeat(4 << 20));
        assert!(sanitize(&mut long));
        let Some(Body::File(file)) = long.body else { panic!("a file") };
        assert_eq!(file.diff.len(), DIFF);
    }

    #[test]
    fn what_cannot_be_a_name_is_not_kept() {
        assert!(sanitize(&mut file("/etc/a", "")) && sanitize(&mut pod("uid-1", 1)));
        for mut bad in [
            file("/etc/a\0", ""),
            file(&"a".repeat(PATH + 1), ""),
            pod("a\0", 1),
            pod(&"u".repeat(UID + 1), 1),
            v1::Observation { cluster_uid: "a\0b".into(), ..pod("uid-1", 1) },
        ] {
            assert!(!sanitize(&mut bad), "{bad:?}");
        }
        assert!(is_cluster_uid("7b0c1f1e-0000-4000-8000-000000000001"));
        assert!(!is_cluster_uid("") && !is_cluster_uid(&"a".repeat(65)) && !is_cluster_uid("a/b"));
    }
}
