//! What the checks of the two file actions share: the file must still be in the state that the plan expects.

use super::{Violations, require};
use crate::model::{FileFacts, Plan};
use crate::snapshot::Snapshot;

pub(super) fn file(
    found: &mut Violations,
    plan: &Plan,
    snapshot: &Snapshot<'_>,
    (root, path): (&str, &str),
    expect: &FileFacts,
    back_to: Option<&FileFacts>,
) {
    let host = plan.scope.host().and_then(|agent| snapshot.world.hosts.get(&agent));
    let Some(now) = host.and_then(|host| host.files.get(path)) else {
        require(found, 3, false, || format!("{path} does not differ from its baseline, or is not known"));
        return;
    };
    require(found, 3, &now.current == expect, || format!("{path} changed since the plan was made"));
    require(found, 3, now.root == root, || format!("{path} is watched under {}, not {root}", now.root));
    require(found, 3, back_to.is_none_or(|to| &now.baseline == to), || {
        format!("the baseline of {path} changed since the plan was made")
    });
    // Written in place of asking the planner: an agent that says what is in the way would refuse the job.
    let obstacle = now.restore.as_ref().map_or("", |said| said.obstacle.as_str());
    require(found, 3, back_to.is_none() || obstacle.is_empty(), || {
        format!("the agent says that {path} cannot be put back: {obstacle}")
    });
    let regular = |facts: &FileFacts| ["file", "symlink", "absent"].contains(&facts.kind.as_str());
    // What has no content may be accepted, and is never put back or away.
    let fits = match back_to {
        Some(to) => regular(expect) && regular(to),
        None => regular(expect) || ["directory", "other"].contains(&expect.kind.as_str()),
    };
    require(found, 3, fits, || format!("{path} is neither a regular file nor a link"));
}
