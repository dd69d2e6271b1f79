//! Compares `docs/cli.md` with the command line's grammar, from which it is written.
//!
//! After a change to the grammar: `UPDATE_DOCS=1 cargo test -p nimbus-cli --test reference`.

use std::fmt::Write as _;
use std::path::Path;

use clap::CommandFactory as _;
use nimbus_cli::cli::Cli;

const HEAD: &str = "\
# The `nimbus` command

Written from the command line's own grammar (`UPDATE_DOCS=1 cargo test -p nimbus-cli --test reference`); a test keeps it
true.

Data goes to standard output, hints and progress to standard error. Without a terminal nothing is asked: the message
says which flag answers. `-o json` prints exactly one JSON document, the control plane's own; a list is
`{\"items\": [...], \"next\": CURSOR or null}`. With `-o json` an error is one problem+json document on standard
error, and nothing else is there; the logs of a running `nimbus up` alone go there too.

Ids may be shortened to their start, with or without the type's prefix (`inc_019b5c2d3e47` or `019b5c2d3e47`); a start
that fits several is refused with the list of them.

| exit code | means |
|---|---|
| 0 | done; also where a question was answered with no, and nothing was changed |
| 1 | an error |
| 2 | the command line cannot be understood |
| 3 | drift or incidents were found, or a check warns or is unknown, and `--exit-code` was given |
| 4 | waiting for an approval |
| 5 | refused by policy or permission |
| 6 | the server cannot be reached |
| 7 | not found |
| 130 | Ctrl-C while waiting for what was ordered, which goes on |

Where the server and its token come from, the first that is there: `--server` (`NIMBUS_SERVER`), the context named by
`--context` (`NIMBUS_CONTEXT`), the current context of `$XDG_CONFIG_HOME/nimbus/config.toml`, `http://127.0.0.1:7070`.
The token is `NIMBUS_TOKEN` or the context's token file; a context's token is never sent to another server than its
own unless that context was named.

```toml
current = \"local\"

[contexts.local]                     # written by `nimbus up`, or another name with --context
server = \"http://127.0.0.1:7070\"
token_file = \"/home/op/.local/share/nimbus/local/operator.token\"
ca_file = \"/home/op/.local/share/nimbus/local/ca.pem\"
```

A context belongs to one data directory. `nimbus up` refuses to take over a context that leads to another one that is
still there, and names `--context NAME`.

`drift fix -o json` and `drift baseline add -o json` print each file as it was when it was ordered (`before`, `after`,
`diff`, `attributes`) with the incident's state afterwards.
";

fn describe(command: &clap::Command, path: &str, out: &mut String) {
    let path = format!("{path} {}", command.get_name());
    let path = path.trim();
    let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
    let _ = write!(out, "\n## `{path}`\n\n{}\n", about.trim());
    let mut own: Vec<&clap::Arg> = command.get_arguments().filter(|arg| !arg.is_global_set()).collect();
    own.retain(|arg| !matches!(arg.get_id().as_str(), "help" | "version"));
    table(&own, out);
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        describe(sub, path, out);
    }
}

fn table(args: &[&clap::Arg], out: &mut String) {
    if args.is_empty() {
        return;
    }
    out.push_str("\n| argument | means |\n|---|---|\n");
    for arg in args {
        let value = arg.get_value_names().map(|names| names.join(" ")).unwrap_or_default();
        let takes = arg.get_action().takes_values();
        let name = match (arg.get_short(), arg.get_long()) {
            (Some(short), Some(long)) => format!("-{short}, --{long}"),
            (None, Some(long)) => format!("--{long}"),
            _ => value.clone(),
        };
        let name = if takes && arg.get_long().is_some() { format!("{name} {value}") } else { name };
        let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let values: Vec<String> = if takes {
            arg.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect()
        } else {
            Vec::new()
        };
        if !values.is_empty() {
            let _ = write!(help, ": {}", values.join(", "));
        }
        if let Some(variable) = arg.get_env() {
            let _ = write!(help, " (`{}`)", variable.to_string_lossy());
        }
        let default =
            arg.get_default_values().first().map(|value| value.to_string_lossy()).unwrap_or_default();
        if takes && !default.is_empty() {
            let _ = write!(help, " [default: {default}]");
        }
        let _ = writeln!(out, "| `{name}` | {} |", help.replace('|', "\\|"));
    }
}

fn reference() -> String {
    let mut out = HEAD.to_owned();
    let mut command = Cli::command();
    command.build();
    out.push_str("\n## Everywhere\n");
    let everywhere: Vec<&clap::Arg> = command.get_arguments().filter(|arg| arg.is_global_set()).collect();
    table(&everywhere, &mut out);
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        describe(sub, "nimbus", &mut out);
    }
    out
}

#[test]
fn the_reference_is_the_grammar() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cli.md");
    let now = reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &now).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == now,
        "docs/cli.md is not what the grammar says: UPDATE_DOCS=1 cargo test -p nimbus-cli --test reference"
    );
}
