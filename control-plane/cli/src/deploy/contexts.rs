//! The context by which the operator's command reaches the control plane.

use std::path::PathBuf;

use nimbus_deploy::operation::Access;
use nimbus_deploy::step::Seen;

use super::program::Programs;
use crate::config::{self, Config};
use crate::error::Failure;

/// Whether it is there, leads where it should, and is of this directory.
pub(super) fn look(programs: &Programs<'_>, access: &Access, mark: Option<&str>) -> Result<Seen, Failure> {
    let config = Config::read(&file(programs)?)?;
    Ok(match config.contexts.get(&access.name) {
        None => Seen::Nothing,
        Some(known) if !is_within(programs, known) && (mark.is_none() || !is_own(programs, known)) => {
            Seen::Theirs
        }
        Some(known) if *known == wanted(programs, access) => Seen::Ours,
        Some(_) => Seen::Outdated,
    })
}

/// Adds it, or brings it up to date.
pub(super) fn remember(programs: &Programs<'_>, access: &Access) -> Result<(), Failure> {
    let path = file(programs)?;
    let mut config = Config::read(&path)?;
    let name = &access.name;
    if let Some(other) = config.contexts.get(name).filter(|known| !is_own(programs, known)) {
        return Err(Failure::new(format!("the context {name} leads to another control plane"))
            .expected("no context of that name, or one of this directory")
            .found(other.server.clone())
            .next(format!("take it out of {}, or give the installation another `name`", path.display())));
    }
    config.set(name, wanted(programs, access));
    config.write(&path)
}

/// Takes it away, if it is of this directory.
pub(super) fn forget(programs: &Programs<'_>, name: &str) -> Result<(), Failure> {
    let path = file(programs)?;
    let mut config = Config::read(&path)?;
    if config.contexts.get(name).is_some_and(|known| is_own(programs, known)) {
        config.contexts.remove(name);
        if config.current.as_deref() == Some(name) {
            config.current = None;
        }
        config.write(&path)?;
    }
    Ok(())
}

fn wanted(programs: &Programs<'_>, access: &Access) -> config::Context {
    let within = |file: &String| programs.directory.path().join(file);
    config::Context {
        server: access.server.clone(),
        token_file: Some(within(&access.token_file)),
        ca_file: access.ca_file.as_ref().map(within),
    }
}

fn file(programs: &Programs<'_>) -> Result<PathBuf, Failure> {
    programs.around.contexts.clone().ok_or_else(|| {
        Failure::new("there is no place for the contexts")
            .expected("HOME or XDG_CONFIG_HOME")
            .found("neither")
            .next("set HOME, then run the same command again")
    })
}

/// Whether it names a token of this directory, by whatever name it calls that.
fn is_within(programs: &Programs<'_>, context: &config::Context) -> bool {
    let own = programs.directory.path();
    let leads_there = |file: &PathBuf| {
        file.parent().and_then(|above| above.canonicalize().ok()).is_some_and(|above| above.starts_with(own))
    };
    context.token_file.as_ref().is_some_and(|file| file.starts_with(own) || leads_there(file))
}

/// Whether it may be changed by a directory that made a context of this name: also where it names a token that is no longer
/// there, as after the directory was moved. Nobody can use such a context.
fn is_own(programs: &Programs<'_>, context: &config::Context) -> bool {
    let is_gone = |file: &PathBuf| file.ends_with("keys/operator.token") && !file.exists();
    is_within(programs, context) || context.token_file.as_ref().is_some_and(is_gone)
}
