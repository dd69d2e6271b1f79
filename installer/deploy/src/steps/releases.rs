//! The steps that install both charts, and what is between them.

use std::collections::BTreeMap;

use super::Making;
use super::cluster::check;
use crate::answers::{Certificate, Database};
use crate::command::{Command, FORWARDED};
use crate::files::{AGENT_VALUES, CONTROL_PLANE_VALUES};
use crate::object::{Datum, Object, Source};
use crate::operation::{Access, Operation};
use crate::step::{Foreign, Kind, Lasts, Outdated, Probe, Retry, Step, Undo};

/// The file with the cluster's UID.
const UID: &str = "cluster-uid";
/// How old a join token may be, in seconds, before the first agent joins with it: half of the hour that it holds, as helm and
/// the pods need some of the rest.
const TOKEN_LASTS: u64 = 30 * 60;
/// Every state in which helm knows a release; without them it may leave out one in which it was interrupted.
const EVERY_STATE: [&str; 6] =
    ["--deployed", "--failed", "--pending", "--superseded", "--uninstalled", "--uninstalling"];

impl Making<'_> {
    /// The control plane.
    pub(super) fn control_plane(&self) -> Step {
        let answers = self.answers;
        let mut values = vec![CONTROL_PLANE_VALUES];
        values.extend(answers.control_plane_values.as_deref());
        let why = match answers.database {
            Database::Sqlite { .. } => {
                "Helm waits until it is ready, at most 10 minutes. A volume with the history is made, which stays when the release is removed."
            }
            Database::Secret(_) | Database::Terraform(_) => {
                "Helm waits until every pod is ready, at most 10 minutes. The first start makes the tables."
            }
        };
        self.release(
            "control-plane",
            "The control plane",
            why,
            &answers.control_plane(),
            &answers.namespace,
            &self.charts.control_plane,
            &values,
            &[],
        )
    }

    /// The agents of this cluster.
    pub(super) fn agents(&self) -> Step {
        let answers = self.answers;
        let mut values = vec![AGENT_VALUES];
        values.extend(answers.agent_values.as_deref());
        let uid = format!("acting.clusterUid={UID}");
        let more: &[&str] = if answers.acting.actions.is_empty() { &[] } else { &["--set-file", &uid] };
        let why = "One on every node. They read, and change nothing but what `acting` names.";
        self.release(
            "agents",
            "The agents",
            why,
            &answers.agent(),
            &answers.agents_namespace,
            &self.charts.agent,
            &values,
            more,
        )
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of one command line, each named at its two callers"
    )]
    fn release(
        &self,
        id: &str,
        title: &str,
        why: &str,
        name: &str,
        namespace: &str,
        chart: &str,
        values: &[&str],
        more: &[&str],
    ) -> Step {
        let within = |words: &[&str]| self.helm(&[words, &["--namespace", namespace]].concat());
        let mut install = vec!["upgrade", "--install", name, chart];
        for file in values {
            install.extend(["--values", file]);
        }
        install.extend(more);
        install.extend(["--wait", "--timeout", "10m"]);
        let only = format!("^{name}$");
        let list = within(&[&["list", "--filter", &only], &EVERY_STATE[..]].concat());
        let remove = within(&["uninstall", name, "--ignore-not-found", "--wait", "--timeout", "5m"]);
        Step {
            id: id.to_owned(),
            title: title.to_owned(),
            why: why.to_owned(),
            kind: Kind::Make {
                probe: Probe::Release(list),
                foreign: Foreign::Refuse(format!(
                    "the release {name} belongs to another installation: give another `name` or `namespace`, or go on in the directory that made it"
                )),
                // Helm refuses to touch a release in which it was interrupted. Removed, a first install loses nothing: its
                // volume and its Secrets stay.
                retry: Retry::After {
                    new: vec![remove.clone()],
                    change: vec![within(&["rollback", name, "--wait", "--timeout", "5m"])],
                },
                is_made_once: false,
                lasts: None,
                copied: None,
                outdated: Outdated::Renew,
            },
            operations: vec![Operation::Install(within(&install))],
            undo: Undo::Run(vec![Operation::Run(remove)]),
            uses: self.used(|file| values.contains(&file) || file == chart),
            place: BTreeMap::new(),
        }
    }

    /// The operator's command is told of it.
    pub(super) fn context(&self) -> Step {
        let name = self.answers.control_plane();
        let server = match self.answers.direct_name() {
            Some(host) => format!("https://{host}:7070"),
            None => format!("https://127.0.0.1:{FORWARDED}"),
        };
        let ca_file = match self.answers.certificate {
            Certificate::Own => Some("keys/ca.pem".to_owned()),
            Certificate::Secret(_) | Certificate::CertManager { .. } => None,
        };
        let access =
            Access { name: name.clone(), server, token_file: "keys/operator.token".to_owned(), ca_file };
        Step {
            id: "context".to_owned(),
            title: "The nimbus command knows the control plane".to_owned(),
            why: format!(
                "By the context {name}, which names the files of the keys; it holds no token itself."
            ),
            kind: Kind::Make {
                probe: Probe::Context(access.clone()),
                foreign: Foreign::Refuse(format!(
                    "the context {name} of the nimbus command leads to another control plane: take it out of its configuration if nobody uses it, or give the installation another `name`"
                )),
                retry: Retry::After { new: Vec::new(), change: Vec::new() },
                is_made_once: false,
                lasts: None,
                copied: None,
                outdated: Outdated::Renew,
            },
            operations: vec![Operation::Context(access)],
            undo: Undo::Run(vec![Operation::ForgetContext(name)]),
            uses: Vec::new(),
            place: BTreeMap::new(),
        }
    }

    /// It answers.
    pub(super) fn answered(&self) -> Step {
        let zone = self.answers.cloud.as_ref().and_then(|cloud| cloud.dns_zone.as_ref());
        let why = match (self.answers.direct_name(), zone) {
            (Some(name), None) => format!(
                "The DNS record {name} is yours to make, for the address that `kubectl --namespace {} get service {}` shows. It is asked for at most ten minutes; then the same command goes on.",
                self.answers.namespace,
                self.answers.control_plane()
            ),
            (Some(_), Some(_)) | (None, _) => {
                "It is asked for at most ten minutes: a DNS record may take a while until it is known here."
                    .to_owned()
            }
        };
        check("answered", "The control plane answers", &why, vec![Operation::Run(self.nimbus(&["status"]))])
    }

    /// The join token, in the cluster.
    pub(super) fn join_secret(&self) -> Step {
        let (secret, agent) = (self.answers.join_secret(), self.answers.agent());
        let within = |words: &[&str]| {
            self.kubectl(&[&["--namespace", &self.answers.agents_namespace], words].concat())
        };
        let create =
            ["-o", "json", "agents", "token", "create", "--name", &agent, "--kind", "cluster", "--ttl", "1h"];
        let delete = within(&["delete", "secret", &secret, "--ignore-not-found"]);
        Step {
            id: "join-secret".to_owned(),
            title: "The join token as a Secret".to_owned(),
            why: "The first agent joins with it, once, within an hour; until the agents are installed it is made anew when it is older than half an hour. Leave the Secret where it is: by its token later pods know the control plane.".to_owned(),
            kind: Kind::Make {
                probe: Probe::Object {
                    get: within(&["get", "secret", &secret, "--ignore-not-found"]),
                    data: Vec::new(),
                },
                foreign: Foreign::Take,
                retry: Retry::After { new: vec![delete.clone()], change: vec![delete.clone()] },
                is_made_once: true,
                lasts: Some(Lasts { seconds: TOKEN_LASTS, until: "agents".to_owned() }),
                copied: None,
                outdated: Outdated::Renew,
            },
            operations: vec![Operation::Create(Object::Secret {
                kubectl: self.kubectl_words(),
                namespace: self.answers.agents_namespace.clone(),
                name: secret,
                data: vec![Datum {
                    key: "token".to_owned(),
                    from: Source::Printed { command: self.nimbus(&create), field: Some("token".to_owned()) },
                }],
            })],
            undo: Undo::Run(vec![Operation::Run(delete)]),
            uses: Vec::new(),
            place: BTreeMap::new(),
        }
    }

    /// A policy names the cluster that it is for.
    pub(super) fn cluster_uid(&self) -> Option<Step> {
        if self.answers.acting.actions.is_empty() {
            return None;
        }
        let command: Command =
            self.kubectl(&["get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"]);
        Some(Step {
            id: "cluster-uid".to_owned(),
            title: "The cluster's identity".to_owned(),
            why: "What the agents may do is allowed in this cluster alone, known by the UID of the namespace kube-system.".to_owned(),
            kind: Kind::Make {
                probe: Probe::File(UID.to_owned()),
                foreign: Foreign::Take,
                retry: Retry::After { new: Vec::new(), change: Vec::new() },
                is_made_once: true,
                lasts: None,
                copied: None,
                outdated: Outdated::Renew,
            },
            operations: vec![Operation::Keep { command, file: UID.to_owned() }],
            undo: Undo::Run(vec![Operation::Remove(UID.to_owned())]),
            uses: Vec::new(),
            place: BTreeMap::new(),
        })
    }

    /// All of it works.
    pub(super) fn watched(&self) -> Step {
        let operation = Operation::Run(self.nimbus(&["clusters", "list", "--wait", "--timeout", "5m"]));
        check(
            "watched",
            "The cluster is watched",
            "An agent is connected, leads, and has listed the cluster. It is waited for at most five minutes: that helm saw the DaemonSet ready does not say it on a cluster of one node.",
            vec![operation],
        )
    }
}
