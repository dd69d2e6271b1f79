//! Images without a registry: one layer made of a few files, packed as an archive that the runtime imports.
//!
//! The images of the tests hold a static busybox. The agent's holds the agent as the tests built it, with the libraries
//! that it is linked to: a build for another target takes minutes, and changes nothing that a scene is about.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::json;

use super::mounts::run;

/// The image of the tests' containers.
pub const BUSYBOX: &str = "local/busybox:1";
/// What holds a pod's namespaces.
pub const PAUSE: &str = "local/pause:1";
/// The agent's image.
pub const AGENT: &str = "local/nimbus-agent:1";

/// What busybox is called by in the image.
const APPLETS: [&str; 14] =
    ["sh", "sleep", "echo", "cat", "id", "dd", "wget", "ls", "true", "false", "test", "mkdir", "rm", "date"];

/// Writes the archive of a busybox image into `dir`; `command` is what it runs by itself.
///
/// # Errors
/// When there is no busybox, or the archive cannot be written.
pub fn busybox(dir: &Path, name: &str, command: &[&str]) -> anyhow::Result<PathBuf> {
    let root = tempfile::tempdir_in(dir)?;
    let bin = root.path().join("bin");
    fs::create_dir(&bin)?;
    copy(super::part("a static busybox")?, &bin.join("busybox"))?;
    for applet in APPLETS {
        symlink("busybox", bin.join(applet))?;
    }
    fs::create_dir(root.path().join("tmp"))?;
    fs::set_permissions(root.path().join("tmp"), fs::Permissions::from_mode(0o1777))?;
    pack(dir, root.path(), name, command)
}

/// Writes the archive of the agent's image into `dir`.
///
/// # Errors
/// As [`of_program`].
pub fn agent(dir: &Path, program: &Path) -> anyhow::Result<PathBuf> {
    of_program(dir, program, AGENT)
}

/// Writes the archive of an image called `name` into `dir`, which runs `program`.
///
/// # Errors
/// When its libraries are not found, or the archive cannot be written.
pub fn of_program(dir: &Path, program: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let root = tempfile::tempdir_in(dir)?;
    let file = program.file_name().context("a program has a name")?.to_string_lossy().into_owned();
    copy(program, &root.path().join(&file))?;
    let said = run("ldd", &[&program.display().to_string()])?;
    for library in said.split_whitespace().filter(|word| word.starts_with('/')) {
        let into = root.path().join(library.trim_start_matches('/'));
        fs::create_dir_all(into.parent().context("a library lies in a directory")?)?;
        copy(Path::new(library), &into)?;
    }
    fs::create_dir(root.path().join("tmp"))?;
    fs::set_permissions(root.path().join("tmp"), fs::Permissions::from_mode(0o1777))?;
    pack(dir, root.path(), name, &[&format!("/{file}")])
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// One layer, its configuration and the manifest, in the form that `docker save` writes.
fn pack(dir: &Path, root: &Path, name: &str, command: &[&str]) -> anyhow::Result<PathBuf> {
    let work = tempfile::tempdir_in(dir)?;
    let at = |file: &str| work.path().join(file).display().to_string();
    let owned = ["--owner=0", "--group=0", "--mtime=@0", "--sort=name"];
    let tar = |words: &[&str]| run("tar", &[&owned[..], words].concat());
    tar(&["-C", &root.display().to_string(), "-cf", &at("layer.tar"), "."])?;
    let layer = digest(&at("layer.tar"))?;
    let config = json!({
        "architecture": if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" },
        "os": "linux",
        // A program by itself is in the root.
        "config": {"Env": ["PATH=/bin:/"], "Entrypoint": command},
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer}")]},
    });
    fs::write(at("config.json"), config.to_string())?;
    let manifest = json!([{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]);
    fs::write(at("manifest.json"), manifest.to_string())?;
    let archive = dir.join(format!("{}.tar", name.replace(['/', ':'], "-")));
    let into = archive.display().to_string();
    tar(&[
        "-C",
        &work.path().display().to_string(),
        "-cf",
        &into,
        "config.json",
        "layer.tar",
        "manifest.json",
    ])?;
    Ok(archive)
}

fn digest(file: &str) -> anyhow::Result<String> {
    let said = run("sha256sum", &[file])?;
    Ok(said.split_whitespace().next().context("a digest")?.to_owned())
}
