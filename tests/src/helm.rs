//! The real helm, and what it renders as values: for the tests of the charts. Nothing is installed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::rig::{build, repository};

/// Makes JSON of YAML, as Helm itself reads it.
const AS_JSON: &str = "tests/charts/as-json";

/// What helm says to these arguments, at the repository's root and without anybody's configuration.
pub fn helm(arguments: &[&str]) -> anyhow::Result<Output> {
    run(&build::ensure_helm(&repository()?)?, arguments)
}

/// What a Helm of another version says to them.
pub fn helm_of(version: &str, arguments: &[&str]) -> anyhow::Result<Output> {
    run(&build::ensure_helm_of(&repository()?, version)?, arguments)
}

fn run(program: &Path, arguments: &[&str]) -> anyhow::Result<Output> {
    let home = tempfile::tempdir()?;
    let mut command = Command::new(program);
    command.current_dir(repository()?).env("HOME", home.path()).env_remove("KUBECONFIG").args(arguments);
    for name in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "HELM_PLUGINS"] {
        command.env_remove(name);
    }
    command.output().with_context(|| format!("cannot run {}", program.display()))
}

/// What helm prints to these arguments, or else what it says.
pub fn printed(arguments: &[&str]) -> anyhow::Result<String> {
    let output = helm(arguments)?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// A chart of the repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chart {
    /// Below the repository's root.
    pub folder: &'static str,
    /// Where its files of values are.
    pub variants: &'static str,
    /// What has no default, so that every installation says it.
    pub due: [&'static str; 2],
}

/// The control plane's. There is no default for where the images are, that of `helm test` too.
pub const CONTROL_PLANE: Chart = Chart {
    folder: "charts/nimbus-control-plane",
    variants: "tests/charts/nimbus-control-plane",
    due: [
        "--set",
        "image.registry=registry.example.internal,test.image.registry=registry.example.internal,\
         test.image.repository=curl,test.image.tag=8.11.1",
    ],
};

/// The agent's. There is no default for where the image and the control plane are, and for the join token.
pub const AGENT: Chart = Chart {
    folder: "charts/nimbus-agent",
    variants: "tests/charts/nimbus-agent",
    due: ["--values", "tests/charts/nimbus-agent/base.yaml"],
};

/// Values with which the control plane's chart makes backups.
pub const BACKUP: &str = "backup.enabled=true,backup.existingClaim=b,\
                          backup.recipients={age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg}";

impl std::fmt::Display for Chart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Chart {
    /// What it is called.
    pub fn name(&self) -> &'static str {
        self.folder.trim_start_matches("charts/")
    }

    /// The YAML that it renders for these arguments as the release `nimbus` in the namespace `ops`, or else what helm says.
    pub fn template(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let release = ["template", "nimbus", self.folder, "--namespace", "ops"];
        printed(&[&release[..], &self.due, arguments].concat())
    }

    /// The objects in it.
    pub fn objects(&self, arguments: &[&str]) -> anyhow::Result<Vec<Value>> {
        documents(&self.template(arguments)?)
    }

    /// The objects for one of its files of values.
    pub fn variant(&self, name: &str) -> anyhow::Result<Vec<Value>> {
        self.objects(&["--values", &format!("{}/{name}.yaml", self.variants)])
    }

    /// What helm says instead of rendering.
    pub fn refusal(&self, arguments: &[&str]) -> anyhow::Result<String> {
        match self.template(arguments) {
            Ok(_) => anyhow::bail!("expected a refusal, found objects, with {arguments:?}"),
            Err(error) => Ok(error.to_string()),
        }
    }

    /// What it tells whoever installs it, and the YAML before that.
    pub fn with_notes(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let release = ["install", "nimbus", self.folder, "--namespace", "ops", "--dry-run=client"];
        printed(&[&release[..], &self.due, arguments].concat())
    }
}

/// Each of these values is refused in a line that has all of the words.
pub fn assert_refused(chart: Chart, values: &str, words: &[&str]) {
    let said = chart.template(&["--set", values]).err().map(|error| error.to_string()).unwrap_or_default();
    let found = said.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(found, "{values}: expected a line with {words:?} in {said:?}");
}

/// These values are rendered.
pub fn assert_accepted(chart: Chart, values: &str) {
    let said = chart.template(&["--set", values]).err().map(|error| error.to_string());
    assert_eq!(said, None, "{values}");
}

/// The documents of a YAML text.
pub fn documents(text: &str) -> anyhow::Result<Vec<Value>> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), text)?;
    let given = format!("text={}", file.path().display());
    let output = helm(&["template", "as-json", AS_JSON, "--set-file", &given])?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "the YAML cannot be read: {said}");
    let printed = String::from_utf8(output.stdout)?;
    let line = printed.lines().find(|line| line.starts_with('{')).context("no JSON was printed")?;
    let list: Value = serde_json::from_str(line)?;
    Ok(list["items"].as_array().context("a list")?.clone())
}

/// Every file in a folder of the repository.
pub fn files(folder: &str) -> anyhow::Result<BTreeSet<PathBuf>> {
    let folder = repository()?.join(folder);
    let mut paths = BTreeSet::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
        paths.insert(entry?.path());
    }
    Ok(paths)
}

/// The one object of a kind, with this end of its name.
pub fn only<'a>(objects: &'a [Value], kind: &str, end: &str) -> anyhow::Result<&'a Value> {
    let mut found = objects.iter().filter(|object| {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        object["kind"] == kind && name.ends_with(end)
    });
    let first = found.next().with_context(|| format!("no {kind} whose name ends with {end:?}"))?;
    anyhow::ensure!(found.next().is_none(), "several of {kind} have a name that ends with {end:?}");
    Ok(first)
}

/// The words of a text that are names of series.
pub fn series(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("nimbus_"))
        .collect()
}

/// The paths of all values, `a.b.c`; what is empty or a list is a value by itself.
pub fn paths(values: &Value, above: &str, into: &mut BTreeSet<String>) {
    if let Some(map) = values.as_object().filter(|map| !map.is_empty()) {
        for (name, value) in map {
            let path = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
            paths(value, &path, into);
        }
    } else {
        into.insert(above.to_owned());
    }
}

/// What a template of a chart says of what is installed. Only a cluster knows what is, so what judges it is asked by itself, by
/// a chart of the same name and of the version 0.3.0 that has the same values and makes nothing else.
pub fn asked(chart: Chart, template: &str, values: &[&str]) -> anyhow::Result<String> {
    let asks = tempfile::tempdir()?;
    let templates = asks.path().join("templates");
    std::fs::create_dir(&templates)?;
    for path in files(&format!("{}/templates", chart.folder))? {
        if let Some(name) = path.file_name().filter(|name| name.to_string_lossy().starts_with('_')) {
            std::fs::copy(&path, templates.join(name))?;
        }
    }
    std::fs::copy(repository()?.join(chart.folder).join("values.yaml"), asks.path().join("values.yaml"))?;
    let about = format!("apiVersion: v2\nname: {chart}\nversion: 0.0.0\nappVersion: 0.3.0\n");
    std::fs::write(asks.path().join("Chart.yaml"), about)?;
    std::fs::write(templates.join("judged.yaml"), format!("said: |{{{{ {template} }}}}\n"))?;
    let folder = asks.path().display().to_string();
    printed(&[&["template", "nimbus", &folder, "--namespace", "ops"][..], values].concat())
}

/// What the charts say in a namespace that enforces this level, with these values, on the newest Kubernetes.
pub fn in_namespace_that_enforces(chart: Chart, enforced: &str, values: &str) -> anyhow::Result<String> {
    in_namespace_that_enforces_of(chart, (enforced, "latest"), values)
}

/// The same where the namespace enforces its level by the rules of this release.
pub fn in_namespace_that_enforces_of(
    chart: Chart,
    labels: (&str, &str),
    values: &str,
) -> anyhow::Result<String> {
    in_namespace_on_kubernetes("1.37.0", chart, labels, values)
}

/// The same on this release of Kubernetes.
pub fn in_namespace_on_kubernetes(
    kubernetes: &str,
    chart: Chart,
    (enforced, version): (&str, &str),
    values: &str,
) -> anyhow::Result<String> {
    let own = json!({"metadata": {"labels": {
        "pod-security.kubernetes.io/enforce": enforced, "pod-security.kubernetes.io/enforce-version": version,
    }}});
    // As the chart asks the cluster: for nothing where `restricted` takes the values.
    let (asks, judge) = if chart.name() == AGENT.name() {
        let named = format!("(include \"{AGENT}.asks\" . | fromYaml).named");
        let judge =
            format!("\"{AGENT}.check.found\" (dict \"root\" . \"named\" {named} \"found\" .Values.found)");
        (named, judge)
    } else {
        let asks =
            format!("(include \"{chart}.refusedBy\" (dict \"root\" . \"minor\" 0) | fromYaml).restricted");
        (asks, format!("\"{chart}.check.enforced\" (dict \"root\" . \"namespace\" .Values.found.ops)"))
    };
    let judge = format!("if {asks} -}}}}{{{{ include {judge} }}}}{{{{- end");
    let found = format!("found={}", json!({"kube-system": {"metadata": {"uid": "u"}}, "ops": own}));
    asked(chart, &judge, &["--kube-version", kubernetes, "--set-json", &found, "--set", values])
}

/// Values of both charts that a level of Pod Security refuses, the value that is named for it, and whether `baseline` refuses it too.
/// The API server takes all of them for a pod otherwise.
pub const REFUSED_BY_POD_SECURITY: &[(&str, &str, bool)] = &[
    ("extraVolumes[0].name=a,extraVolumes[0].hostPath.path=/x", "extraVolumes", true),
    (
        "extraVolumes[0].name=a,extraVolumes[0].nfs.server=x,extraVolumes[0].nfs.path=/x",
        "extraVolumes",
        false,
    ),
    (
        "securityContext.privileged=true,securityContext.allowPrivilegeEscalation=true",
        "securityContext.privileged",
        true,
    ),
    ("securityContext.allowPrivilegeEscalation=true", "securityContext.allowPrivilegeEscalation", false),
    ("securityContext.capabilities.add={SYS_TIME}", "securityContext.capabilities.add", true),
    ("securityContext.capabilities.add={CHOWN}", "securityContext.capabilities.add", false),
    ("securityContext.capabilities.drop={NET_RAW}", "securityContext.capabilities.drop", false),
    ("podSecurityContext.runAsNonRoot=false", "podSecurityContext.runAsNonRoot", false),
    ("podSecurityContext.seccompProfile=null", "podSecurityContext.seccompProfile", false),
    ("podSecurityContext.seccompProfile.type=Unconfined", "podSecurityContext.seccompProfile", true),
    ("securityContext.appArmorProfile.type=Unconfined", "securityContext.appArmorProfile", true),
    (
        "podSecurityContext.runAsNonRoot=false,securityContext.runAsNonRoot=true",
        "podSecurityContext.runAsNonRoot",
        false,
    ),
    ("podSecurityContext.seLinuxOptions.type=spc_t", "podSecurityContext.seLinuxOptions", true),
    ("securityContext.seLinuxOptions.user=system_u", "securityContext.seLinuxOptions", true),
    (
        "podSecurityContext.sysctls[0].name=kernel.msgmax,podSecurityContext.sysctls[0].value=1",
        "podSecurityContext.sysctls",
        true,
    ),
];

/// Values of both charts that both levels take.
pub const TAKEN_BY_POD_SECURITY: &[&str] = &[
    "log.filter=info",
    "extraVolumes[0].name=a,extraVolumes[0].emptyDir.medium=Memory",
    "extraVolumes[0].name=a,extraVolumes[0].image.reference=a/b:1",
    "podSecurityContext.runAsUser=null",
    "securityContext.capabilities.add={NET_BIND_SERVICE}",
    "podSecurityContext.seLinuxOptions.type=container_t",
    "podSecurityContext.sysctls[0].name=net.ipv4.tcp_keepalive_time,podSecurityContext.sysctls[0].value=60",
    "securityContext.seccompProfile.type=Localhost,securityContext.seccompProfile.localhostProfile=a",
];

/// An object of the chart of this name, of a release and a version.
pub fn installed(name: &str, release: &str, chart: &str, version: &str) -> Value {
    let labels = json!({
        "app.kubernetes.io/instance": release,
        "app.kubernetes.io/version": version,
        "helm.sh/chart": format!("{chart}-{version}"),
    });
    json!({"metadata": {"name": name, "labels": labels}})
}
