//! Logging of `nimbus up`: the logs of its parts go to stderr, warnings only unless more is asked for. The summary goes
//! to stdout.

use std::io::IsTerminal as _;

use nimbus_cli::context::Context;
use tracing_subscriber::EnvFilter;

/// Starts logging. `RUST_LOG` wins over `-v` and `-q`.
pub(super) fn start(context: &Context) {
    let level = match (context.global.quiet, context.global.verbose) {
        (true, _) => "error",
        // The agent itself logs what is wrong with a cluster, once and in a sentence.
        (false, 0) => "warn,kube_client=off,kube_runtime::watcher=off",
        (false, 1) => "info",
        (false, _) => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let colour =
        std::io::stderr().is_terminal() && context.hints != nimbus_cli::output::theme::Theme::plain();
    let logs =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colour);
    // Another subscriber is there already only in a test.
    let _ = logs.with_target(context.global.verbose > 0).try_init();
}
