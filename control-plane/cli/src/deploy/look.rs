//! Whether what a step makes is there, and whether it was made from this directory. Only an answer counts: a program that
//! failed has not said no, whatever words it used.

use nimbus_deploy::command::Command;
use nimbus_deploy::object::{Datum, digest, marked};
use nimbus_deploy::operation::LABEL;
use nimbus_deploy::step::{Probe, Seen};
use serde_json::Value;

use super::program::Programs;
use super::{contexts, keys};
use crate::error::Failure;

/// Looks; `values` fetches what a Secret is to hold.
pub(super) fn look(
    programs: &Programs<'_>,
    probe: &Probe,
    mark: Option<&str>,
    values: impl FnOnce(&[Datum]) -> Result<Vec<(String, String)>, Failure>,
) -> Result<Seen, Failure> {
    match probe {
        Probe::Nothing => Ok(Seen::Nothing),
        Probe::File(file) => Ok(match (programs.directory.path().join(file).is_file(), mark) {
            (false, _) => Seen::Nothing,
            (true, Some(_)) => Seen::Ours,
            (true, None) => Seen::Theirs,
        }),
        Probe::Keys(directory) => keys::look(programs, directory, mark),
        Probe::Context(access) => contexts::look(programs, access, mark),
        Probe::Object { get, data } => {
            let get = with(get, &["-o", "json"]);
            let found = marked(&programs.printed(&get)?).map_err(|why| not_understood(&get, &why))?;
            let Some(found) = found else { return Ok(Seen::Nothing) };
            if mark.is_none() || found.mark.as_deref() != mark {
                return Ok(Seen::Theirs);
            }
            if data.is_empty() {
                return Ok(Seen::Ours);
            }
            let is_current = found.digest == Some(digest(&values(data)?));
            Ok(if is_current { Seen::Ours } else { Seen::Outdated })
        }
        Probe::Release(list) => {
            if !is_listed(programs, list, &[])? {
                return Ok(Seen::Nothing);
            }
            let Some(mark) = mark else { return Ok(Seen::Theirs) };
            let is_ours = is_listed(programs, list, &["--selector", &format!("{LABEL}={mark}")])?;
            Ok(if is_ours { Seen::Ours } else { Seen::Theirs })
        }
    }
}

fn is_listed(programs: &Programs<'_>, list: &Command, more: &[&str]) -> Result<bool, Failure> {
    let list = with(list, &[more, &["-o", "json"]].concat());
    match serde_json::from_slice(&programs.printed(&list)?) {
        Ok(Value::Array(releases)) => Ok(!releases.is_empty()),
        Ok(Value::Null) => Ok(false),
        Ok(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => {
            Err(not_understood(&list, "JSON that is no list"))
        }
        Err(_) => Err(not_understood(&list, "no JSON")),
    }
}

fn with(command: &Command, more: &[&str]) -> Command {
    let mut command = command.clone();
    command.args.extend(more.iter().map(|&word| word.to_owned()));
    command
}

fn not_understood(command: &Command, found: &str) -> Failure {
    Failure::new("what a command printed cannot be understood")
        .expected(format!("JSON of `{}`", command.shell()))
        .found(found)
        .next("run it by hand to see what it prints, and whether the program has the version that is needed")
}
