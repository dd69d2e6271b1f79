//! The facts that the condition of a rule may name: of an incident, its object, its past, and what would be done about it.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use cel::objects::Key;
use cel::{Context, Env, Value};
use nimbus_protocol::action::Body;

use crate::model::{Incident, ObjectRef};
use crate::snapshot::Snapshot;

/// What a fact is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// A text.
    Text,
    /// A whole number.
    Number,
    /// A map of texts.
    Texts,
}

/// Every fact: what it is of, its name, what it is, and what it says.
pub const ALL: &[(&str, &str, Fact, &str)] = &[
    (
        "action",
        "from_mib",
        Fact::Number,
        "MiB that a volume or a memory limit has now; of other actions not known",
    ),
    ("action", "kind", Fact::Text, "the remedy, such as expand_volume"),
    ("action", "to_mib", Fact::Number, "MiB that it would have then; of other actions not known"),
    (
        "action",
        "to_revision",
        Fact::Number,
        "the revision that a rollback goes to; of other actions not known",
    ),
    ("cluster", "name", Fact::Text, "the cluster or host"),
    ("finding", "kind", Fact::Text, "the kind of the incident, such as volume_near_full"),
    ("finding", "severity", Fact::Text, "critical, warning or info"),
    ("history", "attempts", Fact::Number, "jobs that took effect for this incident so far"),
    ("history", "open_minutes", Fact::Number, "for how long the incident has been open"),
    ("history", "returns", Fact::Number, "how often it came back after all was well"),
    (
        "object",
        "kind",
        Fact::Text,
        "the kind of the object, such as Pod, PersistentVolumeClaim, File or Unit",
    ),
    (
        "object",
        "labels",
        Fact::Texts,
        "the labels of the pod or node, or those that all pods of the workload have in common",
    ),
    ("object", "name", Fact::Text, "its name, or the path of a file"),
    ("object", "namespace", Fact::Text, "its namespace; empty for what has none"),
    (
        "workload",
        "kind",
        Fact::Text,
        "what makes the pods, such as Deployment; not known where there is none",
    ),
    ("workload", "name", Fact::Text, "its name; not known where there is none"),
];

/// What the fact of this name is; `None`: there is none.
pub(super) fn of(root: &str, field: &str) -> Option<Fact> {
    ALL.iter().find(|(of, name, ..)| *of == root && *name == field).map(|(.., fact, _)| *fact)
}

/// Their names, for whoever named none of them.
pub(super) fn listed() -> String {
    let names: Vec<String> = ALL.iter().map(|(of, name, ..)| format!("{of}.{name}")).collect();
    format!("the facts are {}", names.join(", "))
}

/// The labels that a rule looks at.
pub(crate) type Labels = BTreeMap<String, String>;

/// What is known of one incident and of what would be done about it. What is not known is absent.
pub struct Facts {
    context: Context<'static, 'static>,
    labels: Option<Labels>,
}

impl Facts {
    /// Of this incident, where `action` would be done about it.
    pub(crate) fn of(incident: &Incident, action: &Body, s: &Snapshot<'_>) -> Self {
        let labels = labels(incident, s);
        let mut values = Values::default();
        let kind = action.kind();
        values.text("action", "kind", kind.as_str());
        values.figures(action);
        values.text("cluster", "name", &incident.cluster);
        values.text("finding", "kind", incident.kind.as_str());
        values.text("finding", "severity", incident.severity.as_str());
        values.number("history", "attempts", u64::from(incident.attempts));
        let open = s.now.duration_since(incident.created_at).as_secs().max(0) / 60;
        values.number("history", "open_minutes", open.unsigned_abs());
        values.number("history", "returns", u64::from(incident.returns));
        values.text("object", "kind", incident.object.kind());
        values.text("object", "name", incident.object.name());
        values.text("object", "namespace", incident.object.namespace());
        if let Some(workload) = &incident.workload {
            values.text("workload", "kind", &workload.object().kind);
            values.text("workload", "name", &workload.object().name);
        }
        values.with(labels)
    }

    /// The labels; `None`: not known.
    pub(crate) const fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    /// What a condition is evaluated in.
    pub(super) const fn context(&self) -> &Context<'static, 'static> {
        &self.context
    }
}

/// The values of facts, as they are put together.
#[derive(Default)]
struct Values(BTreeMap<&'static str, HashMap<Key, Value>>);

impl Values {
    /// Sizes and revisions, of the actions that have some.
    fn figures(&mut self, action: &Body) {
        const MI: u64 = 1 << 20;
        let sizes = match action {
            Body::ExpandVolume(action) => Some((action.from_bytes, action.to_bytes)),
            Body::RaiseMemoryLimit(action) => Some((action.from_bytes, action.to_bytes)),
            Body::RollbackDeployment(action) => {
                self.number("action", "to_revision", action.to_revision);
                None
            }
            Body::RestartPod(_)
            | Body::RestoreFile(_)
            | Body::AcceptBaseline(_)
            | Body::UncordonNode(_)
            | Body::WithdrawBaseline(_)
            | Body::RestartUnit(_) => None,
        };
        if let Some((from, to)) = sizes {
            // What is not a whole number of MiB is the next one: a bound is not passed by less than one.
            self.number("action", "from_mib", from.div_ceil(MI));
            self.number("action", "to_mib", to.div_ceil(MI));
        }
    }

    fn put(&mut self, of: &'static str, name: &str, value: Value) {
        self.0.entry(of).or_default().insert(Key::from(name), value);
    }

    fn text(&mut self, of: &'static str, name: &str, text: &str) {
        self.put(of, name, text.into());
    }

    /// A number that does not fit is not known.
    fn number(&mut self, of: &'static str, name: &str, number: u64) {
        if let Ok(number) = i64::try_from(number) {
            self.put(of, name, number.into());
        }
    }

    /// The facts, with these labels.
    fn with(mut self, labels: Option<Labels>) -> Facts {
        static ENV: OnceLock<Arc<Env>> = OnceLock::new();
        if let Some(labels) = &labels {
            let labels: HashMap<String, String> = labels.clone().into_iter().collect();
            self.put("object", "labels", labels.into());
        }
        let mut context = Context::with_env(Arc::clone(ENV.get_or_init(|| Arc::new(Env::stdlib()))));
        // Each name is there, also where nothing of it is known.
        for (of, ..) in ALL {
            self.0.entry(of).or_default();
        }
        for (name, fields) in self.0 {
            context.add_variable_from_value(name, fields);
        }
        Facts { context, labels }
    }
}

/// The labels of a pod or a node, or what all pods of the workload have in common; `None`: not known, as of a claim or a file.
fn labels(incident: &Incident, s: &Snapshot<'_>) -> Option<Labels> {
    let inventory = s.inventory(&incident.scope)?;
    let owned = |labels: &[(String, String)]| labels.iter().cloned().collect::<Labels>();
    if let ObjectRef::Kubernetes(object) = &incident.object {
        if let Some(pod) = inventory.pods.get(&object.uid) {
            return pod.labels().map(owned);
        }
        if let Some(node) = inventory.nodes.get(&object.uid) {
            return node.facts.as_ref().map(|facts| owned(&facts.labels));
        }
    }
    let mut pods = inventory.pods_below(incident.workload.as_ref()?.uid());
    let mut common = owned(pods.next()?.labels()?);
    for pod in pods {
        let labels = owned(pod.labels()?);
        common.retain(|key, value| labels.get(key) == Some(value));
    }
    Some(common)
}

/// The facts of a sample, for tests of conditions.
#[cfg(test)]
pub(super) fn sample() -> Facts {
    let mut values = Values::default();
    values.text("action", "kind", "expand_volume");
    values.number("action", "from_mib", 8_192);
    values.number("action", "to_mib", 12_288);
    values.text("cluster", "name", "prod");
    values.text("finding", "kind", "volume_near_full");
    values.text("finding", "severity", "warning");
    values.number("history", "attempts", 0);
    values.number("history", "open_minutes", 7);
    values.number("history", "returns", 2);
    values.text("object", "kind", "PersistentVolumeClaim");
    values.text("object", "name", "data-0");
    values.text("object", "namespace", "shop");
    values.with(Some(Labels::from([("team".into(), "data".into())])))
}
