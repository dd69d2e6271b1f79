//! Reads the lines of a backup one by one and compares every count and checksum on the way: what comes out of it is what
//! was written, or an error. Knows neither encryption nor files.

use std::io::{self, BufRead, Read as _};
use std::path::PathBuf;

use nimbus_store::{Cell, Table, tables};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::error::BackupError;
use crate::format::{
    FORMAT, FileEntry, FileSum, Head, MAX_FILE, MAX_LINE, Manifest, Record, TableHead, TableSum, from_base64,
    row, sha256,
};

/// What comes next.
pub enum Item {
    /// A file: name and bytes.
    File(String, zeroize::Zeroizing<Vec<u8>>),
    /// A row of a table.
    Row(&'static Table, Vec<Cell>),
    /// The end; nothing follows.
    End(Manifest),
}

/// As much of the head as every format has.
#[derive(Deserialize)]
struct AnyHead {
    head: AnyFormat,
}

#[derive(Deserialize)]
struct AnyFormat {
    format: u32,
    #[serde(default)]
    product: String,
}

/// A backup that is being read.
pub struct Reader<R> {
    input: R,
    file: PathBuf,
    head: Head,
    files: Vec<FileSum>,
    tables: Vec<TableSum>,
    /// The table whose rows come, how many came, and the sum over their lines.
    open: Option<(&'static Table, u64, Sha256)>,
    line: Vec<u8>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the head of what is in `file`.
    pub fn begin(mut input: R, file: PathBuf) -> Result<Self, BackupError> {
        let mut line = Vec::new();
        if !next_line(&mut input, &mut line).map_err(|error| failed(&file, error, "before its head"))? {
            return Err(BackupError::Truncated { file, at: " before its head".to_owned() });
        }
        let Ok(AnyHead { head: any }) = serde_json::from_slice(&line) else {
            return Err(BackupError::NoBackup { file, found: "other encrypted content".to_owned() });
        };
        if any.format > FORMAT {
            return Err(BackupError::NewerFormat { file, found: any.format, product: any.product });
        }
        let Ok(Record::Head(head)) = serde_json::from_slice(&line) else {
            return Err(damaged(&file, "a head", "something else"));
        };
        let known = nimbus_store::schema_version();
        if head.schema != known {
            return Err(BackupError::OtherSchema { known, found: head.schema, product: head.product });
        }
        Ok(Self { input, file, head, files: Vec::new(), tables: Vec::new(), open: None, line })
    }

    /// The head.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// What comes next; after [`Item::End`] it is not to be asked again.
    pub fn next(&mut self) -> Result<Item, BackupError> {
        loop {
            let read = next_line(&mut self.input, &mut self.line);
            if !read.map_err(|error| failed(&self.file, error, &self.place()))? {
                return Err(BackupError::Truncated {
                    file: self.file.clone(),
                    at: format!(" {}", self.place()),
                });
            }
            if self.line.first() == Some(&b'[') {
                return self.row();
            }
            let record = serde_json::from_slice(&self.line)
                .map_err(|error| damaged(&self.file, "a line of a backup", &error.to_string()))?;
            match (record, self.open.is_some()) {
                (Record::File(entry), false) if self.tables.is_empty() => return self.file_entry(entry),
                (Record::Table(head), false) => self.begin_table(&head)?,
                (Record::End(sum), true) => self.end_table(&sum)?,
                (Record::Manifest(manifest), false) => return self.manifest(&manifest),
                (record, _) => {
                    let expected = if self.open.is_some() { "the end of a table" } else { "another line" };
                    return Err(damaged(&self.file, expected, record.word()));
                }
            }
        }
    }

    fn place(&self) -> String {
        match (&self.open, self.tables.last()) {
            (Some((table, rows, _)), _) => format!("in the table {} behind {rows} rows", table.name),
            (None, Some(table)) => format!("behind the table {}", table.name),
            (None, None) => "behind its head".to_owned(),
        }
    }

    fn row(&mut self) -> Result<Item, BackupError> {
        let Some((table, rows, hash)) = &mut self.open else {
            return Err(damaged(&self.file, "the begin of a table", "a row"));
        };
        hash.update(&self.line);
        *rows += 1;
        match row(table, &self.line) {
            Some(cells) => Ok(Item::Row(table, cells)),
            None => Err(damaged(&self.file, &format!("row {rows} of {}", table.name), "other values")),
        }
    }

    fn file_entry(&mut self, entry: FileEntry) -> Result<Item, BackupError> {
        let Some(bytes) = from_base64(&entry.bytes).filter(|bytes| bytes.len() as u64 <= MAX_FILE) else {
            return Err(damaged(&self.file, &format!("{} in at most 64 KiB", entry.name), "something else"));
        };
        let bytes = zeroize::Zeroizing::new(bytes);
        let found = sha256(&bytes);
        if found != entry.sha256 {
            let expected = format!("{} with SHA-256 {}", entry.name, entry.sha256);
            return Err(damaged(&self.file, &expected, &found));
        }
        self.files.push(FileSum { name: entry.name.clone(), bytes: bytes.len() as u64, sha256: found });
        Ok(Item::File(entry.name, bytes))
    }

    fn begin_table(&mut self, head: &TableHead) -> Result<(), BackupError> {
        // In the order of the list: each once, and none is missing in the end.
        let table = tables().get(self.tables.len());
        if let Some(table) = table.filter(|table| TableHead::of(table) == *head) {
            self.open = Some((table, 0, Sha256::new()));
            return Ok(());
        }
        let expected = table.map_or("no further table", |table| table.name);
        Err(damaged(&self.file, &format!("the table {expected} as this version knows it"), &head.name))
    }

    fn end_table(&mut self, sum: &TableSum) -> Result<(), BackupError> {
        let Some((table, rows, hash)) = self.open.take() else { return Ok(()) };
        let found = TableSum { name: table.name.to_owned(), rows, sha256: hex::encode(hash.finalize()) };
        if found != *sum {
            let told =
                |sum: &TableSum| format!("{} rows of {} with SHA-256 {}", sum.rows, sum.name, sum.sha256);
            return Err(damaged(&self.file, &told(sum), &told(&found)));
        }
        self.tables.push(found);
        Ok(())
    }

    fn manifest(&mut self, told: &Manifest) -> Result<Item, BackupError> {
        if let Some(missing) = tables().get(self.tables.len()) {
            return Err(damaged(&self.file, &format!("the table {}", missing.name), "the manifest"));
        }
        let (files, tables) = (std::mem::take(&mut self.files), std::mem::take(&mut self.tables));
        let found = Manifest::of(&self.head, files, tables)
            .map_err(|error| damaged(&self.file, "a manifest", &error.to_string()))?;
        if found != *told {
            return Err(damaged(&self.file, "a manifest of what it holds", "another one"));
        }
        let rest = next_line(&mut self.input, &mut self.line);
        if rest.map_err(|error| failed(&self.file, error, "at its end"))? {
            return Err(damaged(&self.file, "nothing behind the manifest", "a further line"));
        }
        Ok(Item::End(found))
    }
}

fn damaged(file: &std::path::Path, expected: &str, found: &str) -> BackupError {
    let file = file.to_owned();
    BackupError::Damaged { file, expected: expected.to_owned(), found: found.to_owned() }
}

/// What an error of the encrypted stream says about the backup. It names no other system's words than these two kinds.
fn failed(file: &std::path::Path, error: io::Error, place: &str) -> BackupError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            BackupError::Truncated { file: file.to_owned(), at: format!(" {place}") }
        }
        io::ErrorKind::InvalidData => damaged(
            file,
            "encrypted content as it was written",
            &format!("a piece that was changed or cut off, {place}"),
        ),
        _ => BackupError::io(file, error),
    }
}

/// Reads the next line with its line feed; false at the end.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = input.by_ref().take(MAX_LINE).read_until(b'\n', line)?;
    match line.last() {
        None => Ok(false),
        Some(b'\n') => Ok(true),
        Some(_) if read as u64 == MAX_LINE => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "a line that is too long"))
        }
        Some(_) => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
