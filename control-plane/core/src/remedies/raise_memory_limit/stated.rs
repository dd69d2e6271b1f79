//! What a pod template says of a container's memory, as far as an agent tells it.

use nimbus_protocol::quantity;

use crate::world::{Container, Deployment};

/// What is said of one amount.
pub(super) enum Said {
    Nothing,
    Bytes(u64),
    Unread(String),
    /// The agent is older, or the template has more than is told.
    NotTold,
}

/// What stands in a told template for all that is not told of it.
const REST: &str = "(everything else)";

/// What the template says at this path.
pub(super) fn said(deployment: &Deployment, path: &str) -> Said {
    let template = deployment.more.as_ref().map(|more| more.template.as_slice()).unwrap_or_default();
    let Some(fact) = template.iter().find(|fact| fact.path == path) else {
        let is_whole = !template.is_empty() && template.iter().all(|fact| fact.path != REST);
        return if is_whole { Said::Nothing } else { Said::NotTold };
    };
    let bytes = quantity::scaled(&fact.value, 1).and_then(|bytes| u64::try_from(bytes).ok());
    bytes.map_or_else(|| Said::Unread(fact.value.clone()), Said::Bytes)
}

/// A container's limit, and its request where one is said; otherwise the recommendation, which begins with `killed`.
pub(super) fn amounts(
    deployment: &Deployment,
    container: &Container,
    killed: &str,
) -> Result<(u64, Option<u64>), String> {
    let not_told = || {
        format!(
            "{killed}, and what its pod template says of that is not told by its agent: raise the limit, or lower what it uses, \
             by hand"
        )
    };
    let unread = |what: &str, found: &str| {
        format!("{killed}, and its {what} in the pod template cannot be read: {found:?}")
    };
    match said(deployment, "resources.limits.memory") {
        Said::Nothing => {}
        Said::NotTold => return Err(not_told()),
        Said::Bytes(_) | Said::Unread(_) => {
            return Err(format!(
                "{killed}, and its pods have a limit as a whole: which of the two it met is not known; raise them by hand"
            ));
        }
    }
    let path = |what: &str| format!("containers[{}].resources.{what}.memory", container.name);
    let limit = match said(deployment, &path("limits")) {
        Said::Bytes(limit) => limit,
        Said::NotTold => return Err(not_told()),
        Said::Unread(found) => return Err(unread("limit", &found)),
        Said::Nothing => {
            return Err(format!(
                "{killed}, and its pod template says none: it comes from a LimitRange of namespace {}, or its node ran out of \
                 memory; say one in the template, or look at the node",
                deployment.meta.namespace
            ));
        }
    };
    match said(deployment, &path("requests")) {
        Said::Bytes(request) => Ok((limit, Some(request))),
        Said::Nothing => Ok((limit, None)),
        Said::NotTold => Err(not_told()),
        Said::Unread(found) => Err(unread("request", &found)),
    }
}
