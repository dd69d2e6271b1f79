//! The directory of one installation: what is planned, its keys, and `state.json`, which says what was done.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use nimbus_deploy::command::Program;
use nimbus_deploy::draft::{Draft, MOST_BYTES as ANSWERS_BYTES};
use nimbus_deploy::journal::{Journal, MOST_BYTES};
use nimbus_deploy::operation::TERRAFORM_PLAN;
use nimbus_deploy::plan::{ANSWERS, Plan, WRITER};
use nimbus_platform::{
    DirLock, create_private_dir, holds_only, read_regular_start, read_regular_text, write_atomic,
};

use crate::error::Failure;
use crate::exit::Exit;
use crate::files;

/// The file of the lock.
const LOCK: &str = "lock";
/// The file of the journal.
const STATE: &str = "state.json";
/// What an earlier plan may have written and this one need not.
const TERRAFORM: [&str; 4] = ["network.tf", "database.tf", "storage.tf", "dns.tf"];
/// The values of Terraform's variables.
const VARIABLES: &str = "terraform/terraform.tfvars.json";
/// How much of a file's beginning may say who wrote it.
const HEAD_BYTES: usize = 512;

/// One installation's directory; it need not be there yet.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// The lock, for the programs that are run here.
    shared: OnceLock<File>,
}

impl Directory {
    /// The directory at this path, by the one name that it has whichever way leads there: the context of `nimbus` is known
    /// as this directory's by it.
    pub fn new(path: &Path) -> Result<Self, Failure> {
        let path = std::path::absolute(path).map_err(|error| {
            Failure::new("this directory has no absolute path")
                .found(error.to_string())
                .next("name another one")
        })?;
        let real =
            |above: &Path| Some((above.canonicalize().ok()?, path.strip_prefix(above).ok()?.to_owned()));
        // Of one that is not there yet what is above it has such a name.
        let Some((above, below)) = path.ancestors().find_map(real) else { return Ok(Self::at(path)) };
        if below.components().any(|part| part == Component::ParentDir) {
            return Err(Failure::new(format!(
                "{} leads through a directory that is not there",
                path.display()
            ))
            .exit(Exit::Usage)
            .expected("a path of which everything before `..` is there")
            .found(format!("nothing below {}", above.display()))
            .next("name the directory without `..`"));
        }
        // Nothing joined to a path would end it with a slash.
        Ok(Self::at(if below.as_os_str().is_empty() { above } else { above.join(below) }))
    }

    fn at(path: PathBuf) -> Self {
        Self { path, shared: OnceLock::new() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes it, if it is not there, and keeps others out until the lock is dropped, or, where this process is killed before,
    /// until the programs that it began have ended. What a run left behind that was killed goes away.
    pub fn take(&self) -> Result<DirLock, Failure> {
        let is_new = !self.path.exists();
        if !is_new && !self.is_ours()? {
            return Err(Failure::new(format!("{} holds something else", self.path.display()))
                .expected("an empty directory, or one that this command made")
                .found(format!("files, and among them no {ANSWERS} and no {STATE} of this command"))
                .next("name another directory with --out"));
        }
        create_private_dir(&self.path).map_err(|error| files::unwritable(&self.path, &error))?;
        let lock = DirLock::take(&self.path).map_err(|error| {
            Failure::new("the installation's directory cannot be taken")
                .expected("that no other run uses it, nor a program that one began")
                .found(error.to_string())
                .next("wait until it ends, or look at its process; where that is gone, the helm, kubectl or tofu that it began is still at work")
        })?;
        let shared =
            lock.share().map_err(|error| files::unreadable("the lock", &self.path.join(LOCK), &error))?;
        // A run takes it once.
        let _ = self.shared.set(shared);
        // A plan of Terraform holds the database's password, and nobody applies an old one.
        files::gone(&terraform_plan(&self.path), |path| std::fs::remove_file(path))?;
        Ok(lock)
    }

    /// What a program that is run here gets as its input: nothing to read. Where the directory is taken, it is taken by the
    /// program too: a helm that a killed run left at work ends before the next one begins. OpenTofu and Terraform would hand their
    /// input on to providers, which may outlive them; they hold a lock on their own state.
    pub(super) fn input(&self, program: Program) -> std::io::Result<Stdio> {
        match program {
            Program::Kubectl | Program::Helm | Program::Nimbus => {
                self.shared.get().map_or_else(|| Ok(Stdio::null()), |file| Ok(Stdio::from(file.try_clone()?)))
            }
            Program::Tofu | Program::Terraform => Ok(Stdio::null()),
        }
    }

    /// For a program that reads something from its input: it takes the directory, too, if it is started while this is there.
    pub(super) fn held(&self) -> std::io::Result<Option<OwnedFd>> {
        self.shared.get().map(nimbus_platform::inherited).transpose()
    }

    /// Whether this command made the directory: by what its files say, as others may have files of these names.
    fn is_ours(&self) -> Result<bool, Failure> {
        let unreadable = |error| files::unreadable("the installation's directory", &self.path, &error);
        // The lock alone is left where nothing was written because a question was not answered with yes.
        let is_empty = holds_only(&self.path, |name| name == LOCK).map_err(unreadable)?;
        let is_answers = head(&self.path.join(ANSWERS), ANSWERS_BYTES).is_some_and(|text| {
            text.contains(WRITER) || Draft::parse(&text).is_ok_and(|draft| draft != Draft::default())
        });
        let is_journal =
            || head(&self.path.join(STATE), MOST_BYTES).is_some_and(|text| Journal::parse(&text).is_ok());
        Ok(is_answers || is_journal() || is_empty)
    }

    /// Writes every file of the plan; names those of an earlier plan that Terraform would still heed. Nothing is written where
    /// one of them would take the place of a file that this command did not write.
    pub fn write(&self, plan: &Plan) -> Result<Vec<String>, Failure> {
        let theirs: Vec<&str> = plan
            .files
            .iter()
            .filter(|file| !self.may_write(&file.path))
            .map(|file| file.path.as_str())
            .collect();
        if !theirs.is_empty() {
            return Err(Failure::new("files of somebody else's are in the way; nothing was written")
                .exit(Exit::Refused)
                .expected(format!("no files of these names, or ones that say in their first lines that `{WRITER}` wrote them"))
                .found(theirs.join(", "))
                .next("move them away, or name another directory with --out"));
        }
        for file in &plan.files {
            let path = self.path.join(&file.path);
            let failed = |error| files::unwritable(&path, &error);
            if let Some(parent) = path.parent() {
                create_private_dir(parent).map_err(failed)?;
            }
            write_atomic(&path, file.text.as_bytes(), 0o600).map_err(failed)?;
        }
        let terraform = TERRAFORM.map(|name| format!("terraform/{name}"));
        let is_left = |path: &String| {
            !plan.files.iter().any(|file| file.path == *path) && self.path.join(path).is_file()
        };
        Ok(terraform.into_iter().filter(is_left).collect())
    }

    /// Whether a file of the plan is not there, or was written by this command.
    fn may_write(&self, file: &str) -> bool {
        // The directory is ours by its answers, and the values of Terraform's variables have no place for a word of ours:
        // they belong to the file beside them.
        let marked = match file {
            ANSWERS => return true,
            VARIABLES => "terraform/main.tf",
            other => other,
        };
        let is_there = self.path.join(file).symlink_metadata().is_ok();
        !is_there || head(&self.path.join(marked), HEAD_BYTES).is_some_and(|text| text.contains(WRITER))
    }

    /// What was done here, if anything was.
    pub fn journal(&self) -> Result<Option<Journal>, Failure> {
        let path = self.path.join(STATE);
        let text = match read_regular_text(&path, MOST_BYTES as u64) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(files::unreadable("what was done so far", &path, &error)),
        };
        Journal::parse(&text).map(Some).map_err(|why| {
            Failure::new(format!("{} cannot be understood", path.display()))
                .expected("what this command wrote there")
                .found(why)
                .next("bring the file back from a copy, or use the nimbus that wrote it; without it nothing is undone by itself")
        })
    }

    /// What was done here, for a plan of this installation; nothing, where everything was undone again.
    pub fn journal_of(&self, identity: &str) -> Result<Journal, Failure> {
        let journal = self.journal()?.filter(|journal| !journal.entries.is_empty());
        Ok(journal.unwrap_or_else(|| Journal::new(identity)))
    }

    /// Keeps what was done.
    pub fn save(&self, journal: &Journal) -> Result<(), Failure> {
        let path = self.path.join(STATE);
        let text =
            journal.text().map_err(|why| Failure::new("what was done cannot be written down").found(why))?;
        write_atomic(&path, text.as_bytes(), 0o600).map_err(|error| files::unwritable(&path, &error))
    }
}

/// The file with the plan of Terraform that is looked at, of the installation in this directory.
pub(super) fn terraform_plan(directory: &Path) -> PathBuf {
    directory.join("terraform").join(TERRAFORM_PLAN)
}

/// The beginning of a file as text; nothing where it cannot be read.
fn head(path: &Path, most: usize) -> Option<String> {
    let bytes = read_regular_start(path, most as u64).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}
