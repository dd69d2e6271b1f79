//! Plays scenes: those of one place beside each other where they do not disturb each other, then the others one by one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use futures::future::LocalBoxFuture;

use super::catalogue::{Catalogue, Entry, Place, Right};
use super::ground::Ground;
use super::host::Host;
use super::stage::Stage;
use super::verdict::Report;
use super::{cluster, host, node};

/// A scene's code: its name in the catalogue, and how it is played on `S`.
pub struct Scene<S: 'static> {
    /// As the file in the catalogue.
    pub name: &'static str,
    /// Plays and judges it.
    pub play: for<'a> fn(&'a S) -> LocalBoxFuture<'a, anyhow::Result<()>>,
}

/// Longest time for one scene; one that takes longer is not judged.
const LONGEST: Duration = Duration::from_mins(6);

/// Which scenes, and how many at once.
#[derive(Debug, Clone)]
pub struct Order {
    /// Names; empty means all.
    pub names: Vec<String>,
    /// Places; empty means all.
    pub places: Vec<Place>,
    /// How many scenes beside each other.
    pub at_once: usize,
}

impl Order {
    /// Is this scene to be played?
    pub fn has(&self, name: &str) -> bool {
        self.names.is_empty() || self.names.iter().any(|wanted| wanted == name)
    }

    fn goes_to(&self, place: Place) -> bool {
        self.places.is_empty() || self.places.contains(&place)
    }
}

/// The name and the place of every scene that has code.
pub fn all() -> Vec<(&'static str, Place)> {
    let of = |names: Vec<&'static str>, place| names.into_iter().map(move |name| (name, place));
    let cluster = cluster::SCENES.iter().map(|scene| scene.name).collect();
    let node = node::SCENES.iter().map(|scene| scene.name).collect();
    let host = host::SCENES.iter().map(|scene| scene.name).collect();
    of(host, Place::Host).chain(of(cluster, Place::Cluster)).chain(of(node, Place::Node)).collect()
}

/// Plays what is ordered; each end is printed as it comes.
///
/// # Errors
/// When a stage does not start.
pub async fn play(catalogue: &Catalogue, order: &Order) -> anyhow::Result<Vec<Report>> {
    let mut reports = Vec::new();
    let wanted = |place: Place| {
        order.goes_to(place) && all().iter().any(|(name, found)| *found == place && order.has(name))
    };
    if wanted(Place::Host) {
        let plane = Arc::new(host::plane().await?);
        let scenes = host::SCENES.iter().filter(|scene| order.has(scene.name));
        let played = scenes.map(|scene| async {
            let begun = Instant::now();
            let ended = limited(async { (scene.play)(&Host::new(&plane)?).await }).await;
            finished(catalogue, scene.name, &ended, begun)
        });
        reports
            .extend(futures::stream::iter(played).buffer_unordered(order.at_once).collect::<Vec<_>>().await);
    }
    if wanted(Place::Cluster) {
        let stage = Arc::new(Stage::simulated().await?);
        reports.extend(on_stage(catalogue, order, &stage, cluster::SCENES).await);
    }
    if wanted(Place::Node) {
        reports.extend(node::play(catalogue, order).await?);
    }
    reports.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(reports)
}

/// Plays scenes on a cluster: those of restraint together, then those that act, then those that say "alone" one by one.
/// What acts may have to wait for another that acts; while only restraint is played, nothing wrong has to wait.
pub async fn on_stage(
    catalogue: &Catalogue,
    order: &Order,
    stage: &Arc<Stage>,
    scenes: &'static [Scene<Ground>],
) -> Vec<Report> {
    let of = |phase: Phase| {
        let phase_of = |name: &str| catalogue.entries.get(name).map(Phase::of);
        scenes.iter().filter(move |scene| order.has(scene.name) && phase_of(scene.name) == Some(phase))
    };
    let mut reports = Vec::new();
    for phase in Phase::ALL {
        let played = of(phase).map(|scene| async move {
            let begun = Instant::now();
            let ended = limited(async { (scene.play)(&Ground::new(stage).await?).await });
            finished(catalogue, scene.name, &ended.await, begun)
        });
        let at_once = if phase == Phase::Alone { 1 } else { order.at_once };
        reports.extend(futures::stream::iter(played).buffer_unordered(at_once).collect::<Vec<_>>().await);
    }
    reports
}

/// What is played beside each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Restraint,
    Action,
    Alone,
}

impl Phase {
    const ALL: [Self; 3] = [Self::Restraint, Self::Action, Self::Alone];

    fn of(entry: &Entry) -> Self {
        match (&entry.alone, entry.right) {
            (Some(_), _) => Self::Alone,
            (None, Right::Act) => Self::Action,
            (None, Right::Refrain | Right::Recommend) => Self::Restraint,
        }
    }
}

async fn limited(scene: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    match tokio::time::timeout(LONGEST, scene).await {
        Ok(ended) => ended,
        Err(_) => anyhow::bail!("it was not over after {} s", LONGEST.as_secs()),
    }
}

fn finished(catalogue: &Catalogue, name: &str, ended: &anyhow::Result<()>, begun: Instant) -> Report {
    let report = match catalogue.entries.get(name) {
        Some(entry) => Report::of(name, entry.right, ended, begun.elapsed()),
        None => Report::left_out(name, "it has no file in tests/scenes"),
    };
    let why = if report.why.is_empty() { String::new() } else { format!("\n  {}", report.why) };
    eprintln!("{name}: {} after {:.1} s{why}", report.outcome.words(), report.took.as_secs_f64());
    report
}
