//! `tests/scenes/line_endings_change.md`

use crate::scenes::host::Host;
use crate::scenes::verdict::Wrong;

const GOOD: &str = "listen = 80\nworkers = 4\n";
const BAD: &str = "listen\u{a0}= 80\r\nworkers = 4\r\nextra = 1";

pub(super) async fn play(host: &Host) -> anyhow::Result<()> {
    let site = host.watch(|root| Ok(std::fs::write(root.join("app.conf"), GOOD)?)).await?;
    let path = site.path("app.conf");
    std::fs::write(&path, BAD)?;
    let drift = site.asks(&path).await?;
    let shown = site.read(&drift).await?.to_lowercase();
    for (what, any) in [
        ("the no-break space", &["u+00a0", "nbsp", "no-break"][..]),
        ("the line endings", &["crlf", "\\\\r", "carriage return", "\u{240d}", "u+000d"][..]),
        ("the lost last newline", &["no newline", "last newline", "without a newline"][..]),
    ] {
        if !any.iter().any(|word| shown.contains(word)) {
            return Err(Wrong::Restraint(format!("{what} cannot be seen: {shown}")).into());
        }
    }
    site.fix(&drift).await?;
    site.resolves(&drift).await?;
    match std::fs::read_to_string(&path)?.as_str() {
        GOOD => Ok(()),
        other => Err(Wrong::Action(format!("it is {other:?} now")).into()),
    }
}
