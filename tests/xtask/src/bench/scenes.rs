//! Measures how long the scenes take, place by place.

use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;

use super::report::{Report, Row};
use crate::{obstacle, scenes};

/// Plays all scenes of each place; a wrong one is an error, since its time means nothing.
pub fn measure(repository: &Path) -> anyhow::Result<Report> {
    scenes::prepare(repository)?;
    let mut rows = Vec::new();
    let mut notes = vec![
        "`cargo xtask scenes --where PLACE`, six scenes beside each other where they do not disturb each other, the start \
         of the cluster or the node included; dev profile. Most of the time is watching: restraint is judged for 12 s."
            .to_owned(),
    ];
    for place in ["host", "cluster", "node"] {
        if place == "node"
            && let Some(why) = obstacle::of_all()
        {
            notes.push(format!("The real node was left out: {why}."));
            continue;
        }
        let begun = Instant::now();
        let status = scenes::command(repository, &["--where", place]).status();
        anyhow::ensure!(status.context("cannot run the scenes' program")?.success(), "a scene was wrong");
        let what = format!("scenes of place `{place}`");
        rows.push(Row {
            what,
            value: begun.elapsed().as_secs_f64(),
            unit: "s".to_owned(),
            aim: None,
            peer: None,
        });
    }
    Ok(Report { title: "Scenes".to_owned(), command: "cargo xtask bench scenes".to_owned(), rows, notes })
}
