//! `nimbus backup create|verify|restore`: backups of a control plane. They ask no server: the data directory and the
//! database are read and written themselves.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use nimbus_backup::{BackupError, Opening, Report, Sealing, Source, StoreUrl, Target, shelf};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::view;

/// Back up a control plane, check a backup, or restore one
///
/// A backup is one encrypted file with everything that a control plane needs to go on elsewhere: its keys, its operator's
/// token, and its database, whichever it is. Run it where the data directory is, as the user whose it is.
#[derive(Debug, Args)]
pub struct BackupArgs {
    #[command(subcommand)]
    command: BackupCommand,
}

#[derive(Debug, Subcommand)]
enum BackupCommand {
    Create(CreateArgs),
    Verify(VerifyArgs),
    Restore(RestoreArgs),
}

/// Write a backup of a control plane, which may run meanwhile
///
/// The backup shows the database as it was in one moment. It is encrypted in the age format, has mode 0600, is there once it
/// is whole, and never replaces a file. With --dry-run everything is read and nothing is written.
#[derive(Debug, Args)]
struct CreateArgs {
    #[command(flatten)]
    place: Place,
    /// Directory with the keys, where the control plane is given --keys
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    #[command(flatten)]
    to: To,
    #[command(flatten)]
    sealing: SealingArgs,
}

#[derive(Debug, Args)]
struct To {
    /// The backup to write; nothing may be there yet
    #[arg(long, value_name = "FILE", required_unless_present = "out_dir")]
    out: Option<PathBuf>,
    /// Directory for backups on a schedule: writes PREFIX-20261127T021700Z.age there, with the time in UTC
    #[arg(long, value_name = "DIR", conflicts_with = "out")]
    out_dir: Option<PathBuf>,
    /// How the names in --out-dir begin
    #[arg(long, default_value = "nimbus", requires = "out_dir", value_parser = prefix)]
    prefix: String,
    /// How many backups to keep in --out-dir: older ones of the same PREFIX are removed once the new one is written
    #[arg(long, value_name = "N", requires = "out_dir", conflicts_with = "out", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    keep: Option<u16>,
}

fn prefix(text: &str) -> Result<String, String> {
    let expected = "expected 1 to 100 letters, digits, dots, underscores and hyphens, beginning with a letter or a digit";
    if shelf::is_prefix(text) { Ok(text.to_owned()) } else { Err(expected.to_owned()) }
}

impl To {
    fn file(&self, now: Timestamp) -> PathBuf {
        match (&self.out, &self.out_dir) {
            (Some(file), _) => file.clone(),
            // The command line has one of the two.
            (None, dir) => dir.clone().unwrap_or_default().join(shelf::name(&self.prefix, now)),
        }
    }

    /// Which backups go once `made` is there.
    fn old(&self, made: &Path) -> Result<Vec<PathBuf>, BackupError> {
        self.keep.map_or(Ok(Vec::new()), |keep| shelf::old(&self.prefix, made, keep.into()))
    }
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SealingArgs {
    /// File whose first line is the passphrase, at least 12 characters
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Public key of who may read it, age1…, as age-keygen prints it; may be given more than once
    #[arg(long, value_name = "AGE_KEY")]
    recipient: Vec<String>,
}

/// Decrypt a backup, compare every checksum and count, and say what is in it
#[derive(Debug, Args)]
struct VerifyArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    opening: OpeningArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct OpeningArgs {
    /// File whose first line is the passphrase that the backup was made with
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// File with the secret key, AGE-SECRET-KEY-1…, whose public key the backup was made for
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
}

/// Restore a backup into an empty data directory and an empty database
///
/// The whole backup is checked before anything is written. What cannot be completed is taken back; after a crash no control
/// plane starts on the directory, and the same command again completes it. A backup of SQLite restores into PostgreSQL and
/// the other way. Agents come back by themselves. Stop the old control plane for good: the restored one takes a higher
/// epoch, and agents refuse the jobs of the old one from then on.
#[derive(Debug, Args)]
struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    opening: OpeningArgs,
}

#[derive(Debug, Args)]
struct Place {
    /// The control plane's data directory
    #[arg(long, env = "NIMBUS_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// Its database, where it is not the embedded one: postgres://user:password@host/database
    #[arg(long, env = "NIMBUS_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database: Option<String>,
}

impl Place {
    fn database(&self) -> Result<Option<StoreUrl>, Failure> {
        let parse = |text: &String| text.parse::<StoreUrl>();
        self.database.as_ref().map(parse).transpose().map_err(|error| {
            Failure::usage("--database is not the address of a database").detail(error.to_string())
        })
    }
}

impl SealingArgs {
    fn sealing(&self) -> Result<Sealing, BackupError> {
        match &self.passphrase_file {
            Some(file) => Sealing::passphrase_file(file),
            None => Sealing::recipients(&self.recipient),
        }
    }
}

impl OpeningArgs {
    fn opening(&self) -> Result<Opening, BackupError> {
        match (&self.passphrase_file, &self.identity) {
            (Some(file), _) => Opening::passphrase_file(file),
            // The command line has one of the two.
            (None, identity) => Opening::identity_file(identity.as_deref().unwrap_or("".as_ref())),
        }
    }
}

/// Runs it.
pub async fn run(context: &Context, args: BackupArgs) -> Result<Exit, Failure> {
    match args.command {
        BackupCommand::Create(args) => create(context, args).await,
        BackupCommand::Verify(args) => verify(context, &args),
        BackupCommand::Restore(args) => restore(context, args).await,
    }
}

async fn create(context: &Context, args: CreateArgs) -> Result<Exit, Failure> {
    let failed = |error| failure("no backup was made", &error);
    let kept = |error| failure("the backup was made, and older ones could not be removed", &error);
    let source = Source { database: args.place.database()?, data_dir: args.place.data_dir, keys: args.keys };
    let sealing = args.sealing.sealing().map_err(failed)?;
    let progress = context.moving("reading the database");
    let said = |table: &str| progress.count(&format!("backing up {table}"));
    let now = nimbus_platform::now();
    let out = args.to.file(now);
    let (report, title) = if context.global.dry_run {
        (
            nimbus_backup::preview(&source, &out, now, said).await,
            "Nothing was written. The backup would hold this.",
        )
    } else {
        (nimbus_backup::create(&source, &out, &sealing, now, said).await, "The backup was written.")
    };
    drop(progress);
    let report = report.map_err(failed)?;
    let old = args.to.old(&out).map_err(kept)?;
    if !context.global.dry_run {
        shelf::remove(&old).map_err(kept)?;
    }
    let mut document = document(&report);
    document["file"] = json!(out.display().to_string());
    let old: Vec<String> = old.iter().map(|path| path.display().to_string()).collect();
    document["removed"] = json!(old);
    document["dry_run"] = json!(context.global.dry_run);
    context.print_either(&document, |view| view::backup::report(view, &report, title))?;
    if let (Some(first), Some(last)) = (old.first(), old.last()) {
        let would = if context.global.dry_run { "Would have removed" } else { "Removed" };
        context.hint(&format!("{would} {} older backups, {first} to {last}.", old.len()));
    }
    if !context.global.dry_run {
        context.hint("Keep what opens it elsewhere than the backup: without it nobody can restore it.");
    }
    Ok(Exit::Done)
}

fn verify(context: &Context, args: &VerifyArgs) -> Result<Exit, Failure> {
    let failed = |error| failure("the backup is not to be relied on", &error);
    let opening = args.opening.opening().map_err(failed)?;
    let progress = context.moving("decrypting the backup");
    let report = nimbus_backup::verify(&args.file, &opening, |table| {
        progress.count(&format!("checking {table}"));
    });
    drop(progress);
    let report = report.map_err(failed)?;
    let mut document = document(&report);
    document["file"] = json!(args.file.display().to_string());
    document["valid"] = json!(true);
    context.print_either(&document, |view| {
        view::backup::report(view, &report, "The backup is whole, and this key opens it.")
    })?;
    Ok(Exit::Done)
}

async fn restore(context: &Context, args: RestoreArgs) -> Result<Exit, Failure> {
    let failed = |error| failure("the backup was not restored", &error);
    let target = Target { database: args.place.database()?, data_dir: args.place.data_dir };
    let opening = args.opening.opening().map_err(failed)?;
    let progress = context.moving("checking the backup");
    if context.global.dry_run {
        let report = nimbus_backup::rehearse(&args.file, &opening, &target, |table| {
            progress.count(&format!("checking {table}"));
        });
        drop(progress);
        let report = report.map_err(failed)?;
        let mut document = document(&report);
        document["dry_run"] = json!(true);
        let title =
            "Nothing was written. The backup is whole and could be restored there, if the database is empty.";
        context.print_either(&document, |view| view::backup::report(view, &report, title))?;
        return Ok(Exit::Done);
    }
    let said = |what: &str| progress.count(what);
    let restored = nimbus_backup::restore(&args.file, &opening, &target, nimbus_platform::now(), said).await;
    drop(progress);
    let restored = restored.map_err(failed)?;
    let mut document = document(&restored.report);
    document["data_dir"] = json!(target.data_dir.display().to_string());
    document["restored_epoch"] = json!(restored.epoch);
    document["resumed"] = json!(restored.resumed);
    let title =
        if restored.resumed { "The unfinished restore was completed." } else { "The backup was restored." };
    context.print_either(&document, |view| view::backup::report(view, &restored.report, title))?;
    context.hint("Do not start the old control plane again. Start this one; agents come back by themselves.");
    Ok(Exit::Done)
}

fn failure(title: &str, error: &BackupError) -> Failure {
    let exit = match error {
        error if error.is_unreachable() => Exit::Unreachable,
        error if error.is_taken() => Exit::Refused,
        _ => Exit::Error,
    };
    Failure::new(title).exit(exit).detail(error.to_string())
}

/// The answer for a program.
fn document(report: &Report) -> Value {
    let (head, manifest) = (&report.head, &report.manifest);
    json!({
        "id": manifest.id, "created_at": head.created_at, "format": head.format, "product": head.product,
        "database": head.database, "schema": head.schema, "epoch": head.epoch, "ca_sha256": head.ca_sha256,
        "bytes": report.bytes, "files": manifest.files, "tables": manifest.tables,
    })
}
