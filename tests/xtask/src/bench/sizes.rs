//! What the artefacts of a release weigh: what a node or a host downloads.

use std::path::Path;

use anyhow::Context as _;

use super::report::Row;

/// The folders of a release whose files are artefacts by themselves.
const FILES: [&str; 3] = ["packages", "archives", "charts"];

/// A row for each image and each file, in MB of what is downloaded.
pub fn rows(release: &Path) -> anyhow::Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, image) in entries(&release.join("images"))? {
        // The layers are compressed as a registry keeps them.
        rows.push(row(format!("image `{name}`"), weight(&image.join("blobs"))?));
    }
    for folder in FILES {
        for (name, file) in entries(&release.join(folder))? {
            rows.push(row(format!("`{name}`"), weight(&file)?));
        }
    }
    anyhow::ensure!(!rows.is_empty(), "expected artefacts in {}, found none", release.display());
    Ok(rows)
}

#[allow(clippy::cast_precision_loss, reason = "a file of 9 PB would lose a byte")]
fn row(what: String, bytes: u64) -> Row {
    Row { what, value: bytes as f64 / 1e6, unit: "MB".to_owned(), aim: None, peer: None }
}

/// The bytes of a file, or of all files in a folder.
fn weight(path: &Path) -> anyhow::Result<u64> {
    let about = path.metadata().with_context(|| format!("cannot read {}", path.display()))?;
    if about.is_file() {
        return Ok(about.len());
    }
    entries(path)?.iter().map(|(_, path)| weight(path)).sum()
}

/// What is in a folder, by name.
fn entries(folder: &Path) -> anyhow::Result<Vec<(String, std::path::PathBuf)>> {
    let read = || format!("cannot read {}", folder.display());
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(read)? {
        let entry = entry.with_context(read)?;
        all.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    all.sort();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_weighs_what_its_blobs_do_and_a_file_what_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, bytes: usize| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, vec![0; bytes]).unwrap();
        };
        assert!(rows(dir.path()).is_err(), "no release");
        write("images/one/blobs/sha256/a", 1_000_000);
        write("images/one/blobs/sha256/b", 500_000);
        write("images/one/index.json", 9);
        write("packages/one.deb", 2_000_000);
        for folder in ["archives", "charts"] {
            std::fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let rows: Vec<_> = rows(dir.path()).unwrap().into_iter().map(|row| (row.what, row.value)).collect();
        assert_eq!(rows, [("image `one`".to_owned(), 1.5), ("`one.deb`".to_owned(), 2.0)]);
    }
}
