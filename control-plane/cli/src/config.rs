//! The contexts file: the control planes that this user knows, and which one is used when none is named.
//!
//! `$XDG_CONFIG_HOME/nimbus/config.toml`. It holds paths of token files, never tokens. Decides where things are;
//! connecting is left to [`crate::connect`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use nimbus_platform::{create_private_dir, read_regular_text};
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::files::{self, NewFile};

/// What is used when neither flag, environment nor context names a server.
pub const DEFAULT_SERVER: &str = "http://127.0.0.1:7070";
/// The most bytes of the file; a context has some hundred.
const MOST_BYTES: u64 = 1 << 20;
/// The context that `nimbus up` writes.
pub const LOCAL: &str = "local";

/// The file's content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The context used when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// Every known context by name.
    #[serde(default)]
    pub contexts: BTreeMap<String, Context>,
}

/// One server and how to be believed by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Base URL, `http://127.0.0.1:7070` or `https://HOST:PORT`.
    pub server: String,
    /// File with the bearer token, readable by its owner alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// PEM file of the authority that signed the server's certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

impl Config {
    /// Reads the file; one that does not exist is an empty configuration.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        // How somebody says that there is to be none; it ends at once.
        if path.canonicalize().is_ok_and(|real| real == Path::new("/dev/null")) {
            return Ok(Self::default());
        }
        let text = match read_regular_text(path, MOST_BYTES) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(files::unreadable("the configuration", path, &error)),
        };
        toml::from_str(&text).map_err(|error| {
            Failure::new("the configuration cannot be read")
                .expected("TOML with `current` and `[contexts.NAME]` (server, token_file, ca_file)")
                .found(format!("{}: {}", path.display(), error.to_string().trim_end()))
                .next("correct that place, or move the file away: `nimbus up` writes a new one")
        })
    }

    /// Writes the file, all or nothing, readable by its owner.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let text = toml::to_string_pretty(self)
            .map_err(|error| Failure::new("the configuration cannot be written").found(error.to_string()))?;
        if let Some(dir) = path.parent() {
            create_private_dir(dir).map_err(|error| files::unwritable(path, &error))?;
        }
        let mut file = NewFile::begin(path)?;
        file.write(text.as_bytes())?;
        file.finish()
    }

    /// Adds or replaces a context; it becomes the current one if there is none. Says whether anything changed.
    pub fn set(&mut self, name: &str, context: Context) -> bool {
        let before = self.clone();
        self.contexts.insert(name.to_owned(), context);
        if self.current.as_ref().is_none_or(|current| !self.contexts.contains_key(current)) {
            self.current = Some(name.to_owned());
        }
        *self != before
    }

    /// The context of this name.
    pub fn context(&self, name: &str) -> Result<&Context, Failure> {
        self.contexts.get(name).ok_or_else(|| {
            let known: Vec<_> = self.contexts.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none yet".to_owned() } else { known.join(", ") };
            Failure::not_found(format!("there is no context {name:?}"))
                .expected(format!("one of the contexts in the configuration ({known})"))
                .found(format!("{name:?}"))
                .next("name one of them with --context, or give --server URL")
        })
    }
}

/// Where the contexts file is: `$XDG_CONFIG_HOME/nimbus/config.toml`, or `~/.config/nimbus/config.toml`.
pub fn config_path() -> Option<PathBuf> {
    xdg("XDG_CONFIG_HOME", ".config").map(|dir| dir.join("nimbus").join("config.toml"))
}

/// Where `nimbus up` keeps its state by default: `$XDG_DATA_HOME/nimbus/local`.
pub fn default_data_dir() -> Option<PathBuf> {
    xdg("XDG_DATA_HOME", ".local/share").map(|dir| dir.join("nimbus").join(LOCAL))
}

/// The user's home.
pub fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// The specification says that a relative path in these variables is to be ignored.
fn xdg(variable: &str, under_home: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    named.or_else(|| home().map(|home| home.join(under_home)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(server: &str) -> Context {
        Context { server: server.to_owned(), token_file: Some("/t".into()), ca_file: None }
    }

    #[test]
    fn the_first_context_becomes_current_and_a_later_one_does_not_take_over() {
        let mut config = Config::default();
        assert!(config.set("prod", context("https://nimbus.example:7070")));
        assert!(config.set(LOCAL, context(DEFAULT_SERVER)));
        assert_eq!(config.current.as_deref(), Some("prod"));
        assert!(!config.set(LOCAL, context(DEFAULT_SERVER)), "the same again changes nothing");
        config.contexts.remove("prod");
        config.set(LOCAL, context(DEFAULT_SERVER));
        assert_eq!(config.current.as_deref(), Some(LOCAL), "a current context that is gone is replaced");
    }

    #[test]
    fn it_survives_the_file_and_a_broken_file_is_named_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/config.toml");
        assert_eq!(Config::read(&path).unwrap(), Config::default());
        let mut config = Config::default();
        config.set(LOCAL, context(DEFAULT_SERVER));
        config.write(&path).unwrap();
        assert_eq!(Config::read(&path).unwrap(), config);
        std::fs::write(&path, "current = \"local\"\n[contexts.local]\nserver = 7\n").unwrap();
        let error = Config::read(&path).unwrap_err().to_string();
        assert!(error.contains("config.toml") && error.contains("line 3"), "{error}");
    }

    #[test]
    fn an_unknown_context_lists_the_known_ones() {
        let mut config = Config::default();
        config.set("prod", context(DEFAULT_SERVER));
        let error = config.context("prd").unwrap_err();
        assert!(error.to_string().contains("(prod)"), "{error}");
    }
}
