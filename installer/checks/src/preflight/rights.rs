//! May this user create what both charts hold?

use super::{Snapshot, Values};
use crate::check::{Check, Judged, Outcome};
use crate::kubernetes::Ask;
use crate::needs::{DEFAULT_LEASES, Needs, Place};
use crate::words::list;

/// What the control plane's chart creates in its namespace, and helm's own notes of it.
const CONTROL_PLANE: [(&str, &str); 5] = [
    ("apps", "statefulsets"),
    ("", "services"),
    ("", "serviceaccounts"),
    ("", "configmaps"),
    ("", "secrets"),
];
/// What the agents' chart creates in its namespace, and helm's own notes of it.
const AGENTS: [(&str, &str); 4] =
    [("apps", "daemonsets"), ("", "serviceaccounts"), ("", "configmaps"), ("", "secrets")];
/// What the agents' chart creates for the whole cluster.
const CLUSTER: [&str; 2] = ["clusterroles", "clusterrolebindings"];
/// Where the agents elect the one that watches the cluster, if their release is there.
const OWN_LEASES: &str = "nimbus-system";
const RBAC: &str = "rbac.authorization.k8s.io";
/// What a user who may not go beyond its own rights has to hold to grant the agents' role: a part that stands for the rest.
const GRANTED: [(&str, &str); 3] = [("", "pods"), ("", "nodes"), ("apps", "deployments")];

pub(super) const CHECK: Check<Snapshot> =
    Check { name: "rights", what: "this user may create what both charts hold", judge };

/// What the API server is asked; for namespaces that are to be made too.
pub fn asks(control_plane: &str, agents: &str, needs: &Needs) -> Vec<Ask> {
    let ask = |verb, group, resource, namespace: &str| Ask {
        verb,
        group,
        resource,
        namespace: namespace.to_owned(),
    };
    let mut asks = vec![ask("create", "", "namespaces", "")];
    asks.extend(CONTROL_PLANE.map(|(group, resource)| ask("create", group, resource, control_plane)));
    if !needs.volumes.is_empty() {
        asks.push(ask("create", "", "persistentvolumeclaims", control_plane));
    }
    for (group, resource) in AGENTS {
        let one = ask("create", group, resource, agents);
        if !asks.contains(&one) {
            asks.push(one);
        }
    }
    // helm lists its notes of earlier revisions.
    asks.push(ask("list", "", "secrets", control_plane));
    // The charts look at what is installed, so as not to go over two versions at once.
    asks.push(ask("list", "apps", "statefulsets", control_plane));
    asks.push(ask("list", "apps", "daemonsets", agents));
    let leases = if agents == OWN_LEASES { OWN_LEASES } else { DEFAULT_LEASES };
    // Where nothing was rendered of the agents, they are meant as they come.
    if !needs.makes.iter().any(|made| made.resource == "roles") {
        for resource in ["roles", "rolebindings"] {
            asks.push(ask("create", RBAC, resource, leases));
        }
    }
    for made in &needs.makes {
        let namespace = match &made.place {
            Place::ControlPlane => control_plane,
            Place::Agents => agents,
            Place::Leases => leases,
            Place::Named(name) => name,
        };
        asks.push(ask("create", made.group, made.resource, namespace));
    }
    asks.extend(CLUSTER.map(|resource| ask("create", RBAC, resource, "")));
    asks.push(ask("escalate", RBAC, "clusterroles", ""));
    // The agents' chart looks at the namespaces that it gives rights in.
    asks.push(ask("get", "", "namespaces", ""));
    asks.extend(GRANTED.map(|(group, resource)| ask("watch", group, resource, "")));
    asks
}

/// Is it neither of the agents' release nor where leases are by default?
fn is_elsewhere(place: &Place, agents: &str) -> bool {
    match place {
        Place::Named(name) => name != agents,
        Place::ControlPlane | Place::Agents | Place::Leases => false,
    }
}

/// For which values the charts look at namespaces, and what switches that off.
fn looked_at(needs: &Needs, agents: &str) -> Vec<(&'static str, &'static str)> {
    let of_agents = if needs.agents_unasked {
        None
    } else if needs.acts {
        Some("the values let agents act, and it looks whether the namespaces for that are there")
    } else if needs.makes.iter().any(|made| made.resource == "roles" && is_elsewhere(&made.place, agents)) {
        Some("the values name the namespace of the lease, and it looks whether that is there")
    } else if needs.agent_excess.is_empty() {
        None
    } else {
        Some(
            "the agents ask for more than Pod Security restricted takes, and it looks whether their namespace takes that",
        )
    };
    let looks = !needs.control_plane_unasked && !needs.control_plane_excess.is_empty();
    let of_control_plane = looks.then_some(
        "the control plane asks for more than Pod Security restricted takes, and it looks whether its namespace takes that",
    );
    let of_agents = of_agents.map(|why| (why, "acting.checkCluster to false for the agents' chart"));
    let of_control_plane =
        of_control_plane.map(|why| (why, "checkNamespace to false for the control plane's chart"));
    of_agents.into_iter().chain(of_control_plane).collect()
}

fn judge(snapshot: &Snapshot) -> Judged {
    let reviews = snapshot.rights.as_ref()?;
    let are_there =
        snapshot.places().iter().all(|place| matches!(&place.found, Ok(Some(_))) || place.found.is_err());
    let answered = |verb: &str, resource: &str| {
        reviews
            .iter()
            .find(|review| review.ask.verb == verb && review.ask.resource == resource)
            .and_then(|review| review.allowed)
    };
    let may_escalate = answered("escalate", "clusterroles") == Some(true);
    // What is asked counts only where the installation comes to it.
    let counts = |ask: &Ask| match (ask.verb, ask.resource) {
        ("create", "namespaces") => !are_there,
        ("escalate", _) | ("get", "namespaces") => false,
        ("watch", _) => !may_escalate,
        _ => true,
    };
    let counting = || reviews.iter().filter(|review| counts(&review.ask));
    let denied: Vec<String> = counting()
        .filter(|review| review.allowed == Some(false))
        .map(|review| review.ask.sentence())
        .collect();
    let unanswered: Vec<String> =
        counting().filter(|review| review.allowed.is_none()).map(|review| review.ask.sentence()).collect();
    let looked_at = match &snapshot.values {
        Ok(Values::Taken(needs)) => looked_at(needs, &snapshot.agents.name),
        Ok(Values::NotGiven | Values::Refused { .. }) | Err(_) => Vec::new(),
    };
    Ok(if !denied.is_empty() {
        Outcome::failure(
            format!("this user may not {}", list(&denied)),
            "let a user install it who may (cluster-admin may), or have these rights granted; a right to watch is \
             missing where a user may make ClusterRoles but grant nothing beyond its own rights",
        )
    } else if !unanswered.is_empty() {
        Outcome::unknown(
            format!("the API server did not say whether this user may {}", list(&unanswered)),
            "ask by hand: kubectl auth can-i --list",
        )
    } else if reviews.is_empty() {
        Outcome::unknown("nothing was asked", "ask by hand: kubectl auth can-i --list")
    } else if let (false, Some(false)) = (looked_at.is_empty(), answered("get", "namespaces")) {
        let (why, switches): (Vec<&str>, Vec<&str>) = looked_at.into_iter().unzip();
        Outcome::warning(
            format!(
                "this user may create everything that both charts hold, and may not get namespaces, at which helm looks: {}",
                why.join("; ")
            ),
            format!(
                "let this user get namespaces, or set {}: then a wrong name, or a namespace that refuses the pods, is not noticed",
                switches.join(" and ")
            ),
        )
    } else {
        Outcome::pass("this user may create everything that both charts hold")
    })
}
