//! The context by which the operator's command reaches the control plane.

use std::path::PathBuf;

use nimbus_deploy::operation::Access;
use nimbus_deploy::step::Seen;

use super::program::Programs;
use crate::config::{self, Config};
use crate::error::Failure;

/// The file of the control plane's own CA, as the steps name it in the directory of an installation.
const OWN_CA: &str = "keys/ca.pem";

/// Whether it is there, leads where it should, and is of this directory.
pub(super) fn look(programs: &Programs<'_>, access: &Access, mark: Option<&str>) -> Result<Seen, Failure> {
    let config = Config::read(&file(programs)?)?;
    Ok(match config.contexts.get(&access.name) {
        None => Seen::Nothing,
        Some(known) if !is_within(programs, known) && (mark.is_none() || !is_own(programs, known)) => {
            Seen::Theirs
        }
        Some(known) if *known == wanted(programs, access, Some(known)) => Seen::Ours,
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
    let wanted = wanted(programs, access, config.contexts.get(name));
    config.set(name, wanted);
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

fn wanted(programs: &Programs<'_>, access: &Access, known: Option<&config::Context>) -> config::Context {
    let within = |file: &String| programs.directory.path().join(file);
    config::Context {
        server: access.server.clone(),
        token_file: Some(within(&access.token_file)),
        ca_file: authority(access.ca_file.as_ref().map(within), known),
    }
}

/// Where the certificate is of an authority that this directory does not know, what a person says of it stays; the own CA of
/// earlier answers does not.
fn authority(own: Option<PathBuf>, known: Option<&config::Context>) -> Option<PathBuf> {
    let given = || known?.ca_file.clone().filter(|file| !file.ends_with(OWN_CA));
    own.or_else(given)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_that_a_person_named_stays_where_the_directory_knows_none() {
        let own = || Some(PathBuf::from("/somewhere/keys/ca.pem"));
        let context = |ca_file: Option<&str>| config::Context {
            server: "https://nimbus.example.com:7070".to_owned(),
            token_file: Some("/somewhere/keys/operator.token".into()),
            ca_file: ca_file.map(PathBuf::from),
        };
        let company = context(Some("/home/me/company.pem"));
        assert_eq!(authority(None, Some(&company)), company.ca_file);
        assert_eq!(authority(own(), Some(&company)), own());
        // The answers said `own` before.
        assert_eq!(authority(None, Some(&context(Some("/somewhere/keys/ca.pem")))), None);
        assert_eq!(authority(None, Some(&context(None))), None);
        assert_eq!((authority(None, None), authority(own(), None)), (None, own()));
    }
}
