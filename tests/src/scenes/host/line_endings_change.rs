//! `tests/scenes/line_endings_change.md`

use anyhow::Context as _;
use serde_json::Value;

use crate::scenes::host::{Host, Watched};
use crate::scenes::verdict::Wrong;

const GOOD: &str = "listen = 80\nworkers = 4\nlevel = info\n";
const BAD: &str = "listen\u{a0}= 80\r\nworkers = 4\r\nlevel = info";

/// Each thing that is not seen, and words of which one has to be there for it.
const UNSEEN: [(&str, &[&str]); 3] = [
    ("the no-break space", &["u+00a0"]),
    ("the line endings", &["lf -> crlf", "crlf -> lf"]),
    ("the last newline", &["the last newline is lost", "a last newline is added"]),
];

pub(super) async fn play(host: &Host) -> anyhow::Result<()> {
    let site = host.watch(|root| Ok(std::fs::write(root.join("app.conf"), GOOD)?)).await?;
    let path = site.path("app.conf");
    std::fs::write(&path, BAD)?;
    let drift = site.asks(&path).await?;
    is_in_the_table(&site).await?;
    is_visible_wherever_it_is_read(&site, &drift).await?;
    keeps_the_true_bytes(&site, &drift).await?;
    if std::fs::read_to_string(&path)? != BAD {
        return Err(Wrong::Action("the file was written while it was only read".to_owned()).into());
    }
    site.fix(&drift).await?;
    site.resolves(&drift).await?;
    match std::fs::read_to_string(&path)?.as_str() {
        GOOD => Ok(()),
        other => Err(Wrong::Action(format!("it is {other:?} now")).into()),
    }
}

/// The table has no room for a difference: it says that all of it is what is not seen.
async fn is_in_the_table(site: &Watched) -> anyhow::Result<()> {
    let (_, table) = site.plane.nimbus(&["drift", "list"]).await?;
    let file = site.path("app.conf").display().to_string();
    let row = table.lines().find(|line| line.contains(&file)).unwrap_or_default();
    if row.contains("unseen only") {
        return Ok(());
    }
    Err(Wrong::Restraint(format!("the table does not say that nothing seen differs: {table}")).into())
}

/// What is shown, what would be put back, and what is asked for approval. Without a terminal to ask on, `drift fix` shows
/// what it would do and does nothing.
async fn is_visible_wherever_it_is_read(site: &Watched, drift: &Value) -> anyhow::Result<()> {
    let id = drift["id"].as_str().context("an id")?;
    let approval = drift["approval_id"].as_str().context("an approval")?;
    for words in [["drift", "show", id], ["drift", "fix", id], ["approvals", "show", approval]] {
        let (_, text) = site.plane.nimbus(&words).await?;
        let shown = text.to_lowercase();
        for (what, any) in UNSEEN {
            if !any.iter().any(|word| shown.contains(*word)) {
                let command = words.join(" ");
                return Err(
                    Wrong::Restraint(format!("{what} cannot be seen with nimbus {command}: {text}")).into()
                );
            }
        }
    }
    Ok(())
}

/// A program gets what is there, and no marks for a person's eyes.
async fn keeps_the_true_bytes(site: &Watched, drift: &Value) -> anyhow::Result<()> {
    let id = drift["id"].as_str().context("an id")?;
    let (_, text) = site.plane.nimbus(&["drift", "show", id, "-o", "json"]).await?;
    let document: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    let diff = document["diff"].as_str().unwrap_or_default();
    if ["+listen\u{a0}= 80\r\n", "+workers = 4\r\n", "+level = info\n\\ No newline"]
        .iter()
        .all(|line| diff.contains(*line))
    {
        return Ok(());
    }
    Err(Wrong::Restraint(format!("-o json has other bytes: {diff:?}")).into())
}
