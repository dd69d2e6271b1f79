//! Are all pods of the installation there and ready, and if not, what keeps them?

use super::{Installed, Snapshot, asked};
use crate::check::{Check, Judged, Outcome};
use crate::kubernetes::{Pod, Trouble, Workload};
use crate::words::{count, sentences, start};

/// The most characters of a reason that are shown.
const MOST_SHOWN: usize = 300;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "pods", what: "the pods of Nimbus in the namespace are there and ready", judge };

/// What is not as it has to be, in a sentence; what to do; and whether it stays so without anybody.
struct Wrong {
    what: String,
    remedy: &'static str,
    is_failure: bool,
}

fn judge(snapshot: &Snapshot) -> Judged {
    let Installed { pods, workloads } = asked(snapshot.pods.as_ref(), "--namespace NAMESPACE")?;
    let known = workloads.as_deref().unwrap_or_default();
    let mut wrong: Vec<Wrong> = pods.iter().filter_map(of_pod).collect();
    // Pods that are there and not ready say more of themselves than the figures do.
    let is_told = !wrong.is_empty();
    wrong.extend(known.iter().filter_map(|workload| of_workload(workload, is_told)));
    // Of many only the first are told.
    wrong.sort_by_key(|one| !one.is_failure);
    let mut remedies: Vec<&str> = Vec::new();
    for one in &wrong {
        if !remedies.contains(&one.remedy) {
            remedies.push(one.remedy);
        }
    }
    let found: Vec<&str> = wrong.iter().map(|one| one.what.as_str()).collect();
    Ok(if pods.is_empty() && wrong.is_empty() {
        Outcome::failure(
            "no pod of Nimbus is in that namespace",
            "name the namespace of the installation; where it is the right one, see why no pod was made: kubectl describe \
             statefulset,daemonset (Pod Security refuses pods there)",
        )
    } else if wrong.iter().any(|one| one.is_failure) {
        Outcome::failure(sentences(&found), remedies.join("; "))
    } else if !wrong.is_empty() {
        Outcome::warning(sentences(&found), remedies.join("; "))
    } else if let Err(unread) = workloads {
        Outcome::unknown(
            format!(
                "{} ready, and whether others are missing is not known: {}",
                count(pods.len(), "pod is", "pods are"),
                unread.why
            ),
            &unread.remedy,
        )
    } else {
        Outcome::pass(format!("{} ready, and none is missing", count(pods.len(), "pod is", "pods are")))
    })
}

fn of_pod(pod: &Pod) -> Option<Wrong> {
    let (what, remedy, is_failure) = judged(pod.trouble.as_ref()?);
    let said = if pod.said.is_empty() {
        String::new()
    } else {
        format!(" (it said last: {})", start(&pod.said, MOST_SHOWN))
    };
    Some(Wrong { what: format!("{}: {what}{said}", pod.name), remedy, is_failure })
}

/// What a workload lacks; `is_told`: the pods that are there and not ready were told already.
fn of_workload(workload: &Workload, is_told: bool) -> Option<Wrong> {
    let Workload { kind, name, is_seen, wanted, made, ready, why } = workload;
    let wrong = |what: String, remedy, is_failure| {
        Some(Wrong { what: format!("{kind} {name} {what}"), remedy, is_failure })
    };
    if !is_seen {
        return wrong(
            "was not looked at yet by the cluster's own controllers".to_owned(),
            "run this again in a moment; where it stays so, the cluster's controller manager does not work",
            false,
        );
    }
    if *wanted == 0 {
        let remedy = if kind == "DaemonSet" {
            "see which nodes nodeSelector, affinity and tolerations leave to it: kubectl describe daemonset"
        } else {
            "it was scaled to 0: kubectl scale --replicas=N"
        };
        return wrong("wants no pod".to_owned(), remedy, false);
    }
    if made < wanted {
        let has = format!("has {made} of {} that it wants", count_pods(*wanted));
        return if why.is_empty() {
            wrong(
                has,
                "see what keeps it from making them: kubectl describe statefulset,daemonset; a start takes a moment",
                *made == 0,
            )
        } else {
            wrong(format!("{has}: {}", start(why, MOST_SHOWN)), remedy_of(why), true)
        };
    }
    if is_told || ready >= wanted {
        return None;
    }
    wrong(
        format!("says that {ready} of {} are ready", count_pods(*wanted)),
        "run this again: its figures follow its pods in a moment",
        false,
    )
}

fn count_pods(number: u64) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), "pod", "pods")
}

/// What to do where a workload is kept from making pods.
fn remedy_of(why: &str) -> &'static str {
    if why.contains("violates PodSecurity") {
        "leave what it names out of the values (hostAccess, extraVolumes, podAnnotations, podSecurityContext, securityContext), or install it into a \
         namespace whose label takes it: `nimbus preflight` with the values says which level"
    } else {
        "do what it says: a quota, an admission webhook or a policy of the namespace refuses its pods; see more with kubectl \
         describe statefulset,daemonset"
    }
}

/// What it is, and what to do.
pub fn told(trouble: &Trouble) -> (String, &'static str) {
    let (found, remedy, _) = judged(trouble);
    (found, remedy)
}

/// What it is, what to do, and whether it stays so without anybody.
fn judged(trouble: &Trouble) -> (String, &'static str, bool) {
    let short = |text: &str| start(text, MOST_SHOWN);
    match trouble {
        Trouble::Unscheduled(why) => (
            format!("no node takes it: {}", short(why)),
            "make room, or bind its volume: kubectl get persistentvolumeclaims (without a default StorageClass a claim waits)",
            true,
        ),
        Trouble::Image { image, why } => (
            format!("the image {image} cannot be pulled: {}", short(why)),
            "correct image.registry, image.tag or image.pullSecrets, and check that the registry has the image",
            true,
        ),
        Trouble::NotStarted(why) => (
            format!("it is not started: {}", short(why)),
            "make the Secret, ConfigMap or volume that it names; where it names none, it is in the events: kubectl describe pod POD",
            true,
        ),
        Trouble::Crashing(why) => (
            format!("its program ends again and again: {}", short(why)),
            "do what its last words say (kubectl logs --previous); a join token that is used up, expired or revoked is replaced \
             with: nimbus agents token create --kind cluster",
            true,
        ),
        Trouble::NotReady => (
            "it runs and is not ready".to_owned(),
            "see what it waits for: kubectl logs POD; a start takes a moment",
            false,
        ),
        Trouble::Ended(why) => (
            format!("it ended, and no other pod is in its place: {}", short(why)),
            "see what ended it (kubectl describe pod POD, kubectl logs POD): a node that runs out of memory or disk evicts pods, \
             and needs room first; what is left of it is removed with kubectl delete pod POD",
            false,
        ),
        Trouble::Test(why) => (
            format!("the last helm test failed: {}", short(why)),
            "see what it found (kubectl logs POD), and give helm test again: it takes the place of this pod",
            false,
        ),
    }
}
