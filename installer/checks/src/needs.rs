//! What an installation asks of its cluster, read from what helm renders of both charts.

use serde_json::Value;

use crate::check::{Gathered, Unread};
use crate::excess::{Excess, excess};
use crate::quantity;
use crate::secrets::{self, Named};

/// What one pod asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Request {
    /// Thousandths of a processor.
    pub milli_cpu: u64,
    /// Bytes of memory.
    pub memory: u64,
}

/// The class of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Class {
    /// The cluster's default one.
    Default,
    /// One by name.
    Named(String),
    /// None at all: a volume that a person made.
    None,
}

/// What both charts ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// The classes of the volumes that are made; empty: none is.
    pub volumes: Vec<Class>,
    /// What the pods of the control plane's chart ask for that Pod Security `restricted` refuses.
    pub control_plane_excess: Vec<Excess>,
    /// What the agents ask for of that.
    pub agent_excess: Vec<Excess>,
    /// Do values keep the control plane's chart from looking at its namespace?
    pub control_plane_unasked: bool,
    /// Do they keep the agents' chart from looking at namespaces?
    pub agents_unasked: bool,
    /// The names of the Services of type LoadBalancer.
    pub balanced: Vec<String>,
    /// The Secrets that a person makes.
    pub secrets: Vec<Named>,
    /// What each control plane asks for.
    pub control_plane: Request,
    /// How many control planes there are.
    pub replicas: u64,
    /// What the agent on each node asks for.
    pub agent: Request,
    /// Whether the agents are given rights to act.
    pub acts: bool,
    /// What is made beside what each installation has, each once.
    pub makes: Vec<Made>,
    /// The chart that was not looked at, as no values for it were given.
    pub left_out: Option<&'static str>,
}

/// A resource that values ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its API group.
    pub group: &'static str,
    /// The resource, such as `networkpolicies`.
    pub resource: &'static str,
    /// Where it is made.
    pub place: Place,
}

/// Where something is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the namespace of the control plane's release.
    ControlPlane,
    /// In that of the agents' release.
    Agents,
    /// Where the agents elect the one that watches, which is not named.
    Leases,
    /// In one that is named.
    Named(String),
}

const RBAC: &str = "rbac.authorization.k8s.io";

/// What both charts write where values keep them from asking the cluster.
fn is_unasked(document: &Value) -> bool {
    document["metadata"]["annotations"]["nimbus.dev/namespaces-checked"] == "false"
}

/// Where the agents elect the one that watches, unless a value says another place.
pub const DEFAULT_LEASES: &str = "kube-system";

/// What a chart makes only where values ask for it: kind, group and resource.
const ASKED_FOR: [(&str, &str, &str); 9] = [
    ("NetworkPolicy", "networking.k8s.io", "networkpolicies"),
    ("PodDisruptionBudget", "policy", "poddisruptionbudgets"),
    ("CronJob", "batch", "cronjobs"),
    ("Certificate", "cert-manager.io", "certificates"),
    ("ServiceMonitor", "monitoring.coreos.com", "servicemonitors"),
    ("PodMonitor", "monitoring.coreos.com", "podmonitors"),
    ("PrometheusRule", "monitoring.coreos.com", "prometheusrules"),
    ("Role", RBAC, "roles"),
    ("RoleBinding", RBAC, "rolebindings"),
];

impl Default for Needs {
    /// What the charts ask for with the values that they come with.
    fn default() -> Self {
        Self {
            volumes: vec![Class::Default],
            control_plane_excess: Vec::new(),
            agent_excess: Vec::new(),
            control_plane_unasked: false,
            agents_unasked: false,
            balanced: Vec::new(),
            secrets: Vec::new(),
            control_plane: Request { milli_cpu: 100, memory: 128 << 20 },
            replicas: 1,
            agent: Request { milli_cpu: 20, memory: 32 << 20 },
            acts: false,
            makes: ["roles", "rolebindings"]
                .map(|resource| Made { group: RBAC, resource, place: Place::Leases })
                .to_vec(),
            left_out: None,
        }
    }
}

impl Needs {
    /// Of what `helm template` printed for one chart or several.
    pub fn read(rendered: &str) -> Gathered<Self> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(rendered).map_err(|error| {
            Unread::new(
                format!("what helm rendered cannot be read: {error}"),
                "look at it by hand: helm template",
            )
        })?;
        let mut needs = Self {
            volumes: Vec::new(),
            control_plane_excess: Vec::new(),
            agent_excess: Vec::new(),
            control_plane_unasked: false,
            agents_unasked: false,
            balanced: Vec::new(),
            secrets: Vec::new(),
            control_plane: Request::default(),
            replicas: 0,
            agent: Request::default(),
            acts: false,
            makes: Vec::new(),
            left_out: None,
        };
        for document in &documents {
            needs.add(document);
        }
        let made: Vec<String> = documents.iter().filter_map(secrets::made).collect();
        needs.secrets.retain(|secret| !made.contains(&secret.name));
        Ok(needs)
    }

    /// Notes a resource that is made only where values ask for it.
    fn note(&mut self, document: &Value) {
        let found = ASKED_FOR.iter().find(|(kind, ..)| document["kind"] == *kind);
        let Some(&(kind, group, resource)) = found else { return };
        let metadata = &document["metadata"];
        let of_agents = metadata["labels"]["app.kubernetes.io/component"] == "agent";
        let elects = metadata["name"].as_str().is_some_and(|name| name.ends_with("-lease"));
        // Roles name the namespaces that they are for; all else is where its release is.
        let place = match metadata["namespace"].as_str() {
            Some(DEFAULT_LEASES) if elects => Place::Leases,
            Some(name) if kind.starts_with("Role") => Place::Named(name.to_owned()),
            Some(_) | None if of_agents => Place::Agents,
            Some(_) | None => Place::ControlPlane,
        };
        let made = Made { group, resource, place };
        if !self.makes.contains(&made) {
            self.makes.push(made);
        }
    }

    fn add(&mut self, document: &Value) {
        self.note(document);
        secrets::add(&mut self.secrets, document);
        let spec = &document["spec"];
        match document["kind"].as_str().unwrap_or_default() {
            "PersistentVolumeClaim" => self.volumes.push(class(spec)),
            "Service" if spec["type"] == "LoadBalancer" => {
                self.balanced.push(document["metadata"]["name"].as_str().unwrap_or_default().to_owned());
            }
            "StatefulSet" => {
                let claims = spec["volumeClaimTemplates"].as_array().into_iter().flatten();
                self.volumes.extend(claims.map(|claim| class(&claim["spec"])));
                let pod = &spec["template"]["spec"];
                self.control_plane = request(pod);
                self.control_plane_excess.extend(excess(&spec["template"]));
                self.control_plane_unasked = is_unasked(document);
                self.replicas = spec["replicas"].as_u64().unwrap_or(1);
            }
            // The backups on a schedule.
            "CronJob" => {
                let more = excess(&spec["jobTemplate"]["spec"]["template"]);
                self.control_plane_excess.extend(more);
            }
            "DaemonSet" => {
                let pod = &spec["template"]["spec"];
                self.agent = request(pod);
                self.agent_excess.extend(excess(&spec["template"]));
                self.agents_unasked = is_unasked(document);
            }
            // The chart of the agents calls what it gives them so, and nothing else.
            "ClusterRole" | "Role" => {
                self.acts |= document["metadata"]["name"].as_str().is_some_and(|name| name.ends_with("-act"));
            }
            _ => {}
        }
    }
}

/// What a pod asks for.
fn request(pod: &Value) -> Request {
    let mut request = Request::default();
    for container in pod["containers"].as_array().into_iter().flatten() {
        let asked = &container["resources"]["requests"];
        let read = |name: &str, read: fn(&str) -> Option<u64>| match &asked[name] {
            Value::String(text) => read(text).unwrap_or(0),
            Value::Number(number) => read(&number.to_string()).unwrap_or(0),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => 0,
        };
        request.milli_cpu += read("cpu", quantity::milli);
        request.memory += read("memory", quantity::units);
    }
    request
}

fn class(spec: &Value) -> Class {
    match spec["storageClassName"].as_str() {
        None => Class::Default,
        Some("") => Class::None,
        Some(name) => Class::Named(name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_rendered_is_what_is_needed() {
        let rendered = "---\nkind: PersistentVolumeClaim\nspec:\n  storageClassName: fast\n---\n# Source\nkind: Service\nmetadata:\n  \
            name: a\nspec:\n  type: LoadBalancer\n---\nkind: Service\nmetadata:\n  name: b\nspec:\n  type: ClusterIP\n---\n\
            kind: StatefulSet\nspec:\n  replicas: 3\n  template:\n    spec:\n      containers:\n        - resources:\n            \
            requests:\n              cpu: 1\n              memory: 1Gi\n---\nkind: DaemonSet\nspec:\n  template:\n    spec:\n      \
            volumes:\n        - hostPath:\n            path: /etc/kubernetes\n        - emptyDir: {}\n      containers:\n        \
            - resources:\n            requests:\n              cpu: 20m\n";
        let needs = Needs::read(rendered).unwrap();
        assert_eq!(needs.volumes, [Class::Named("fast".to_owned())]);
        let of_agent = Excess {
            what: "the host path /etc/kubernetes".to_owned(),
            is_baseline: false,
            taken_since: None,
        };
        assert!(needs.agent_excess.contains(&of_agent) && !needs.control_plane_excess.contains(&of_agent));
        assert_eq!(needs.balanced, ["a"]);
        assert_eq!(needs.replicas, 3);
        assert_eq!(needs.control_plane, Request { milli_cpu: 1000, memory: 1 << 30 });
        assert_eq!(needs.agent, Request { milli_cpu: 20, memory: 0 });
        assert!(needs.secrets.is_empty() && !needs.acts);
        assert!(Needs::read("a: [").is_err());
        let role = |name| Needs::read(&format!("kind: Role\nmetadata:\n  name: {name}\n")).unwrap();
        assert!(role("nimbus-agent-act").acts && !role("nimbus-agent-read").acts);
        // What a chart makes is nobody's to make.
        let volume = |name: &str| {
            format!(
                "kind: StatefulSet\nspec:\n  template:\n    spec:\n      volumes:\n        - name: {name}\n          secret:\n            \
                     secretName: web\n"
            )
        };
        let of_a_person = Needs::read(&volume("tls")).unwrap();
        assert_eq!(of_a_person.secrets[0].value, secrets::TLS);
        let made = format!("{}---\nkind: Certificate\nspec:\n  secretName: web\n", volume("tls"));
        assert!(Needs::read(&made).unwrap().secrets.is_empty());
    }
}
