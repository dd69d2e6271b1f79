//! Measures what a thousand incidents leave in the audit log and in the database: a thousand changed files of one host, each put back after
//! approval with `nimbus drift fix --all`.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nimbus_tests::agent::{AgentOptions, AgentProcess};
use nimbus_tests::bench::Report;
use nimbus_tests::plane::Plane;
use nimbus_tests::postgres::Postgres;
use nimbus_tests::sqlite;
use nimbus_tests::wait::{Seen, wait_for};

/// Incidents.
const FILES: usize = 1_000;
/// Longest wait for each step.
const LIMIT: Duration = Duration::from_mins(10);
/// Until the next snapshot was taken for certain.
const SNAPSHOT: Duration = Duration::from_secs(90);

/// The default allows two jobs at once on a host and verifies for longer; what is measured is the log, not the wait.
const CONFIG: &str = r"
[settings]
verify_ms = 500
[settings.caps]
per_node = 50
per_cluster = 50
fleet = 100
[settings.storm]
incidents = 1000000
";

fn write_all(root: &Path, text: &str) -> anyhow::Result<()> {
    (0..FILES)
        .try_for_each(|n| Ok(std::fs::write(root.join(format!("{n:04}.conf")), format!("{text} = {n}\n"))?))
}

/// Rows and bytes of the log, as `nimbus audit export --format jsonl` writes them.
async fn log(plane: &Plane) -> anyhow::Result<(usize, usize)> {
    let text = plane.text("/audit/export?format=jsonl").await?;
    Ok((text.lines().count(), text.len()))
}

/// A database, and how it is asked for its size.
struct Database<'a> {
    name: &'static str,
    /// The server and the database on it; else the embedded one.
    on: Option<(&'a Postgres, String)>,
}

impl Database<'_> {
    /// Bytes of its tables and indexes, with what is free in them.
    async fn bytes(&self, plane: &Plane) -> anyhow::Result<u64> {
        if let Some((server, url)) = &self.on {
            let (_, database) = url.rsplit_once('/').context("an address ends in a database's name")?;
            return Ok(server.sql(database, "SELECT pg_database_size(current_database())")?.parse()?);
        }
        let sql = "SELECT CAST(page_count * page_size AS TEXT) FROM pragma_page_count, pragma_page_size";
        let found = sqlite::texts(&plane.data_dir().join("nimbus.db"), sql).await?;
        Ok(found.first().context("SQLite told no size")?.parse()?)
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts and sizes far below 2^52")]
async fn measure(report: &mut Report, database: Database<'_>) -> anyhow::Result<()> {
    let name = database.name;
    let plane = Plane::start(database.on.as_ref().map(|(_, url)| url.clone()), CONFIG).await?;
    let dir = tempfile::Builder::new().prefix("nimbus-audit-").tempdir()?;
    let root = dir.path().canonicalize()?;
    write_all(&root, "old")?;
    let options = AgentOptions {
        name: "host".into(),
        policy: format!(
            "allow = [\"restore_file\"]\npaths = [\"{}\"]\njobs_per_hour = 10000\n",
            root.display()
        ),
        watch: vec![root.clone()],
        ..AgentOptions::default()
    };
    let agent = AgentProcess::join(&plane, options).await?;
    wait_for("the baseline", LIMIT, || async {
        let seen = agent.seen_by(&plane).await?["roots"][0]["files"].as_u64().unwrap_or(0);
        Ok(Seen::when((seen >= FILES as u64).then_some(()), format!("{seen} files")))
    })
    .await?;
    // A file that was written within the last two seconds is read once more.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (before, bytes_before) = (log(&plane).await?, database.bytes(&plane).await?);
    let begun = Instant::now();
    write_all(&root, "new")?;
    wait_for("every file to be asked for", LIMIT, || async {
        let all = plane.items("/drift").await?;
        let waiting = all.iter().filter(|drift| drift["state"] == "waiting_approval").count();
        Ok(Seen::when((waiting == FILES).then_some(()), format!("{waiting} wait of {}", all.len())))
    })
    .await?;
    report.row(
        format!("{name}: changed until all are asked for"),
        begun.elapsed().as_secs_f64(),
        "s",
        None,
        None,
    );
    // One that was seen between its truncation and its text is planned anew once it was read again.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let begun = Instant::now();
    let fixed = tokio::time::timeout(LIMIT, plane.nimbus(&["drift", "fix", "--all", "--yes"]));
    let (code, said) = fixed.await.context("`drift fix --all` did not end")??;
    anyhow::ensure!(code == Some(0), "`drift fix --all` ended with {code:?}: {said}");
    report.row(format!("{name}: all put back"), begun.elapsed().as_secs_f64(), "s", None, None);
    wait_for("every incident to be resolved", LIMIT, || async {
        let open = plane.items("/incidents?state=active").await?;
        Ok(Seen::when(open.is_empty().then_some(()), format!("{} are open", open.len())))
    })
    .await?;
    let (rows, bytes) = log(&plane).await?;
    let incidents = plane.items("/incidents").await?.len();
    anyhow::ensure!(incidents == FILES, "{incidents} incidents instead of {FILES}");
    report.row(format!("{name}: audit rows"), (rows - before.0) as f64, "rows", None, None);
    report.row(
        format!("{name}: audit bytes, as exported"),
        (bytes - before.1) as f64 / 1e6,
        "MB",
        None,
        None,
    );
    // The log of observations is trimmed by the snapshot that is taken a minute after the last one.
    tokio::time::sleep(SNAPSHOT).await;
    let grown = database.bytes(&plane).await?.saturating_sub(bytes_before);
    report.row(
        format!("{name}: the database grew, for each incident"),
        grown as f64 / FILES as f64 / 1e3,
        "kB",
        None,
        None,
    );
    Ok(())
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> anyhow::Result<()> {
    let mut report = Report::new("What a thousand incidents leave", "cargo xtask bench audit");
    let postgres = Postgres::start()?;
    measure(&mut report, Database { name: "SQLite", on: None }).await?;
    let on = Some((&postgres, postgres.fresh_database()?));
    measure(&mut report, Database { name: "PostgreSQL", on }).await?;
    report.note(format!(
        "{FILES} files of one host, each changed, asked for, approved with `nimbus drift fix --all --yes`, put back, \
         verified and resolved; the caps are raised to 50 jobs at once and the agent's budget to 10,000 jobs an hour. \
         Rows are those that were added from the first change to the last resolved incident; bytes are those of \
         `audit export --format jsonl`; the database is all of its tables and indexes, with what is free in them."
    ));
    report.print()
}
