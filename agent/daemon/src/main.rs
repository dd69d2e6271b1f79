//! The `nimbus-agent` program: reads its arguments, runs the agent and returns an exit code.
//!
//! Exit codes: 0 stopped cleanly; 1 an error; 2 the options or the configuration are wrong, and starting again does not change
//! that.

use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use nimbus_agent::args::{Args, LogFormat};
use nimbus_agent::switch::Switch;
use nimbus_agent::{Agent, AgentError, Config, service};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::prelude::*;

/// The exit code after which the unit is not started again; that of clap for options.
const WRONG_CONFIGURATION: u8 = 2;

fn main() -> ExitCode {
    if let Some(switch) = Switch::from_arguments() {
        return run_switch(&switch);
    }
    let args = Args::try_parse().unwrap_or_else(|error| {
        let names_a_place = error.kind() == clap::error::ErrorKind::MissingRequiredArgument;
        let _ = error.print();
        if names_a_place {
            eprintln!("\nEach may be given by its variable too, as NIMBUS_SERVER; the package's service reads them from /etc/nimbus/agent.env.");
        }
        std::process::exit(error.exit_code());
    });
    log(args.log_format());
    nimbus_platform::arm_from_environment();
    let in_pod = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
    let config = Config { credentials: nimbus_platform::credentials_directory(), ..args.into_config(in_pod) };
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nimbus-agent: {error:#}");
            let is_configuration =
                error.downcast_ref::<AgentError>().is_some_and(AgentError::is_configuration);
            if is_configuration { ExitCode::from(WRONG_CONFIGURATION) } else { ExitCode::FAILURE }
        }
    }
}

/// Pauses the agent of this host, or lets it go on.
fn run_switch(switch: &Switch) -> ExitCode {
    match switch.run(&nimbus_agent::switch::who(), nimbus_platform::now()) {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("nimbus-agent: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `RUST_LOG` names levels for targets, as in `info,kube=warn`; without the patterns that a larger filter understands,
/// which cost an agent at rest memory.
fn log(format: LogFormat) {
    // What the watcher says again at each of its tries, the agent says once, as a problem.
    let default = || {
        let quiet = [
            ("kube", LevelFilter::WARN),
            ("kube_client", LevelFilter::OFF),
            ("kube_runtime::watcher", LevelFilter::OFF),
        ];
        Targets::new().with_default(LevelFilter::INFO).with_targets(quiet)
    };
    let named = std::env::var("RUST_LOG").ok().and_then(|text| text.parse::<Targets>().ok());
    if named.as_ref().is_some_and(|named| !named.would_enable("nimbus_agent", &tracing::Level::ERROR)) {
        eprintln!(
            "nimbus-agent: expected RUST_LOG to turn on a level for this program, as `info` does, found one by which it does \
             not log its own errors"
        );
    }
    let colour =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colour);
    let registry = tracing_subscriber::registry().with(named.unwrap_or_else(default));
    match format {
        LogFormat::Text => registry.with(layer).init(),
        LogFormat::Json => registry.with(layer.json()).init(),
    }
}

fn run(config: Config) -> anyhow::Result<()> {
    let runtime = nimbus_agent::runtime()
        .context("expected to start two worker threads; check the process and memory limits")?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).context("expected to listen for SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("expected to listen for SIGTERM")?;
        let (manager, server) = (service::manager(), config.server.clone());
        let agent = tokio::select! {
            started = Agent::start(config) => started?,
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
        };
        let telling = service::running(&manager, server, agent.status(), agent.alive());
        let joined_anew = tokio::select! {
            _ = interrupt.recv() => false,
            _ = terminate.recv() => false,
            () = agent.joined_anew() => true,
        };
        tracing::info!("stopping");
        telling.abort();
        service::stopping(&manager);
        // After it joined anew the kubelet starts it on the same data, which goes on.
        if !joined_anew {
            tokio::select! {
                () = agent.finish_jobs() => {}
                // Told twice, it goes on with nothing.
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        agent.stop().await;
        anyhow::ensure!(
            !joined_anew,
            "this agent has joined anew and has to start again, as the kubelet makes it do"
        );
        Ok(())
    })
}
