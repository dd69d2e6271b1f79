//! A control plane is backed up while it runs and restored elsewhere, from SQLite into PostgreSQL and back: its agent comes
//! back by itself, what it sees arrives, nothing that was acknowledged after the backup is missing, and the old control
//! plane's jobs are out of date. Processes, databases and the command are real.

use std::path::{Path, PathBuf};

use nimbus_tests::agent::{AgentOptions, AgentProcess};
use nimbus_tests::plane::{Plane, QUICK};
use nimbus_tests::postgres::Postgres;
use nimbus_tests::process::binary;
use nimbus_tests::site::PATIENCE;
use nimbus_tests::wait::{Seen, wait_for};
use serde_json::Value;

/// A directory with a passphrase, and backups.
struct Shelf(tempfile::TempDir);

impl Shelf {
    fn new() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        std::fs::write(dir.path().join("passphrase"), "correct horse battery staple\n")?;
        Ok(Self(dir))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Runs `nimbus backup WORDS -o json`, which must end with this code.
    async fn nimbus(&self, words: &[&str], code: i32) -> anyhow::Result<Value> {
        let passphrase = self.path("passphrase");
        let mut command = tokio::process::Command::new(binary("nimbus")?);
        command.arg("backup").args(words).args(["-o", "json", "--passphrase-file"]).arg(passphrase);
        command.env("XDG_CONFIG_HOME", self.0.path()).env_remove("NIMBUS_DATABASE_URL");
        let output = command.kill_on_drop(true).output().await?;
        let (out, err) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
        anyhow::ensure!(output.status.code() == Some(code), "{words:?}: {:?}\n{out}\n{err}", output.status);
        Ok(serde_json::from_str(if code == 0 { &out } else { &err })?)
    }

    async fn create(&self, plane: &Plane, name: &str, database: Option<&str>) -> anyhow::Result<Value> {
        let (dir, out) = (text(&plane.data_dir()), text(&self.path(name)));
        let mut words = vec!["create", "--data-dir", &dir, "--out", &out];
        words.extend(database.iter().flat_map(|url| ["--database", url]));
        self.nimbus(&words, 0).await
    }

    async fn restore(
        &self,
        name: &str,
        dir: &Path,
        database: Option<&str>,
        code: i32,
    ) -> anyhow::Result<Value> {
        let (file, dir) = (text(&self.path(name)), text(dir));
        let mut words = vec!["restore", &file, "--data-dir", &dir];
        words.extend(database.iter().flat_map(|url| ["--database", url]));
        self.nimbus(&words, code).await
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// A control plane's agent on this host, which watches three files.
async fn join(plane: &Plane, root: &Path) -> anyhow::Result<AgentProcess> {
    for name in ["a.conf", "b.conf", "c.conf"] {
        std::fs::write(root.join(name), "workers = 4\n")?;
    }
    let policy =
        format!("allow = [\"restore_file\"]\npaths = [\"{0}\"]\ndiff_paths = [\"{0}\"]\n", root.display());
    let watch = vec![root.to_owned()];
    let options = AgentOptions { name: "host".into(), watch, policy, ..AgentOptions::default() };
    let agent = AgentProcess::join(plane, options).await?;
    wait_for("the baseline", PATIENCE, || async {
        let me = agent.seen_by(plane).await?;
        Ok(Seen::when((me["roots"][0]["files"].as_u64() >= Some(3)).then_some(()), me.to_string()))
    })
    .await?;
    Ok(agent)
}

/// Waits until this file is said to have drifted, with a plan that waits for approval; the drift's id.
async fn drifted(plane: &Plane, agent: &AgentProcess, file: &Path) -> anyhow::Result<String> {
    let name = text(file);
    wait_for(&format!("the drift of {name}"), PATIENCE, || async {
        let all = plane.items("/drift").await?;
        let is_it =
            |drift: &&Value| drift["object"]["name"] == name.as_str() && drift["state"] == "waiting_approval";
        let id = all.iter().find(is_it).and_then(|drift| drift["id"].as_str().map(str::to_owned));
        Ok(Seen::when(id, format!("{all:?}\n{}", agent.output())))
    })
    .await
}

fn epoch_of(data_dir: &Path) -> anyhow::Result<u64> {
    Ok(std::fs::read_to_string(data_dir.join("epoch"))?.trim().parse()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_control_plane_goes_on_with_its_agents_and_above_the_epochs_of_the_old_one()
-> anyhow::Result<()> {
    let (shelf, root) = (Shelf::new()?, tempfile::tempdir()?);
    let mut plane = Plane::start(None, QUICK).await?;
    let agent = join(&plane, root.path()).await?;
    let made = shelf.create(&plane, "b.age", None).await?;
    assert_eq!(made["database"], "sqlite");
    let file = text(&shelf.path("b.age"));
    assert_eq!(shelf.nimbus(&["verify", &file], 0).await?["id"], made["id"]);

    on_a_schedule(&shelf, &plane).await?;

    // Acknowledged after the backup: the restored control plane never heard of it.
    let file = |name: &str| root.path().join(name);
    std::fs::write(file("a.conf"), "workers = 400\n")?;
    drifted(&plane, &agent, &file("a.conf")).await?;
    plane.restart().await?;
    plane.stop()?;
    let (old, kept) = (plane.data_dir(), shelf.path("old"));
    let last = epoch_of(&old)?;
    assert!(made["epoch"].as_u64() < Some(last), "the old one was started again after the backup");

    // In the old one's place, so that the agent finds it at the address that it knows.
    std::fs::rename(&old, &kept)?;
    let restored = shelf.restore("b.age", &old, None, 0).await?;
    assert!(restored["restored_epoch"].as_u64() > Some(last), "{restored}");
    plane.restart().await?;
    assert!(epoch_of(&old)? > last);
    agent.wait_until_connected(&plane).await?;
    drifted(&plane, &agent, &file("a.conf")).await?;

    // What it sees from now on arrives, and a job of the restored control plane is taken.
    std::fs::write(file("b.conf"), "workers = 4000\n")?;
    let drift = drifted(&plane, &agent, &file("b.conf")).await?;
    let (code, said) = plane.nimbus(&["drift", "fix", &drift, "--yes"]).await?;
    assert_eq!(code, Some(0), "{said}\n{}", agent.output());
    assert_eq!(std::fs::read_to_string(file("b.conf"))?, "workers = 4\n");
    let (code, said) = plane.nimbus(&["audit", "verify"]).await?;
    assert_eq!(code, Some(0), "{said}");

    // The old one comes back in its place: it serves, and the agent takes no job from it.
    plane.stop()?;
    std::fs::rename(&old, shelf.path("restored"))?;
    std::fs::rename(&kept, &old)?;
    plane.restart().await?;
    agent.wait_until_connected(&plane).await?;
    std::fs::write(file("c.conf"), "workers = 1\n")?;
    let drift = drifted(&plane, &agent, &file("c.conf")).await?;
    let (code, said) = plane.nimbus(&["drift", "fix", &drift, "--yes"]).await?;
    assert!(code != Some(0) && said.contains("newer control plane"), "{code:?} {said}");
    assert_eq!(std::fs::read_to_string(file("c.conf"))?, "workers = 1\n");
    Ok(())
}

/// With --keep, the oldest of its own kind go once a new one is there, and nothing else.
async fn on_a_schedule(shelf: &Shelf, plane: &Plane) -> anyhow::Result<()> {
    let dir = shelf.path("daily");
    std::fs::create_dir(&dir)?;
    for name in
        ["ops-20200101T000000Z.age", "ops-20200102T000000Z.age", "nimbus-20200101T000000Z.age", "ops.txt"]
    {
        std::fs::write(dir.join(name), "x")?;
    }
    let (data, out) = (text(&plane.data_dir()), text(&dir));
    let words = ["create", "--data-dir", &data, "--out-dir", &out, "--prefix", "ops", "--keep", "2"];
    let would = shelf.nimbus(&[&words[..], &["--dry-run"]].concat(), 0).await?;
    let oldest = serde_json::json!([text(&dir.join("ops-20200101T000000Z.age"))]);
    assert_eq!((&would["removed"], std::fs::read_dir(&dir)?.count()), (&oldest, 4));
    let made = shelf.nimbus(&words, 0).await?;
    assert_eq!(made["removed"], oldest);
    assert_eq!(std::fs::read_dir(&dir)?.count(), 4, "one came, one went");
    let file = made["file"].as_str().unwrap_or_default();
    assert_eq!(shelf.nimbus(&["verify", file], 0).await?["id"], made["id"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_goes_from_sqlite_into_postgresql_and_back() -> anyhow::Result<()> {
    let (shelf, root, postgres) = (Shelf::new()?, tempfile::tempdir()?, Postgres::start()?);
    let url = postgres.fresh_database()?;
    let plane = Plane::start(None, QUICK).await?;
    let agent = join(&plane, root.path()).await?;
    let of_sqlite = shelf.create(&plane, "sqlite.age", None).await?;
    drop(agent);
    drop(plane);

    // A database that is not empty is refused, and the directory is left as it was.
    let taken = postgres.fresh_database()?;
    postgres.sql(taken.rsplit('/').next().unwrap_or_default(), "CREATE TABLE somebodys (id int)")?;
    let refused = shelf.restore("sqlite.age", &shelf.path("data"), Some(&taken), 5).await?;
    assert!(
        refused["detail"].as_str().is_some_and(|text| text.contains("expected an empty database")),
        "{refused}"
    );
    let unreachable = "postgres://postgres@127.0.0.1:1/nimbus";
    shelf.restore("sqlite.age", &shelf.path("data"), Some(unreachable), 6).await?;
    assert!(!shelf.path("data/ca.key").exists() && !shelf.path("data/restore.unfinished").exists());

    let data = shelf.path("data");
    shelf.restore("sqlite.age", &data, Some(&url), 0).await?;
    let lay_out = |to: &Path| std::fs::rename(&data, to).unwrap_or_default();
    let plane = Plane::start_on(lay_out, Some(url.clone()), QUICK).await?;
    assert_eq!(plane.items("/agents").await?.len(), 1);
    let (code, said) = plane.nimbus(&["audit", "verify"]).await?;
    assert_eq!(code, Some(0), "{said}");
    let of_postgres = shelf.create(&plane, "postgres.age", Some(&url)).await?;
    assert_eq!(
        (&of_postgres["database"], &of_postgres["ca_sha256"]),
        (&"postgresql".into(), &of_sqlite["ca_sha256"])
    );
    drop(plane);

    // Where nothing was written since, the rows are the same, byte for byte.
    let sums = |backup: &Value, name: &str| {
        let tables = backup["tables"].as_array().cloned().unwrap_or_default();
        tables.into_iter().find(|table| table["name"] == name)
    };
    for name in ["tokens", "observations", "marks", "jobs"] {
        assert_eq!(sums(&of_postgres, name), sums(&of_sqlite, name), "{name}");
    }
    let back = shelf.path("back");
    shelf.restore("postgres.age", &back, None, 0).await?;
    let lay_out = |to: &Path| std::fs::rename(&back, to).unwrap_or_default();
    let plane = Plane::start_on(lay_out, None, QUICK).await?;
    assert_eq!(plane.items("/agents").await?.len(), 1);
    let (code, said) = plane.nimbus(&["audit", "verify"]).await?;
    assert_eq!(code, Some(0), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_control_plane_starts_on_a_restore_that_was_cut_off() -> anyhow::Result<()> {
    let shelf = Shelf::new()?;
    let plane = Plane::start(None, QUICK).await?;
    let made = shelf.create(&plane, "b.age", None).await?;
    let data = shelf.path("data");
    std::fs::create_dir(&data)?;
    let marker = format!("{}\n", made["id"].as_str().unwrap_or_default());
    std::fs::write(data.join("restore.unfinished"), marker)?;
    let mut command = tokio::process::Command::new(binary("nimbus-control-plane")?);
    command.arg("--data-dir").arg(&data).args(["--listen", "127.0.0.1:0", "--quic", "127.0.0.1:0"]);
    let ended = tokio::time::timeout(PATIENCE, command.kill_on_drop(true).output()).await??;
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success() && said.contains("run the same nimbus backup restore again"), "{said}");
    let completed = shelf.restore("b.age", &data, None, 0).await?;
    assert_eq!(completed["resumed"], true, "{completed}");
    let lay_out = |to: &Path| std::fs::rename(&data, to).unwrap_or_default();
    drop(plane);
    Plane::start_on(lay_out, None, QUICK).await?;
    Ok(())
}

/// Kills a restore once it has begun, before it can be complete: decrypting alone takes longer than the next look.
async fn cut_off(shelf: &Shelf, dir: &Path, database: Option<&str>) -> anyhow::Result<()> {
    let mut command = tokio::process::Command::new(binary("nimbus")?);
    command.args(["backup", "restore"]).arg(shelf.path("b.age")).arg("--data-dir").arg(dir);
    command
        .arg("--passphrase-file")
        .arg(shelf.path("passphrase"))
        .env("XDG_CONFIG_HOME", shelf.path("config"));
    command.args(database.iter().flat_map(|url| ["--database", url]));
    let mut restore = command.kill_on_drop(true).spawn()?;
    wait_for("the restore to begin", PATIENCE, || async {
        Ok(Seen::when(dir.join("restore.unfinished").exists().then_some(()), "no marker yet"))
    })
    .await?;
    restore.kill().await?;
    anyhow::ensure!(dir.join("restore.unfinished").exists(), "it was complete before it could be killed");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_was_killed_is_completed_by_the_same_command_on_both_databases() -> anyhow::Result<()>
{
    let (shelf, postgres) = (Shelf::new()?, Postgres::start()?);
    let plane = Plane::start(None, QUICK).await?;
    shelf.create(&plane, "b.age", None).await?;
    drop(plane);
    for database in [None, Some(postgres.fresh_database()?)] {
        let data = shelf.path(if database.is_none() { "sqlite" } else { "postgres" });
        cut_off(&shelf, &data, database.as_deref()).await?;
        let completed = shelf.restore("b.age", &data, database.as_deref(), 0).await?;
        assert_eq!(completed["resumed"], true, "{completed}");
        let lay_out = |to: &Path| std::fs::rename(&data, to).unwrap_or_default();
        let plane = Plane::start_on(lay_out, database, QUICK).await?;
        let (code, said) = plane.nimbus(&["audit", "verify"]).await?;
        assert_eq!(code, Some(0), "{said}");
        let rows = plane.items("/audit").await?;
        assert!(rows.iter().any(|row| row["action"] == "backup.restored"), "{rows:?}");
    }
    Ok(())
}
