//! Scenes on real files of this machine: each has an agent of its own that watches a directory of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::ground::WATCH;
use super::verdict::Wrong;
use crate::agent::{AgentOptions, AgentProcess};
use crate::plane::Plane;
use crate::wait::{Seen, wait_for};

scenes!(
    Host:
    append_only_file_drifts,
    bind_mounted_file_drifts,
    certificate_file_ends_soon,
    changed_file_is_put_back,
    clock_jumps_and_comes_back,
    config_map_is_swapped,
    database_is_gone,
    editor_leaves_a_swap_file,
    editor_saves_by_renaming,
    file_system_is_read_only,
    hard_linked_file_is_put_back,
    hundred_files_drift,
    immutable_file_drifts,
    line_endings_change,
    link_above_the_root,
    log_is_written_and_rotated,
    mode_and_owner_are_put_back,
    name_is_not_utf8,
    no_space_is_left,
    packages_are_upgraded,
    restored_file_keeps_its_attributes,
    watches_run_out,
);

/// What no watch tells, such as a mount, a full pass finds; it comes every five minutes by default.
const ALWAYS: [(&str, &str); 1] = [("NIMBUS_FILE_INTERVAL", "8")];

/// Longest wait for what the product does by itself.
const LIMIT: Duration = Duration::from_mins(1);

/// The control plane of all scenes on this machine.
pub async fn plane() -> anyhow::Result<Plane> {
    Plane::start(None, crate::plane::QUICK).await
}

/// What one scene on files has: the control plane, and a directory that is removed at the end.
pub struct Host {
    plane: Arc<Plane>,
    dir: tempfile::TempDir,
}

/// A directory that an agent watches.
pub struct Watched {
    /// The control plane.
    pub plane: Arc<Plane>,
    /// The agent.
    pub agent: AgentProcess,
    /// The watched root.
    pub root: PathBuf,
}

impl Host {
    /// A fresh directory.
    pub fn new(plane: &Arc<Plane>) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("nimbus-scene-").tempdir()?;
        Ok(Self { plane: Arc::clone(plane), dir })
    }

    /// The scene's own directory; what it makes beside the root is not watched.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Lays out a root with `lay_out`, starts an agent that watches it, and waits until it is the baseline.
    pub async fn watch(&self, lay_out: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<Watched> {
        self.watch_around(&[], &[], lay_out).await
    }

    /// The same with an agent that another program starts (`around`), and with more environment.
    pub async fn watch_around(
        &self,
        around: &[String],
        env: &[(&str, &str)],
        lay_out: impl FnOnce(&Path) -> anyhow::Result<()>,
    ) -> anyhow::Result<Watched> {
        let root = self.dir().join("site/etc");
        std::fs::create_dir_all(&root)?;
        lay_out(&root)?;
        let name = self.dir().file_name().and_then(|name| name.to_str()).context("a name")?.to_lowercase();
        let options = AgentOptions {
            name: name.clone(),
            watch: vec![root.clone()],
            policy: format!(
                "allow = [\"restore_file\", \"accept_baseline\"]\npaths = [{0:?}]\ndiff_paths = [{0:?}]\n",
                root.display().to_string()
            ),
            env: ALWAYS.iter().chain(env).map(|&(name, value)| (name.to_owned(), value.to_owned())).collect(),
            around: around.to_vec(),
            ..AgentOptions::default()
        };
        let agent = AgentProcess::join(&self.plane, options).await?;
        wait_for("the first pass to become the baseline", LIMIT, || async {
            let me = agent.seen_by(&self.plane).await?;
            let files = me["roots"][0]["files"].as_u64().unwrap_or(0);
            Ok(Seen::when((files > 0).then_some(()), me.to_string()))
        })
        .await?;
        Ok(Watched { plane: Arc::clone(&self.plane), agent, root })
    }
}

impl Watched {
    /// A file of the root.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The incidents about files below the root with all that is known of them, newest first.
    pub async fn drifts(&self) -> anyhow::Result<Vec<Value>> {
        let root = self.root.display().to_string();
        let mut found = Vec::new();
        for drift in self.plane.items("/incidents").await? {
            if drift["object"]["name"].as_str().is_some_and(|name| name.starts_with(&root)) {
                let id = drift["id"].as_str().context("an id")?;
                found.push(self.plane.get(&format!("/incidents/{id}")).await?);
            }
        }
        Ok(found)
    }

    /// Approvals that were ever asked for about files below the root.
    pub async fn approvals(&self) -> anyhow::Result<Vec<Value>> {
        let root = self.root.display().to_string();
        let all = self.plane.items("/approvals").await?;
        Ok(all
            .into_iter()
            .filter(|a| a["object"]["name"].as_str().is_some_and(|name| name.starts_with(&root)))
            .collect())
    }

    /// Waits for an open incident about this file that is as `test` wants it.
    ///
    /// # Errors
    /// [`Wrong::Restraint`] with what was there instead.
    pub async fn drift(
        &self,
        path: &Path,
        what: &str,
        test: impl Fn(&Value) -> bool,
    ) -> anyhow::Result<Value> {
        let wanted = path.display().to_string();
        let what = format!("an incident about {wanted}: {what}");
        let found = wait_for(&what, LIMIT, || async {
            let all = self.drifts().await?;
            let mine = all
                .iter()
                .find(|d| d["object"]["name"] == wanted.as_str() && d["state"] != "resolved" && test(d));
            Ok(Seen::when(mine.cloned(), format!("{all:#?}")))
        });
        found.await.map_err(|error| Wrong::Restraint(format!("{error:#}")).into())
    }

    /// Waits until the approval to restore this file is asked for.
    ///
    /// # Errors
    /// As [`Watched::drift`].
    pub async fn asks(&self, path: &Path) -> anyhow::Result<Value> {
        self.drift(path, "waiting for approval", |d| d["state"] == "waiting_approval").await
    }

    /// The drift with its difference, as `nimbus drift show` has it.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn shown(&self, drift: &Value) -> anyhow::Result<Value> {
        self.plane.get(&format!("/drift/{}", drift["id"].as_str().context("an id")?)).await
    }

    /// What a person reads with `nimbus drift show`, without a terminal.
    ///
    /// # Errors
    /// When the command fails.
    pub async fn read(&self, drift: &Value) -> anyhow::Result<String> {
        let id = drift["id"].as_str().context("an id")?;
        let (code, text) = self.plane.nimbus(&["drift", "show", id]).await?;
        anyhow::ensure!(code == Some(0), "nimbus drift show ended with {code:?}: {text}");
        Ok(text)
    }

    /// `nimbus drift fix`, as it stands when the person reads it.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn fix(&self, drift: &Value) -> anyhow::Result<()> {
        let shown = self.shown(drift).await?;
        let path = format!("/drift/{}/fix", drift["id"].as_str().context("an id")?);
        self.plane.post(&path, json!({"plan_digest": shown["plan_digest"]})).await?;
        Ok(())
    }

    /// Waits until this incident is resolved.
    ///
    /// # Errors
    /// [`Wrong::Restraint`] with what it is instead.
    pub async fn resolves(&self, drift: &Value) -> anyhow::Result<()> {
        let path = format!("/incidents/{}", drift["id"].as_str().context("an id")?);
        let over = wait_for("the drift to be resolved", LIMIT, || async {
            let incident = self.plane.get(&path).await?;
            Ok(Seen::when((incident["state"] == "resolved").then_some(()), format!("{incident:#}")))
        });
        over.await.map_err(|error| Wrong::Restraint(format!("{error:#}")).into())
    }

    /// Nobody is asked about any file of the root for the stated time.
    ///
    /// # Errors
    /// [`Wrong::Action`] with what was asked.
    pub async fn asks_nothing(&self) -> anyhow::Result<()> {
        self.asks_nothing_for(WATCH).await
    }

    /// The same for another time.
    ///
    /// # Errors
    /// As [`Watched::asks_nothing`].
    pub async fn asks_nothing_for(&self, during: Duration) -> anyhow::Result<()> {
        let begun = std::time::Instant::now();
        loop {
            if let Some(asked) = self.approvals().await?.first() {
                return Err(Wrong::Action(format!("approval asked: {}", asked["summary"])).into());
            }
            if begun.elapsed() >= during {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }
}

/// Requires a program of the system (`setfacl`, `chattr`, ...) to succeed.
pub(super) fn run(program: &str, words: &[&str]) -> anyhow::Result<String> {
    let output = std::process::Command::new(program)
        .args(words)
        .output()
        .with_context(|| format!("cannot run {program}: is it installed?"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "{program} {}: {}", words.join(" "), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
