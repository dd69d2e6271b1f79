//! Can what is installed already be upgraded to this version? Only neighbouring versions work side by side.

use super::Snapshot;
use crate::check::{Check, Judged, Outcome};
use crate::kubernetes::{CONTROL_PLANE, Release};
use crate::version::Version;
use crate::words::sentences;

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "release", what: "what is installed already can be upgraded to this version", judge };

fn judge(snapshot: &Snapshot) -> Judged {
    let releases = snapshot.releases.as_ref()?;
    let build = snapshot.build;
    let sentence = |release: &Release| {
        format!("{}/{} is {} {}", release.namespace, release.name, release.chart, release.version)
    };
    // Of one that was uninstalled only its notes are left: nothing is upgraded.
    let is_there = |release: &&Release| release.state != "uninstalled";
    let of = |wanted: fn(&Release, Version) -> bool| -> Vec<String> {
        releases.iter().filter(is_there).filter(|release| wanted(release, build)).map(sentence).collect()
    };
    let newer = of(|release, build| release.chart == CONTROL_PLANE && release.version > build);
    let far = of(|release, build| release.version.minors_to(build).is_none_or(|minors| minors > 1));
    let unfinished: Vec<String> = releases
        .iter()
        .filter(|release| release.state != "deployed")
        .map(|release| format!("{}/{} is {}", release.namespace, release.name, release.state))
        .collect();
    Ok(if releases.is_empty() {
        Outcome::pass("nothing of Nimbus is installed there yet")
    } else if !far.is_empty() {
        Outcome::failure(
            format!("{}, and this is {build}; expected at most one minor version between", sentences(&far)),
            "go to each minor version between first, one after the other (docs/upgrade.md)",
        )
    } else if !newer.is_empty() {
        Outcome::warning(
            format!(
                "{}, and this is {build}: the older one refuses the database where the newer one brought another schema to it",
                sentences(&newer)
            ),
            "take a backup first, and see docs/upgrade.md: where it refuses the database, go on with the newer release, or restore \
             a backup of before into an empty database",
        )
    } else if !unfinished.is_empty() {
        Outcome::warning(
            sentences(&unfinished),
            "see what it waits for (helm status NAME, kubectl get pods), or go back with helm rollback NAME; one that is half \
             removed is removed with helm uninstall NAME",
        )
    } else {
        Outcome::pass(releases.iter().map(sentence).collect::<Vec<_>>().join("; "))
    })
}
