//! The guide for exactly one installation: every step with its commands, and what to know afterwards.

use std::fmt::Write as _;

use crate::answers::{Answers, Certificate, Database, Provider, Reach};
use crate::command::{Command, Program};
use crate::files::namespaces;
use crate::step::{Kind, Probe, Step, Undo};
use crate::terraform;

/// Its text.
pub fn guide(answers: &Answers, steps: &[Step]) -> String {
    let mut text = String::new();
    head(answers, &mut text);
    around(answers, &mut text);
    text.push_str("\n## The steps\n\n`nimbus enterprise deploy --mode on-premise --out DIR --apply` does these and notes each in state.json; stopped at any place, the same command goes on. By hand, in this directory:\n");
    for (number, step) in steps.iter().enumerate() {
        one(number + 1, step, &mut text);
    }
    afterwards(answers, &mut text);
    text
}

/// Writing to a string cannot fail.
fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    let _ = writeln!(text, "{line}");
}

fn head(answers: &Answers, text: &mut String) {
    line(text, format_args!("# {}: this installation of Nimbus\n", answers.name));
    text.push_str("Written by `nimbus enterprise deploy` from answers.toml; change that and run it again. No file here but those in keys, and Terraform's state, holds a secret.\n\n| what | here |\n|---|---|\n");
    let cluster = answers.kube_context.as_deref().unwrap_or("the kubeconfig's current context");
    line(text, format_args!("| cluster | {cluster}, Kubernetes 1.25 or newer |"));
    line(
        text,
        format_args!(
            "| control plane | {} of them, release `{}` in `{}` |",
            answers.replicas,
            answers.control_plane(),
            answers.namespace
        ),
    );
    line(text, format_args!("| agents | release `{}` in `{}` |", answers.agent(), answers.agents_namespace));
    let database = match &answers.database {
        Database::Sqlite { size, .. } => format!("SQLite on a volume of {size}"),
        Database::Secret(name) => format!("PostgreSQL 14 or newer, its address in your Secret `{name}`"),
        Database::Terraform(network) => {
            format!("PostgreSQL 16, made by Terraform in {} ({})", network.network, network.cidr)
        }
    };
    line(text, format_args!("| database | {database} |"));
    line(
        text,
        format_args!(
            "| operators | {}, port 7070 (TCP){} |",
            answers.operators.reach.as_str(),
            called(answers.operators.name.as_deref())
        ),
    );
    line(
        text,
        format_args!(
            "| agents elsewhere | {}, port 7071 (UDP, else TCP){} |",
            answers.agents.reach.as_str(),
            called(answers.agents.name.as_deref())
        ),
    );
    let certificate = match &answers.certificate {
        Certificate::Own => "of the control plane's own CA, keys/ca.pem".to_owned(),
        Certificate::Secret(name) => format!("of the Secret `{name}`"),
        Certificate::CertManager { issuer, kind } => format!("of cert-manager's {kind} `{issuer}`"),
    };
    line(text, format_args!("| operators' certificate | {certificate} |"));
    let acting = if answers.acting.actions.is_empty() {
        "nothing: they read".to_owned()
    } else {
        format!("{} in {}", answers.acting.actions.join(", "), some(&answers.acting.namespaces))
    };
    line(text, format_args!("| agents may | {acting} |"));
    text.push_str("\nImages from the release are pushed to the registry first (docs/install.md):\n\n```\n");
    for program in ["nimbus-control-plane", "nimbus-agent", "nimbus"] {
        let tag = answers.tag.as_deref().unwrap_or(env!("CARGO_PKG_VERSION"));
        line(
            text,
            format_args!(
                "skopeo copy --all oci:release/images/{program} docker://{}/{program}:{tag}",
                answers.registry
            ),
        );
    }
    text.push_str("```\n\nThe image `nimbus` is the one that makes backups.\n");
}

/// What is around the control plane: that there is no Redis, the cloud, the load balancers, the volume.
fn around(answers: &Answers, text: &mut String) {
    text.push_str("\n## Why there is no Redis\n\nNothing here needs one. What a cache or a queue would hold is in the database: observations are stored and acknowledged in one commit, each cluster's state is kept in the memory of the control plane that leads and is rebuilt from the database after a takeover, jobs wait as rows, and which control plane leads is a lease in the same database. One system less has to be secured, backed up and upgraded.\n");
    if let Some(cloud) = answers.cloud.as_ref().filter(|cloud| terraform::makes_anything(answers, cloud)) {
        let (who, login) = match &cloud.provider {
            Provider::Aws => ("AWS", "the AWS CLI's profile or environment"),
            Provider::Gcp { .. } => (
                "Google Cloud",
                "`gcloud auth application-default login`; the APIs servicenetworking and sqladmin are enabled",
            ),
            Provider::Azure { .. } => ("Azure", "`az login`, and ARM_SUBSCRIPTION_ID"),
        };
        line(
            text,
            format_args!(
                "\n## Terraform\n\nThe directory terraform holds what is around the cluster on {who}, in {}. It takes your login from {login}. It was checked by `tofu validate` against the providers' schemas of aws 6.25.0, google 6.50.0, azurerm 4.55.0 and random 3.7.2; look at `plan` before the first apply. To name a backend for the state, or to change a size, add a file of your own (`backend.tf`, `mine_override.tf`): a new run leaves it, and applies it. What would delete or replace anything but a DNS record is refused, unless `--apply --with-data` says that it may be lost.",
                cloud.region
            ),
        );
    }
    database_certificate(answers, text);
    load_balancers(answers, text);
    if let Database::Sqlite { storage_class, .. } = &answers.database {
        let class =
            if storage_class.is_empty() { "the cluster's default storage class" } else { storage_class };
        let hint = match answers.cloud.as_ref().map(|cloud| &cloud.provider) {
            Some(Provider::Aws) => " (on EKS one of ebs.csi.aws.com with type gp3, encrypted)",
            Some(Provider::Gcp { .. }) => " (on GKE premium-rwo)",
            Some(Provider::Azure { .. }) => " (on AKS managed-csi-premium)",
            None => "",
        };
        line(
            text,
            format_args!(
                "\n## The volume\n\nFrom {class}{hint}. It has to be a block volume that is mounted by one pod, with room for growth; SQLite has one control plane, and while its pod is moved to another node nothing is repaired. Agents keep what they observe meanwhile."
            ),
        );
    }
}

/// Whether the database's certificate is verified, and what to do where it is not.
fn database_certificate(answers: &Answers, text: &mut String) {
    let (Database::Terraform(_), Some(cloud)) = (&answers.database, &answers.cloud) else { return };
    let (file, mode) = match cloud.provider {
        Provider::Azure { .. } => {
            text.push_str("\n## The database's certificate\n\nIt is verified (`sslmode=verify-full`): Azure's authorities are public ones, which the control plane knows. Where yours are others, the variable `database_tls` in a file of your own in terraform (`mine.auto.tfvars`) says so, as `database_tls = \"sslmode=require\"`.\n");
            return;
        }
        Provider::Aws => (
            "Its authority is Amazon's own, and its file is not known here: `global-bundle.pem`, which the documentation of Amazon RDS links to",
            "verify-full",
        ),
        Provider::Gcp { .. } => (
            "Its authority is the instance's own: `gcloud sql instances describe INSTANCE --format='value(serverCaCert.cert)'` prints its file. The certificate names the instance and not its address, so that the name cannot be compared",
            "verify-ca",
        ),
    };
    line(
        text,
        format_args!(
            "\n## The database's certificate\n\nThe connection to the database is encrypted, and its certificate is not verified (`sslmode=require`): whoever can answer in the database's place in that network is taken for it. {file}. To have it verified, keep that file as ca.pem in the cluster:\n\n```\n{}\n```\n\nmount it by a values file of your own (extra.control_plane_values):\n\n```yaml\nextraVolumes:\n  - name: database-ca\n    configMap: {{name: {name}-database-ca}}\nextraVolumeMounts:\n  - {{name: database-ca, mountPath: /etc/database-ca, readOnly: true}}\n```\n\nand name it in a file of your own in terraform, `mine.auto.tfvars`:\n\n```\ndatabase_tls = \"sslmode={mode}&sslrootcert=/etc/database-ca/ca.pem\"\n```\n\nThe next --apply makes the Secret with the address anew; restart the control plane then.",
            Command::new(
                Program::Kubectl,
                &[
                    "--namespace",
                    &answers.namespace,
                    "create",
                    "configmap",
                    &format!("{}-database-ca", answers.name),
                    "--from-file=ca.pem"
                ]
            )
            .shell(),
            name = answers.name,
        ),
    );
}

/// What the load balancers need, where there are any.
fn load_balancers(answers: &Answers, text: &mut String) {
    let is_any = [answers.operators.reach, answers.agents.reach].contains(&Reach::LoadBalancer);
    let Some(cloud) = answers.cloud.as_ref().filter(|_| is_any) else { return };
    let needs = match cloud.provider {
        Provider::Aws => {
            " The cluster needs the AWS Load Balancer Controller: the older balancers know no UDP."
        }
        Provider::Gcp { .. } | Provider::Azure { .. } => "",
    };
    line(
        text,
        format_args!(
            "\n## The load balancers\n\nThey are internal ones, with addresses of the cluster's network.{needs} For others set the Services' annotations in a values file of your own (extra.control_plane_values)."
        ),
    );
}

fn called(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!(", called {name}"))
}

fn some(list: &[String]) -> String {
    if list.is_empty() { "no namespace (nodes alone)".to_owned() } else { list.join(", ") }
}

fn one(number: usize, step: &Step, text: &mut String) {
    line(text, format_args!("\n### {number}. {}\n\n{}\n\n```", step.title, step.why));
    let mut is_forwarded = false;
    for operation in &step.operations {
        if let Some(through) = operation.through().filter(|through| !through.pods.is_empty() && !is_forwarded)
        {
            let pod = through.pods.first().map_or("POD", String::as_str);
            let way = Command { program: Program::Kubectl, args: through.kubectl.clone(), through: None };
            let port = crate::command::FORWARDED;
            line(
                text,
                format_args!(
                    "{} port-forward pod/{pod} {port}:7070     # in another terminal; of several pods the one that leads",
                    way.shell()
                ),
            );
            is_forwarded = true;
        }
        line(text, format_args!("{}", operation.shell()));
    }
    text.push_str("```\n");
    if let Kind::Make { probe, .. } = &step.kind {
        match probe {
            Probe::Object { get: command, .. } | Probe::Release(command) => {
                line(text, format_args!("\nDone, if `{}` prints it.", command.shell()));
            }
            Probe::Keys(directory) => line(text, format_args!("\nDone, if {directory}/ca.pem is there.")),
            Probe::Context(access) => {
                line(text, format_args!("\nDone, if that file has the context {} so.", access.name));
            }
            Probe::File(file) => line(text, format_args!("\nDone, if {file} is there.")),
            Probe::Nothing => text.push_str("\nIt may be done again at any time.\n"),
        }
    }
    let (operations, lost) = match &step.undo {
        Undo::Nothing => return,
        Undo::Run(operations) => (operations, None),
        Undo::Data { what, operations } => (operations, Some(what)),
    };
    if let Some(what) = lost {
        line(text, format_args!("\nUndone only with `--with-data`, as this is lost: {what}."));
    }
    text.push_str("\nUndone by:\n\n```\n");
    for operation in operations {
        line(text, format_args!("{}", operation.shell()));
    }
    text.push_str("```\n");
}

fn afterwards(answers: &Answers, text: &mut String) {
    let name = answers.control_plane();
    text.push_str("\n## What to back up\n\n- keys, once, where you keep such things. Without them every agent has to join again. With them there, take the copy in this directory away if others may read it; the context of `nimbus` then has to name another token file, and before the next --apply they have to be back in keys: it compares them with the Secret, and makes no others.\n");
    line(
        text,
        format_args!(
            "- Everything else with one command, encrypted: `nimbus backup create` (docs/backup.md), in the cluster on a schedule by the chart. In a values file of your own (extra.control_plane_values), with a key pair of age-keygen that is made elsewhere and a volume claim of yours in `{}`:\n\n```yaml\nbackup:\n  enabled: true\n  recipients: [age1...]\n  existingClaim: YOURS\n```\n",
            answers.namespace
        ),
    );
    match &answers.database {
        Database::Sqlite { .. } => line(
            text,
            format_args!(
                "  A snapshot of the volume claim `{name}-data` is no substitute: a restore by hand does not know the epochs that were taken since.\n"
            ),
        ),
        Database::Secret(_) => text.push_str(
            "  A dump of the database is no substitute: a restore by hand does not know the epochs that were taken since.\n\n",
        ),
        Database::Terraform(_) => text.push_str(
            "  The cloud's own backups of the database (14 days, 7 on Google Cloud) are no substitute: a restore by hand does not know the epochs that were taken since.\n\n- Terraform's state.\n",
        ),
    }
    text.push_str("- answers.toml and state.json: with them the next run knows what it did.\n");
    if answers.cloud.as_ref().is_some_and(|cloud| cloud.backups) {
        text.push_str("\nNothing writes into the private bucket by itself. Copy the backups there, away from the cluster; its address is the output `backups` of Terraform.\n");
    }
    text.push_str("\n## To upgrade\n\nPush the new images, name the new charts (`--answer charts=DIR`), and run the same command: helm upgrades what differs, and nothing else is touched. The control plane comes before its agents. Back: `helm rollback`, as long as the release notes say that the database's schema allows it.\n");
    if answers.replicas > 1 {
        text.push_str(
            "\nThe control planes are replaced one after the other; another one takes over within 10 s.\n",
        );
    }
    let kept: Vec<String> = namespaces(answers).into_iter().map(|name| format!("`{name}`")).collect();
    line(
        text,
        format_args!(
            "\n## To undo\n\n`nimbus enterprise deploy --mode on-premise --out DIR --undo` goes back through state.json: releases, the join token, the context. It keeps the keys, the Secrets, the namespaces {} and what Terraform made; `--with-data` removes them too, after a question. What was there before is left either way, and so is what does not carry the mark of this directory. In another cluster nothing is undone.",
            kept.join(", ")
        ),
    );
    text.push_str("\n## What may be reached\n\nPods of the control plane open connections to PostgreSQL alone, and none on SQLite. Agents open one to port 7071 of the control plane (UDP; TCP where UDP does not get through, so let both pass), one to their API server, and each one to the kubelet of its own node (TCP port 10250) every minute. No data leaves these.\n");
}
