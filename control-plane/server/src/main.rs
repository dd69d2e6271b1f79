//! The `nimbus-control-plane` program: reads its options, starts a control plane, and stops it on SIGINT or SIGTERM.
//!
//! Exit codes: 0 stopped cleanly; 1 an error; 2 the options or the configuration are wrong, and starting again does not change
//! that.

use std::io::{ErrorKind, IsTerminal as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::builder::RangedU64ValueParser;
use clap::{Parser, ValueEnum};
use nimbus_control_plane::alive::Alive;
use nimbus_control_plane::config::{DEFAULT_CONNECTIONS, database};
use nimbus_control_plane::{
    AgentTcp, Config, ControlPlane, DEFAULT_LISTEN, DEFAULT_QUIC, StartError, service,
};
use nimbus_platform::CredentialError;
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The Nimbus control plane: serves agents over QUIC or TCP, and operators over REST.
#[derive(Debug, Parser)]
#[command(name = "nimbus-control-plane", version)]
struct Options {
    /// Directory for the embedded database, the CA, the keys and the operator's token; made when missing
    #[arg(long, env = "NIMBUS_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// Where operators are served: plain HTTP on a loopback address, TLS on any other
    #[arg(long, value_name = "ADDR", default_value_t = DEFAULT_LISTEN)]
    listen: SocketAddr,
    /// Where agents are served (UDP)
    #[arg(long, value_name = "ADDR", default_value_t = DEFAULT_QUIC)]
    quic: SocketAddr,
    /// Where agents are served over TCP, for networks that block UDP; without it at the address and port of --quic
    #[arg(long, env = "NIMBUS_TCP", value_name = "ADDR")]
    tcp: Option<SocketAddr>,
    /// Serve no agents over TCP
    #[arg(long, conflicts_with = "tcp")]
    no_tcp: bool,
    /// Where agents reach this control plane, HOST:PORT, for the command that is printed with a join token [default: where it listens]
    #[arg(long, env = "NIMBUS_ADVERTISE", value_name = "HOST:PORT", value_parser = host_port)]
    advertise: Option<String>,
    /// Another database than the embedded one: postgres://user:password@host/database; also systemd's credential nimbus-database-url
    #[arg(long, env = "NIMBUS_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    database: Option<String>,
    /// DNS name or IP address of this server, for its certificate and for plain REST; may be given more than once
    #[arg(long = "name", value_name = "NAME", value_parser = host)]
    names: Vec<String>,
    /// Certificate chain (PEM) for REST instead of one of the own CA
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key (PEM) of that certificate
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Agents that may be connected at once
    #[arg(long, value_name = "N", default_value_t = DEFAULT_CONNECTIONS, value_parser = connections())]
    max_connections: usize,
    /// TOML file with a [settings] table: the figures of the decisions
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Begin a new history in an empty database although this directory's keys were in use: every agent has to join again
    #[arg(long)]
    new_history: bool,
    /// Directory with ca.pem, ca.key, job.key and operator.token, made elsewhere and only read, instead of those in the data directory
    #[arg(long, env = "NIMBUS_KEYS", value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Stand by while another control plane leads on the same PostgreSQL database, and take over when it is gone
    #[arg(long, env = "NIMBUS_STAND_BY", value_parser = clap::builder::FalseyValueParser::new(), action = clap::ArgAction::SetTrue)]
    stand_by: bool,
    /// File with a token of at least 32 characters that reads /metrics and nothing else, for who collects the figures
    #[arg(long, env = "NIMBUS_METRICS_TOKEN_FILE", value_name = "FILE")]
    metrics_token_file: Option<PathBuf>,
    /// How log lines look; RUST_LOG says which
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

/// The exit code after which the unit is not started again; that of clap for options.
const WRONG_CONFIGURATION: u8 = 2;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    settings: nimbus_control_core::Settings,
}

fn main() -> ExitCode {
    nimbus_platform::arm_from_environment();
    match serve(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            if is_configuration(&error) { ExitCode::from(WRONG_CONFIGURATION) } else { ExitCode::FAILURE }
        }
    }
}

/// A configuration file that cannot be read may be there the next time; one that holds something else is corrected first.
fn is_configuration(error: &anyhow::Error) -> bool {
    let is_no_text = |error: &std::io::Error| {
        // What `read_regular_text` says of a pipe, of too many bytes, and of bytes that are no text.
        matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::FileTooLarge | ErrorKind::InvalidData)
    };
    error.is::<toml::de::Error>()
        || error.downcast_ref::<std::io::Error>().is_some_and(is_no_text)
        || error.downcast_ref::<CredentialError>().is_some_and(CredentialError::is_malformed)
        || error.downcast_ref::<StartError>().is_some_and(StartError::is_configuration)
}

fn serve(options: Options) -> anyhow::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    match options.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(options))
}

fn host_port(text: &str) -> Result<String, String> {
    if nimbus_platform::is_host_port(text) {
        return Ok(text.to_owned());
    }
    Err("expected HOST:PORT, such as nimbus.example.internal:7071".to_owned())
}

fn host(text: &str) -> Result<String, String> {
    if nimbus_platform::is_host(text) || text.parse::<std::net::IpAddr>().is_ok() {
        return Ok(text.to_owned());
    }
    Err("expected a DNS name or an IP address, such as nimbus.example.internal".to_owned())
}

/// As the chart has it.
fn connections() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..=1_000_000)
}

async fn run(options: Options) -> anyhow::Result<()> {
    let file = match &options.config {
        Some(path) => read(path)?,
        None => File::default(),
    };
    let config = Config {
        database: database(options.database, nimbus_platform::credentials_directory().as_deref())?,
        listen: options.listen,
        quic: options.quic,
        tcp: match (options.no_tcp, options.tcp) {
            (true, _) => AgentTcp::Off,
            (false, Some(address)) => AgentTcp::At(address),
            (false, None) => AgentTcp::Beside,
        },
        advertise: options.advertise,
        names: options.names,
        settings: file.settings,
        max_connections: options.max_connections,
        new_history: options.new_history,
        keys: options.keys,
        stand_by: options.stand_by,
        metrics_token: options.metrics_token_file,
        tls: options.tls_cert.zip(options.tls_key),
        ..Config::new(options.data_dir)
    };
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (manager, alive) = (service::manager(), Arc::new(Alive::default()));
    let starting = service::starting(&manager, &alive);
    // Standing by takes as long as another one leads. A start that is dropped is one that crashed: the next one goes on.
    let started = tokio::select! {
        started = ControlPlane::start_alive(config, alive) => Some(started),
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    starting.abort();
    let Some(started) = started else {
        service::stopping(&manager);
        return Ok(());
    };
    let control_plane = started?;
    let serving = service::serving(&manager, control_plane.app());
    println!("REST {}", control_plane.rest_url());
    println!("QUIC {}", control_plane.quic_addr());
    if let Some(address) = control_plane.tcp_addr() {
        println!("TCP {address}");
    }
    let superseded = tokio::select! {
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        error = control_plane.superseded() => Some(error),
    };
    tracing::info!("stopping");
    serving.abort();
    service::stopping(&manager);
    control_plane.stop().await;
    superseded.map_or(Ok(()), |error| Err(error.into()))
}

/// Largest configuration file that is read, in bytes.
const MAX_CONFIGURATION: u64 = 1 << 20;

fn read(path: &Path) -> anyhow::Result<File> {
    let text = nimbus_platform::read_regular_text(path, MAX_CONFIGURATION).with_context(|| {
        format!("the configuration {}, for which --config names a TOML file", path.display())
    })?;
    toml::from_str(&text).with_context(|| {
        format!("configuration {}: expected TOML with a [settings] table of known names", path.display())
    })
}
