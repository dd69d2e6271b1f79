//! `nimbus verify-release DIR --key FILE`: says whether a downloaded or carried release is what a key signed. It asks no
//! server and no network.

use std::path::{Path, PathBuf};

use clap::Args;
use nimbus_platform::read_regular;
use nimbus_release::key;
use nimbus_release::verify::{Report, verify};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::{files, view};

/// The most bytes of a key's file; a public key as PEM has some hundred.
const MOST_KEY_BYTES: u64 = 16 << 10;

/// Whether a release's directory is whole and signed by a key, without a network
///
/// Checked are the signature over SHA256SUMS, every file that is listed, that no other file is there, that each image is
/// whole, and that each artefact has a bill of materials.
#[derive(Debug, Args)]
pub struct VerifyReleaseArgs {
    /// The release's directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The public key of who made the release, as PEM
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

/// Verifies and says what was found; an error if anything is wrong.
pub fn run(context: &Context, args: &VerifyReleaseArgs) -> Result<Exit, Failure> {
    let key = read_key(&args.key)?;
    let progress = context.moving("verifying the release");
    let report = verify(&args.directory, &key, |name| progress.count(&format!("verifying {name}")));
    drop(progress);
    let report = report.map_err(|error| {
        Failure::new("the release cannot be read")
            .expected(format!("a release's directory at {}", args.directory.display()))
            .found(error.to_string())
            .next("check the path, then run the same command again")
    })?;
    let id = key::id(&key);
    context.print_either(&document(&report, &id), |view| view::release::verified(view, &report, &id))?;
    Ok(if report.problems.is_empty() { Exit::Done } else { Exit::Error })
}

fn read_key(path: &Path) -> Result<ed25519_dalek::VerifyingKey, Failure> {
    let text = read_regular(path, MOST_KEY_BYTES)
        .map_err(|error| files::unreadable("the release key", path, &error))?;
    key::public(&String::from_utf8_lossy(&text)).map_err(|wrong| {
        Failure::new(format!("{} is not the public key of a release", path.display()))
            .found(wrong.to_string())
            .next("give the key that the release's maker published, by another way than the release itself")
    })
}

/// The answer for a program.
fn document(report: &Report, key: &str) -> Value {
    let problems: Vec<Value> =
        report.problems.iter().map(|problem| json!({"at": problem.at, "what": problem.what})).collect();
    json!({
        "valid": report.problems.is_empty(), "key": key, "files": report.files, "bytes": report.bytes,
        "artefacts": report.artefacts, "problems": problems,
    })
}
