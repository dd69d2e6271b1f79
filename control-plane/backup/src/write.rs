//! Writes the lines of a backup, and counts and sums what it wrote. Knows neither encryption nor files.

use std::io::{self, Write};

use nimbus_store::{Cell, Table};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::format::{
    FileEntry, FileSum, Head, Manifest, Record, TableHead, TableSum, row_value, sha256, to_base64,
};

/// A backup that is being written.
pub struct Writer<W> {
    out: W,
    head: Head,
    files: Vec<FileSum>,
    tables: Vec<TableSum>,
    rows: u64,
    hash: Sha256,
    line: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins one with its head.
    pub fn begin(out: W, head: Head) -> io::Result<Self> {
        let (files, tables, hash, line) = (Vec::new(), Vec::new(), Sha256::new(), Vec::new());
        let mut writer = Self { out, head, files, tables, rows: 0, hash, line };
        writer.record(&Record::Head(writer.head.clone()))?;
        Ok(writer)
    }

    /// Adds a file of the data directory.
    pub fn file(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let sum = FileSum { name: name.to_owned(), bytes: bytes.len() as u64, sha256: sha256(bytes) };
        let (name, sha256) = (sum.name.clone(), sum.sha256.clone());
        self.record(&Record::File(FileEntry { name, sha256, bytes: to_base64(bytes) }))?;
        self.files.push(sum);
        Ok(())
    }

    /// Begins a table; its rows follow.
    pub fn begin_table(&mut self, table: &Table) -> io::Result<()> {
        (self.rows, self.hash) = (0, Sha256::new());
        self.record(&Record::Table(TableHead::of(table)))
    }

    /// Adds a row of the table that was begun last.
    pub fn row(&mut self, row: &[Cell]) -> io::Result<()> {
        self.json(&row_value(row))?;
        self.hash.update(&self.line);
        self.rows += 1;
        Ok(())
    }

    /// Ends that table.
    pub fn end_table(&mut self, table: &Table) -> io::Result<()> {
        let sha256 = hex::encode(std::mem::take(&mut self.hash).finalize());
        let sum = TableSum { name: table.name.to_owned(), rows: self.rows, sha256 };
        self.record(&Record::End(sum.clone()))?;
        self.tables.push(sum);
        Ok(())
    }

    /// Ends the backup with its manifest.
    pub fn finish(mut self) -> io::Result<(W, Head, Manifest)> {
        let (files, tables) = (std::mem::take(&mut self.files), std::mem::take(&mut self.tables));
        let manifest = Manifest::of(&self.head, files, tables)?;
        self.record(&Record::Manifest(manifest.clone()))?;
        Ok((self.out, self.head, manifest))
    }

    fn record(&mut self, record: &Record) -> io::Result<()> {
        self.json(record)
    }

    fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, value)?;
        self.line.push(b'\n');
        self.out.write_all(&self.line)
    }
}
