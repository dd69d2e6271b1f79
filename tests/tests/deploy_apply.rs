//! An installation is carried out with the real kubectl and helm on a real API server, with real controllers: interrupted in
//! helm, gone on with, changed, undone.
//!
//! Pods do not run there. So what speaks with a control plane is a script here: `nimbus`, and kubectl's `port-forward`. They
//! stand for a control plane that answers.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nimbus_cli::config::Config;
use nimbus_cli::context::Context;
use nimbus_cli::deploy::around::Around;
use nimbus_cli::deploy::directory::Directory;
use nimbus_cli::deploy::shell::Shell;
use nimbus_cli::global::Global;
use nimbus_deploy::draft::Draft;
use nimbus_deploy::drive::{self, Done};
use nimbus_deploy::journal::Journal;
use nimbus_deploy::plan::{Charts, Plan, plan};
use nimbus_deploy::read::read;
use nimbus_tests::rig::{Cluster, build, repository};
use serde_json::json;

/// The namespace of the control plane, which is there before.
const NAMESPACE: &str = "deploy-it";
/// The namespace of the agents, which is made.
const AGENTS: &str = "deploy-it-agents";

const NIMBUS: &str = r#"#!/bin/sh
case "$*" in
"keys create "*) mkdir "$3" && for file in ca.pem ca.key job.key operator.token; do echo "$file" > "$3/$file"; done ;;
*"token create"*) echo '{"token": "nimbus1.tok.SECRET"}' ;;
esac
"#;

const KUBECTL: &str = r#"#!/bin/sh
case "$*" in *port-forward*) echo "Forwarding from 127.0.0.1"; exec sleep 600 ;; esac
exec REAL --kubeconfig CONFIG "$@"
"#;

/// With the file `kill` there, helm is killed as soon as it has written its release.
const HELM: &str = r#"#!/bin/sh
export HOME=DIR
case "$*" in upgrade*) if [ -e DIR/kill ]; then
    rm DIR/kill
    REAL --kubeconfig CONFIG "$@" & helm=$!
    while kill -0 $helm && ! DIR/bin/kubectl --namespace deploy-it get secrets -l owner=helm -o name | grep -q .; do :; done
    kill -9 $helm; echo "killed" >&2; exit 137
fi ;; esac
exec REAL --kubeconfig CONFIG "$@"
"#;

struct Site {
    dir: tempfile::TempDir,
    cluster: &'static Cluster,
}

impl Site {
    async fn start() -> anyhow::Result<Self> {
        let cluster = Cluster::shared().await?;
        let dir = tempfile::tempdir()?;
        let root = repository()?;
        let kubectl = build::ensure_all(&root, false)?.path("kubectl");
        fs::create_dir(dir.path().join("bin"))?;
        let site = Self { dir, cluster };
        site.script("kubectl", KUBECTL, &kubectl)?;
        site.script("helm", HELM, &build::ensure_helm(&root)?)?;
        site.script("nimbus", NIMBUS, Path::new("-"))?;
        cluster.namespace(NAMESPACE, &json!({})).await?;
        cluster
            .kubectl(&[
                "-n",
                NAMESPACE,
                "create",
                "secret",
                "generic",
                "company",
                "--from-literal=url=postgres://x",
            ])
            .await?;
        Ok(site)
    }

    fn script(&self, name: &str, text: &str, real: &Path) -> anyhow::Result<()> {
        let path = self.dir.path().join("bin").join(name);
        let config = self.cluster.kubeconfig_path();
        let text = text
            .replace("REAL", &real.display().to_string())
            .replace("CONFIG", &config.display().to_string())
            .replace("DIR", &self.dir.path().display().to_string());
        fs::write(&path, text)?;
        Ok(fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?)
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out")
    }

    fn around(&self) -> Around {
        let bin = self.dir.path().join("bin");
        Around {
            nimbus: bin.join("nimbus"),
            search: Some(format!("{}:/usr/bin:/bin", bin.display()).into()),
            contexts: Some(self.dir.path().join("contexts/config.toml")),
            pause: Duration::ZERO,
            patience: Duration::from_mins(1),
            may_lose: false,
        }
    }

    fn plan(more: &[(&str, &str)]) -> anyhow::Result<Plan> {
        let mut draft = Draft::default();
        let answers = [
            ("name", "it"),
            ("namespace", NAMESPACE),
            ("agents.namespace", AGENTS),
            ("registry", "registry.example.internal"),
            ("database.kind", "secret"),
            ("database.secret", "company"),
            ("acting.actions", "uncordon_node"),
        ];
        for (key, value) in answers.iter().chain(more) {
            draft.set(key, value)?;
        }
        let answers = read(&draft).map_err(|wrong| anyhow::anyhow!("{wrong:?}"))?;
        let charts = repository()?.join("charts");
        let chart = |name: &str| charts.join(name).display().to_string();
        let charts = Charts { control_plane: chart("nimbus-control-plane"), agent: chart("nimbus-agent") };
        plan(&answers, &charts, &draft.file(), &[]).map_err(anyhow::Error::msg)
    }

    /// Carries it out; each step with what happened to it.
    fn apply(&self, plan: &Plan) -> anyhow::Result<Done> {
        let directory = Directory::new(&self.out())?;
        let _lock = directory.take()?;
        directory.write(plan)?;
        let mut journal = directory.journal()?.unwrap_or_else(|| Journal::new(&plan.identity));
        let context = Context::new(&Global { quiet: true, ..Global::default() });
        let mut shell = Shell::new(&context, &directory, self.around());
        drive::apply(&plan.identity, &plan.steps, &mut journal, &mut shell)
            .map_err(|stop| anyhow::anyhow!("{stop:?}"))
    }

    fn undo(&self, with_data: bool) -> anyhow::Result<()> {
        let directory = Directory::new(&self.out())?;
        let mut journal = directory.journal()?.unwrap_or_else(|| Journal::new(""));
        let context = Context::new(&Global { quiet: true, ..Global::default() });
        let mut shell = Shell::new(&context, &directory, self.around());
        drive::undo(&mut journal, with_data, &mut shell).map(drop).map_err(|stop| anyhow::anyhow!("{stop:?}"))
    }

    /// The names of what Nimbus and Helm have in both namespaces.
    async fn names(&self) -> anyhow::Result<String> {
        let mut all = String::new();
        for namespace in [NAMESPACE, AGENTS] {
            let words = ["-n", namespace, "get", "statefulsets,daemonsets,secrets", "-o", "name"];
            all.push_str(&self.cluster.kubectl(&words).await?);
        }
        Ok(all)
    }
}

fn outcome<'a>(done: &'a Done, id: &str) -> &'a str {
    done.steps.iter().find(|(step, _)| step == id).map_or("", |(_, state)| *state)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_in_helm_it_goes_on_changes_and_undoes_what_it_did_and_nothing_else() {
    let site = Site::start().await.unwrap();
    let plan = Site::plan(&[("replicas", "1")]).unwrap();
    let apply = |plan: &Plan| tokio::task::block_in_place(|| site.apply(plan));

    // Begun and refused, then made by somebody else: it is not ours, and stays.
    let stop = |plan: &Plan| apply(plan).unwrap_err().to_string();
    let theirs = ["-n", NAMESPACE, "create", "secret", "generic", "it-keys", "--from-literal=their=key"];
    let words = ["-n", NAMESPACE, "delete", "secret", "it-keys"];
    let kubectl = site.dir.path().join("bin/kubectl");
    let real = fs::read_to_string(&kubectl).unwrap();
    let refuses =
        real.replace("case \"$*\" in", "case \"$*\" in *\"create -f -\"*) echo forbidden >&2; exit 1 ;;");
    site.cluster.namespace(AGENTS, &json!({})).await.unwrap();
    fs::write(&kubectl, refuses).unwrap();
    assert!(stop(&plan).contains("forbidden"));
    fs::write(&kubectl, real).unwrap();
    site.cluster.kubectl(&theirs).await.unwrap();
    assert!(stop(&plan).contains("Foreign"));
    tokio::task::block_in_place(|| site.undo(true)).unwrap();
    assert!(site.names().await.unwrap().contains("secret/it-keys"), "theirs stays");
    site.cluster.kubectl(&words).await.unwrap();
    site.cluster.kubectl(&["delete", "namespace", AGENTS]).await.unwrap();

    fs::write(site.dir.path().join("kill"), "").unwrap();
    let killed = apply(&plan).unwrap_err().to_string();
    assert!(killed.contains("killed"), "{killed}");
    let done = apply(&plan).unwrap();
    assert_eq!(outcome(&done, &format!("namespace-{NAMESPACE}")), "found", "it was there before");
    assert_eq!((outcome(&done, "control-plane"), outcome(&done, "agents")), ("resumed", "made"), "{done:?}");
    let names = site.names().await.unwrap();
    for expected in
        ["statefulset.apps/it-control-plane", "daemonset.apps/it-agent", "secret/it-keys", "secret/it-join"]
    {
        assert!(names.contains(expected), "{expected} in {names}");
    }
    let uid = fs::read_to_string(site.out().join("cluster-uid")).unwrap();
    assert_eq!(uid, nimbus_tests::site::cluster_uid(site.cluster).await.unwrap(), "the policy's cluster");

    // In a cluster of another UID nothing is done: here the journal is of the other one.
    let state = site.out().join("state.json");
    let kept = fs::read_to_string(&state).unwrap();
    fs::write(&state, kept.replace(&uid, "11111111-2222-4333-8444-555555555555")).unwrap();
    let other = tokio::task::block_in_place(|| site.undo(true)).unwrap_err().to_string();
    assert!(other.contains("Cluster") && other.contains(&uid), "{other}");
    assert!(stop(&plan).contains("Cluster"));
    fs::write(&state, kept).unwrap();

    let more = Site::plan(&[("replicas", "2")]).unwrap();
    let done = apply(&more).unwrap();
    assert_eq!(
        (outcome(&done, "control-plane"), outcome(&done, "agents")),
        ("changed", "already"),
        "{done:?}"
    );
    let words =
        ["-n", NAMESPACE, "get", "statefulset", "it-control-plane", "-o", "jsonpath={.spec.replicas}"];
    assert_eq!(site.cluster.kubectl(&words).await.unwrap(), "2");

    tokio::task::block_in_place(|| site.undo(false)).unwrap();
    let names = site.names().await.unwrap();
    for gone in ["statefulset", "daemonset", "secret/it-join", "sh.helm"] {
        assert!(!names.contains(gone), "{gone} in {names}");
    }
    assert!(names.contains("secret/it-keys") && names.contains("secret/company"), "{names}");
    tokio::task::block_in_place(|| site.undo(true)).unwrap();
    let left = site.cluster.kubectl(&["get", "namespaces", "-o", "name"]).await.unwrap();
    assert!(!left.contains(AGENTS) && left.contains(NAMESPACE), "made goes, found stays: {left}");
    let names = site.cluster.kubectl(&["-n", NAMESPACE, "get", "secrets", "-o", "name"]).await.unwrap();
    assert!(!names.contains("it-keys") && names.contains("secret/company"), "{names}");
    let config = Config::read(&site.dir.path().join("contexts/config.toml")).unwrap();
    assert!(config.contexts.is_empty() && !site.out().join("keys").exists());
}
