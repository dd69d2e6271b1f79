//! `nimbus version`: prints the version of this build, and that of the control plane where one answers.

use clap::Args;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::{Here, connect};

/// This build's version, protocol and schema
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// Do not ask the control plane for its version
    #[arg(long)]
    client: bool,
}

/// Prints the versions. A server that does not answer is no error here.
pub async fn run(context: &Context, args: &VersionArgs, here: &Here) -> Result<Exit, Failure> {
    let Here { protocol: (lowest, highest), schema, .. } = *here;
    let mut document = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "protocol": {"lowest": lowest, "highest": highest},
        "schema": schema,
        "server": Value::Null,
    });
    if !args.client {
        document["server"] = server(context).await.unwrap_or(Value::Null);
    }
    let mut text =
        format!("nimbus {}\nprotocol {lowest} to {highest}, schema {schema}\n", env!("CARGO_PKG_VERSION"));
    match document["server"]["version"].as_str() {
        Some(version) => text = format!("{text}control plane {}\n", crate::output::plain(version)),
        None if !args.client => text.push_str("control plane: none answers\n"),
        None => {}
    }
    context.print_either(&document, |_| text)?;
    Ok(Exit::Done)
}

/// The control plane's own document, if one answers within two seconds.
async fn server(context: &Context) -> Option<Value> {
    let client = connect::open(context).ok()?;
    let asked = tokio::time::timeout(std::time::Duration::from_secs(2), client.version());
    asked.await.ok()?.ok().map(|answer| answer.raw)
}
