//! The images and charts of a release, as `cargo xtask dist` makes them: those of the release that `NIMBUS_RELEASE` names, or of
//! this build.
//!
//! Images of this build hold the programs as the tests built them for this machine's processor, and stand-ins for the other
//! one: the head of an ELF file each, as a build for it takes half an hour. Index, manifests and layers are made by the same
//! code as a release's; that real programs start from there is shown by other tests.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::layout::Layout;
use crate::dist::{self, ARCH};

/// The programs that have images.
pub const PROGRAMS: [&str; 3] = ["nimbus", "nimbus-agent", "nimbus-control-plane"];
/// The other processor, and its number in an ELF file.
const OTHER: (&str, u8) = if cfg!(target_arch = "aarch64") { ("x86_64", 62) } else { ("aarch64", 183) };

/// A release directory with images and charts at least.
#[derive(Debug)]
pub struct Release {
    dir: PathBuf,
    _made: Option<tempfile::TempDir>,
}

/// A chart as a package.
#[derive(Debug)]
pub struct Chart {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its file.
    pub path: PathBuf,
}

impl Release {
    /// Takes the one that `NIMBUS_RELEASE` names, or makes one of this build.
    ///
    /// # Errors
    /// When the programs have not been built, or `nimbus-dist` fails.
    pub fn find() -> anyhow::Result<Self> {
        if let Some(dir) = std::env::var_os("NIMBUS_RELEASE") {
            return Ok(Self { dir: dir.into(), _made: None });
        }
        let made = tempfile::Builder::new().prefix("nimbus-release-").tempdir()?;
        let (programs, dir) = (made.path().join("programs"), made.path().join("release"));
        let (own, other) = (programs.join(ARCH.0), programs.join(OTHER.0));
        fs::create_dir_all(&own)?;
        fs::create_dir_all(&other)?;
        for program in PROGRAMS {
            dist::strip(program, &own)?;
            fs::write(other.join(program), stand_in(program))?;
        }
        dist::finish(dist::start(&programs, &dir, &["--only", "images,charts"])?)?;
        Ok(Self { dir, _made: Some(made) })
    }

    /// The layout of a program's image.
    pub fn image(&self, program: &str) -> Layout {
        Layout::at(self.dir.join("images").join(program))
    }

    /// Every chart, by name.
    ///
    /// # Errors
    /// When there is none, or a file beside them is no chart's package.
    pub fn charts(&self) -> anyhow::Result<Vec<Chart>> {
        let folder = self.dir.join("charts");
        let mut charts = Vec::new();
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))? {
            let path = entry?.path();
            charts.push(chart(&path).with_context(|| format!("expected a chart, found {}", path.display()))?);
        }
        anyhow::ensure!(!charts.is_empty(), "{} holds no chart", folder.display());
        charts.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(charts)
    }
}

/// What the name of a package says: `NAME-VERSION.tgz`, where a version begins with a digit.
fn chart(path: &Path) -> Option<Chart> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".tgz")?;
    let (name, version) = stem.match_indices('-').find_map(|(at, _)| {
        let (name, version) = (&stem[..at], &stem[at + 1..]);
        version.starts_with(|first: char| first.is_ascii_digit()).then_some((name, version))
    })?;
    Some(Chart { name: name.to_owned(), version: version.to_owned(), path: path.to_owned() })
}

/// What `nimbus-dist` takes for a program of the other processor.
fn stand_in(program: &str) -> Vec<u8> {
    let mut head = vec![0_u8; 64];
    head[..6].copy_from_slice(b"\x7fELF\x02\x01");
    head[18] = OTHER.1;
    head.extend_from_slice(format!("{program} for {}", OTHER.0).as_bytes());
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_known_by_the_name_of_its_file() {
        let of = |name: &str| chart(Path::new(name)).map(|chart| (chart.name, chart.version));
        let expected = ("nimbus-control-plane".to_owned(), "1.2.0-rc.1+x".to_owned());
        assert_eq!(of("charts/nimbus-control-plane-1.2.0-rc.1+x.tgz"), Some(expected));
        assert_eq!(of("charts/nimbus-control-plane.tgz"), None);
        assert_eq!(of("charts/README.md"), None);
    }
}
