//! The facts that the condition of a rule may name: of an incident, its object, its past, and what would be done about it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use cel::objects::Key;
use cel::{Context, Env, Value};
use nimbus_protocol::action::Body;

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
    (
        "action",
        "from_replicas",
        Fact::Number,
        "replicas that a workload has now, or that its autoscaler may make; of other actions not known",
    ),
    ("action", "kind", Fact::Text, "the remedy, such as expand_volume"),
    ("action", "to_mib", Fact::Number, "MiB that it would have then; of other actions not known"),
    (
        "action",
        "to_replicas",
        Fact::Number,
        "replicas that it would have or might make then; of other actions not known",
    ),
    (
        "action",
        "to_revision",
        Fact::Number,
        "the revision that a rollback goes to; of other actions not known",
    ),
    ("cluster", "name", Fact::Text, "the cluster or host"),
    ("finding", "kind", Fact::Text, "the kind of the incident, such as volume_near_full"),
    ("finding", "severity", Fact::Text, "critical, warning or info"),
    ("history", "attempts", Fact::Number, "jobs for this incident so far that count as attempts"),
    ("history", "open_minutes", Fact::Number, "for how long the incident has been open"),
    ("history", "returns", Fact::Number, "how often it came back after all was well"),
    (
        "object",
        "kind",
        Fact::Text,
        "the kind of the object that is acted on, such as Pod, PersistentVolumeClaim, File or Unit",
    ),
    (
        "object",
        "labels",
        Fact::Texts,
        "the labels of the pod or node, or those of all pods of the workload; not known where these differ, and of other objects",
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
pub type Labels = BTreeMap<String, String>;

/// What is known of one incident and of what would be done about it. What is not known is absent.
pub struct Facts {
    context: Context<'static, 'static>,
    labels: Known,
}

/// What is known of labels.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Known {
    /// Of one object all of them, of several those in which they agree; `None`: none is known.
    pub(crate) labels: Option<Labels>,
    /// The keys in which several objects do not agree, so that the label is not known.
    pub(crate) differing: BTreeSet<String>,
}

/// Labels by which controllers tell the pods of one workload apart, its revisions and its members: no rule may look at them.
pub(crate) const OF_CONTROLLERS: [&str; 5] = [
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
    "apps.kubernetes.io/pod-index",
];

impl Facts {
    /// The label of this key: `None` where it is not known, `Some(None)` where there is none.
    #[allow(clippy::option_option, reason = "what is not known is not what is not there")]
    pub(crate) fn label(&self, key: &str) -> Option<Option<&str>> {
        if self.labels.differing.contains(key) {
            return None;
        }
        let labels = self.labels.labels.as_ref()?;
        Some(labels.get(key).map(String::as_str))
    }

    /// What a condition is evaluated in.
    pub(super) const fn context(&self) -> &Context<'static, 'static> {
        &self.context
    }
}

/// The values of facts, as they are put together.
#[derive(Default)]
pub(crate) struct Values(BTreeMap<&'static str, HashMap<Key, Value>>);

impl Values {
    /// Sizes, replicas and revisions, of the actions that have some.
    pub(crate) fn figures(&mut self, action: &Body) {
        const MI: u64 = 1 << 20;
        let sizes = match action {
            Body::ExpandVolume(action) => Some((action.from_bytes, action.to_bytes)),
            Body::RaiseMemoryLimit(action) => Some((action.from_bytes, action.to_bytes)),
            Body::RollbackDeployment(action) => {
                self.number("action", "to_revision", action.to_revision);
                None
            }
            Body::RaiseAutoscalerMaximum(action) => {
                self.number("action", "from_replicas", action.from_replicas.into());
                self.number("action", "to_replicas", action.to_replicas.into());
                None
            }
            Body::ScaleWorkload(action) => {
                self.number("action", "from_replicas", action.from_replicas.into());
                self.number("action", "to_replicas", action.to_replicas.into());
                None
            }
            Body::RestartPod(_)
            | Body::RestoreFile(_)
            | Body::AcceptBaseline(_)
            | Body::UncordonNode(_)
            | Body::WithdrawBaseline(_)
            | Body::RestartUnit(_)
            | Body::RenewCertificate(_) => None,
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

    pub(crate) fn text(&mut self, of: &'static str, name: &str, text: &str) {
        self.put(of, name, text.into());
    }

    /// A number that does not fit is not known.
    pub(crate) fn number(&mut self, of: &'static str, name: &str, number: u64) {
        if let Ok(number) = i64::try_from(number) {
            self.put(of, name, number.into());
        }
    }

    /// The facts, with these labels.
    pub(crate) fn with(mut self, labels: Known) -> Facts {
        static ENV: OnceLock<Arc<Env>> = OnceLock::new();
        // A condition may ask whether there is a label: where some are not known, none is told.
        if let Some(labels) = labels.labels.as_ref().filter(|_| labels.differing.is_empty()) {
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

/// The facts of a sample, for tests of conditions.
#[cfg(test)]
pub(crate) fn sample() -> Facts {
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
    values.with(Known { labels: Some(Labels::from([("team".into(), "data".into())])), ..Known::default() })
}
