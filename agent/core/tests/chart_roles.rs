//! Compares the rules of the agent's chart, `charts/nimbus-agent/files/roles.yaml`, with the rights that the watch and the
//! actions declare; `NIMBUS_BLESS=1` rewrites it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends where it finds something else")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use nimbus_agent_core::action::{Permission, permissions, rights};
use nimbus_protocol::ActionKind;

const HEAD: &str = "\
# The rules of the agent's roles, made from agent/core/src/action/rights.rs and the rights that each action declares.
# Not to be edited: NIMBUS_BLESS=1 cargo test -p nimbus-agent-core --test chart_roles
";

/// The Lease by which the agents of a cluster elect one watcher; `tests/tests/agent_chart` compares it with the daemon's.
const LEASE: &str = "nimbus-agent-watch";

/// The verbs on each resource of a group.
type Rules = BTreeMap<(&'static str, &'static str), BTreeSet<&'static str>>;

fn rules(permissions: Vec<Permission>) -> Rules {
    let mut rules = Rules::new();
    for Permission { group, resource, verbs } in permissions {
        rules.entry((group, resource)).or_default().extend(verbs);
    }
    rules
}

/// Is a resource that an action needs in no namespace? A Role of a namespace gives no right to such a one.
fn is_of_the_cluster(permission: &Permission) -> bool {
    let Permission { group, resource, .. } = permission;
    match (*group, *resource) {
        ("", "namespaces" | "nodes") | ("cert-manager.io", "clusterissuers") => true,
        ("", "pods" | "pods/eviction" | "limitranges" | "resourcequotas" | "persistentvolumeclaims")
        | ("apps", "deployments" | "replicasets" | "statefulsets")
        | ("autoscaling", "horizontalpodautoscalers")
        | ("cert-manager.io", "certificates" | "certificates/status" | "issuers")
        | ("metrics.k8s.io", "pods")
        | ("policy", "poddisruptionbudgets") => false,
        _ => panic!("expected a resource that is listed here, found {resource:?} of group {group:?}; add it"),
    }
}

fn write(yaml: &mut String, indent: usize, name: &str, rules: &Rules, only: Option<&str>) {
    let pad = " ".repeat(indent);
    if rules.is_empty() {
        writeln!(yaml, "{pad}{name}: []").unwrap();
        return;
    }
    writeln!(yaml, "{pad}{name}:").unwrap();
    for ((group, resource), verbs) in rules {
        writeln!(yaml, "{pad}  - apiGroups: [{group:?}]\n{pad}    resources: [{resource:?}]").unwrap();
        if let Some(only) = only {
            writeln!(yaml, "{pad}    resourceNames: [{only:?}]").unwrap();
        }
        let verbs: Vec<String> = verbs.iter().map(|verb| format!("{verb:?}")).collect();
        writeln!(yaml, "{pad}    verbs: [{}]", verbs.join(", ")).unwrap();
    }
}

/// The file of the chart. RBAC cannot bind the right to create to a name, so a Lease that is there and one that is to be
/// made are two rules.
fn file() -> String {
    let mut yaml = String::from(HEAD);
    let all = rights::to_watch().into_iter().map(|(_, permission)| permission);
    let (leases, read): (Vec<Permission>, Vec<Permission>) =
        all.partition(|permission| permission.resource == "leases");
    write(&mut yaml, 0, "read", &rules(read), None);
    write(&mut yaml, 0, "secrets", &rules(rights::to_watch_where_given()), None);
    let (mut existing, mut new) = (Rules::new(), Rules::new());
    for (of, verbs) in rules(leases) {
        let (making, using): (BTreeSet<&str>, BTreeSet<&str>) =
            verbs.into_iter().partition(|verb| *verb == "create");
        existing.insert(of, using);
        new.insert(of, making);
    }
    yaml.push_str("lease:\n");
    write(&mut yaml, 2, "existing", &existing, Some(LEASE));
    write(&mut yaml, 2, "new", &new, None);
    yaml.push_str("actions:\n");
    for kind in ActionKind::ALL {
        writeln!(yaml, "  {kind}:").unwrap();
        let (cluster, namespace): (Vec<Permission>, Vec<Permission>) =
            permissions(*kind).iter().copied().partition(is_of_the_cluster);
        write(&mut yaml, 4, "cluster", &rules(cluster), None);
        write(&mut yaml, 4, "namespace", &rules(namespace), None);
    }
    yaml
}

#[test]
fn the_rules_of_the_chart_are_made_from_the_actions() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../charts/nimbus-agent/files/roles.yaml");
    let made = file();
    if std::env::var_os("NIMBUS_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), made, "run this test with NIMBUS_BLESS=1");
}

#[test]
fn who_only_reads_may_change_nothing_and_read_no_secret() {
    for (_, permission) in rights::to_watch() {
        assert_ne!(permission.resource, "secrets");
        if permission.resource != "leases" {
            let reads = permission.verbs.iter().all(|verb| ["get", "list", "watch"].contains(verb));
            assert!(reads, "{permission:?}");
        }
    }
}
