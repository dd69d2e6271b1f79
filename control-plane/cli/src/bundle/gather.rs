//! Asks for one part after the other and keeps what is left of each without secrets.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use nimbus_api::client::{Client, ClientError};
use nimbus_platform::monotonic;
use nimbus_redaction::Redactor;
use serde_json::Value;

use super::manifest::{Entry, FORMAT, Manifest};
use super::parts::{self, Part, Question, Source};
use super::piece::{Piece, Raw};
use super::run::{self, Read};
use super::{LONGEST, MOST, questions};

/// What is around this command.
#[derive(Debug, Clone)]
pub struct Around {
    /// Where the programs are looked for; none: on the PATH.
    pub search: Option<OsString>,
    /// The directory of the services' files.
    pub etc: PathBuf,
    /// How long it may take to take the secrets out of one part.
    pub redacts_within: Duration,
}

impl Around {
    /// Of this machine.
    pub fn here() -> Self {
        Self { search: None, etc: PathBuf::from("/etc/nimbus"), redacts_within: LONGEST }
    }
}

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The namespace in which kubectl looks.
    pub namespace: String,
    /// Whether the logs of its pods are read.
    pub logs: bool,
    /// Whether this machine's services are looked at.
    pub host: bool,
    /// What this program says of itself.
    pub version: Value,
    /// What `nimbus doctor` found, or why it found nothing.
    pub doctor: Value,
}

/// The control plane, or why there is none to ask, and how it is called.
pub struct Server {
    /// As it is shown.
    pub name: String,
    /// It, or what was wrong.
    pub client: Result<Client, String>,
}

/// A bundle that is not written yet: its manifest, and the files with their texts.
#[derive(Debug)]
pub struct Bundle {
    /// What is in it.
    pub manifest: Manifest,
    /// The files, the manifest first.
    pub files: Vec<(String, String)>,
}

/// The parts that are known before anything is asked.
pub fn planned(wanted: &Wanted, around: &Around) -> Vec<Part> {
    let mut list = parts::control_plane(wanted.version.clone(), wanted.doctor.clone());
    list.extend(parts::cluster(&wanted.namespace));
    if wanted.host {
        list.extend(parts::host(&run::files_of(&around.etc).0));
    }
    list
}

/// Asks for everything. `say` is told what is asked for.
pub async fn gather(
    wanted: &Wanted,
    around: &Around,
    server: &Server,
    redactor: &mut Redactor,
    now: Timestamp,
    mut say: impl FnMut(&str),
) -> Bundle {
    let mut gathering = Gathering { around, server, lost: None, kept: Vec::new(), bytes: 0 };
    for part in planned(wanted, around) {
        say(&part.name);
        let pods = gathering.part(&part, redactor).await;
        let Some(pods) = pods.filter(|_| wanted.logs) else { continue };
        let (logs, left_out) = parts::logs(&wanted.namespace, &pods);
        for part in logs {
            say(&part.name);
            gathering.part(&part, redactor).await;
        }
        if left_out > 0 {
            gathering.note(format!("there are {left_out} pods more than logs are read of"));
        }
    }
    if wanted.host {
        if let Err(error) = std::fs::read_dir(&around.etc) {
            let why = crate::files::reason(&error);
            gathering.note(format!("the files of {} are not in it: {why}", around.etc.display()));
        }
        let (_, more) = run::files_of(&around.etc);
        if more > 0 {
            gathering.note(format!("{} has {more} files more than are read", around.etc.display()));
        }
    }
    gathering.end(wanted, redactor, now)
}

/// A part with what is left of it, and what was wrong.
struct Kept {
    part: Part,
    piece: Piece,
    problem: Option<String>,
}

struct Gathering<'a> {
    around: &'a Around,
    server: &'a Server,
    /// Why the control plane is not asked any more.
    lost: Option<String>,
    kept: Vec<Kept>,
    bytes: usize,
}

impl Gathering<'_> {
    /// Asks for a part; the list of pods where this part has it.
    async fn part(&mut self, part: &Part, redactor: &mut Redactor) -> Option<Value> {
        let (raw, mut problem) = if self.bytes < MOST {
            self.read(&part.source).await
        } else {
            (None, Some(format!("left out: the bundle has its {MOST} bytes")))
        };
        let pods = match &raw {
            Some(Raw::Document(document)) if part.name == parts::PODS => Some(document.clone()),
            _ => None,
        };
        let (begun, limit) = (monotonic(), self.around.redacts_within);
        redactor.bound(move || monotonic().saturating_sub(begun) < limit);
        let mut piece = raw.map(|raw| Piece::new(redactor, raw)).unwrap_or_default();
        if redactor.is_late() && !piece.text.is_empty() {
            piece = Piece::default();
            problem =
                Some(format!("left out: its secrets could not be taken out within {} s", limit.as_secs()));
        }
        redactor.bound(|| true);
        let problem = problem.map(|problem| redactor.text(&problem).text);
        self.keep(part.clone(), piece, problem);
        pods
    }

    fn keep(&mut self, part: Part, mut piece: Piece, mut problem: Option<String>) {
        if self.bytes + piece.text.len() > MOST {
            piece = Piece::default();
            problem = Some(format!("left out: the bundle would have more than {MOST} bytes"));
        }
        self.bytes += piece.text.len();
        self.kept.push(Kept { part, piece, problem });
    }

    /// Something to know that is of no part alone.
    fn note(&mut self, problem: String) {
        let part = Part { name: "left-out".to_owned(), source: Source::Known(Value::Null) };
        self.keep(part, Piece::default(), Some(problem));
    }

    async fn read(&mut self, source: &Source) -> Read {
        match source {
            Source::Known(document) => (Some(Raw::Document(document.clone())), None),
            Source::ControlPlane(question) => match self.ask(*question).await {
                Ok(raw) => (Some(raw), None),
                Err(problem) => (None, Some(problem)),
            },
            Source::Program { program, words } => {
                run::program(self.around.search.as_deref(), program, words).await
            }
            Source::File(path) => run::file(path),
        }
    }

    async fn ask(&mut self, question: Question) -> Result<Raw, String> {
        if let Some(lost) = &self.lost {
            return Err(lost.clone());
        }
        let client = self.server.client.as_ref().map_err(Clone::clone)?;
        match tokio::time::timeout(LONGEST, questions::ask(client, question)).await {
            Err(_) => Err(format!("no answer within {} s", LONGEST.as_secs())),
            Ok(Ok(raw)) => Ok(raw),
            Ok(Err(error)) => {
                let is_lost = matches!(error, ClientError::Unreachable { .. });
                let said = crate::error::Failure::from(error);
                let said = format!("{}: {}", said.title, said.found);
                if is_lost {
                    self.lost = Some(said.clone());
                }
                Err(said)
            }
        }
    }

    /// Looks in every part for what was found in a later one, and writes the manifest.
    fn end(self, wanted: &Wanted, redactor: &mut Redactor, now: Timestamp) -> Bundle {
        let (mut entries, mut files) = (Vec::new(), Vec::new());
        for Kept { part, piece, problem } in self.kept {
            let piece = piece.again(redactor);
            entries.push(Entry {
                source: part.source.says(),
                bytes: piece.text.len(),
                redactions: piece.redactions,
                cut: piece.cut,
                problem: problem.map(|problem| redactor.again(&problem).text),
                name: part.name.clone(),
            });
            if !piece.text.is_empty() {
                files.push((part.name, piece.text));
            }
        }
        let manifest = Manifest {
            format: FORMAT,
            product: env!("CARGO_PKG_VERSION").to_owned(),
            created_at: now,
            server: self.server.name.clone(),
            namespace: wanted.namespace.clone(),
            redactions: entries.iter().map(|entry| entry.redactions).sum(),
            bytes: entries.iter().map(|entry| entry.bytes).sum(),
            parts: entries,
        };
        files.insert(0, ("manifest.json".to_owned(), manifest.text()));
        Bundle { manifest, files }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_for_which_there_is_no_room_is_left_out_and_later_ones_are_not_asked_for() {
        let around = Around { search: None, etc: PathBuf::from("/nowhere"), redacts_within: LONGEST };
        let server = Server { name: String::new(), client: Err("not asked".to_owned()) };
        let part =
            |name: &str| Part { name: name.to_owned(), source: Source::ControlPlane(Question::Status) };
        let piece = |bytes: usize| Piece { text: "x".repeat(bytes), ..Piece::default() };
        let mut gathering =
            Gathering { around: &around, server: &server, lost: None, kept: Vec::new(), bytes: MOST - 10 };
        gathering.keep(part("a"), piece(11), None);
        assert_eq!(gathering.bytes, MOST - 10);
        gathering.keep(part("b"), piece(10), None);
        let mut redactor = Redactor::new(&[]).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(gathering.part(&part("c"), &mut redactor));
        let said: Vec<_> =
            gathering.kept.iter().map(|kept| (kept.piece.text.len(), kept.problem.as_deref())).collect();
        assert!(said[0].0 == 0 && said[0].1.is_some_and(|problem| problem.contains("would have more")));
        assert_eq!(said[1], (10, None));
        assert!(said[2].0 == 0 && said[2].1.is_some_and(|problem| problem.contains("has its")));
    }
}
