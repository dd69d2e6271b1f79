//! The answers: from a file, from the command line, and from a person.

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;

use nimbus_deploy::draft::keys::{Form, Key, Without};
use nimbus_deploy::draft::{Draft, MOST_BYTES};
use nimbus_deploy::plan::ANSWERS;
use nimbus_deploy::read;
use nimbus_deploy::wrong::Wrong;
use nimbus_platform::read_regular_text;

use super::directory::Directory;
use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::files;
use crate::output::theme::Tone;

/// How often a question is asked again whose answer cannot be used.
const MOST_TRIES: usize = 5;
/// The answers that are paths of files.
const PATHS: [&str; 3] = ["charts", "extra.control_plane_values", "extra.agent_values"];

/// The answers of the file (or of the directory's own), with those of the command line over them; and the keys of the file
/// that do not matter any more, as the command line decided so.
pub fn gather(
    file: Option<&Path>,
    typed: &[String],
    directory: &Directory,
) -> Result<(Draft, Vec<&'static str>), Failure> {
    let own = directory.path().join(ANSWERS);
    let file = file.or_else(|| own.is_file().then_some(own.as_path()));
    let mut draft = Draft::default();
    if let Some(path) = file {
        let text = read_regular_text(path, MOST_BYTES as u64)
            .map_err(|error| files::unreadable("the file of answers", path, &error))?;
        draft = Draft::parse(&text).map_err(|wrong| refused(&wrong))?;
    }
    let (before, mut wrong) = (draft.clone(), Vec::new());
    for answer in typed {
        match answer.split_once('=') {
            Some((key, value)) => wrong.extend(draft.set(key, value).err()),
            None => wrong.push(Wrong::new("--answer", "KEY=VALUE", answer.as_str(), "put = between the two")),
        }
    }
    if !wrong.is_empty() {
        return Err(refused(&wrong));
    }
    let left = draft.leave_behind(&before);
    Ok((draft, left))
}

/// Asks for what is not answered, on a terminal and without `--yes`.
pub fn questions(context: &Context, draft: &mut Draft) -> Result<(), Failure> {
    if context.global.yes || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Ok(());
    }
    while let Some(key) = draft.next_question() {
        let mut tries = 0;
        loop {
            let typed = ask(context, key)?;
            let text = answered(key, &typed).map_err(|wrong| vec![wrong]);
            match text.and_then(|text| read::answer(draft, key.path, &text)) {
                Ok(with) => {
                    *draft = with;
                    break;
                }
                Err(wrong) if tries + 1 < MOST_TRIES => {
                    tries += 1;
                    for one in wrong {
                        context.warn(&format!("{}: expected {}", one.at, one.expected));
                    }
                }
                Err(wrong) => return Err(refused(&wrong)),
            }
        }
    }
    Ok(())
}

fn ask(context: &Context, key: &Key) -> Result<String, Failure> {
    let choice = match key.form {
        Form::Word(words) => format!(" ({})", words.join(", ")),
        Form::List => " (with commas between them)".to_owned(),
        Form::Switch => " (yes, no)".to_owned(),
        Form::Text | Form::Number => String::new(),
    };
    let default = match key.without {
        Without::This("") | Without::Needed => String::new(),
        Without::This(text) => format!(" [{text}]"),
    };
    eprint!("{}{choice}{default}: ", context.hints.paint(Tone::Strong, key.question));
    let failed = |error: std::io::Error| Failure::new("no answer could be read").found(files::reason(&error));
    std::io::stderr().flush().map_err(failed)?;
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line).map_err(failed)?;
    if read == 0 {
        return Err(Failure::new("no answer could be read")
            .expected(format!("an answer to {}", key.path))
            .found("the end of the input")
            .next("give the answers with --file or --answer"));
    }
    Ok(line.trim().to_owned())
}

/// What an empty line means.
fn answered(key: &Key, typed: &str) -> Result<String, Wrong> {
    match (typed, key.without) {
        ("", Without::Needed) => Err(Wrong::new(key.path, "an answer", "nothing", "give one")),
        ("", Without::This(text)) | (text, _) => Ok(text.to_owned()),
    }
}

/// Paths hold from every directory, as the steps run in the installation's own.
pub fn absolute(draft: &mut Draft) -> Result<(), Failure> {
    for key in PATHS {
        let text = draft.text(key);
        if text.is_empty() {
            continue;
        }
        let path = std::path::absolute(&text).map_err(|error| {
            Failure::new(format!("{key} has no absolute path"))
                .found(error.to_string())
                .next("name another one")
        })?;
        draft.set(key, &path.display().to_string()).map_err(|wrong| refused(&[wrong]))?;
    }
    Ok(())
}

/// Everything that is wrong, as one failure.
pub fn refused(wrong: &[Wrong]) -> Failure {
    let part = |text: fn(&Wrong) -> &str| {
        wrong.iter().map(|one| format!("{}: {}", one.at, text(one))).collect::<Vec<_>>().join("\n")
    };
    let title = match wrong.len() {
        1 => "an answer is missing or cannot be used".to_owned(),
        many => format!("{many} answers are missing or cannot be used"),
    };
    Failure::new(title)
        .exit(Exit::Usage)
        .expected(part(|one| &one.expected))
        .found(part(|one| &one.found))
        .next(part(|one| &one.next))
}
