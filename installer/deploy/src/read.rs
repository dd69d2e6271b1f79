//! Checks a draft: the answers, or everything that is wrong with them at once.

use crate::answers::{
    Acting, Answers, Certificate, Cloud, Database, Entrance, Network, Provider, Reach, Tool,
};
use crate::draft::Draft;
use crate::draft::keys::ACTIONS;
use crate::words::{
    is_dns_name, is_label, is_object_name, is_plain, is_registry, is_size, is_tag, is_within, prefix_of,
};
use crate::wrong::Wrong;

/// The longest name, so that the longest of those that are made with it stays within what the charts take.
const LONGEST_NAME: usize = 24;
/// The most control planes.
const MOST_REPLICAS: u32 = 5;

/// The namespace in which no agent acts, whatever is allowed: the chart's `policy.denyNamespaces`.
const DENIED_NAMESPACE: &str = "kube-system";
/// The shortest prefix of the range from which the database may be reached: the largest private network there is.
const SHORTEST_CLIENTS: u32 = 8;

/// Checks everything.
pub fn read(draft: &Draft) -> Result<Answers, Vec<Wrong>> {
    let (answers, wrong) = checked(draft);
    if wrong.is_empty() { Ok(answers) } else { Err(wrong) }
}

/// Takes one more answer as a person types it, unless it cannot be used, by itself or beside those that were given before.
pub fn answer(draft: &Draft, path: &str, typed: &str) -> Result<Draft, Vec<Wrong>> {
    let mut with = draft.clone();
    with.set(path, typed).map_err(|wrong| vec![wrong])?;
    let before = checked(draft).1;
    // What is missing is asked for still, and what was wrong before is not this answer's fault.
    let is_new = |wrong: &Wrong| {
        let is_known = before.iter().any(|old| old.at == wrong.at && wrong.at != path);
        with.is_given(&wrong.at) && !is_known
    };
    let wrong: Vec<Wrong> = checked(&with).1.into_iter().filter(is_new).collect();
    if wrong.is_empty() { Ok(with) } else { Err(wrong) }
}

fn checked(draft: &Draft) -> (Answers, Vec<Wrong>) {
    let mut reader = Reader { draft, wrong: Vec::new() };
    for key in draft.missing() {
        let expected = format!("an answer: {}", key.question);
        let next = format!("write it into the file, or give --answer {}=…", key.path);
        reader.wrong.push(Wrong::new(key.path, expected, "none", next));
    }
    for (key, belongs) in draft.idle() {
        let expected = format!("no answer, as it means nothing beside {belongs}");
        let next = format!("take it away, or give another answer to {belongs}");
        reader.wrong.push(Wrong::new(key.path, expected, draft.text(key.path), next));
    }
    let answers = reader.answers();
    (answers, reader.wrong)
}

struct Reader<'a> {
    draft: &'a Draft,
    wrong: Vec<Wrong>,
}

impl Reader<'_> {
    fn answers(&mut self) -> Answers {
        let (database, replicas) = (self.database(), self.replicas());
        let cloud = self.cloud();
        if self.draft.makes_database() && cloud.is_none() {
            let next = "name the cloud, or bring a database by a Secret (database.kind=secret)";
            self.say("cloud.kind", "aws, gcp or azure where Terraform makes the database", next);
        }
        let answers = Answers {
            name: self.checked(
                "name",
                "a DNS label of at most 24 characters that begins with a letter",
                |it| is_label(it, LONGEST_NAME) && it.starts_with(|first: char| first.is_ascii_lowercase()),
            ),
            kube_context: self.optional("kube_context", "the name of a context of the kubeconfig, of letters, digits and any of -._/:@~+(); another one is renamed with `kubectl config rename-context`", is_plain),
            namespace: self.namespace("namespace"),
            registry: self.checked(
                "registry",
                "HOST[:PORT][/PATH] of a registry, in lower case",
                is_registry,
            ),
            tag: self.optional("tag", "the tag of an image", is_tag),
            replicas,
            database,
            operators: self.entrance("operators.service", "operators.name"),
            agents: self.entrance("agents.service", "agents.name"),
            agents_namespace: self.namespace("agents.namespace"),
            certificate: self.certificate(),
            acting: self.acting(),
            cloud,
            control_plane_values: self.optional("extra.control_plane_values", "the path of a file", is_plain),
            agent_values: self.optional("extra.agent_values", "the path of a file", is_plain),
        };
        if answers.certificate != Certificate::Own && answers.direct_name().is_none() {
            let next = "set operators.service=load-balancer and operators.name, or take tls.kind=own";
            self.say("tls.kind", "own, unless operators come by a load balancer with a DNS name: through a forwarded port only the own CA's certificate holds", next);
        }
        self.names_in_zone(&answers);
        answers
    }

    /// Says that an answer cannot be used.
    fn say(&mut self, at: &str, expected: &str, next: &str) {
        let found = self.draft.text(at);
        let found = if found.is_empty() { "nothing".to_owned() } else { found };
        self.wrong.push(Wrong::new(at, expected, found, next));
    }

    /// The text of a needed answer; what is missing is said already.
    fn checked(&mut self, at: &str, expected: &str, is_good: impl Fn(&str) -> bool) -> String {
        let text = self.draft.text(at);
        let is_said = self.wrong.iter().any(|wrong| wrong.at == at);
        if !is_good(&text) && !is_said {
            self.say(at, expected, "give another answer");
        }
        text
    }

    fn optional(&mut self, at: &str, expected: &str, is_good: impl Fn(&str) -> bool) -> Option<String> {
        let text = self.draft.text(at);
        (!text.is_empty()).then(|| self.checked(at, expected, is_good))
    }

    /// A namespace of this installation's own: Kubernetes' own are not put under Pod Security, and `default` is nobody's.
    fn namespace(&mut self, at: &str) -> String {
        let expected = "a DNS label of at most 63 characters that is neither `default` nor begins with `kube-`, as what is \
                        installed has a namespace of its own";
        self.checked(at, expected, |it| is_label(it, 63) && it != "default" && !it.starts_with("kube-"))
    }

    fn object(&mut self, at: &str) -> String {
        self.checked(at, "the name of an object in Kubernetes", is_object_name)
    }

    fn replicas(&mut self) -> u32 {
        if self.draft.says("database.kind", "sqlite") {
            if self.draft.is_given("replicas") && !self.draft.says("replicas", "1") {
                self.say(
                    "replicas",
                    "1 on SQLite",
                    "take PostgreSQL for control planes that stand by for each other",
                );
            }
            return 1;
        }
        let number = self.draft.text("replicas").parse().unwrap_or(0);
        if !(1..=MOST_REPLICAS).contains(&number) {
            self.say("replicas", "1 to 5", "give another number");
        }
        number
    }

    fn database(&mut self) -> Database {
        match self.draft.text("database.kind").as_str() {
            "secret" => Database::Secret(self.object("database.secret")),
            "terraform" => {
                let smallest = match self.draft.text("cloud.kind").as_str() {
                    "gcp" => 24,
                    "azure" => 28,
                    // Each half has to be a subnet of AWS's own smallest size.
                    _ => 27,
                };
                let cidr = self.draft.text("cloud.cidr");
                // Nothing that a person installs comes from the range that is to be free for the database.
                let clients = |it: &str| {
                    prefix_of(it).is_some_and(|length| length >= SHORTEST_CLIENTS) && !is_within(it, &cidr)
                };
                let large = |it: &str| prefix_of(it).is_some_and(|length| (8..=smallest).contains(&length));
                let is_open = self.draft.says("cloud.kind", "gcp");
                Database::Terraform(Network {
                    network: self.checked("cloud.network", "the network of the cluster", is_plain),
                    cidr: self.checked(
                        "cloud.cidr",
                        &format!(
                            "a range as 10.20.0.0/24, /8 to /{smallest}, with no bits behind its prefix"
                        ),
                        large,
                    ),
                    clients: (!is_open).then(|| {
                        let expected =
                            "the range of the pods as 10.0.0.0/16, /8 or longer, and not within cloud.cidr";
                        self.checked("cloud.clients", expected, clients)
                    }),
                })
            }
            _ => Database::Sqlite {
                storage_class: self
                    .optional("database.storage_class", "the name of a storage class", is_object_name)
                    .unwrap_or_default(),
                size: self.checked("database.size", "a size as 10Gi", is_size),
            },
        }
    }

    fn entrance(&mut self, service: &str, name: &str) -> Entrance {
        let reach = match self.draft.text(service).as_str() {
            "load-balancer" => Reach::LoadBalancer,
            "node-port" => Reach::NodePort,
            _ => Reach::ClusterIp,
        };
        Entrance { reach, name: self.optional(name, "a DNS name as nimbus.example.com", is_dns_name) }
    }

    fn certificate(&mut self) -> Certificate {
        match self.draft.text("tls.kind").as_str() {
            "secret" => Certificate::Secret(self.object("tls.secret")),
            "cert-manager" => Certificate::CertManager {
                issuer: self.object("tls.issuer"),
                kind: self.draft.text("tls.issuer_kind"),
            },
            _ => Certificate::Own,
        }
    }

    fn acting(&mut self) -> Acting {
        let (actions, namespaces) = (self.draft.list("acting.actions"), self.draft.list("acting.namespaces"));
        if actions.iter().any(|action| !ACTIONS.contains(&action.as_str())) {
            let next =
                "name some of these; actions on files of nodes need values of your own (extra.agent_values)";
            self.say("acting.actions", &format!("some of {}", ACTIONS.join(", ")), next);
        }
        let is_bad = |namespace: &String| !is_label(namespace, 63);
        if namespaces.iter().any(is_bad) {
            self.say("acting.namespaces", "whole names of namespaces", "name them without patterns");
        } else if namespaces.iter().any(|namespace| namespace == DENIED_NAMESPACE) {
            let next = "leave it out; the policy for it is in values of your own (extra.agent_values)";
            self.say("acting.namespaces", &format!("no {DENIED_NAMESPACE}, where agents never act"), next);
        }
        for (at, list) in [("acting.actions", &actions), ("acting.namespaces", &namespaces)] {
            let is_twice = (1..list.len()).any(|end| list[..end].contains(&list[end]));
            if is_twice {
                self.say(at, "each one once", "take the second one away");
            }
        }
        let acts_on_workloads = actions.iter().any(|action| action != "uncordon_node");
        if acts_on_workloads && namespaces.is_empty() {
            self.say(
                "acting.namespaces",
                "namespaces, as an action on workloads is allowed",
                "name them, or take the action away",
            );
        }
        if !actions.is_empty() && !acts_on_workloads && !namespaces.is_empty() {
            self.say(
                "acting.namespaces",
                "none, as uncordon_node is done on nodes alone",
                "take them away, or allow an action on workloads (restart_pod, rollback_deployment, raise_memory_limit, expand_volume, raise_autoscaler_maximum, scale_workload, renew_certificate)",
            );
        }
        Acting { actions, namespaces }
    }

    fn cloud(&mut self) -> Option<Cloud> {
        let provider = match self.draft.text("cloud.kind").as_str() {
            "aws" => Provider::Aws,
            "gcp" => {
                Provider::Gcp { project: self.checked("cloud.project", "the id of a project", is_plain) }
            }
            "azure" => Provider::Azure {
                resource_group: self.checked(
                    "cloud.resource_group",
                    "the name of a resource group",
                    is_plain,
                ),
            },
            _ => return None,
        };
        let tool = if self.draft.says("cloud.tool", "terraform") { Tool::Terraform } else { Tool::Tofu };
        Some(Cloud {
            provider,
            region: self.checked("cloud.region", "the name of a region", |it| is_label(it, 63)),
            dns_zone: self.optional("cloud.dns_zone", "the name of a DNS zone", is_object_name),
            backups: self.draft.says("cloud.backups", "true"),
            tool,
        })
    }

    /// A record is made only in its zone, and only for a load balancer.
    fn names_in_zone(&mut self, answers: &Answers) {
        let Some(cloud) = &answers.cloud else { return };
        let Some(zone) = &cloud.dns_zone else { return };
        // Google names a zone otherwise than by its DNS name.
        let has_names_of_its_own = matches!(cloud.provider, Provider::Gcp { .. });
        for (at, service, entrance) in [
            ("operators.name", "operators.service", &answers.operators),
            ("agents.name", "agents.service", &answers.agents),
        ] {
            let Some(name) = &entrance.name else { continue };
            if !has_names_of_its_own && !name.ends_with(&format!(".{zone}")) {
                self.say(
                    at,
                    &format!("a name in the zone {zone}"),
                    "give another name, or another cloud.dns_zone",
                );
            }
            if entrance.reach != Reach::LoadBalancer {
                self.say(
                    service,
                    "load-balancer, as a DNS record is wanted for its address",
                    "take it, or leave cloud.dns_zone empty",
                );
            }
        }
    }
}
