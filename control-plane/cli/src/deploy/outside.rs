//! The files that steps use and that are not of the plan: a person's values, the charts, a person's Terraform. With other
//! contents a step is done again.

use std::collections::BTreeMap;
use std::path::Path;

use nimbus_deploy::answers::Answers;
use nimbus_deploy::files::{is_own_terraform, used_text, used_tree};
use nimbus_deploy::plan::{Charts, Plan};
use nimbus_deploy::step::Used;
use nimbus_platform::read_regular_start;

use super::directory::Directory;
use crate::error::Failure;
use crate::files;

/// The most bytes of a person's file that are read.
const MOST_BYTES: u64 = 16 << 20;
/// The most files of a chart, or of the directory terraform.
const MOST_FILES: usize = 1000;

/// All of them with their digests. `plan` says which files are written, which a person's own are not among.
pub fn find(
    answers: &Answers,
    charts: &Charts,
    plan: &Plan,
    directory: &Directory,
) -> Result<Vec<Used>, Failure> {
    let mut all = Vec::new();
    for (key, path) in [
        ("extra.control_plane_values", &answers.control_plane_values),
        ("extra.agent_values", &answers.agent_values),
    ] {
        let Some(path) = path else { continue };
        let real = Path::new(path).canonicalize().unwrap_or_else(|_| path.into());
        let written = plan.files.iter().find(|file| directory.path().join(&file.path) == real);
        if let Some(file) = written {
            return Err(Failure::usage(format!("{key} names a file that this command writes"))
                .expected("a values file of your own, under a name of its own")
                .found(file.path.clone())
                .next("copy it to another name and give that one"));
        }
        all.push(used_text(path, &read(key, Path::new(path))?));
    }
    for chart in [&charts.control_plane, &charts.agent] {
        let path = Path::new(chart);
        if path.is_dir() {
            let mut files = BTreeMap::new();
            walk(path, path, &mut files)?;
            all.push(used_tree(chart, &files));
        } else if path.is_file() {
            all.push(used_text(chart, &read("a chart", path)?));
        }
    }
    let terraform = directory.path().join("terraform");
    for name in names(&terraform)? {
        let file = format!("terraform/{name}");
        let is_written = plan.files.iter().any(|written| written.path == file);
        let path = terraform.join(&name);
        if is_own_terraform(&name) && !is_written && path.is_file() {
            all.push(used_text(&file, &read("a file of Terraform", &path)?));
        }
    }
    Ok(all)
}

/// The names in a directory in their order; none where it is not there.
fn names(directory: &Path) -> Result<Vec<String>, Failure> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let unreadable = |error| files::unreadable("a directory", directory, &error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        names.push(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned());
        if names.len() > MOST_FILES {
            return Err(too_many(directory));
        }
    }
    names.sort();
    Ok(names)
}

/// Every file below `at` by its name below `root`.
fn walk(root: &Path, at: &Path, files: &mut BTreeMap<String, Vec<u8>>) -> Result<(), Failure> {
    for name in names(at)? {
        let path = at.join(name);
        if path.is_dir() {
            walk(root, &path, files)?;
        } else {
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            files.insert(name, read("a chart", &path)?);
        }
        if files.len() > MOST_FILES {
            return Err(too_many(root));
        }
    }
    Ok(())
}

fn too_many(directory: &Path) -> Failure {
    Failure::new(format!("{} holds too much", directory.display()))
        .expected(format!("at most {MOST_FILES} files"))
        .found("more")
        .next("name another directory, or move away what does not belong there")
}

fn read(what: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes =
        read_regular_start(path, MOST_BYTES + 1).map_err(|error| files::unreadable(what, path, &error))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Failure::new(format!("{what} is too large"))
            .expected(format!("at most {MOST_BYTES} bytes"))
            .found(format!("more in {}", path.display()))
            .next("is it the file that is meant?"));
    }
    Ok(bytes)
}
