//! `nimbus audit`: lists the audit log, verifies its hash chain and exports it.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use nimbus_api::client::Export;
use nimbus_api::{AuditQuery, ExportQuery};
use serde_json::json;

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::files::NewFile;
use crate::global::Page;
use crate::output::time::{Clock, parse_moment};
use crate::{connect, files, view};

/// Everything decided and done, in a chain that shows any change to it
#[derive(Debug, Args)]
pub struct AuditArgs {
    #[command(subcommand)]
    command: Option<Sub>,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    page: Page,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Verify the whole chain: that no row was changed or removed
    Verify,
    /// Write rows for another program, oldest first
    Export {
        /// How the rows are written
        #[arg(id = "export_format", long = "format", value_name = "FORMAT", value_parser = ["csv", "json", "jsonl", "cef"])]
        format: String,
        /// Where to write (`-` for standard output)
        #[arg(long, value_name = "FILE", default_value = "-")]
        output: PathBuf,
        #[command(flatten)]
        filter: Filter,
    },
}

#[derive(Debug, Args)]
struct Filter {
    /// Only what this user did: `operator`, `nimbus`, or an agent's id
    #[arg(long)]
    user: Option<String>,
    /// Only this action, for example approval.approved
    #[arg(long)]
    action: Option<String>,
    /// Not before: a date, a time, or an age such as 24h
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before: a date, a time, or an age
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

impl Filter {
    /// The same filter with its times in UTC.
    fn moments(self) -> Result<Self, Failure> {
        let clock = Clock::system();
        let moment = |text: Option<String>| match text {
            Some(text) => parse_moment(&text, &clock).map(|at| Some(at.to_string())),
            None => Ok(None),
        };
        let wrong = |error: String| Failure::usage(error).next("see `nimbus audit --help`");
        Ok(Self {
            since: moment(self.since).map_err(wrong)?,
            until: moment(self.until).map_err(wrong)?,
            ..self
        })
    }
}

/// Lists, verifies or exports.
pub async fn run(context: &Context, args: AuditArgs) -> Result<Exit, Failure> {
    match args.command {
        None => {
            let Filter { user, action, since, until } = args.filter.moments()?;
            let Page { limit, after } = args.page;
            let query = AuditQuery { user, action, since, until, limit, after };
            let answer = connect::open(context)?.audit(&query).await?;
            context.show_page(&answer, view::audit::list)?;
            Ok(Exit::Done)
        }
        Some(Sub::Verify) => verify(context).await,
        Some(Sub::Export { format, output, filter }) => {
            let Filter { user, action, since, until } = filter.moments()?;
            let query = ExportQuery { format: Some(format), user, action, since, until };
            let client = connect::open(context)?;
            if context.global.dry_run {
                context.hint(&format!("Would write to {}.", output.display()));
                let ExportQuery { format, user, action, since, until } = query;
                let would = json!({
                    "dry_run": true, "format": format, "output": output, "user": user, "action": action,
                    "since": since, "until": until,
                });
                return context.print_document(&would).map(|()| Exit::Done);
            }
            write(context, client.export_audit(&query).await?, &output).await?;
            Ok(Exit::Done)
        }
    }
}

async fn verify(context: &Context) -> Result<Exit, Failure> {
    let client = connect::open(context)?;
    let answer = {
        let _progress = context.progress("verifying the audit chain");
        client.verify_audit().await?
    };
    context.show(&answer, view::audit::verified)?;
    Ok(if answer.typed.valid { Exit::Done } else { Exit::Error })
}

/// Piece by piece to standard output, or whole or not at all to a file.
async fn write(context: &Context, mut export: Export, to: &Path) -> Result<(), Failure> {
    let mut bytes = 0_u64;
    if to == Path::new("-") {
        let mut out = std::io::stdout();
        while let Some(piece) = export.chunk().await? {
            match out.write_all(&piece) {
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
                result => result.map_err(|error| files::unwritable(Path::new("standard output"), &error))?,
            }
        }
        return out.flush().map_err(|error| files::unwritable(Path::new("standard output"), &error));
    }
    let mut file = NewFile::begin(to)?;
    while let Some(piece) = export.chunk().await? {
        bytes += piece.len() as u64;
        file.write(&piece)?;
    }
    file.finish()?;
    context.hint(&format!("Wrote {} to {}.", view::bytes(bytes), to.display()));
    Ok(())
}
