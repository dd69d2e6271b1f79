//! `nimbus autonomous rules`: the rules, those that people set among them.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use nimbus_api::client::Client;
use nimbus_api::{DryRunQuery, RuleRequest, RuleText};

use crate::context::Context;
use crate::error::Failure;
use crate::exit::Exit;
use crate::view;

/// Largest file of a rule, bytes.
const MAX_FILE: u64 = 64 << 10;

#[derive(Debug, Subcommand)]
pub(super) enum RulesSub {
    /// List them
    List,
    /// Show one as it can be set, also a built-in one
    Show {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Set a rule: a new one, or another version of one that is there
    Set(File),
    /// Take a rule away; one in the place of a built-in rule gives that back
    Delete {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// The rules that people's answers speak for, with the evidence; they change nothing
    Proposals,
    /// Set a rule that is proposed
    Accept {
        /// The proposal's id, as the list has it
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Try a rule on the incidents that are open now; nothing is written
    Test(File),
}

#[derive(Debug, Args)]
pub(super) struct File {
    /// The rule, as YAML or JSON; `-`: from standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Lists, shows, sets, deletes or tries.
pub(super) async fn run(context: &Context, client: &Client, command: RulesSub) -> Result<Exit, Failure> {
    let dry_run = context.global.dry_run;
    match command {
        RulesSub::List => {
            let answer = client.rules().await?;
            context.show(&answer, view::autonomous::rules)?;
        }
        RulesSub::Show { name } => {
            let answer = client.rule(&name).await?;
            context.show(&answer, view::rules::shown)?;
        }
        RulesSub::Set(file) => {
            let request = RuleRequest { rule: read(&file.file)?, dry_run };
            let answer = client.set_rule(&request).await?;
            context.show(&answer, |view, rule| view::rules::set(view, rule, dry_run))?;
        }
        RulesSub::Proposals => {
            let answer = client.rule_proposals().await?;
            context.show(&answer, view::rules::proposals)?;
        }
        RulesSub::Accept { id } => {
            let proposed = client.rule_proposals().await?.typed.items;
            let rule = proposed.into_iter().find(|proposal| proposal.id == id).map(|proposal| proposal.rule);
            let rule = rule.ok_or_else(|| {
                Failure::not_found(format!("no rule is proposed under {id}"))
                    .next("`nimbus autonomous rules proposals` lists those that are")
            })?;
            let answer = client.set_rule(&RuleRequest { rule, dry_run }).await?;
            context.show(&answer, |view, rule| view::rules::set(view, rule, dry_run))?;
        }
        RulesSub::Delete { name } => {
            let answer = client.delete_rule(&name, &DryRunQuery { dry_run }).await?;
            context.show(&answer, |view, rule| view::rules::deleted(view, rule, dry_run))?;
        }
        RulesSub::Test(file) => {
            let request = RuleRequest { rule: read(&file.file)?, dry_run: true };
            let answer = client.try_rule(&request).await?;
            context.show(&answer, view::rules::tried)?;
        }
    }
    Ok(Exit::Done)
}

/// Reads a rule from a file. What is wrong with it is said with its place.
fn read(file: &Path) -> Result<RuleText, Failure> {
    let name = if file == Path::new("-") { "standard input".to_owned() } else { file.display().to_string() };
    let cannot = |error: std::io::Error| {
        Failure::usage(format!("{name} cannot be read"))
            .found(error.to_string())
            .next("name the file of the rule, or -")
    };
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(MAX_FILE + 1).read_to_string(&mut text)
    } else {
        let opened = nimbus_platform::open_regular(file).map_err(cannot)?;
        opened.take(MAX_FILE + 1).read_to_string(&mut text)
    };
    let length = read.map_err(cannot)?;
    if length as u64 > MAX_FILE {
        return Err(Failure::usage(format!("{name} is no rule"))
            .expected(format!("at most {MAX_FILE} bytes"))
            .found("more"));
    }
    serde_saphyr::from_str::<RuleText>(&text).map_err(|error| {
        Failure::usage(format!("{name} is no rule"))
            .expected("one rule as YAML or JSON, with at least `name` and `action`")
            .found(error.to_string())
            .next("`nimbus autonomous rules show restart-pod -o yaml` prints one: what stands below `rule:` can be set")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<RuleText, Failure> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path())
    }

    #[test]
    fn a_rule_is_read_from_yaml_and_from_json() {
        let yaml = "name: grow\naction: expand_volume\nlabels: {team: data}\ncondition: action.to_mib <= 1024\nauto_approve: true\n";
        let rule = of(yaml).unwrap();
        assert_eq!((rule.name.as_str(), rule.enabled, rule.auto_approve), ("grow", true, true));
        assert_eq!(rule.labels["team"], "data");
        let json = serde_json::to_string(&rule).unwrap();
        assert_eq!(of(&json).unwrap(), rule);
    }

    #[test]
    fn what_is_no_rule_is_refused_with_its_place() {
        for (text, found) in [
            ("name: grow\naction: expand_volume\nauto_aprove: true\n", "auto_aprove"),
            ("name: grow\n", "action"),
            ("name: grow\naction: expand_volume\nauto_approve: perhaps\n", "line 3"),
            ("{", ""),
        ] {
            let error = of(text).unwrap_err().problem_json();
            assert!(error.contains(found), "{text}: {error}");
        }
        assert!(read(Path::new("/nowhere/rule.yaml")).is_err());
        let long = format!("name: {}\n", "a".repeat(70_000));
        assert!(of(&long).unwrap_err().problem_json().contains("65536"));
    }
}
