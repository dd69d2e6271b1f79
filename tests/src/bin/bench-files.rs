//! Measures the agent with half a million watched files: its memory, its first pass, how soon a change is seen, and a full
//! pass beside AIDE's check of the same tree, with the same answer.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nimbus_agent::watch::files::baseline::Baselines;
use nimbus_agent::watch::files::root::Root;
use nimbus_tests::agent::{AgentOptions, AgentProcess};
use nimbus_tests::bench::{Report, percentile, usage};
use nimbus_tests::plane::Plane;
use nimbus_tests::wait::{Seen, wait_for};

/// Files of one directory.
const IN_ONE: usize = 50;
/// Longest wait for the first pass.
const FIRST: Duration = Duration::from_mins(20);
/// Changes that are waited for, one after the other.
const CHANGES: usize = 20;
/// Files that differ when both look.
const DIFFER: usize = 100;

fn file(root: &Path, n: usize) -> PathBuf {
    root.join(format!("d{:03}", n / IN_ONE / 100))
        .join(format!("e{:05}", n / IN_ONE))
        .join(format!("f{n:06}.conf"))
}

/// Small files as those of `/etc` and `/usr/share`: 100 to 1,100 bytes, no two alike.
fn fill(root: &Path, files: usize) -> anyhow::Result<()> {
    for n in 0..files {
        let path = file(root, n);
        if n % IN_ONE == 0 {
            std::fs::create_dir_all(path.parent().context("a file without a directory")?)?;
        }
        std::fs::write(path, format!("setting = {n}\n{}\n", "# words\n".repeat(10 + n % 120)))?;
    }
    Ok(())
}

#[allow(clippy::cast_precision_loss, reason = "bytes of one process")]
fn resident_mb(pid: u32) -> anyhow::Result<f64> {
    Ok(usage::resident_bytes(pid)? as f64 / 1e6)
}

/// The highest that its resident memory was.
#[allow(clippy::cast_precision_loss, reason = "bytes of one process")]
fn peak_mb(pid: u32) -> anyhow::Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM line")?;
    let kib: u64 = line.split_whitespace().next().context("an empty VmHWM line")?.parse()?;
    Ok(kib as f64 * 1024.0 / 1e6)
}

/// The agent as a process beside a control plane.
#[allow(clippy::cast_precision_loss, reason = "a number of files")]
async fn agent(report: &mut Report, root: &Path, files: usize) -> anyhow::Result<()> {
    let plane = Plane::start(None, "").await?;
    let options =
        AgentOptions { name: "many".into(), watch: vec![root.to_owned()], ..AgentOptions::default() };
    let begun = Instant::now();
    let agent = AgentProcess::join(&plane, options).await?;
    wait_for("the first pass", FIRST, || async {
        let seen = agent.seen_by(&plane).await?["roots"][0]["files"].as_u64().unwrap_or(0);
        Ok(Seen::when((seen >= files as u64).then_some(()), format!("{seen} files\n{}", agent.output())))
    })
    .await?;
    let used = usage::processor_time(agent.pid())?;
    let took = begun.elapsed();
    report.row("first pass, with what is kept for restores", took.as_secs_f64(), "s", None, None);
    let share = used.as_secs_f64() / took.as_secs_f64() * 100.0;
    report.row("processor during the first pass", share, "% of a core", None, None);
    report.row("resident memory, highest until then", peak_mb(agent.pid())?, "MB", None, None);
    tokio::time::sleep(Duration::from_secs(20)).await;
    report.row("resident memory at rest", resident_mb(agent.pid())?, "MB", None, None);
    let mut delays = Vec::new();
    for n in 0..CHANGES {
        let path = file(root, n * (files / CHANGES));
        let wanted = path.display().to_string();
        std::fs::write(&path, "changed\n")?;
        let changed = Instant::now();
        wait_for("the drift", Duration::from_mins(1), || async {
            let all = plane.items("/drift").await?;
            let seen = all.iter().any(|drift| drift["object"]["name"] == wanted.as_str());
            Ok(Seen::when(seen.then_some(()), format!("{} drifts", all.len())))
        })
        .await?;
        delays.push(changed.elapsed().as_secs_f64());
    }
    report.row("a change is an incident: p50", percentile(&mut delays, 50.0), "s", Some("1"), None);
    report.row("a change is an incident: longest", percentile(&mut delays, 100.0), "s", Some("1"), None);
    Ok(())
}

/// The paths below `root` that a full pass finds changed, and how long it took.
fn pass(root: &mut Root) -> (BTreeSet<String>, f64) {
    let mut found = BTreeSet::new();
    let begun = Instant::now();
    root.full_pass(nimbus_platform::now().as_second(), &mut |file| {
        found.insert(file.path);
    });
    (found, begun.elapsed().as_secs_f64())
}

/// AIDE's database of the tree, as small as one can ask for the same answer: SHA-256, mode, owner, attributes.
struct Aide {
    config: PathBuf,
    dir: tempfile::TempDir,
}

impl Aide {
    fn new(root: &Path) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let at = dir.path().display();
        let config = dir.path().join("aide.conf");
        let text = format!(
            "database_in=file:{at}/aide.db\ndatabase_out=file:{at}/aide.db.new\ngzip_dbout=no\nreport_url=stdout\n\
             {} p+u+g+s+acl+xattrs+sha256\n",
            root.display()
        );
        std::fs::write(&config, text)?;
        Ok(Self { config, dir })
    }

    fn run(&self, what: &str) -> anyhow::Result<(String, f64)> {
        let begun = Instant::now();
        let output = Command::new("aide").arg(what).arg("--config").arg(&self.config).output();
        let output = output.context("aide cannot be started: install the Debian package `aide`")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let code = output.status.code().context("aide was killed")?;
        anyhow::ensure!(code < 8, "aide {what}: {code}: {text}{}", String::from_utf8_lossy(&output.stderr));
        Ok((text, begun.elapsed().as_secs_f64()))
    }

    fn take(&self) -> anyhow::Result<f64> {
        let (_, took) = self.run("--init")?;
        std::fs::rename(self.dir.path().join("aide.db.new"), self.dir.path().join("aide.db"))?;
        Ok(took)
    }

    fn check(&self) -> anyhow::Result<(BTreeSet<String>, f64)> {
        let (text, took) = self.run("--check")?;
        let changed = text.lines().filter_map(|line| line.strip_prefix("f ")?.split_once(": /"));
        Ok((changed.map(|(_, path)| format!("/{path}")).collect(), took))
    }
}

/// A full pass over a tree that its baseline knows, beside AIDE's check.
fn beside_aide(report: &mut Report, root: &Path, files: usize) -> anyhow::Result<()> {
    let aide = Aide::new(root)?;
    let aide_init = aide.take()?;
    let store = tempfile::tempdir_in(root.parent().context("a root without a parent")?)?;
    let baselines = Arc::new(Baselines::open(store.path())?);
    let mut watched = Root::new(root.to_owned(), &[], baselines);
    let (_, first) = pass(&mut watched);
    report.row("baseline taken", first, "s", None, Some(format!("aide --init {aide_init:.1}")));
    // A file that was written within the last two seconds is read once more.
    std::thread::sleep(Duration::from_secs(3));
    let _ = pass(&mut watched);
    let differ: BTreeSet<String> =
        (0..DIFFER).map(|n| file(root, n * (files / DIFFER)).display().to_string()).collect();
    for path in &differ {
        std::fs::write(path, "another\n")?;
    }
    let (found, own) = pass(&mut watched);
    let (aide_found, other) = aide.check()?;
    anyhow::ensure!(found == differ, "the pass found {} of {DIFFER}: {found:?}", found.len());
    anyhow::ensure!(aide_found == differ, "aide found {} of {DIFFER}", aide_found.len());
    report.row("full pass, 100 files differ", own, "s", None, Some(format!("aide --check {other:.1}")));
    report.row("full pass: times as quick as aide --check", other / own, "x", Some("5"), None);
    Ok(())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let files = match std::env::args().nth(1) {
        Some(number) => number.parse().context("expected a number of files")?,
        None => 500_000,
    };
    anyhow::ensure!(files >= DIFFER * 10, "expected at least {} files", DIFFER * 10);
    let mut report = Report::new("Half a million watched files", "cargo xtask bench files");
    let dir = tempfile::Builder::new().prefix("nimbus-files-").tempdir_in("target")?;
    let root = dir.path().canonicalize()?.join("watched");
    std::fs::create_dir(&root)?;
    eprintln!("writing {files} files");
    fill(&root, files)?;
    beside_aide(&mut report, &root, files)?;
    agent(&mut report, &root, files).await?;
    report.note(format!(
        "{files} files of 100 to 1,100 bytes, {IN_ONE} in a directory, on the disk of the machine. A pass rests as long as \
         it works once it took 250 ms, so that it takes at most half of one core and of the disk's time; AIDE takes what it \
         gets."
    ));
    report.note(
        "A full pass reads again only what was written since; AIDE reads everything. It is asked for what Nimbus compares: \
         size, mode, owner, access control list, extended attributes and SHA-256.",
    );
    report.print()
}
