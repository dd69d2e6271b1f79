//! The directory of one installation: what is planned, its keys, and `state.json`, which says what was done.

use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use nimbus_deploy::journal::{Journal, MOST_BYTES};
use nimbus_deploy::plan::{ANSWERS, Plan};
use nimbus_platform::{DirLock, create_private_dir, write_atomic};

use crate::error::Failure;
use crate::files;

/// The file of the journal.
const STATE: &str = "state.json";
/// What an earlier plan may have written and this one need not.
const TERRAFORM: [&str; 4] = ["network.tf", "database.tf", "storage.tf", "dns.tf"];

/// One installation's directory; it need not be there yet.
#[derive(Debug)]
pub struct Directory(PathBuf);

impl Directory {
    /// The directory at this path.
    pub fn new(path: &Path) -> Result<Self, Failure> {
        std::path::absolute(path).map(Self).map_err(|error| {
            Failure::new("this directory has no absolute path")
                .found(error.to_string())
                .next("name another one")
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes it, if it is not there, and keeps others out until the lock is dropped.
    pub fn take(&self) -> Result<DirLock, Failure> {
        let is_new = !self.0.exists();
        if !is_new && !self.is_ours()? {
            return Err(Failure::new(format!("{} holds something else", self.0.display()))
                .expected("an empty directory, or one that this command made")
                .found(format!("files, and no {ANSWERS} among them"))
                .next("name another directory with --out"));
        }
        create_private_dir(&self.0).map_err(|error| files::unwritable(&self.0, &error))?;
        DirLock::take(&self.0).map_err(|error| {
            Failure::new("the installation's directory cannot be taken")
                .expected("that no other run uses it")
                .found(error.to_string())
                .next("wait for the other run, or look at its process")
        })
    }

    fn is_ours(&self) -> Result<bool, Failure> {
        let unreadable = |error| files::unreadable("the installation's directory", &self.0, &error);
        let mut entries = std::fs::read_dir(&self.0).map_err(unreadable)?;
        Ok(self.0.join(ANSWERS).is_file() || self.0.join(STATE).is_file() || entries.next().is_none())
    }

    /// Writes every file of the plan; names those of an earlier plan that Terraform would still heed.
    pub fn write(&self, plan: &Plan) -> Result<Vec<String>, Failure> {
        for file in &plan.files {
            let path = self.0.join(&file.path);
            let failed = |error| files::unwritable(&path, &error);
            if let Some(parent) = path.parent() {
                create_private_dir(parent).map_err(failed)?;
            }
            write_atomic(&path, file.text.as_bytes(), 0o600).map_err(failed)?;
        }
        let terraform = TERRAFORM.map(|name| format!("terraform/{name}"));
        let is_left =
            |path: &String| !plan.files.iter().any(|file| file.path == *path) && self.0.join(path).is_file();
        Ok(terraform.into_iter().filter(is_left).collect())
    }

    /// What was done here, if anything was.
    pub fn journal(&self) -> Result<Option<Journal>, Failure> {
        let path = self.0.join(STATE);
        let mut text = String::new();
        let read = std::fs::File::open(&path)
            .and_then(|file| file.take(MOST_BYTES as u64 + 1).read_to_string(&mut text));
        match read {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(files::unreadable("what was done so far", &path, &error)),
        }
        Journal::parse(&text).map(Some).map_err(|why| {
            Failure::new(format!("{} cannot be understood", path.display()))
                .expected("what this command wrote there")
                .found(why)
                .next("bring the file back from a copy; without it nothing is undone by itself")
        })
    }

    /// Keeps what was done.
    pub fn save(&self, journal: &Journal) -> Result<(), Failure> {
        let path = self.0.join(STATE);
        let text =
            journal.text().map_err(|why| Failure::new("what was done cannot be written down").found(why))?;
        write_atomic(&path, text.as_bytes(), 0o600).map_err(|error| files::unwritable(&path, &error))
    }
}
