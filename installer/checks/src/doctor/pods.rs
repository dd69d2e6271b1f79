//! Are the pods of the installation ready, and if not, what keeps them?

use super::{Snapshot, asked};
use crate::check::{Check, Judged, Outcome};
use crate::kubernetes::{Pod, Trouble};
use crate::words::{count, sentences, start};

/// The most characters of a reason that are shown.
const MOST_SHOWN: usize = 300;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "pods", what: "the pods of Nimbus in the namespace are ready", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let pods = asked(snapshot.pods.as_ref(), "--namespace NAMESPACE")?;
    let mut found = Vec::new();
    let mut remedies: Vec<&str> = Vec::new();
    let mut has_failed = false;
    for pod in pods {
        let Some(trouble) = &pod.trouble else { continue };
        let (what, remedy, is_failure) = told(trouble);
        has_failed |= is_failure;
        found.push(format!("{}: {what}{}", pod.name, said(pod)));
        if !remedies.contains(&remedy) {
            remedies.push(remedy);
        }
    }
    Ok(if pods.is_empty() {
        Outcome::failure(
            "no pod of Nimbus is in that namespace",
            "name the namespace of the installation; where it is the right one, see why no pod was made: kubectl describe \
             statefulset,daemonset (Pod Security refuses pods there)",
        )
    } else if has_failed {
        Outcome::failure(sentences(&found), remedies.join("; "))
    } else if !found.is_empty() {
        Outcome::warning(sentences(&found), remedies.join("; "))
    } else {
        Outcome::pass(format!("{} ready", count(pods.len(), "pod is", "pods are")))
    })
}

fn said(pod: &Pod) -> String {
    if pod.said.is_empty() {
        String::new()
    } else {
        format!(" (it said last: {})", start(&pod.said, MOST_SHOWN))
    }
}

/// What it is, what to do, and whether it stays so without anybody.
fn told(trouble: &Trouble) -> (String, &'static str, bool) {
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
            "make the Secret, ConfigMap or volume that it names",
            true,
        ),
        Trouble::Crashing(why) => (
            format!("its program ends again and again: {}", short(why)),
            "do what its last words say (kubectl logs --previous); a join token that is used up or expired is replaced \
             with: nimbus agents token create",
            true,
        ),
        Trouble::NotReady => (
            "it runs and is not ready".to_owned(),
            "see what it waits for: kubectl logs POD; a start takes a moment",
            false,
        ),
    }
}
