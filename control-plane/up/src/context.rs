//! Writes the CLI context that leads to the control plane of `nimbus up`.
//!
//! A context belongs to one data directory. One that leads somewhere else is never taken over: commands that name it
//! would silently reach another control plane.

use std::path::Path;

use nimbus_cli::config::{self, Config, Context};
use nimbus_cli::error::Failure;

/// Refuses to start where the context of this `name` leads to another data directory. A configuration that cannot be
/// read is a warning once everything runs.
pub(super) fn check(name: &str, data_dir: &Path) -> Result<(), Failure> {
    let config = config::config_path().and_then(|path| Config::read(&path).ok());
    config.map_or(Ok(()), |config| is_free(&config, name, data_dir))
}

fn is_free(config: &Config, name: &str, data_dir: &Path) -> Result<(), Failure> {
    let Some(known) = config.contexts.get(name) else { return Ok(()) };
    let found = match known.token_file.as_deref().and_then(|token| Some((token, token.parent()?))) {
        Some((_, owner)) if owner == data_dir => return Ok(()),
        // That data directory is gone, so nothing can be reached through the context any more.
        Some((token, _)) if !token.exists() => return Ok(()),
        Some((_, owner)) => format!("{} with the data directory {}", known.server, owner.display()),
        None => known.server.clone(),
    };
    Err(Failure::new(format!("the context {name:?} leads to another control plane"))
        .expected(format!("a context that is new, or that leads to {}", data_dir.display()))
        .found(found)
        .next("choose another context with --context NAME, or start with the data directory of that one"))
}

/// Writes the context; true when it is the one that is used when none is named.
pub(super) fn write(
    path: &Path,
    name: &str,
    server: &str,
    token_file: &Path,
    ca_file: &Path,
) -> Result<bool, Failure> {
    let mut config = Config::read(path)?;
    let context = Context {
        server: server.to_owned(),
        token_file: Some(token_file.to_owned()),
        ca_file: Some(ca_file.to_owned()),
    };
    if config.set(name, context) {
        config.write(path)?;
    }
    Ok(config.current.as_deref() == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_context_is_written_once_and_another_current_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        let write =
            |server: &str| super::write(&path, "local", server, Path::new("/t"), Path::new("/c")).unwrap();
        assert!(write("http://127.0.0.1:7070"));
        let mut config = Config::read(&path).unwrap();
        config.set("prod", Context { server: "https://x".into(), token_file: None, ca_file: None });
        config.current = Some("prod".into());
        config.write(&path).unwrap();
        assert!(!write("http://127.0.0.1:9999"));
        let config = Config::read(&path).unwrap();
        assert_eq!(config.contexts["local"].server, "http://127.0.0.1:9999");
        assert_eq!(config.current.as_deref(), Some("prod"));
    }

    #[test]
    fn a_context_of_another_data_directory_is_not_taken_over_while_that_one_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("first"), dir.path().join("second"));
        std::fs::create_dir(&first).unwrap();
        std::fs::write(first.join("operator.token"), "nbo_x").unwrap();
        let mut config = Config::default();
        let token_file = Some(first.join("operator.token"));
        config.set("local", Context { server: "http://127.0.0.1:1".into(), token_file, ca_file: None });
        config.set("prod", Context { server: "https://x".into(), token_file: None, ca_file: None });
        assert_eq!(is_free(&config, "local", &first), Ok(()));
        assert_eq!(is_free(&config, "second", &second), Ok(()));
        for name in ["local", "prod"] {
            let refused = is_free(&config, name, &second).unwrap_err();
            assert!(refused.next.contains("--context"), "{refused}");
            assert!(refused.found.contains(&config.contexts[name].server), "{refused}");
        }
        std::fs::remove_dir_all(&first).unwrap();
        assert_eq!(is_free(&config, "local", &second), Ok(()));
    }
}
