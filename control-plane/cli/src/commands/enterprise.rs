//! `nimbus enterprise deploy`: plans an installation from answers, and carries it out, goes on with it, or undoes it.

pub mod before;

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use nimbus_deploy::answers::Answers;
use nimbus_deploy::draft::Draft;
use nimbus_deploy::drive::{self, Done, Stop};
use nimbus_deploy::journal::Journal;
use nimbus_deploy::plan::Plan;
use nimbus_deploy::step::{Kind, Undo, Used};
use serde_json::{Value, json};

use crate::confirm::{self, Answer};
use crate::context::Context;
use crate::deploy::around::Around;
use crate::deploy::directory::Directory;
use crate::deploy::shell::Shell;
use crate::deploy::{ask, charts, outside};
use crate::error::Failure;
use crate::exit::Exit;
use crate::view;

/// Installations in a company's own infrastructure
#[derive(Debug, Args)]
pub struct EnterpriseArgs {
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand)]
enum Sub {
    /// Plan an installation, carry it out, or undo it
    ///
    /// Asks what is not answered by --file and --answer; without a terminal it names everything that is missing at once.
    /// Writes values for both charts, Terraform for what is around the cluster (AWS, Google Cloud, Azure or nothing), and
    /// GUIDE.md for exactly this installation. --apply looks at the cluster as nimbus preflight does, carries the plan out with
    /// kubectl, helm and tofu, notes each step in DIR/state.json, and goes on there after an interruption. --undo goes back
    /// through what that file says was done.
    Deploy(DeployArgs),
}

/// What the command takes.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "a set of independent switches is what a command line is")]
#[command(group = ArgGroup::new("carries_out").args(["apply", "undo"]))]
pub struct DeployArgs {
    /// Where it is to run
    #[arg(long, value_enum)]
    mode: Mode,
    /// The installation's directory; made, if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Answers as TOML [default: answers.toml in the directory, if it is there]
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// One answer, as database.kind=sqlite; wins over the file; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    answer: Vec<String>,
    /// Carry the plan out, or go on with it
    #[arg(long)]
    apply: bool,
    /// With --apply: do not look at the cluster first, as nimbus preflight does; a check that fails stops nothing then
    #[arg(long, requires = "apply")]
    skip_preflight: bool,
    /// Go back through what was done here; keys, Secrets and data are kept
    #[arg(long, conflicts_with_all = ["apply", "file", "answer"])]
    undo: bool,
    /// With --undo: remove keys, Secrets, namespaces and what Terraform made, too. With --apply: let Terraform delete and
    /// replace what cannot be made again
    #[arg(long, requires = "carries_out")]
    with_data: bool,
}

/// Where an installation runs. The variants carry no help of their own: the words say it.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    // In a cluster of the company's own.
    OnPremise,
}

/// Carries the command out.
pub async fn run(context: &Context, args: &EnterpriseArgs) -> Result<Exit, Failure> {
    let Sub::Deploy(args) = &args.command;
    // There is one mode so far, and it decides nothing yet.
    let Mode::OnPremise = args.mode;
    let directory = Directory::new(&args.out)?;
    if args.undo { undo(context, args, &directory) } else { deploy(context, args, &directory).await }
}

async fn deploy(context: &Context, args: &DeployArgs, directory: &Directory) -> Result<Exit, Failure> {
    let (mut draft, left) = ask::gather(args.file.as_deref(), &args.answer, directory)?;
    for key in left {
        context.warn(&format!(
            "{key} of the file does not matter beside the answers that were given, and is left out"
        ));
    }
    ask::questions(context, &mut draft)?;
    ask::absolute(&mut draft)?;
    let (answers, plan, are_there) = planned(&draft, directory)?;
    if context.global.dry_run {
        fits(&plan, &directory.journal_of(&plan.identity)?)?;
        let document = document(directory.path(), &plan, None, true);
        context.print_either(&document, |view| view::deploy::planned(view, directory.path(), &plan, true))?;
        return Ok(Exit::Done);
    }
    if args.apply && !are_there {
        return Err(charts::missing(&draft.text("charts")));
    }
    let lock = directory.take()?;
    // Before anything is written: what Terraform and an undo do follows from the files.
    let mut journal = directory.journal_of(&plan.identity)?;
    fits(&plan, &journal)?;
    if args.apply {
        let risk = if args.with_data { " Terraform may delete what cannot be made again." } else { "" };
        let question = format!("Carry out {} steps for {}?{risk}", plan.steps.len(), plan.identity);
        if !agreed(context, &question, "carrying the plan out")? {
            return Ok(Exit::Done);
        }
    }
    for left in directory.write(&plan)? {
        context.warn(&format!(
            "{left} is of an earlier plan and was left: remove it, and apply with --with-data, to let Terraform remove what it made"
        ));
    }
    if !args.apply {
        let document = document(directory.path(), &plan, None, false);
        context
            .print_either(&document, |view| view::deploy::planned(view, directory.path(), &plan, false))?;
        return Ok(Exit::Done);
    }
    let around = Around::here(args.with_data)?;
    let search = around.search.clone();
    let mut shell = Shell::new(context, directory, around);
    if !args.skip_preflight {
        // What is wrong with another cluster is nobody's business here.
        drive::is_the_cluster(&plan.steps, &mut journal, &mut shell).map_err(stopped)?;
        let charts = PathBuf::from(draft.text("charts"));
        before::look(context, &answers, &charts, directory.path(), search).await?;
    }
    let done = drive::apply(&plan.identity, &plan.steps, &mut journal, &mut shell);
    let done = done.map_err(|stop| with_reason(&plan, stop))?;
    drop((shell, lock));
    context.print_either(&document(directory.path(), &plan, Some(&done), false), |view| {
        view::deploy::carried_out(view, &done, "The installation is complete.")
    })?;
    context.hint(&format!("Look at it: nimbus --context {} status", answers.control_plane()));
    Ok(Exit::Done)
}

/// The plan of these answers, with what is in the files that are not of it; and whether the charts are there.
fn planned(draft: &Draft, directory: &Directory) -> Result<(Answers, Plan, bool), Failure> {
    let answers = nimbus_deploy::read::read(draft).map_err(|wrong| ask::refused(&wrong))?;
    let (found, are_there) = charts::find(Path::new(&draft.text("charts")));
    let make = |outside: &[Used]| {
        nimbus_deploy::plan::plan(&answers, &found, &draft.file(), outside)
            .map_err(|why| Failure::new("the plan cannot be written down").found(why))
    };
    // Which files are a person's own is known once it is known which ones are written.
    let outside = outside::find(&answers, &found, &make(&[])?, directory)?;
    let plan = make(&outside)?;
    Ok((answers, plan, are_there))
}

/// Whether the directory is of this installation.
fn fits(plan: &Plan, journal: &Journal) -> Result<(), Failure> {
    drive::fits(&plan.identity, &plan.steps, journal).map_err(stopped)
}

fn undo(context: &Context, args: &DeployArgs, directory: &Directory) -> Result<Exit, Failure> {
    // Nobody goes on with the installation between the look, the question and what is done.
    let lock =
        if context.global.dry_run || !directory.path().exists() { None } else { Some(directory.take()?) };
    let Some(mut journal) = directory.journal()? else {
        return Err(Failure::not_found("nothing was done from this directory")
            .expected(format!("state.json in {}", directory.path().display()))
            .found("no such file")
            .next("name the directory from which it was installed with --out"));
    };
    let lost: Vec<&str> = journal
        .entries
        .iter()
        .filter_map(|entry| match &entry.step.undo {
            Undo::Data { what, .. } => Some(what.as_str()),
            Undo::Nothing | Undo::Run(_) => None,
        })
        .collect();
    if context.global.dry_run {
        let steps: Vec<Value> = journal
            .entries
            .iter()
            .rev()
            .map(|entry| json!({"id": entry.step.id, "title": entry.step.title}))
            .collect();
        let document = json!({"dry_run": true, "directory": directory.path(), "with_data": args.with_data, "steps": steps});
        context.print_either(&document, |view| view::deploy::to_undo(view, &journal, args.with_data))?;
        return Ok(Exit::Done);
    }
    let question = if args.with_data && !lost.is_empty() {
        format!("Undo {}? For good goes: {}.", journal.identity, lost.join("; "))
    } else {
        format!("Undo {}? Keys, Secrets and data are kept.", journal.identity)
    };
    if !agreed(context, &question, "undoing it")? {
        return Ok(Exit::Done);
    }
    let mut shell = Shell::new(context, directory, Around::here(args.with_data)?);
    let done = drive::undo(&mut journal, args.with_data, &mut shell).map_err(stopped)?;
    drop((shell, lock));
    let document =
        json!({"directory": directory.path(), "with_data": args.with_data, "steps": outcomes(&done)});
    let title = if args.with_data && !journal.entries.is_empty() {
        "It is undone but for what is marked left. Once what is somebody else's there is gone, the same command goes on."
    } else {
        "It is undone."
    };
    context.print_either(&document, |view| view::deploy::carried_out(view, &done, title))?;
    Ok(Exit::Done)
}

/// Whether a person, or `--yes`, agrees.
fn agreed(context: &Context, question: &str, what: &str) -> Result<bool, Failure> {
    match confirm::ask(context, question)? {
        Answer::Yes => Ok(true),
        Answer::No => {
            context.hint("Nothing was changed.");
            Ok(false)
        }
        Answer::Nobody => {
            Err(Failure::usage(format!("{what} asks first, and there is no terminal to ask on"))
                .expected("a terminal, or --yes")
                .found("neither")
                .next("the same command with --yes"))
        }
    }
}

/// What a run that ended early says: of a check that failed how a person makes what it looks for.
fn with_reason(plan: &Plan, stop: Stop<Failure>) -> Failure {
    let checked = match &stop {
        Stop::Failed { step: title, .. } => {
            plan.steps.iter().find(|step| step.title == *title && matches!(step.kind, Kind::Check))
        }
        Stop::Foreign { .. }
        | Stop::Other { .. }
        | Stop::Cluster { .. }
        | Stop::Moved { .. }
        | Stop::Lost { .. }
        | Stop::Differs { .. }
        | Stop::Unkept(_) => None,
    };
    let mut failure = stopped(stop);
    if let Some(step) = checked {
        failure.next = format!("{} Then {}", step.why, failure.next);
    }
    failure
}

/// What a run that ended early says.
fn stopped(stop: Stop<Failure>) -> Failure {
    const AGAIN: &str = "the same command goes on from this step";
    match stop {
        Stop::Failed { step, mut error } => {
            error.title = format!("{step}: {}", error.title);
            error.next =
                if error.next.is_empty() { AGAIN.to_owned() } else { format!("{}; {AGAIN}", error.next) };
            error
        }
        Stop::Foreign { step, next } => {
            Failure::new(format!("{step}: it is there, and this directory did not make it"))
                .exit(Exit::Refused)
                .expected("nothing of that name")
                .found("one that somebody else made")
                .next(next)
        }
        Stop::Other { expected, found } => Failure::new("this directory is of another installation")
            .exit(Exit::Refused)
            .expected(expected)
            .found(found)
            .next("give another directory with --out, or undo what was done from this one first: --undo, with --with-data where keys and data were kept"),
        Stop::Cluster { expected, found } => {
            Failure::new("this is not the cluster of the installation; nothing was done in it")
                .exit(Exit::Refused)
                .expected(format!("the cluster in which this directory's steps were done: namespace kube-system with the UID {expected}"))
                .found(format!("one with the UID {found}"))
                .next("make that cluster's context the kubeconfig's current one, or the one that kube_context names; for another cluster give another directory with --out")
        }
        Stop::Moved { answer, expected, found } => {
            Failure::new(format!("{answer} is another one than that with which Terraform made things"))
                .exit(Exit::Refused)
                .expected(expected)
                .found(found)
                .next("give the answer as it was: elsewhere everything would be destroyed and made anew; for another place give another directory with --out, and move the data by a backup (docs/backup.md)")
        }
        Stop::Lost { step, files, copy, next } => {
            Failure::new(format!("{step}: files are not here from which {copy} was made; no others were made"))
                .exit(Exit::Refused)
                .expected(format!("these files, as they were then: {}", files.join(", ")))
                .found(format!("{copy} in the cluster, and not these files here"))
                .next(next)
        }
        Stop::Differs { step, next } => {
            Failure::new(format!("{step}: it was made from here, and from other contents"))
                .exit(Exit::Refused)
                .expected("the files of this directory as they were when it was made")
                .found("others")
                .next(next)
        }
        Stop::Unkept(error) => error,
    }
}

/// The answer for a program.
fn document(directory: &Path, plan: &Plan, done: Option<&Done>, is_dry: bool) -> Value {
    let files: Vec<&str> = plan.files.iter().map(|file| file.path.as_str()).collect();
    let steps = done.map_or_else(
        || plan.steps.iter().map(|step| json!({"id": step.id, "state": "planned"})).collect(),
        outcomes,
    );
    let mut document =
        json!({"directory": directory, "installation": plan.identity, "files": files, "steps": steps});
    if is_dry {
        document["dry_run"] = json!(true);
    }
    if let Some(done) = done {
        document["left_over"] = json!(done.left_over);
    }
    document
}

fn outcomes(done: &Done) -> Vec<Value> {
    done.steps.iter().map(|(id, state)| json!({"id": id, "state": state})).collect()
}
