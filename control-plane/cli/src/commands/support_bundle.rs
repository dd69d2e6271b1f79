//! `nimbus support-bundle`: writes what a maintainer needs of an installation into one file, without its secrets.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use nimbus_redaction::Redactor;
use serde_json::{Value, json};

use crate::bundle::gather::{Around, Bundle, Server, Wanted, gather, planned};
use crate::bundle::pack::pack;
use crate::checks::doctor::Asked;
use crate::config::{self, Config};
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::files::{self, NewFile};
use crate::{Here, connect, view};

/// How long the checks of `nimbus doctor` may take in all.
const LOOK: Duration = Duration::from_mins(1);

/// Collect what a maintainer needs into one file, without secrets
///
/// Asked are the control plane, kubectl where there is one, and with --host this machine's services. Secrets are taken out of
/// every answer before anything is written; what cannot be asked is said in the file's manifest and ends nothing. A person
/// should look through it before it is sent. With --dry-run it is said what would be asked, and nothing is.
#[derive(Debug, Args)]
pub struct SupportBundleArgs {
    /// The file to write, such as support.tar.gz; nothing may be there yet
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Namespace in which kubectl looks for Nimbus's objects
    #[arg(long, value_name = "NAMESPACE", default_value = "nimbus", value_parser = namespace)]
    namespace: String,
    /// With the last 500 lines of the log of each of its pods, of at most 50
    #[arg(long)]
    cluster_logs: bool,
    /// With this machine's services: their state, the last 500 lines of their journal, and the files in /etc/nimbus
    #[arg(long)]
    host: bool,
    /// Replace the file that is there
    #[arg(long)]
    force: bool,
}

/// It stands in the manifest as it is, so it has to be a namespace's name.
fn namespace(text: &str) -> Result<String, String> {
    let may_be = |it: u8| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-';
    if (1..=63).contains(&text.len()) && text.bytes().all(may_be) && !text.starts_with('-') {
        return Ok(text.to_owned());
    }
    Err("expected the name of a namespace: at most 63 small letters, digits and hyphens".to_owned())
}

/// Collects, redacts, writes, and says what is in it.
pub async fn run(context: &Context, args: SupportBundleArgs, here: &Here) -> Result<Exit, Failure> {
    match args.out.symlink_metadata() {
        // A link too: it is not said which of both a person means to replace.
        Ok(data) if !data.is_file() => return Err(files::is_no_file(&args.out, data.file_type())),
        Ok(_) if !args.force => return Err(files::taken(&args.out)),
        Ok(_) | Err(_) => {}
    }
    let (lowest, highest) = here.protocol;
    let version = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "protocol": {"lowest": lowest, "highest": highest},
        "schema": here.schema,
    });
    let mut wanted = Wanted {
        namespace: args.namespace,
        logs: args.cluster_logs,
        host: args.host,
        version,
        doctor: Value::Null,
    };
    let around = Around::here();
    if context.global.dry_run {
        return would(context, &wanted, &around);
    }
    // A place that cannot be written is known before anything is asked. What was begun there goes again: it would stay where
    // this command is ended while it asks.
    drop(NewFile::begin(&args.out)?);
    let mut redactor = redactor(context)?;
    let server = server(context);
    let mut progress = context.progress("");
    progress.say("looking as nimbus doctor does");
    wanted.doctor = doctor(context, &wanted.namespace).await;
    let bundle = gather(&wanted, &around, &server, &mut redactor, nimbus_platform::now(), |name| {
        progress.say(&format!("asking for {name}"));
    })
    .await;
    drop(progress);
    let packed = packed(&bundle, &args.out)?;
    let mut file = NewFile::begin(&args.out)?;
    file.write(&packed)?;
    if args.force { file.finish() } else { file.finish_new() }?;
    let mut document = document(&bundle)?;
    document["file"] = json!(args.out.display().to_string());
    context.print_either(&document, |view| view::support_bundle::made(view, &bundle.manifest, &args.out))?;
    context.hint("Look through it before you send it: only a person knows every name that must not leave.");
    Ok(Exit::Done)
}

/// What `nimbus doctor` finds, or why it finds nothing.
async fn doctor(context: &Context, namespace: &str) -> Value {
    let asked = Asked { namespace: Some(namespace.to_owned()), ..Asked::default() };
    let found = tokio::time::timeout(LOOK, super::doctor::report(context, &asked)).await;
    let problem = match found {
        Ok(Ok(report)) => match super::doctor::document(&report) {
            Ok(document) => return document,
            Err(failure) => failure,
        },
        Ok(Err(failure)) => failure,
        Err(_) => Failure::new(format!("it did not come to an end within {} s", LOOK.as_secs())),
    };
    json!({"problem": format!("{}: {}", problem.title, problem.found)})
}

/// Says what would be asked.
fn would(context: &Context, wanted: &Wanted, around: &Around) -> Result<Exit, Failure> {
    let parts = planned(wanted, around);
    let list: Vec<Value> =
        parts.iter().map(|part| json!({"name": part.name, "source": part.source.says()})).collect();
    let document = json!({"dry_run": true, "namespace": wanted.namespace, "parts": list});
    context.print_either(&document, |view| view::support_bundle::planned(view, &parts))?;
    Ok(Exit::Done)
}

/// One that knows the token that this command sends, whatever it looks like.
fn redactor(context: &Context) -> Result<Redactor, Failure> {
    // Where the token cannot be read it is not sent, and `server` says why.
    let token = connect::secret(context).unwrap_or_default();
    Redactor::new(&[token.trim()]).map_err(|error| {
        Failure::new("no support bundle is made, since its secrets could not be taken out").found(error)
    })
}

fn server(context: &Context) -> Server {
    let config = config::config_path().map_or_else(|| Ok(Config::default()), |path| Config::read(&path));
    let name = config
        .and_then(|config| connect::destination(&context.global, &config))
        .map_or_else(|_| String::new(), |to| to.server);
    let client = connect::open(context).map_err(|failure| format!("{}: {}", failure.title, failure.found));
    // An address that cannot be used may hold a password.
    let name = if client.is_ok() { name } else { String::new() };
    Server { name, client }
}

fn packed(bundle: &Bundle, out: &Path) -> Result<Vec<u8>, Failure> {
    pack(&bundle.files, bundle.manifest.created_at).map_err(|error| files::unwritable(out, &error))
}

fn document(bundle: &Bundle) -> Result<Value, Failure> {
    serde_json::to_value(&bundle.manifest)
        .map_err(|error| Failure::new("the manifest cannot be written").found(error.to_string()))
}
