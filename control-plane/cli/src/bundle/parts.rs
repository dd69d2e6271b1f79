//! The list of what is asked for. Adding a part is a line here.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{LINES, MOST_OF_A_PART, MOST_PODS};

/// The label that both charts put on all of their objects.
const OURS: &str = "app.kubernetes.io/part-of=nimbus";
/// The kinds of the charts' objects that hold values of names that somebody chose, such as variables. They are taken as JSON:
/// their description has a value's further lines below its name, where nothing tells whose they are.
const WITH_VALUES: &str = "daemonsets,statefulsets,cronjobs";
/// The other kinds. What describes a Secret says the names and sizes of its values, never one of them.
const KINDS: &str = "services,secrets,persistentvolumeclaims,poddisruptionbudgets,networkpolicies,\
                     serviceaccounts,roles,rolebindings,leases";

/// One file of the bundle, and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its path in the archive.
    pub name: String,
    /// Who is asked.
    pub source: Source,
}

/// Where a part comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Known without asking anybody.
    Known(Value),
    /// The control plane.
    ControlPlane(Question),
    /// What a program prints.
    Program {
        /// Its name, found on the PATH.
        program: &'static str,
        /// Its arguments.
        words: Vec<String>,
    },
    /// A file of this machine.
    File(PathBuf),
}

/// What the control plane is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Its version.
    Version,
    /// The overview.
    Status,
    /// The clusters.
    Clusters,
    /// The agents, with those that are gone.
    Agents,
    /// The newest incidents.
    Incidents,
    /// Everything of each of them, as many as can be read in time.
    IncidentDetails,
    /// The newest approvals.
    Approvals,
    /// The newest jobs.
    Jobs,
    /// The newest drifts.
    Drift,
    /// Whether the audit chain is whole.
    AuditVerification,
    /// How far Nimbus may go in each cluster.
    Autonomous,
    /// The remedies, and what each may do.
    Rules,
    /// The figures of its process.
    Metrics,
}

impl Question {
    /// Where it is answered, as the manifest says it.
    pub fn path(self) -> &'static str {
        match self {
            Self::Version => "GET /api/v1/version",
            Self::Status => "GET /api/v1/status",
            Self::Clusters => "GET /api/v1/clusters",
            Self::Agents => "GET /api/v1/agents",
            Self::Incidents => "GET /api/v1/incidents",
            Self::IncidentDetails => "GET /api/v1/incidents/ID",
            Self::Approvals => "GET /api/v1/approvals",
            Self::Jobs => "GET /api/v1/jobs",
            Self::Drift => "GET /api/v1/drift",
            Self::AuditVerification => "GET /api/v1/audit/verify",
            Self::Autonomous => "GET /api/v1/autonomous",
            Self::Rules => "GET /api/v1/autonomous/rules",
            Self::Metrics => "GET /metrics",
        }
    }
}

impl Source {
    /// As the manifest says it.
    pub fn says(&self) -> String {
        match self {
            Self::Known(_) => "this program".to_owned(),
            Self::ControlPlane(question) => question.path().to_owned(),
            Self::Program { program, words } => format!("{program} {}", words.join(" ")),
            Self::File(path) => path.display().to_string(),
        }
    }
}

fn part(name: &str, source: Source) -> Part {
    Part { name: name.to_owned(), source }
}

fn program(name: &str, program: &'static str, words: &[&str]) -> Part {
    let words = words.iter().map(|&word| word.to_owned()).collect();
    part(name, Source::Program { program, words })
}

/// What this program and the control plane say.
pub fn control_plane(version: Value, doctor: Value) -> Vec<Part> {
    let asked = |name, question| part(name, Source::ControlPlane(question));
    vec![
        part("version.json", Source::Known(version)),
        part("doctor.json", Source::Known(doctor)),
        asked("control-plane/version.json", Question::Version),
        asked("control-plane/status.json", Question::Status),
        asked("control-plane/clusters.json", Question::Clusters),
        asked("control-plane/agents.json", Question::Agents),
        asked("control-plane/incidents.json", Question::Incidents),
        asked("control-plane/incident-details.json", Question::IncidentDetails),
        asked("control-plane/approvals.json", Question::Approvals),
        asked("control-plane/jobs.json", Question::Jobs),
        asked("control-plane/drift.json", Question::Drift),
        asked("control-plane/audit-verification.json", Question::AuditVerification),
        asked("control-plane/autonomous.json", Question::Autonomous),
        asked("control-plane/rules.json", Question::Rules),
        asked("control-plane/metrics.txt", Question::Metrics),
    ]
}

/// What kubectl says of Nimbus's objects in a namespace.
pub fn cluster(namespace: &str) -> Vec<Part> {
    let asked = |name: &str, words: &[&str]| {
        let bound = ["--namespace", namespace, "--request-timeout", "25s"];
        program(name, "kubectl", &[words, &bound].concat())
    };
    vec![
        asked("cluster/version.json", &["version", "--output", "json"]),
        asked(PODS, &["get", "pods", "--selector", OURS, "--output", "json"]),
        asked("cluster/workloads.json", &["get", WITH_VALUES, "--selector", OURS, "--output", "json"]),
        asked("cluster/configmaps.json", &["get", "configmaps", "--selector", OURS, "--output", "json"]),
        asked("cluster/events.json", &["get", "events", "--output", "json"]),
        asked("cluster/describe.txt", &["describe", KINDS, "--selector", OURS]),
    ]
}

/// The part whose answer says which pods there are.
pub const PODS: &str = "cluster/pods.json";

/// The logs of the pods of a list, and how many pods are left out because they are too many.
pub fn logs(namespace: &str, pods: &Value) -> (Vec<Part>, usize) {
    let items = pods["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut names: Vec<&str> = items.iter().filter_map(|pod| pod["metadata"]["name"].as_str()).collect();
    // What a cluster calls a pod; anything else could be a path.
    names.retain(|name| {
        !name.starts_with(['-', '.'])
            && name.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || b"-.".contains(&c))
    });
    names.sort_unstable();
    let left_out = names.len().saturating_sub(MOST_PODS);
    let (lines, bytes) = (format!("--tail={LINES}"), format!("--limit-bytes={MOST_OF_A_PART}"));
    let logs = names.into_iter().take(MOST_PODS).map(|name| {
        // Without a prefix before each line: what a key of several lines is could not be told behind it.
        let words = [
            "logs",
            name,
            "--namespace",
            namespace,
            "--all-containers",
            &lines,
            &bytes,
            "--request-timeout",
            "25s",
        ];
        program(&format!("cluster/logs/{name}.log"), "kubectl", &words)
    });
    (logs.collect(), left_out)
}

/// What systemd says of Nimbus's services on this machine, and their files.
pub fn host(files: &[(String, PathBuf)]) -> Vec<Part> {
    let lines = LINES.to_string();
    let mut parts = vec![
        program(
            "host/systemctl-status.txt",
            "systemctl",
            &["status", "nimbus-*", "--no-pager", "--full", "--lines=0"],
        ),
        program(
            "host/journal.txt",
            "journalctl",
            &["--unit", "nimbus-*", "--lines", &lines, "--no-pager", "--output", "cat"],
        ),
    ];
    parts.extend(files.iter().map(|(name, path)| file(name, path)));
    parts
}

fn file(name: &str, path: &Path) -> Part {
    part(&format!("host/etc/{name}"), Source::File(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn logs_are_read_of_so_many_pods_and_of_none_whose_name_is_a_path() {
        let pod = |name: String| json!({"metadata": {"name": name}});
        let mut pods: Vec<Value> = (0..60).map(|at| pod(format!("nimbus-{at:02}"))).collect();
        pods.push(pod("../../etc/passwd".to_owned()));
        pods.push(pod("--previous".to_owned()));
        let (parts, left_out) = logs("nimbus", &json!({"items": pods}));
        assert_eq!((parts.len(), left_out), (MOST_PODS, 10));
        assert_eq!(parts[0].name, "cluster/logs/nimbus-00.log");
        assert!(parts[0].source.says().starts_with("kubectl logs nimbus-00 --namespace nimbus"));
        assert_eq!(logs("nimbus", &Value::Null), (Vec::new(), 0));
    }

    #[test]
    fn every_part_has_a_name_of_its_own() {
        let mut names: Vec<String> = [control_plane(Value::Null, Value::Null), cluster("nimbus"), host(&[])]
            .concat()
            .into_iter()
            .map(|part| part.name)
            .collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
        assert!(names.contains(&PODS.to_owned()));
    }
}
