//! Sanitizes observations before they are kept: long texts are cut, and objects that cannot be identified are dropped.

use nimbus_protocol::v1;
use nimbus_protocol::v1::observation::Body;

use super::bounds::{DIFF, ITEMS, NAME, PATH, TEXT, UID, WORD, cut, cut_digest, is_cluster_uid, is_name};
use super::{certificate_files, kube, load, measured, units};

/// Most things that a restore is said to lose.
const LOSSES: usize = 8;

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
                if let Some(attributes) = &mut state.attributes {
                    cut_digest(&mut attributes.sha256);
                    attributes.all.truncate(ITEMS);
                    for attribute in &mut attributes.all {
                        cut(&mut attribute.name, NAME);
                        cut(&mut attribute.shown, TEXT);
                    }
                }
            }
            if let Some(restore) = &mut file.restore {
                cut(&mut restore.obstacle, WORD);
                cut(&mut restore.way, WORD);
                cut(&mut restore.reason, TEXT);
                restore.loses.truncate(LOSSES);
                restore.loses.iter_mut().for_each(|lost| cut(lost, TEXT));
            }
            is_name(&file.path, PATH) && is_name(&file.root, PATH)
        }
        Some(Body::Units(told)) => units::bound(told),
        Some(Body::CertificateFiles(told)) => certificate_files::bound(told),
        Some(Body::NodeMeasured(node)) => measured::bound(node),
        Some(Body::WorkloadLoad(load)) => load::bound(load),
        Some(object) => kube::bound(object),
        None => true,
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
