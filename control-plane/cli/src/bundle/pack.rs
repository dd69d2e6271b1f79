//! Makes the archive: the same parts at the same time are the same bytes.

use std::io::Write as _;

use flate2::{Compression, GzBuilder};
use jiff::Timestamp;
use tar::{Builder, EntryType, Header};

/// The directory that everything is in once it is unpacked.
pub const DIRECTORY: &str = "nimbus-support";

/// A compressed archive of these files, names and texts, all of one date and readable by their owner alone.
pub fn pack(files: &[(String, String)], now: Timestamp) -> std::io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for (name, text) in files {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o600);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(u64::try_from(now.as_second()).unwrap_or(0));
        header.set_size(text.len() as u64);
        builder.append_data(&mut header, format!("{DIRECTORY}/{name}"), text.as_bytes())?;
    }
    // 255: no system is named; no date either.
    let mut encoder = GzBuilder::new().operating_system(255).write(Vec::new(), Compression::default());
    encoder.write_all(&builder.into_inner()?)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn the_same_parts_at_the_same_time_are_the_same_bytes() {
        let now: Timestamp = "2026-11-27T20:00:00Z".parse().unwrap();
        let long = format!("cluster/logs/{}.log", "x".repeat(200));
        let files = [("manifest.json".to_owned(), "{}\n".to_owned()), (long.clone(), "a\n".to_owned())];
        let once = pack(&files, now).unwrap();
        assert_eq!(once, pack(&files, now).unwrap());
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(once.as_slice()));
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.mode().unwrap(), header.mtime().unwrap()), (0o600, 1_795_809_600));
            let path = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            found.push((path, text));
        }
        let expected = files.map(|(name, text)| (format!("{DIRECTORY}/{name}"), text));
        assert_eq!(found, expected);
    }
}
