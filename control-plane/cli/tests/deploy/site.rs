//! An installation's directory and the programs around it, which only keep a file for each thing.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nimbus_cli::config::Config;
use nimbus_cli::context::Context;
use nimbus_cli::deploy::around::Around;
use nimbus_cli::deploy::directory::Directory;
use nimbus_cli::deploy::shell::Shell;
use nimbus_cli::error::Failure;
use nimbus_cli::global::Global;
use nimbus_deploy::draft::Draft;
use nimbus_deploy::drive::{self, Stop};
use nimbus_deploy::journal::State;
use nimbus_deploy::plan::{Charts, Plan, plan};
use nimbus_deploy::read::read;

/// Every program: counts its calls, fails at the one that `fail` names, and keeps a file for each thing that is there.
///
/// What is there is a file with the mark that it carries: of a Secret and a namespace as an annotation of its manifest, of a
/// release as a label. The annotation with the digest of a Secret's values is a file of its own.
const FAKE: &str = r#"#!/bin/sh
cd "WORLD" || exit 9
calls=$(($(cat calls) + 1)); echo "$calls" > calls
program=$(basename "$0"); words="$program $*"; echo "$words" >> log
if [ "$calls" = "$(cat fail)" ]; then echo "cut off" >&2; exit 1; fi
case "$words" in "helm upgrade "*) while [ -e slow ]; do : > waits; sleep 0.05; done ;; esac
get() {
    if [ -e "there/$1" ]; then
        digest=$(cat "digests/$1" 2> /dev/null)
        printf '{"metadata":{"annotations":{"nimbus.dev/deploy-mark":"%s","nimbus.dev/deploy-digest":"%s"}}}' "$(cat "there/$1")" "$digest"
    fi; exit 0
}
text() { sed -n "s|.*\"$1\":\"\([^\"]*\)\".*|\1|p" manifest; }
create() {
    cat > manifest; while [ -e slow-create ]; do : > waits; sleep 0.05; done; kind=$(text kind | tr NS ns); name=$(text name)
    if [ -e "there/$kind-$name" ]; then echo "$kind-$name: AlreadyExists" >&2; exit 1; fi
    text nimbus.dev/deploy-mark | tr -d '\n' > "there/$kind-$name"; text nimbus.dev/deploy-digest > "digests/$kind-$name"; rm manifest; exit 0
}
list() {
    release="there/release-$(echo "$1" | tr -d '^$')"; mark=$(echo "$words" | sed -n 's/.*--selector nimbus-deploy-mark=\([^ ]*\).*/\1/p')
    if [ -e "$release" ] && { [ -z "$mark" ] || [ "$mark" = "$(cat "$release")" ]; }; then echo '[{}]'; else echo '[]'; fi; exit 0
}
case "$words" in
*port-forward*) echo "Forwarding from 127.0.0.1"; exec sleep 600 ;;
kubectl*"get namespace kube-system"*) cat cluster; exit 0 ;;
kubectl*"get namespace shop"*) exit 0 ;;
kubectl*"get namespace "*) get "namespace-$3" ;;
kubectl*"get secret "*go-template=*) cat held 2> /dev/null; exit 0 ;;
kubectl*"get secret "*) get "secret-$5" ;;
kubectl*"create -f -"*) create ;;
kubectl*"delete secret "*) rm -f "there/secret-$5" ;;
kubectl*"delete namespace "*) rm -f "there/namespace-$3" ;;
"helm list "*) list "$3" ;;
"helm upgrade "*) echo "$words" | sed 's/.*nimbus-deploy-mark=//' | tr -d '\n' > "there/release-$3" ;;
"helm uninstall "*) rm -f "there/release-$2" ;;
"nimbus keys create "*) mkdir "DIR/$3" && for file in ca.pem ca.key job.key operator.token; do echo x > "DIR/$3/$file"; done ;;
nimbus*"token create"*) echo '{"token": "nimbus1.tok.SECRET"}' ;;
esac
"#;

pub(crate) struct Site {
    _dir: Option<tempfile::TempDir>,
    pub(crate) world: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) around: Around,
}

impl Site {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let site = Self::below(dir.path());
        Self { _dir: Some(dir), ..site }
    }

    /// A site below this directory, which stays.
    pub(crate) fn below(dir: &Path) -> Self {
        let (world, out, bin) = (dir.join("world"), dir.join("out"), dir.join("bin"));
        for made in [world.join("there"), world.join("digests"), bin.clone()] {
            std::fs::create_dir_all(made).unwrap();
        }
        let text = FAKE.replace("WORLD", world.to_str().unwrap()).replace("DIR", out.to_str().unwrap());
        for program in ["kubectl", "helm", "nimbus"] {
            let path = bin.join(program);
            std::fs::write(&path, &text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let around = Around {
            nimbus: bin.join("nimbus"),
            search: Some(format!("{}:/usr/bin:/bin", bin.display()).into()),
            contexts: Some(dir.join("contexts/config.toml")),
            pause: Duration::ZERO,
            patience: Duration::from_secs(5),
            may_lose: false,
        };
        let site = Self { _dir: None, world, out, around };
        site.fail_at(0);
        site.cluster("uid-1");
        site
    }

    /// The cluster that the kubeconfig leads to.
    pub(crate) fn cluster(&self, uid: &str) {
        std::fs::write(self.world.join("cluster"), uid).unwrap();
    }

    /// Something that somebody else made.
    pub(crate) fn put(&self, name: &str) {
        std::fs::write(self.world.join("there").join(name), "theirs").unwrap();
    }

    /// The programs begin to count anew; the call of this number fails.
    pub(crate) fn fail_at(&self, call: usize) {
        std::fs::write(self.world.join("calls"), "0").unwrap();
        std::fs::write(self.world.join("fail"), call.to_string()).unwrap();
    }

    pub(crate) fn calls(&self) -> usize {
        std::fs::read_to_string(self.world.join("calls")).unwrap().trim().parse().unwrap()
    }

    pub(crate) fn there(&self) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.world.join("there")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    pub(crate) fn apply(&self, plan: &Plan) -> Result<(), Stop<Failure>> {
        let directory = Directory::new(&self.out).unwrap();
        let _lock = directory.take().unwrap();
        directory.write(plan).unwrap();
        let mut journal = directory.journal_of(&plan.identity).unwrap();
        let mut shell = Shell::new(&quiet(), &directory, self.around.clone());
        drive::apply(&plan.identity, &plan.steps, &mut journal, &mut shell).map(drop)
    }

    pub(crate) fn undo(&self, with_data: bool) -> Result<(), Stop<Failure>> {
        let directory = Directory::new(&self.out).unwrap();
        let mut journal = directory.journal().unwrap().unwrap();
        let mut shell = Shell::new(&quiet(), &directory, self.around.clone());
        drive::undo(&mut journal, with_data, &mut shell).map(drop)
    }

    pub(crate) fn contexts(&self) -> Vec<String> {
        let config = Config::read(self.around.contexts.as_deref().unwrap()).unwrap();
        config.contexts.into_keys().collect()
    }
}

pub(crate) fn quiet() -> Context {
    Context::new(&Global { quiet: true, ..Global::default() })
}

pub(crate) fn planned(more: &[(&str, &str)]) -> Plan {
    let mut draft = Draft::default();
    let least = [("registry", "registry.example.internal"), ("database.kind", "sqlite")];
    for (key, value) in least.iter().chain(more) {
        draft.set(key, value).unwrap();
    }
    let charts = Charts { control_plane: "/charts/a".into(), agent: "/charts/b".into() };
    plan(&read(&draft).unwrap(), &charts, &draft.file(), &[]).unwrap()
}

pub(crate) fn names(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|&name| name.to_owned()).collect()
}

pub(crate) const ALL: [&str; 6] = [
    "namespace-nimbus",
    "namespace-nimbus-system",
    "release-nimbus-agent",
    "release-nimbus-control-plane",
    "secret-nimbus-join",
    "secret-nimbus-keys",
];

/// Whether a file below this directory has the text.
pub(crate) fn anywhere(directory: &Path, text: &str) -> bool {
    std::fs::read_dir(directory).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            anywhere(&path, text)
        } else {
            std::fs::read_to_string(&path).unwrap().contains(text)
        }
    })
}

/// A site where the program of this step failed and made nothing.
pub(crate) fn begun(plan: &Plan, id: &str) -> Site {
    for call in 1..100 {
        let site = Site::new();
        site.fail_at(call);
        site.apply(plan).unwrap_err();
        site.fail_at(0);
        let journal = Directory::new(&site.out).unwrap().journal().unwrap();
        if journal.is_some_and(|journal| journal.entry(id).is_some_and(|entry| entry.state == State::Begun)) {
            return site;
        }
    }
    panic!("{id} was never begun");
}
