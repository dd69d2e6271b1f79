//! Plays scenes of the catalogue and prints what was right and what was wrong: `cargo xtask scenes` runs this.
//!
//! Exit codes: 0 all as it has to be; 1 something is wrong; 2 usage.

use std::process::ExitCode;

use anyhow::Context as _;
use nimbus_tests::rig::real_node;
use nimbus_tests::scenes::catalogue::{Catalogue, Place, directory};
use nimbus_tests::scenes::runner::{Order, all, play};
use nimbus_tests::scenes::verdict::{Report, complaints, table};

const USAGE: &str = "usage: scenes [--where cluster|node|host].. [--list] [--at-once N] [--lenient] [NAME]..

  --list      say which scenes there are
  --at-once   how many scenes beside each other on one cluster [default: 6]
  --lenient   let the scenes of tests/scenes/not-yet.txt be wrong, and complain about those that are right; play again, alone, up
              to three others that did nothing in time";

/// Most scenes that are played again: more than these are no accident.
const MOST_AGAIN: usize = 3;

struct Arguments {
    order: Order,
    list: bool,
    lenient: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [first, into] = words.as_slice()
        && first == real_node::INSIDE
    {
        // The same program, started by itself in the namespaces of a real node.
        return ended(nimbus_tests::scenes::node::inside(std::path::Path::new(into)).await.map(|()| true));
    }
    let arguments = match parse(&words) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("error: {error:#}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    ended(run(&arguments).await)
}

fn ended(result: anyhow::Result<bool>) -> ExitCode {
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn parse(words: &[String]) -> anyhow::Result<Arguments> {
    let order = Order { names: Vec::new(), places: Vec::new(), at_once: 6 };
    let mut arguments = Arguments { order, list: false, lenient: false };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--list" => arguments.list = true,
            "--lenient" => arguments.lenient = true,
            "--where" => {
                let place = words.next().context("expected a place after --where")?;
                arguments.order.places.push(Place::parse(place)?);
            }
            "--at-once" => {
                let number = words.next().context("expected a number after --at-once")?;
                arguments.order.at_once = number.parse().context("expected a number after --at-once")?;
                anyhow::ensure!(arguments.order.at_once > 0, "expected at least one scene at once");
            }
            option if option.starts_with('-') => anyhow::bail!("there is no option {option}"),
            name => {
                anyhow::ensure!(all().iter().any(|(known, _)| *known == name), "there is no scene {name}");
                arguments.order.names.push(name.to_owned());
            }
        }
    }
    Ok(arguments)
}

/// Plays again, one by one, the few that may be right on a machine that does nothing else.
async fn play_again(catalogue: &Catalogue, reports: &mut [Report]) -> anyhow::Result<()> {
    let may =
        |report: &&mut Report| report.may_be_played_again() && !catalogue.not_yet.contains_key(&report.name);
    let mut again: Vec<&mut Report> = reports.iter_mut().filter(may).collect();
    if again.is_empty() || again.len() > MOST_AGAIN {
        return Ok(());
    }
    let names = again.iter().map(|report| report.name.clone()).collect();
    let order = Order { names, places: Vec::new(), at_once: 1 };
    for second in play(catalogue, &order).await?.into_iter().filter(Report::is_judged) {
        for first in again.iter_mut().filter(|first| first.name == second.name) {
            **first = second.clone().after(first);
        }
    }
    Ok(())
}

async fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let catalogue = Catalogue::read(&directory())?;
    let not_yet = |name: &str| catalogue.not_yet.get(name).cloned();
    if arguments.list {
        for entry in catalogue.entries.values() {
            let waits = not_yet(&entry.name).map(|why| format!(" [not yet: {why}]")).unwrap_or_default();
            println!(
                "{:42} {:8} {:9} {}{waits}",
                entry.name,
                entry.place.word(),
                entry.right.word(),
                entry.title
            );
        }
        return Ok(true);
    }
    let begun = std::time::Instant::now();
    let mut reports = play(&catalogue, &arguments.order).await?;
    if arguments.lenient {
        // What was judged stays judged.
        if let Err(error) = play_again(&catalogue, &mut reports).await {
            eprintln!("error: no scene could be played again: {error:#}");
        }
    }
    println!("{}played in {:.0} s", table(&reports, not_yet), begun.elapsed().as_secs_f64());
    let complaints = complaints(&reports, not_yet, !arguments.lenient);
    for complaint in &complaints {
        println!("{complaint}");
    }
    Ok(complaints.is_empty())
}
