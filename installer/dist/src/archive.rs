//! Archives whose bytes depend on nothing but what is in them: entries in order, numbers instead of names for the
//! owners, one date for all, and headers of plain `ustar` without an extension.

use std::io::Write as _;

use anyhow::Context as _;
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};

use crate::source::SourceDate;
use crate::stage::Stage;

/// The longest path: what a header has room for without an extension.
const LONGEST: usize = 100;

/// A tar of everything in `stage`, with `prefix` before each path.
pub fn tar(stage: &Stage, prefix: &str, date: SourceDate) -> anyhow::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (path, entry) in stage.entries() {
        let bytes = entry.bytes()?;
        let path = format!("{prefix}{path}{}", if entry.is_directory() { "/" } else { "" });
        anyhow::ensure!(
            path.len() <= LONGEST,
            "expected paths of at most {LONGEST} bytes in an archive, found {path:?}; shorten it"
        );
        let mut header = Header::new_ustar();
        // Written as it is: the library would leave out a `./`, which Debian's tools write.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(if entry.is_directory() { EntryType::Directory } else { EntryType::Regular });
        header.set_mode(u32::from(entry.mode));
        header.set_uid(u64::from(entry.owner));
        header.set_gid(u64::from(entry.owner));
        header.set_mtime(u64::from(date.seconds()));
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        builder.append(&header, &*bytes).context("cannot write an archive in memory")?;
    }
    builder.into_inner().context("cannot write an archive in memory")
}

/// The same bytes, compressed, without a name, a date or a system in the header.
pub fn gzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    // 255: no system is named.
    let mut encoder = GzBuilder::new().operating_system(255).write(Vec::new(), Compression::best());
    encoder.write_all(bytes).context("cannot compress in memory")?;
    encoder.finish().context("cannot compress in memory")
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    const DATE: SourceDate = SourceDate::new(1_700_000_000);

    fn stage(order: &[usize]) -> Stage {
        let mut stage = Stage::default();
        for at in order {
            match at {
                0 => stage.text("bin/nimbus", 0o755, "program"),
                1 => stage.text("LICENSE", 0o644, "licence"),
                _ => stage.directory("tmp", 0o1777, 65_532),
            }
        }
        stage
    }

    #[test]
    fn it_is_the_same_twice_and_in_any_order() {
        let packed = |order: &[usize]| gzip(&tar(&stage(order), "", DATE).unwrap()).unwrap();
        let once = packed(&[0, 1, 2]);
        assert_eq!(once, packed(&[0, 1, 2]));
        assert_eq!(once, packed(&[2, 1, 0]));
        // No date and no system in gzip's own header.
        assert_eq!(once[4..8], [0; 4]);
        assert_eq!(once[9], 255);
    }

    #[test]
    fn a_reader_finds_what_was_put_in() {
        let packed = gzip(&tar(&stage(&[0, 1, 2]), "./", DATE).unwrap()).unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed.as_slice()));
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let header = entry.header();
            assert_eq!(header.mtime().unwrap(), 1_700_000_000);
            found.push((path, header.mode().unwrap(), header.uid().unwrap(), text));
        }
        let row = |path: &str, mode, owner, text: &str| (path.to_owned(), mode, owner, text.to_owned());
        let expected = [
            row("./LICENSE", 0o644, 0, "licence"),
            row("./bin/", 0o755, 0, ""),
            row("./bin/nimbus", 0o755, 0, "program"),
            row("./tmp/", 0o1777, 65_532, ""),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_path_that_needs_an_extension_is_refused() {
        let mut stage = Stage::default();
        stage.text(&"x".repeat(101), 0o644, "");
        assert!(tar(&stage, "", DATE).unwrap_err().to_string().contains("at most 100 bytes"));
    }
}
