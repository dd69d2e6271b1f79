//! The settings of `nimbus up`: from flags, then from the settings file, then defaults.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nimbus_cli::commands::up::UpArgs;
use nimbus_cli::config;
use nimbus_cli::error::Failure;
use nimbus_cli::files;
use serde::Deserialize;

use crate::cluster::Wanted;

const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7070);
const QUIC: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7071);

/// The settings file. Every key may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    listen: Option<SocketAddr>,
    quic: Option<SocketAddr>,
    kubeconfig: Option<PathBuf>,
    no_cluster: bool,
    watch: Vec<PathBuf>,
    exclude: Vec<PathBuf>,
    /// Further names of this server, for its certificate and for plain REST.
    names: Vec<String>,
    /// `postgres://…`; without it the embedded SQLite.
    database: Option<String>,
    /// Figures of the decisions: see `nimbus_control_core::Settings`.
    settings: Option<toml::Table>,
}

/// What is started with what.
#[derive(Debug)]
pub(super) struct Settings {
    /// Absolute.
    pub data_dir: PathBuf,
    /// Absolute.
    pub watch: Vec<PathBuf>,
    /// Absolute; left out of what is watched.
    pub exclude: Vec<PathBuf>,
    pub cluster: Wanted,
    control_plane: nimbus_control_plane::Config,
}

impl Settings {
    /// Puts flags, file and defaults together.
    pub fn read(args: UpArgs) -> Result<Self, Failure> {
        let file = args.config.as_deref().map_or_else(|| Ok(File::default()), read)?;
        // Paths in the file are meant from where the file is.
        let base = args.config.as_deref().and_then(Path::parent).map(Path::to_owned).unwrap_or_default();
        let from_file = |path: PathBuf| if path.is_absolute() { path } else { base.join(path) };
        let data_dir =
            args.data_dir.or_else(|| file.data_dir.map(from_file)).or_else(config::default_data_dir);
        let data_dir = data_dir.ok_or_else(|| {
            Failure::usage("there is no place to keep the state")
                .expected("HOME or XDG_DATA_HOME")
                .found("neither is set")
                .next("name a directory with --data-dir")
        })?;
        let watch =
            if args.watch.is_empty() { file.watch.into_iter().map(from_file).collect() } else { args.watch };
        let mut roots: Vec<PathBuf> = Vec::new();
        for path in watch {
            let path = clean(&path)?;
            if !roots.contains(&path) {
                roots.push(path);
            }
        }
        let exclude = if args.exclude.is_empty() {
            file.exclude.into_iter().map(from_file).collect()
        } else {
            args.exclude
        };
        let exclude = exclude.iter().map(|path| clean(path)).collect::<Result<_, _>>()?;
        let cluster = match args.kubeconfig.or_else(|| file.kubeconfig.map(from_file)) {
            _ if args.no_cluster => Wanted::None,
            Some(path) => Wanted::Named(absolute(&path)?),
            None if file.no_cluster => Wanted::None,
            None => Wanted::IfThere,
        };
        let data_dir = absolute(&data_dir)?;
        let mut control_plane = nimbus_control_plane::Config::new(&data_dir);
        control_plane.listen = args.listen.or(file.listen).unwrap_or(LISTEN);
        control_plane.quic = args.quic.or(file.quic).unwrap_or(QUIC);
        control_plane.names = file.names;
        control_plane.new_history = args.new_history;
        control_plane.database = file.database;
        if let (Some(table), Some(path)) = (file.settings, &args.config) {
            control_plane.settings =
                table.try_into().map_err(|error: toml::de::Error| malformed(path, &error))?;
        }
        Ok(Self { data_dir, watch: roots, exclude, cluster, control_plane })
    }

    /// What the control plane is started with.
    pub fn control_plane(&self) -> nimbus_control_plane::Config {
        self.control_plane.clone()
    }
}

/// Largest settings file that is read, in bytes.
const MAX_SETTINGS: u64 = 1 << 20;

fn read(path: &Path) -> Result<File, Failure> {
    let text = nimbus_platform::read_regular_text(path, MAX_SETTINGS)
        .map_err(|error| files::unreadable("the settings file", path, &error))?;
    toml::from_str(&text).map_err(|error| malformed(path, &error))
}

fn malformed(path: &Path, error: &toml::de::Error) -> Failure {
    Failure::usage("the settings file cannot be read")
        .expected(
            "TOML with data_dir, listen, quic, kubeconfig, no_cluster, watch, exclude, names, database, [settings]",
        )
        .found(format!("{}: {}", path.display(), error.to_string().trim_end()))
        .next("correct that place")
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        Failure::usage("a path cannot be made absolute").found(format!(
            "{}: {}",
            path.display(),
            files::reason(&error)
        ))
    })
}

/// As the agent will name it: what is there by its real path, what is not there by its absolute one.
fn clean(path: &Path) -> Result<PathBuf, Failure> {
    path.canonicalize().or_else(|_| absolute(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("up.toml");
        std::fs::write(&path, "listen = '127.0.0.1:1'\nquic = '127.0.0.1:2'\ndata_dir = 'state'\nwatch = ['conf']\nno_cluster = true\n").unwrap();
        let listen = Some("127.0.0.1:9".parse().unwrap());
        let settings =
            Settings::read(UpArgs { config: Some(path.clone()), listen, ..UpArgs::default() }).unwrap();
        assert_eq!(settings.control_plane.listen.port(), 9);
        assert_eq!(settings.control_plane.quic.port(), 2);
        assert_eq!(settings.data_dir, dir.path().join("state"));
        assert!(settings.watch[0].ends_with("conf") && settings.watch[0].is_absolute());
        assert_eq!(settings.cluster, Wanted::None);
        let kubeconfig = Some(PathBuf::from("/k"));
        let settings =
            Settings::read(UpArgs { config: Some(path), kubeconfig, ..UpArgs::default() }).unwrap();
        assert_eq!(settings.cluster, Wanted::Named("/k".into()));
    }

    #[test]
    fn figures_of_the_decisions_are_read_and_a_wrong_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("up.toml");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            Settings::read(UpArgs {
                config: Some(path.clone()),
                data_dir: Some("/d".into()),
                ..UpArgs::default()
            })
        };
        assert_eq!(read("[settings]\nverify_ms = 1234\n").unwrap().control_plane.settings.verify_ms, 1234);
        for (text, word) in
            [("[settings]\nverify = 1\n", "verify"), ("lisen = 1\n", "lisen"), ("listen = 'x'\n", "listen")]
        {
            let failure = read(text).unwrap_err();
            assert_eq!(failure.exit, nimbus_cli::exit::Exit::Usage);
            assert!(failure.found.contains("up.toml") && failure.found.contains(word), "{failure}");
        }
    }

    #[test]
    fn the_same_root_is_watched_once() {
        let dir = tempfile::tempdir().unwrap();
        let watch = vec![dir.path().to_owned(), dir.path().join("."), "/nowhere/at/all".into()];
        let settings =
            Settings::read(UpArgs { watch, data_dir: Some("/d".into()), ..UpArgs::default() }).unwrap();
        assert_eq!(settings.watch, [dir.path().canonicalize().unwrap(), PathBuf::from("/nowhere/at/all")]);
    }
}
