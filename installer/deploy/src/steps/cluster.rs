//! The steps in the cluster before anything is installed.

use std::collections::BTreeMap;

use super::Making;
use crate::answers::{Certificate, Database};
use crate::command::{Command, Program};
use crate::files::{namespace_file, namespaces};
use crate::object::{Datum, Object, Source};
use crate::operation::{KEY_FILES, Operation};
use crate::step::{Copied, Foreign, Kind, NAMESPACE, Outdated, Probe, Retry, Step, Undo};
use crate::terraform;

/// The directory of the keys.
const KEYS: &str = "keys";
/// The step that makes their Secret.
const KEYS_SECRET: &str = "keys-secret";
/// The other way out where the keys are not those of the Secret.
const GIVE_UP: &str =
    "or take the installation back with --undo --with-data first, after which every agent has to join again";

impl Making<'_> {
    /// The programs are there.
    pub(super) fn tools(&self) -> Step {
        let mut operations = vec![
            Operation::Run(Command::new(Program::Kubectl, &["version", "--client"])),
            Operation::Run(Command::new(Program::Helm, &["version", "--short"])),
        ];
        if !terraform::files(self.answers).is_empty() {
            operations.push(Operation::Run(self.tofu(&["version"])));
        }
        check(
            "tools",
            "The programs are there",
            "kubectl 1.31 or newer and helm 3.14 or newer run the steps; with a cloud tofu or terraform 1.6 or newer too.",
            operations,
        )
    }

    /// The cluster answers, and this user may do what is needed.
    pub(super) fn reachable(&self) -> Step {
        let may = |words: &[&str]| Operation::Run(self.kubectl(&[&["auth", "can-i"], words].concat()));
        let mut operations = vec![
            Operation::Run(self.kubectl(&["version", "--request-timeout=20s"])),
            may(&["create", "namespaces"]),
            may(&["create", "clusterroles"]),
            may(&["create", "secrets", "--namespace", &self.answers.namespace]),
        ];
        let acting = self.answers.acting.namespaces.iter();
        operations.extend(acting.map(|name| Operation::Run(self.kubectl(&["get", "namespace", name]))));
        let ask = self.kubectl(&["get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"]);
        let mut step = check(
            "cluster",
            "The cluster answers",
            "Kubernetes 1.25 or newer. Whoever installs makes namespaces, Secrets, and the agents' ClusterRole. Namespaces in which agents act are there before. The UID of its namespace kube-system is noted: in another cluster nothing is done from this directory.",
            operations,
        );
        step.kind = Kind::Identify { ask };
        step
    }

    /// One step for each namespace.
    pub(super) fn namespaces(&self) -> Vec<Step> {
        let one = |name: &str| Step {
            id: format!("{NAMESPACE}{name}"),
            title: format!("The namespace {name}"),
            why: "It takes only pods under Pod Security `restricted`, as those of both charts are."
                .to_owned(),
            kind: Kind::Make {
                probe: Probe::Object {
                    get: self.kubectl(&["get", "namespace", name, "--ignore-not-found"]),
                    data: Vec::new(),
                },
                foreign: Foreign::Take,
                retry: Retry::WholeIfThere,
                is_made_once: true,
                lasts: None,
                copied: None,
                outdated: Outdated::Renew,
            },
            operations: vec![Operation::Create(Object::Namespace {
                kubectl: self.kubectl_words(),
                file: namespace_file(name),
                manifest: super::namespace(name),
            })],
            undo: Undo::Data {
                what: format!("the namespace {name} with everything in it, Secrets and volumes too"),
                operations: vec![Operation::Run(self.kubectl(&[
                    "delete",
                    "namespace",
                    name,
                    "--ignore-not-found",
                ]))],
            },
            uses: self.used(|file| file == namespace_file(name)),
            place: BTreeMap::new(),
        };
        namespaces(self.answers).into_iter().map(one).collect()
    }

    /// The keys, on this machine.
    pub(super) fn keys(&self) -> Step {
        let copied = Copied {
            by: KEYS_SECRET.to_owned(),
            what: format!("the Secret {}", self.answers.keys_secret()),
            files: KEY_FILES.iter().map(|file| format!("{KEYS}/{file}")).collect(),
            next: format!(
                "put them back from your copy: other keys would not be those of the cluster; {GIVE_UP}"
            ),
        };
        Step {
            id: "keys".to_owned(),
            title: "The control plane's keys".to_owned(),
            why: "A CA, the key that signs jobs and the operator's token, in the directory keys. Whoever has these files is the control plane to every agent: keep a copy where you keep such things. They have to be here whenever this command is run with --apply: no others are made as long as the cluster has the Secret of these.".to_owned(),
            kind: Kind::Make {
                probe: Probe::Keys(KEYS.to_owned()),
                foreign: Foreign::Take,
                retry: Retry::WholeIfThere,
                is_made_once: true,
                lasts: None,
                copied: Some(Box::new(copied)),
                outdated: Outdated::Renew,
            },
            operations: vec![Operation::MakeKeys(KEYS.to_owned())],
            undo: Undo::Data {
                what: "the keys in the directory keys; without them every agent has to join again".to_owned(),
                operations: vec![Operation::RemoveKeys(KEYS.to_owned())],
            },
            uses: Vec::new(),
            place: BTreeMap::new(),
        }
    }

    /// The keys, in the cluster.
    pub(super) fn keys_secret(&self) -> Step {
        let secret = self.answers.keys_secret();
        let foreign = Foreign::Refuse(format!(
            "the Secret {secret} belongs to another installation: give another `name` or `namespace`, or go on in the directory that made it; delete it only if nothing uses it"
        ));
        // Each by its name: whatever else a person keeps in that directory is not for the cluster.
        let datum =
            |file: &&str| Datum { key: (*file).to_owned(), from: Source::File(format!("{KEYS}/{file}")) };
        let data: Vec<Datum> = KEY_FILES.iter().map(datum).collect();
        let current = data.clone();
        let mut step = self.secret(
            KEYS_SECRET,
            "The keys as a Secret",
            &secret,
            foreign,
            data,
            current,
            &format!("the Secret {secret}; the directory keys has a copy as long as you keep it"),
        );
        if let Kind::Make { outdated, .. } = &mut step.kind {
            *outdated = Outdated::Refuse(format!(
                "put the keys of which {secret} was made into the directory {KEYS}: they are those of the cluster; {GIVE_UP}"
            ));
        }
        step
    }

    /// The database's address, in the cluster.
    pub(super) fn database_secret(&self) -> Option<Step> {
        let secret = self.answers.database_secret()?;
        match &self.answers.database {
            Database::Sqlite { .. } => None,
            Database::Secret(_) => Some(check(
                "database-secret",
                "The Secret with the database's address is there",
                &format!(
                    "You make it: PostgreSQL 14 or newer, an empty database and a user that owns it. kubectl --namespace {} create secret generic {secret} --from-file=url=/dev/stdin, and then on its input postgres://USER:PASSWORD@HOST:5432/nimbus?sslmode=verify-full, without a line end (Ctrl-D twice): a password on a command line is seen by others",
                    self.answers.namespace
                ),
                vec![Operation::Run(self.in_own(&["get", "secret", &secret])), self.holds(&secret, "url")],
            )),
            Database::Terraform(_) => {
                let data = vec![Datum {
                    key: "url".to_owned(),
                    from: Source::Printed {
                        command: self.tofu(&["output", "-raw", "database_url"]),
                        field: None,
                    },
                }];
                // Whatever Terraform says now: a database that was made anew has another password.
                let is_current = data.clone();
                Some(self.secret(
                    "database-secret",
                    "The database's address as a Secret",
                    &secret,
                    Foreign::Refuse(format!(
                        "the Secret {secret} may lead to another database: give another `name` or `namespace`, or delete it if nothing uses it"
                    )),
                    data,
                    is_current,
                    &format!("the Secret {secret}; Terraform's state has the address"),
                ))
            }
        }
    }

    /// A certificate that a person brings.
    pub(super) fn tls_secret(&self) -> Option<Step> {
        let get = |words: &[&str]| vec![Operation::Run(self.in_own(&[&["get"], words].concat()))];
        match &self.answers.certificate {
            Certificate::Own => None,
            Certificate::Secret(name) => Some(check(
                "tls-secret",
                "The Secret with the certificate is there",
                "You make it, of type kubernetes.io/tls, for the operators' DNS name.",
                [get(&["secret", name]), ["tls.crt", "tls.key"].map(|key| self.holds(name, key)).into()]
                    .concat(),
            )),
            Certificate::CertManager { issuer, kind } => Some(check(
                "issuer",
                "The issuer of cert-manager is there",
                "cert-manager and the issuer are yours.",
                get(&[&format!("{}.cert-manager.io", kind.to_lowercase()), issuer]),
            )),
        }
    }

    /// That a Secret has a key. The template fails on none, as kubectl would print the whole Secret then.
    fn holds(&self, secret: &str, key: &str) -> Operation {
        let template = format!(
            r#"go-template={{{{with .data}}}}{{{{if index . "{key}"}}}}it has{{{{end}}}}{{{{end}}}}"#
        );
        Operation::Holds {
            command: self.in_own(&["get", "secret", secret, "-o", &template]),
            what: format!("the key {key} of the Secret {secret} with a value"),
        }
    }

    /// kubectl in the control plane's namespace.
    pub(super) fn in_own(&self, args: &[&str]) -> Command {
        self.kubectl(&[&["--namespace", &self.answers.namespace], args].concat())
    }

    /// A step that makes a Secret in the control plane's namespace; `current` is what it has to hold as long as it is there.
    #[expect(clippy::too_many_arguments, reason = "the parts of one step, each named at its two callers")]
    fn secret(
        &self,
        id: &str,
        title: &str,
        secret: &str,
        foreign: Foreign,
        data: Vec<Datum>,
        current: Vec<Datum>,
        lost: &str,
    ) -> Step {
        let delete = self.in_own(&["delete", "secret", secret, "--ignore-not-found"]);
        Step {
            id: id.to_owned(),
            title: title.to_owned(),
            why: "The chart names it and makes no secret itself.".to_owned(),
            kind: Kind::Make {
                probe: Probe::Object {
                    get: self.in_own(&["get", "secret", secret, "--ignore-not-found"]),
                    data: current,
                },
                foreign,
                retry: Retry::After { new: vec![delete.clone()], change: vec![delete.clone()] },
                is_made_once: true,
                lasts: None,
                copied: None,
                outdated: Outdated::Renew,
            },
            operations: vec![Operation::Create(Object::Secret {
                kubectl: self.kubectl_words(),
                namespace: self.answers.namespace.clone(),
                name: secret.to_owned(),
                data,
            })],
            undo: Undo::Data { what: lost.to_owned(), operations: vec![Operation::Run(delete)] },
            uses: Vec::new(),
            place: BTreeMap::new(),
        }
    }
}

/// A step that looks and changes nothing.
pub(super) fn check(id: &str, title: &str, why: &str, operations: Vec<Operation>) -> Step {
    Step {
        id: id.to_owned(),
        title: title.to_owned(),
        why: why.to_owned(),
        kind: Kind::Check,
        operations,
        undo: Undo::Nothing,
        uses: Vec::new(),
        place: BTreeMap::new(),
    }
}
