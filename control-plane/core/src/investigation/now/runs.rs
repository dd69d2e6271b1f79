//! The runs of a Job or CronJob, or of another owner of Jobs: what each came to.

use crate::investigation::words::at;
use crate::investigation::{Known, Source};
use crate::model::Incident;
use crate::world::{BatchJob, Inventory, Object as _};

/// Most runs, the newest.
const MOST: usize = 5;

/// The newest runs of the incident's workload.
pub(super) fn of(incident: &Incident, inventory: &Inventory) -> Vec<Known> {
    let Some(workload) = &incident.workload else { return Vec::new() };
    let uid = workload.uid();
    let mut runs: Vec<&BatchJob> =
        inventory.batch_jobs.get(uid).into_iter().chain(inventory.runs_of(uid)).collect();
    runs.sort_by(|a, b| (b.meta.created_at, &b.meta.name).cmp(&(a.meta.created_at, &a.meta.name)));
    let more = runs.len().saturating_sub(MOST);
    let mut all: Vec<Known> = runs.into_iter().take(MOST).flat_map(run).collect();
    if more > 0 {
        let text = format!("and {more} more runs, which are not told one by one");
        all.push(Known::new(None, Source::Status, workload, text));
    }
    all
}

fn run(it: &BatchJob) -> Vec<Known> {
    let object = it.object();
    let end = if it.has_failed() {
        format!("it failed for good{}: {}", at(it.failed_at), it.failure)
    } else if it.completed_at.is_some() {
        format!("it completed{}", at(it.completed_at))
    } else {
        format!("it has not ended, and was made{}", at(it.meta.created_at))
    };
    let leaving = if it.meta.deleting { ", and is on its way out" } else { "" };
    let text = format!(
        "{end}{leaving}; {} pods of it run or wait, {} succeeded, {} failed",
        it.active, it.succeeded, it.failed
    );
    let moments = [
        (it.meta.created_at, "it was made"),
        (it.completed_at, "it completed"),
        (it.failed_at, "it failed for good"),
    ];
    let moments =
        moments.into_iter().filter_map(|(at, text)| Some(Known::new(at?, Source::Status, &object, text)));
    std::iter::once(Known::new(None, Source::Status, &object, text)).chain(moments).collect()
}
