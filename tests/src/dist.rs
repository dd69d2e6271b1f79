//! `nimbus-dist` on the programs that the tests built: what a release holds, within seconds and without a release's build.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context as _;

use crate::process::binary;

/// This machine's processor, and what Debian and OCI call it.
pub const ARCH: (&str, &str) =
    (std::env::consts::ARCH, if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" });

/// Puts a program as the tests built it into `folder`, without its symbols, which would be half of what is packed.
///
/// # Errors
/// When it has not been built, or there is no `strip`.
pub fn strip(program: &str, folder: &Path) -> anyhow::Result<()> {
    let mut strip = Command::new("strip");
    strip.arg("-o").arg(folder.join(program)).arg(binary(program)?);
    let output = strip.output().context("cannot run strip, which comes with a C compiler")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "strip failed: {said}");
    Ok(())
}

/// Starts `nimbus-dist`, which takes some ten seconds. It takes the programs from `programs`, which need a dynamic linker as
/// the tests built them; `words` say what is made.
///
/// # Errors
/// When it has not been built.
pub fn start(programs: &Path, out: &Path, words: &[&str]) -> anyhow::Result<Child> {
    let mut command = Command::new(binary("nimbus-dist")?);
    command.args(words).arg("--dynamic");
    command.args([OsStr::new("--programs"), programs.as_os_str(), OsStr::new("--out"), out.as_os_str()]);
    // Whatever the tree is, its date is this.
    command.env("SOURCE_DATE_EPOCH", "1700000000").stdin(Stdio::null()).stderr(Stdio::piped());
    command.spawn().context("cannot run nimbus-dist")
}

/// Waits until it ends, and requires that it made everything.
///
/// # Errors
/// With what it said, when it did not.
pub fn finish(child: Child) -> anyhow::Result<()> {
    let output = child.wait_with_output().context("nimbus-dist")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "nimbus-dist failed: {said}");
    Ok(())
}
